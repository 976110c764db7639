"""The output folder of a run: the saved explanation, its numbers as a table, the figures, and a page to read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.report.page import Planted, write_page
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


def write_folder(
    explanations: Mapping[str, Explanation],
    folder: str | Path,
    *,
    title: str | None = None,
    preface: str | None = None,
    scores: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
    planting: Mapping[str, Planted] | None = None,
) -> list[Path]:
    """Write `<name>.nc`, `<name>.csv`, `<name>.svg`, `<name>.png` and `<name>.html` for each explanation, by its
    name, and say which files there are. A planting of that name adds `<name>-planting.svg` and `.png`, and stands on
    the page.

    Raises InputError where the folder can't be made or written to.
    """
    target = open_folder(folder)
    try:
        written = []
        for name, explanation in explanations.items():
            written.append(explanation.save(target / f"{name}.nc", inputs=True))
            table = target / f"{name}.csv"
            explanation.to_frame().to_csv(table, index=False)
            planted = (planting or {}).get(name)
            figures = {name: explanation.plot()} | ({} if planted is None else {f"{name}-planting": planted.plot()})
            for called, figure in figures.items():
                for ending in ("svg", "png"):
                    figure.savefig(target / f"{called}.{ending}", dpi=150, bbox_inches="tight")
            page = write_page(
                explanation,
                target / f"{name}.html",
                title=title,
                preface=preface,
                scores=scores,
                notes=notes,
                planting=planted,
            )
            drawn = [target / f"{called}.{ending}" for called in figures for ending in ("svg", "png")]
            written += [table, *drawn, page]
        return written
    except OSError as error:
        raise InputError(f"the results can't be written to {target}: {error}.") from error


class Found(Protocol):
    """What `ml.audit` and `ml.validate` return, as a page needs it."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def tables(self) -> Sequence[Table]: ...

    def plot(self) -> Figure: ...

    def to_frame(self) -> pd.DataFrame: ...

    def save(self, path: str | Path) -> Path: ...


def write_found(
    found: Found, folder: str | Path, *, name: str, ending: str, page: Callable[[str | Path], Path]
) -> list[Path]:
    """Write `<name>.<ending>` (what `save` writes), `.csv`, `.svg`, `.png` and `.html`, and say which files there are. Raises
    InputError where the folder can't be written to.
    """
    target = open_folder(folder)
    try:
        figure = found.plot()
        drawn = [target / f"{name}.{picture}" for picture in ("svg", "png")]
        for path in drawn:
            figure.savefig(path, dpi=150, bbox_inches="tight")
        table = target / f"{name}.csv"
        found.to_frame().to_csv(table, index=False)
        return [found.save(target / f"{name}.{ending}"), table, *drawn, page(target / f"{name}.html")]
    except OSError as error:
        raise InputError(f"the results can't be written to {target}: {error}.") from error
