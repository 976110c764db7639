"""The output folder of a run: what is saved, its numbers as a table, the figure, and a page to read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from modalens.errors import InputError
from modalens.spreadsheet import as_csv
from modalens.summary.cells import Table


def open_folder(folder: str | Path) -> Path:
    """The folder for results, made where it is not there, before anything that takes long; raises InputError where it can't be written to."""
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            return target
    except OSError as error:
        raise InputError(f"the results can't be written to {target}: {error}; name another folder.") from error


class Found(Protocol):
    """What `ml.audit` and `ml.validate` return, as a page needs it."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def tables(self) -> Sequence[Table]: ...

    def plot(self) -> Figure: ...

    def to_frame(self) -> pd.DataFrame: ...

    def save(self, path: str | Path) -> Path: ...


def write_found(
    found: Found,
    folder: str | Path,
    *,
    name: str,
    ending: str,
    page: Callable[[str | Path], Path],
    save: Callable[[Path], Path] | None = None,
    plot: Callable[[], Figure] | None = None,
) -> list[Path]:
    """Write `<name>.<ending>` (what `save` writes, `found.save` by default), `.csv`, `.svg`, `.png` (what `plot` draws, `found.plot` by
    default) and `.html`, and say which files there are. Raises InputError where the folder can't be written to.
    """
    target = open_folder(folder)
    try:
        drawn = save_figure((plot or found.plot)(), target, name)
        table = target / f"{name}.csv"
        table.write_text(as_csv(found.to_frame()), encoding="utf-8")
        return [(save or found.save)(target / f"{name}.{ending}"), table, *drawn, page(target / f"{name}.html")]
    except OSError as error:
        raise InputError(f"the results can't be written to {target}: {error}.") from error


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `<name>.svg` and `<name>.png`, and say so."""
    written = [folder / f"{name}.{ending}" for ending in ("svg", "png")]
    for path in written:
        figure.savefig(path, dpi=150, bbox_inches="tight")
    return written
