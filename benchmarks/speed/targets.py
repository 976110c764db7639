"""What modalens promises on speed, and whether it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from .compare import Comparison, Measured

MEMORY_ROOM = 32 * 2**20
"""Bytes by which memory beyond inputs and results may grow along the number of samples."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A promise, what was seen, and whether it holds."""

    words: str
    promised: str
    seen: str
    met: bool


def targets(comparisons: Sequence[Comparison], by_samples: Sequence[Comparison]) -> list[Target]:
    """All promises, each on the largest case that it is about."""
    shapley = largest(comparisons, lambda one: one.case.task == "shapley" and one.case.background > 0)
    single = largest(comparisons, lambda one: one.case.task == "shapley" and one.case.background == 0)
    occlusion = largest(comparisons, lambda one: one.case.task == "occlusion")
    gradient = largest(comparisons, lambda one: one.case.task == "gradient")
    return [
        encoder_rows(shapley),
        at_least(shapley, "package", 100, "the fastest other package"),
        no_slower(shapley, 1.2),
        at_least(single, "package", 10, "the fastest other package"),
        at_least(single, "plain", 5, "the plain loop"),
        at_least(occlusion, "package", 3.5, "captum"),
        at_least(gradient, "package", 60, "captum"),
        split_time(comparisons, 3.0),
        flat_memory(by_samples),
    ]


def largest(comparisons: Iterable[Comparison], kept: Callable[[Comparison], bool]) -> Comparison:
    return max(filter(kept, comparisons), key=lambda one: one.case.samples)


def fastest(comparison: Comparison, kind: str) -> Measured:
    """The fastest rival of a kind."""
    return min((one for one in comparison.measured if one.rival.kind == kind), key=lambda one: one.median)


def encoder_rows(comparison: Comparison) -> Target:
    """Each row through each encoder once: M(N + K), and a few rows to check the model and its split: those go through
    the whole model, and once more through its encoders.
    """
    case, own = comparison.case, comparison.of("modalens")
    needed = case.modalities * (case.samples + case.background)
    claimed = sum(own.claims["encoder_rows"].values())
    checked = own.encoder_rows - claimed
    return Target(
        words=f"Encoder rows ({comparison.case.words})",
        promised=f"{needed:,}",
        seen=f"{claimed:,}, and {checked:,} to check the model",
        met=claimed == needed and 0 <= checked <= 2 * case.modalities * own.claims["check_rows"],
    )


def at_least(comparison: Comparison, kind: str, times: float, whom: str) -> Target:
    """So many times as fast as the fastest of a kind."""
    other = fastest(comparison, kind)
    ratio = comparison.ratio(other)
    return Target(
        words=f"Beside {whom} ({comparison.case.words})",
        promised=f"at least {times:g} times as fast",
        seen=f"{times_words(ratio, *comparison.ratios(other))} as fast as {other.rival.words}",
        met=ratio >= times,
    )


def no_slower(comparison: Comparison, times: float) -> Target:
    """Near what can be written by hand for this very model."""
    other, own = fastest(comparison, "by hand"), comparison.of("modalens")
    ratio = comparison.ratio(own, other)
    return Target(
        words=f"Beside the faster loop by hand ({comparison.case.words})",
        promised=f"at most {times:g} times its time",
        seen=f"{times_words(ratio, *comparison.ratios(own, other))} the time of {other.rival.words!r}",
        met=ratio <= times,
    )


def times_words(ratio: float, low: float, high: float) -> str:
    return f"{number(ratio)} ({number(low)} to {number(high)}) times"


def number(value: float) -> str:
    """Three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def splits(comparisons: Sequence[Comparison]) -> list[Measured]:
    """The fresh processes in which the patients' network was split."""
    return [
        one
        for comparison in comparisons
        if comparison.case.network == "patients"
        for one in comparison.measured
        if "modalens" in one.rival.libraries
    ]


def split_time(comparisons: Sequence[Comparison], limit: float) -> Target:
    seconds = [one.split_seconds for one in splits(comparisons)]
    tracer = max(one.tracer_seconds for one in splits(comparisons))
    return Target(
        words="Finding the fusion point: exporting, splitting and checking the model, once",
        promised=f"less than {limit:g} s",
        seen=f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}, {len(seconds)} fresh processes), after {tracer:.2f} s to import torch's tracer, once a process",
        met=median(seconds) < limit,
    )


def beyond(one: Measured) -> int:
    """Memory of a run beyond inputs and results."""
    return one.run_bytes - one.input_bytes - one.value_bytes


def flat_memory(by_samples: Sequence[Comparison]) -> Target:
    """Memory does not grow with the samples, beyond inputs and results."""
    own = [comparison.of("modalens") for comparison in by_samples]
    grown = beyond(own[-1]) - beyond(own[0])
    return Target(
        words=f"Memory from {own[0].case.samples:,} to {own[-1].case.samples:,} samples, beyond inputs and results",
        promised=f"grows by less than {MEMORY_ROOM / 2**20:.0f} MiB",
        seen=f"{grown / 2**20:+.0f} MiB",
        met=grown < MEMORY_ROOM,
    )
