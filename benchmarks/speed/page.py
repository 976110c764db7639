"""The page of results, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import machine
from .cases import TOLERANCE, Suite
from .compare import SLOW, Comparison, Measured
from .targets import number, targets

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a run has seen."""

    suite: Suite
    command: str
    threads: int
    repeats: int
    load: str
    comparisons: Sequence[Comparison]
    by_modalities: Sequence[Comparison]
    by_samples: Sequence[Comparison]


def page(results: Results) -> str:
    """The whole page."""
    return (
        "\n\n".join(
            [
                "# What the same numbers cost",
                about(results),
                "## What is promised, and what was seen",
                target_table(results),
                "![Seconds of every way to Shapley values](speed.svg)",
                *(section(comparison) for comparison in results.comparisons),
                "## As the number of modalities grows",
                modalities_section(results),
                "## As the number of samples grows",
                samples_section(results),
                "## How it was measured",
                method(results),
            ]
        )
        + "\n"
    )


def about(results: Results) -> str:
    return (
        f"`{results.command}`: {machine.processor()}, threads: {results.threads}, {machine.versions()}, seed {results.suite.seed}. "
        f"{results.load} processes were running or waiting when it began. All numbers are written by this command.\n\n"
        "The model has three modalities: an image of 64 by 64 pixels through a CNN of half a million parameters, 32 token ids of a report through an embedding and two "
        "transformer layers of width 64, and 32 columns through an MLP; their encodings of 64 numbers each are concatenated, and a head (192 to 64 to 3) gives three outputs. "
        "Every way gives the same values, for all samples, modalities and outputs, and this is asserted before anything is timed."
    )


def target_table(results: Results) -> str:
    rows = ["| | promised | seen | |", "|---|---|---|---|"]
    rows += [
        f"| {one.words} | {one.promised} | {one.seen} | {'met' if one.met else '**not met**'} |"
        for one in targets(results.comparisons, results.by_samples)
    ]
    return "\n".join(rows)


def section(comparison: Comparison) -> str:
    """A case: one row a rival, the fastest setting found for it."""
    rows = [
        f"## {comparison.case.words}",
        "",
        "| | median s | range s (runs) | × modalens | encoder rows | head rows | peak MiB | setting |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    rows += [rival_row(comparison, one) for one in comparison.measured]
    own = comparison.of("modalens")
    worst = max(one.difference for one in comparison.measured)
    rows += [
        "",
        f"Values agree to {worst:.0e} of the largest. Of the peak of modalens, {own.split_bytes / MIB:.0f} MiB are reached while the fusion point is found; "
        f"the inputs take {own.input_bytes / MIB:.1f} MiB.",
    ]
    if own.claims.get("shares"):
        parts = ", ".join(f"{stage} {1000 * spent:.1f}" for stage, spent in own.claims["shares"].items())
        rows += ["", f"Where modalens spends its time, in ms (medians of runs with a clock in each stage): {parts}."]
    return "\n".join(rows)


def rival_row(comparison: Comparison, one: Measured) -> str:
    name = f"**{one.rival.words}**" if one.rival.kind == "modalens" else one.rival.words
    return (
        f"| {name} | {seconds(one.median)} | {seconds(min(one.seconds))} to {seconds(max(one.seconds))} ({len(one.seconds)}) | {number(comparison.ratio(one))} "
        f"| {one.encoder_rows:,} | {one.rows['head']:,} | {one.peak_bytes / MIB:.0f} | {one.rival.described(one.setting)} |"
    )


def seconds(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.4f}"


def modalities_section(results: Results) -> str:
    first = results.by_modalities[0]
    counts = [comparison.case.modalities for comparison in results.by_modalities]
    rows = [
        f"Median seconds; tables of 16 columns, each through an MLP, {first.case.samples} samples, background of {first.case.background} rows. "
        f"What took more than {results.suite.limit:g} s was stopped.",
        "",
        "![Seconds by the number of modalities](speed-modalities.svg)",
        "",
        "| | " + " | ".join(f"M = {count}" for count in counts) + " |",
        "|---|" + "---:|" * len(counts),
    ]
    for one in first.measured:
        cells = [growth_cell(comparison, one.rival.key, results.suite.limit) for comparison in results.by_modalities]
        rows.append(f"| {one.rival.words} | " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", spread(results.by_modalities)])


def spread(comparisons: Sequence[Comparison]) -> str:
    """How far the runs of one point lie apart."""
    rounds = [one for comparison in comparisons for one in comparison.measured if one.rounds]
    apart = sorted(max(one.by_round) / min(one.by_round) for one in rounds)
    return f"The medians of the rounds of one point differ by a factor of {apart[len(apart) // 2]:.2f} typically, and of {apart[-1]:.2f} at most."


def growth_cell(comparison: Comparison, key: str, limit: float) -> str:
    found = next((one for one in comparison.measured if one.rival.key == key), None)
    if found is None:
        return "–"
    return f"> {limit:g}" if found.stopped else seconds(found.median)


def samples_section(results: Results) -> str:
    rows = [
        f"Shapley values of the three modalities, background of {results.suite.background} rows. Peak memory is that of the run, beyond what libraries and model had taken.",
        "",
        "![Seconds and memory by the number of samples](speed-samples.svg)",
        "",
        "| | samples | median s | ms a sample | peak MiB | inputs MiB | results MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in (one for key in keys(results.by_samples) for one in along(results.by_samples, key)):
        rows.append(
            f"| {one.rival.words} | {one.case.samples:,} | {seconds(one.median)} | {1000 * one.median / one.case.samples:.3f} "
            f"| {one.run_bytes / MIB:.0f} | {one.input_bytes / MIB:.1f} | {one.value_bytes / MIB:.2f} |"
        )
    return "\n".join([*rows, "", spread(results.by_samples)])


def keys(comparisons: Sequence[Comparison]) -> list[str]:
    return [one.rival.key for one in comparisons[0].measured]


def along(comparisons: Sequence[Comparison], key: str) -> list[Measured]:
    """One rival along a growth curve, as far as it came."""
    return [
        one for comparison in comparisons for one in comparison.measured if one.rival.key == key and not one.stopped
    ]


def method(results: Results) -> str:
    return "\n".join(
        [
            "- Each rival is a process of its own, with the same model and data from the same seed. "
            + (
                "Where it has settings (such as rows a call), each is tried beforehand in another process, and the fastest "
                "kept; growth curves use one setting throughout."
                if results.suite.tuned
                else "Its settings are its usual ones; better ones were not looked for."
            ),
            "- It computes its values once, which also warms it up; all values must agree to "
            f"{TOLERANCE:g} of the largest, or nothing is timed. Then rivals take turns for {results.repeats} rounds, so "
            "that a busy machine slows all alike. In a round a run of less than a second is warmed up again and repeated "
            f"for a quarter of a second; what takes more than {SLOW:g} s is timed in about half of the rounds. "
            "Ratios are of medians; the range beside them is over rounds.",
            "- Rows are counted in one more run that is not timed, at the operations that use the first parameters of an "
            "encoder or the last of the head, whoever calls them.",
            "- Peak memory is the highest of the process from the start to the end of its first run, less what libraries "
            "and model had taken.",
            "- modalens finds the model's fusion point once, before it is timed, and keeps it; how long this takes is the "
            "promise about it above.",
            "- Background rows: all of them, the mean of the outputs, for every rival. captum's ShapleyValues knows a "
            "single baseline a sample and is called once a row, for all outputs together. shap's explainers get the model "
            "as a function of row numbers, one column a modality, and the background as such rows; shapiq's games are "
            "scalar, so each sample's game is played once and read once an output. captum's layer integrated gradients "
            "are of one output a call.",
            "- The loops by hand know this model's layers by name, run the head on every combination as any link or "
            "non-linear head needs, and reuse their buffers.",
        ]
    )
