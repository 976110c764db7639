"""What a reproduction found: our numbers beside the paper's, with the spread over seeds, and why they differ."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modalens.summary.cells import Table

PACKAGES = ("modalens", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number: of which experiment and quantity, ours over seeds, the paper's where it gives one (`theirs`, as it is
    printed there), the band that we hold ourselves to, and a remark.
    """

    experiment: str
    quantity: str
    ours: tuple[float, ...]
    theirs: str = ""
    band: tuple[float, float] | None = None
    note: str = ""

    @property
    def mean(self) -> float:
        return float(np.mean(self.ours))

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; 0 of a single one."""
        return float(np.std(self.ours, ddof=1)) if len(self.ours) > 1 else 0.0

    @property
    def within(self) -> bool | None:
        """Whether the mean lies within the band; None without one."""
        return None if self.band is None else self.band[0] <= self.mean <= self.band[1]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table of a reproduction, or one figure of it, with what is to be learned from it."""

    title: str
    words: str
    numbers: Sequence[Number] = ()
    figure: Figure | None = None
    decimals: int = 2

    def table(self) -> Table:
        """A row a number; columns that no number fills are left out."""
        theirs, bands, notes = (any(getattr(one, name) for one in self.numbers) for name in ("theirs", "band", "note"))
        columns = (
            "experiment",
            "quantity",
            "ours",
            *["paper"] * theirs,
            *["expected"] * bands,
            *["remark"] * notes,
        )
        rows = [
            (
                one.experiment,
                one.quantity,
                _ours(one, self.decimals),
                *[one.theirs] * theirs,
                *[_band(one, self.decimals)] * bands,
                *[one.note] * notes,
            )
            for one in self.numbers
        ]
        return Table(title=self.title, columns=columns, rows=tuple(rows))


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A paper's experiments, run again. `sections` hold tables and figures in the order of reading; `seeds` and
    `command` say how it was made.
    """

    name: str
    title: str
    paper: str
    words: str
    sections: Sequence[Section]
    seeds: Sequence[int]
    command: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers(self) -> list[Number]:
        return [number for section in self.sections for number in section.numbers]

    @property
    def outside(self) -> list[Number]:
        """The numbers that miss their band."""
        return [number for number in self.numbers if number.within is False]

    def tables(self) -> list[Table]:
        """Those of all sections that hold numbers."""
        return [section.table() for section in self.sections if section.numbers]

    def to_frame(self) -> pd.DataFrame:
        """Every number as a row: section, experiment, quantity, mean, spread, seeds, theirs, low, high, within, note."""
        return pd.DataFrame(
            [
                {
                    "section": section.title,
                    "experiment": number.experiment,
                    "quantity": number.quantity,
                    "mean": number.mean,
                    "spread": number.spread,
                    "seeds": len(number.ours),
                    "theirs": number.theirs,
                    "low": None if number.band is None else number.band[0],
                    "high": None if number.band is None else number.band[1],
                    "within": number.within,
                    "note": number.note,
                }
                for section in self.sections
                for number in section.numbers
            ]
        )

    def markdown(self, figures: Mapping[str, str]) -> str:
        """The page: what was run and how, and every section with its table or figure (title -> file)."""
        versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
        lines = [
            f"# {self.title}",
            "",
            self.words,
            "",
            f"Source: {self.paper}.",
            "",
            f"`{self.command}`, seeds {', '.join(map(str, self.seeds))}, Python {platform.python_version()}, {versions}. Ours is the mean ± standard deviation over seeds.",
            *(f"{name}: {value}." for name, value in self.settings.items()),
        ]
        for section in self.sections:
            lines += ["", f"## {section.title}", "", section.words, ""]
            if section.numbers:
                lines += _markdown(section.table())
            if section.title in figures:
                lines += ["", f"![{section.title}]({figures[section.title]})"]
        return "\n".join(lines) + "\n"

    def write(self, folder: str | Path) -> list[Path]:
        """Write `<name>.md`, `<name>.csv` and an SVG for every figure, and say which files there are."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        figures, written = {}, []
        for place, section in enumerate(self.sections):
            if section.figure is not None:
                path = target / f"{self.name}-{place + 1}.svg"
                section.figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
                figures[section.title] = path.name
                written.append(path)
        page, table = target / f"{self.name}.md", target / f"{self.name}.csv"
        page.write_text(self.markdown(figures), encoding="utf-8")
        self.to_frame().to_csv(table, index=False)
        return [page, table, *written]


def _markdown(table: Table) -> list[str]:
    rows = [table.columns, ("---",) * len(table.columns), *table.rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _ours(number: Number, decimals: int) -> str:
    if np.isnan(number.mean):
        return "n/a"
    spread = f" ± {number.spread:.{decimals}f}" if len(number.ours) > 1 else ""
    return f"{number.mean:.{decimals}f}{spread}"


def _band(number: Number, decimals: int) -> str:
    if number.band is None:
        return ""
    low, high = number.band
    words = (
        f"< {high:.{decimals}f}"
        if low == -np.inf
        else f"> {low:.{decimals}f}"
        if high == np.inf
        else f"{low:.{decimals}f} to {high:.{decimals}f}"
    )
    return words if number.within else f"{words} **missed**"
