"""Comparing rivals on a case: equal values first, then rounds in which all take turns, then rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .cases import TOLERANCE, Case
from .processes import Process, TooSlow
from .rivals import REFERENCE, RIVALS, Rival

SLOW = 5.0
"""Rivals that take more than this many seconds are timed in about half of the rounds."""

Say = Callable[[str], None]


class Disagreement(Exception):
    """Two rivals give different values: nothing is timed."""


@dataclass(kw_only=True)
class Measured:
    """What was seen of one rival on one case: seconds by round, rows by encoder and head, bytes."""

    rival: Rival
    case: Case
    setting: tuple[int, ...] = ()
    rounds: list[list[float]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    claims: dict = field(default_factory=dict)
    difference: float = 0.0
    tracer_seconds: float = 0.0
    split_seconds: float = 0.0
    split_bytes: int = 0
    input_bytes: int = 0
    value_bytes: int = 0
    run_bytes: int = 0
    stopped: bool = False

    @property
    def seconds(self) -> list[float]:
        """Every timed run."""
        return [one for each in self.rounds for one in each]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def by_round(self) -> list[float]:
        return [statistics.median(each) for each in self.rounds]

    @property
    def peak_bytes(self) -> int:
        """The most memory beyond libraries and model, with what was made beforehand."""
        return max(self.run_bytes, self.split_bytes)

    @property
    def encoder_rows(self) -> int:
        return sum(self.rows.values()) - self.rows["head"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All rivals on one case."""

    case: Case
    measured: tuple[Measured, ...]

    def of(self, key: str) -> Measured:
        return next(one for one in self.measured if one.rival.key == key)

    def ratio(self, one: Measured, other: Measured | None = None) -> float:
        """How many times as long as the other (modalens) it takes, by medians."""
        return one.median / (other or self.of("modalens")).median

    def ratios(self, one: Measured, other: Measured | None = None) -> tuple[float, float]:
        """The lowest and highest of this ratio over the rounds in which both took their turn."""
        each = [a / b for a, b in zip(one.by_round, (other or self.of("modalens")).by_round, strict=False)]
        return min(each), max(each)


def compare(case: Case, *, tuned: bool, threads: int, repeats: int, folder: Path, say: Say) -> Comparison:
    """All rivals of the case's task, each in a process of its own."""
    settings = {rival: rival.usual for rival in RIVALS[case.task]}
    if tuned:
        settings |= best_settings(case, threads)
    found = [Measured(rival=rival, case=case, setting=setting) for rival, setting in settings.items()]
    with ExitStack() as stack:
        running = [(one, stack.enter_context(Process(case.task, one.rival, threads=threads))) for one in found]
        for one, process in running:
            first_values(one, process, folder)
            say(f"  {one.rival.words}: values")
        require_equal(found, folder)
        take_turns(running, repeats)
        for one, process in running:
            counted = process.ask("count")
            one.rows, one.claims = counted["rows"], counted.get("claims", {})
            say(f"  {one.rival.words}: {one.median:.4f} s")
    return Comparison(case=case, measured=tuple(found))


def best_settings(case: Case, threads: int) -> dict[Rival, tuple[int, ...]]:
    """The fastest setting of each rival that has several, found in processes that end, so that none leaves a trace in
    memory.
    """
    several = [rival for rival in RIVALS[case.task] if len(rival.settings) > 1]
    with ExitStack() as stack:
        running = {rival: stack.enter_context(Process(case.task, rival, threads=threads)) for rival in several}
        for rival, process in running.items():
            process.ask("open", case=case.to_json(), setting=rival.usual)
        return {
            rival: tuple(process.ask("tune", settings=rival.settings)["setting"]) for rival, process in running.items()
        }


def first_values(one: Measured, process: Process, folder: Path, limit: float | None = None) -> None:
    """Open the case and run it once: the values are stored, and the run has warmed the process up."""
    opened = process.ask("open", case=one.case.to_json(), setting=one.setting)
    computed = process.ask("values", limit=limit, path=str(folder / f"{one.rival.key}.npz"))
    one.tracer_seconds, one.split_seconds = opened["tracer_seconds"], opened["split_seconds"]
    one.split_bytes = opened["split_bytes"]
    one.input_bytes, one.value_bytes = opened["input_bytes"], computed["value_bytes"]
    one.run_bytes = process.ask("memory")["run_bytes"]


def require_equal(found: Sequence[Measured], folder: Path) -> None:
    """Raise Disagreement unless all values are those of the reference, to the tolerance."""
    stored = {one.rival.key: values_in(folder / f"{one.rival.key}.npz") for one in found}
    reference = REFERENCE[found[0].case.task]
    expected = stored[reference if reference in stored else found[-1].rival.key]
    for one in found:
        values = stored[one.rival.key]
        if values.shape != expected.shape:
            raise Disagreement(f"{one.rival.words}: values of shape {values.shape}, expected {expected.shape}.")
        one.difference = float(np.abs(values - expected).max() / np.abs(expected).max())
        if not one.difference <= TOLERANCE:
            raise Disagreement(
                f"{one.rival.words}: its values differ by {one.difference:.1e} of the largest, more than {TOLERANCE:g}; "
                f"nothing was timed ({one.case.words})."
            )


def values_in(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as stored:
        return stored["values"]


def take_turns(running: Sequence[tuple[Measured, Process]], repeats: int) -> None:
    """Rounds in which each rival runs in turn, so that whatever else the machine does slows all alike."""
    for number in range(repeats):
        for one, process in running:
            if number < (repeats + 1) // 2 or one.median < SLOW:
                one.rounds.append(process.ask("time")["seconds"])


def grow(
    cases: Sequence[Case], *, threads: int, repeats: int, limit: float, folder: Path, say: Say
) -> list[Comparison]:
    """The rivals along cases of growing cost. One that takes longer than the limit is stopped, and left out of what
    comes after.
    """
    grown = []
    with ExitStack() as stack:
        task = cases[0].task
        rivals = [rival for rival in RIVALS[task] if rival.kind != "variant"]
        running = {rival: stack.enter_context(Process(task, rival, threads=threads)) for rival in rivals}
        for rival, process in running.items():  # what compiles on first use does so unhurried
            first_values(Measured(rival=rival, case=cases[0], setting=rival.usual), process, folder)
        for case in cases:
            found = [Measured(rival=rival, case=case, setting=rival.usual) for rival in running]
            for one in found:
                try:
                    first_values(one, running[one.rival], folder, limit=limit)
                except TooSlow:
                    one.stopped = True
            alive = [one for one in found if not one.stopped]
            require_equal(alive, folder)
            take_turns([(one, running[one.rival]) for one in alive], repeats)
            running = {one.rival: running[one.rival] for one in alive}
            grown.append(Comparison(case=case, measured=tuple(found)))
            say(f"  {case.modalities} modalities: {', '.join(one.rival.key for one in alive)}")
    return grown


def grow_in_memory(
    cases: Sequence[Case], keys: Sequence[str], *, threads: int, repeats: int, folder: Path, say: Say
) -> list[Comparison]:
    """Some rivals along cases of growing size, each case in fresh processes, since a process keeps its peak."""
    grown = []
    for case in cases:
        found = [
            Measured(rival=rival, case=case, setting=rival.usual) for rival in RIVALS[case.task] if rival.key in keys
        ]
        with ExitStack() as stack:
            running = [(one, stack.enter_context(Process(case.task, one.rival, threads=threads))) for one in found]
            for one, process in running:
                first_values(one, process, folder)
            take_turns(running, repeats)
        grown.append(Comparison(case=case, measured=tuple(found)))
        say(f"  {case.samples:,} samples")
    return grown
