"""A progress bar for runs that take a while."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """A progress bar that shows itself only where a run takes more than two seconds."""

    def __init__(
        self, rows: int, wanted: bool | None, *, doing: str = "evaluating the model", unit: str = "rows"
    ) -> None:
        self.rows, self.wanted = rows, wanted
        self.doing, self.unit = doing, unit
        self.started = time.monotonic()
        self.done = 0
        self.bar: Progress | None = None

    def __enter__(self) -> Bar:
        return self

    def advance(self, rows: int) -> None:
        self.done += rows
        if self.bar is None and self.wanted is not False and time.monotonic() - self.started > 2:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.doing, total=self.rows)
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
