"""What lies in a folder of results: explanations, audits and leaderboards, by their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py

from modalens.errors import InputError
from modalens.explanation import load
from modalens.report.beside import beside_in
from modalens.report.together import PAGE, write_report

Kind = Literal["explanation", "audit", "leaderboard"]

MARKS: dict[str, Kind] = {"modalens": "explanation", "modalens_audit": "audit"}
"""The attribute by which a NetCDF file of ours is known."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The files of a folder and its sub-folders that modalens wrote, by name: the path without its ending, such as `fused` or
    `repaired/audit`. Nothing is read but what tells their kind.
    """

    folder: Path
    explanations: dict[str, Path]
    audits: dict[str, Path]
    leaderboards: dict[str, Path]

    def __len__(self) -> int:
        return len(self.explanations) + len(self.audits) + len(self.leaderboards)


def findings_in(folder: str | Path) -> Findings:
    """Everything in a folder that `explain`, `audit` and `validate` wrote, or the one file that is named.

    Raises InputError for a folder that is not there, for one in which there is nothing of ours, and for a damaged file: it is not left
    out in silence.
    """
    source = Path(folder)
    if not source.exists():
        raise InputError(
            f"there is no folder or file {source}; give one that modalens explain, audit, validate or demo wrote."
        )
    top = source if source.is_dir() else source.parent
    found: dict[Kind, dict[str, Path]] = {"explanation": {}, "audit": {}, "leaderboard": {}}
    for path in sorted(_candidates(source)):
        kind = _kind(path)
        if kind is not None:
            found[kind][path.relative_to(top).with_suffix("").as_posix()] = path
    findings = Findings(
        folder=top, explanations=found["explanation"], audits=found["audit"], leaderboards=found["leaderboard"]
    )
    if not len(findings):
        raise InputError(
            f"{source} holds no explanation, audit or leaderboard: give a folder that modalens explain, audit, validate or demo wrote, or save one by explanation.save(path, inputs=True)."
        )
    return findings


def _candidates(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    for ending in ("nc", "json"):
        yield from (path for path in source.rglob(f"*.{ending}") if path.is_file())


def _kind(path: Path) -> Kind | None:
    """What a file is; None for what is not ours."""
    if path.suffix == ".json":
        content = _json(path)
        ours = isinstance(content, dict) and {"modalens", "runs", "settings"} <= set(content)
        return "leaderboard" if ours else None
    try:
        with h5py.File(path, "r") as file:
            return next((kind for mark, kind in MARKS.items() if mark in file.attrs), None)
    except OSError as error:
        if _begins_as_hdf5(path):
            raise InputError(
                f"{path} is damaged, perhaps cut off: {error}; write it again, or take it out of the folder."
            ) from error
        return None


def _begins_as_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def report_on(folder: str | Path, output: str | Path | None = None, *, patients: bool = True) -> Path:
    """Write one HTML page about everything in a folder, `report.html` in it, or about one file, beside it under its own name
    (`fused.nc`: `fused.html`), unless `output` names another file; returns its path. patients: whether single patients are shown.

    Raises InputError where nothing of ours is in the folder, a file is damaged, and where the page can't be written.
    """
    from modalens.alignment import Audit
    from modalens.validation import Leaderboard

    found = findings_in(folder)
    return write_report(
        output or _page_of(Path(folder)),
        {name: load(path, lazy=True) for name, path in found.explanations.items()},
        known={name: (path.parent, beside_in(path.parent)) for name, path in found.explanations.items()},
        audits={name: Audit.load(path) for name, path in found.audits.items()},
        boards={name: Leaderboard.load(path) for name, path in found.leaderboards.items()},
        patients=patients,
    )


def _page_of(source: Path) -> Path:
    """Where the page about a folder or a file is written."""
    return source / PAGE if source.is_dir() else source.with_suffix(".html")
