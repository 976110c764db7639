"""What the checks of a model found: a table of findings, each with its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Verdict = Literal["fine", "note", "obstacle", "not checked"]

STYLES: dict[Verdict, str] = {"fine": "green", "note": "yellow", "obstacle": "bold red", "not checked": "dim"}

ADVICE = re.compile(
    r"(?<=[.:;] )(?=(?:a class needs|a model that|batch normalization must|bring|call|cast|choose|clip|cut|encode|give|impute|it has|item k|join|"
    r"leave|load|look|make|name|pad|prepare|put|reduce|row k|say|select|tell|use|wrap|write)\b|modalities=)",
    re.IGNORECASE,
)
"""Where an error message turns from what is wrong to what to do."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check found, and what to do about it. An "obstacle" stands in the way of an explanation or makes it
    wrong, a "note" is to be known; "not checked" rests on something that has to be mended first.
    """

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""

    @property
    def message(self) -> str:
        """Both in one line."""
        return f"{self.found} {self.remedy}".rstrip()

    def __str__(self) -> str:
        return f"{self.check}: {self.verdict}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What checks found. `print` shows it as a table.

    findings : everything, in the order in which it was looked at.
    """

    findings: tuple[Finding, ...] = field(repr=False)

    @property
    def obstacles(self) -> tuple[Finding, ...]:
        """What stands in the way of an explanation, or makes it wrong."""
        return self._with("obstacle")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What to know."""
        return self._with("note")

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.obstacles

    def _with(self, verdict: Verdict) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == verdict)

    def table(self) -> Table:
        """The findings, a row each."""
        shown = Table(box=rich.box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title=Text(self._title()))
        shown.title_justify = "left"
        shown.add_column("check", no_wrap=True)
        shown.add_column("verdict", no_wrap=True)
        shown.add_column("what was found", ratio=5, overflow="fold")
        shown.add_column("what to do", ratio=4, overflow="fold")
        for place, one in enumerate(self.findings):
            again = place and self.findings[place - 1].check == one.check
            shown.add_row(
                "" if again else Text(one.check),
                Text(one.verdict, style=STYLES[one.verdict]),
                Text(one.found),
                Text(one.remedy),
            )
        return shown

    def _title(self) -> str:
        verdict = "nothing stands in the way" if self.ok else _counted(len(self.obstacles), "obstacle")
        return f"{verdict}, {_counted(len(self.notes), 'note')}"

    def __str__(self) -> str:
        console = Console(width=140, force_terminal=False, no_color=True)
        with console.capture() as captured:
            console.print(self.table())
        return captured.get()

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield self.table()


@dataclass(frozen=True, kw_only=True)
class ModelCheck(Checked):
    """What `check_model` found. `print` shows it as a table.

    model : the model's name.
    rows : rows that were run through the whole model for it; looking for encoders runs a few more through its parts.
    """

    model: str
    rows: int

    def _title(self) -> str:
        return f"{self.model}: {super()._title()}, by {_counted(self.rows, 'row')} through the model"


@dataclass(frozen=True, kw_only=True)
class MeasureCheck(Checked):
    """What `check_measure` found. `print` shows it as a table.

    measure : the measure's name.
    """

    measure: str

    def _title(self) -> str:
        return f"{self.measure}: {super()._title()}"


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def told(check: str, verdict: Verdict, message: str, remedy: str = "") -> Finding:
    """A finding from a message of the package, which ends with what to do; a remedy that is more exact takes the
    place of that.
    """
    turn = ADVICE.search(message)
    found, advice = (message[: turn.end()], message[turn.end() :]) if turn else (message, "")
    advice = remedy or advice
    return Finding(
        check=check,
        verdict=verdict,
        found=f"{found.rstrip(' ;:.')}.",
        remedy=advice[:1].upper() + advice[1:],
    )
