"""Running the model on masked inputs: the only code of the package that does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from modalens.errors import InputError
from modalens.evaluation.plan import Evaluation, Plan
from modalens.evaluation.standins import StandIns
from modalens.modalities.patients import Patients
from modalens.models import Model, Readout, output_of, read
from modalens.models.readout import Selector


@dataclass(frozen=True, kw_only=True)
class Table:
    """The values that have been evaluated: outputs by space, (blocks, patients or 1, outputs), and the rows in each
    block.
    """

    values: dict[object, dict[str, np.ndarray]] = field(default_factory=dict)
    sizes: dict[object, np.ndarray] = field(default_factory=dict)


def run_present(model: Model, patients: Patients, batch_size: int, select: Selector) -> np.ndarray:
    """The raw output on the patients as they are, (patients, outputs)."""
    rows = np.arange(len(patients))
    pieces = [
        _raw(model, patients.take(rows[start : start + batch_size]), select, "the inputs as they are")
        for start in range(0, len(rows), batch_size)
    ]
    widths = {piece.shape[1] for piece in pieces}
    if len(widths) > 1:
        raise InputError(
            f"the model returns {sorted(widths)} outputs for different batches; expected the same outputs for every patient."
        )
    return np.concatenate(pieces)


def check_rows(
    model: Model, patients: Patients, background: Patients, raw: np.ndarray, select: Selector
) -> tuple[int, float]:
    """Run a few patients again, together and alone (a single one beside background rows): the same input must give
    the same output, whatever else is in the batch.

    Returns the rows that this took and the seconds of one row. Raises InputError for a model that is random or mixes
    the rows of a batch.
    """
    few = np.arange(min(4, len(patients)))
    started = time.perf_counter()
    together, again = (_raw(model, patients.take(few), select, "the inputs as they are") for _ in range(2))
    seconds = (time.perf_counter() - started) / (2 * len(few))
    scale = max(float(np.abs(raw).max()), 1e-12)
    if np.abs(together - again).max() > 1e-6 * scale:
        raise InputError(
            f"the model gives different outputs for the same input (they differ by {np.abs(together - again).max():.2g}): it is random. "
            "Put it into evaluation mode (dropout off), or fix its seed inside the call; a torch module given as it is, is put into evaluation mode."
        )
    # The first and the last: a network that takes the batch for time mixes one of them with nobody.
    others = (
        {row: patients.take(few[row : row + 1]) for row in {0, len(few) - 1}}
        if len(patients) > 1
        else {0: patients.joined(background.take(np.arange(min(3, len(background)))))}
    )
    change = max(
        float(np.abs(read(output_of(model, other.restored()), len(other), select)[0] - raw[row]).max())
        for row, other in others.items()
    )
    if change > 1e-4 * scale:
        raise InputError(
            f"the model's output for a patient depends on the other patients of the batch (it differs by {change:.2g} when they are others): "
            "expected row k of the output to depend on row k of the inputs only. Batch normalization must be in evaluation mode, and the batch the first axis (batch_first=True)."
        )
    return 2 * len(few) + sum(map(len, others.values())), seconds


def _raw(model: Model, patients: Patients, select: Selector, when: str) -> np.ndarray:
    raw = read(output_of(model, patients.restored()), len(patients), select)
    finite = np.isfinite(raw).all(axis=1)
    if not finite.all():
        raise InputError(
            f"the model's output is NaN or infinite for {int((~finite).sum())} of {len(patients)} rows of {when} (first: row {int(np.argmin(finite))}); expected finite numbers. "
            "Look for a division by zero or a logarithm in the model, and leave the patients out that it can't score."
        )
    return raw


def run(
    plan: Plan,
    table: Table,
    stand_ins: StandIns,
    model: Model,
    readout: Readout,
    *,
    select: Selector = None,
    progress: bool | None = None,
) -> None:
    """Carry out a plan, batch by batch, and put its values into the table."""
    pending: dict[object, dict[str, np.ndarray]] = {}
    with _Bar(plan.rows, progress) as bar:
        for batch in _batches(plan):
            masked = [
                stand_ins.materialise(one.identity[0], one.draws, one.samples[rows // one.draws], rows % one.draws)
                for one, rows in batch
            ]
            kinds = stand_ins.patients.modalities
            inputs = {name: kind.restore(kind.stack([piece[name] for piece in masked])) for name, kind in kinds.items()}
            count = sum(len(rows) for _, rows in batch)
            raw = read(output_of(model, inputs), count, select)
            _require_finite(raw, batch)
            spaces = {space: values for space, values in readout(raw).items() if space in readout.spaces}
            start = 0
            for one, rows in batch:
                filled = pending.setdefault(
                    one.identity, {space: np.empty((one.rows, values.shape[1])) for space, values in spaces.items()}
                )
                for space, values in spaces.items():
                    filled[space][rows] = values[start : start + len(rows)]
                start += len(rows)
                if rows[-1] == one.rows - 1:
                    store(table, one, pending.pop(one.identity), len(stand_ins.patients), plan.blocks)
            bar.advance(count)


def _batches(plan: Plan) -> Iterator[list[tuple[Evaluation, np.ndarray]]]:
    """Rows of one or several evaluations, as many as a batch holds."""
    batch: list[tuple[Evaluation, np.ndarray]] = []
    room = plan.batch_size
    for one in plan.evaluations:
        start = 0
        while start < one.rows:
            stop = min(start + room, one.rows)
            batch.append((one, np.arange(start, stop)))
            room -= stop - start
            start = stop
            if room == 0:
                yield batch
                batch, room = [], plan.batch_size
    if batch:
        yield batch


def store(table: Table, one: Evaluation, outputs: dict[str, np.ndarray], patients: int, blocks: int) -> None:
    """Average the rows of each background block, and put the patients that the mask does not concern to NaN."""
    count = min(one.draws, blocks)
    edges = np.linspace(0, one.draws, count + 1).astype(int)
    sizes = np.diff(edges)
    table.sizes[one.identity] = sizes
    table.values[one.identity] = {}
    for space, rows in outputs.items():
        by_draw = rows.reshape(len(one.samples), one.draws, -1)
        first = by_draw[:, 0]
        # Added one row after another, as differences from the first: equal rows give equal means to the bit, whatever the shape.
        placed = np.stack(
            [
                first + sum(by_draw[:, draw] - first for draw in range(start, stop)) / (stop - start)
                for start, stop in pairwise(edges)
            ]
        )
        if not one.shared and len(one.samples) < patients:
            everyone = np.full((count, patients, placed.shape[2]), np.nan)
            everyone[:, one.samples] = placed
            placed = everyone
        table.values[one.identity][space] = placed


def _require_finite(raw: np.ndarray, batch: list[tuple[Evaluation, np.ndarray]]) -> None:
    bad = ~np.isfinite(raw).all(axis=1)
    if not bad.any():
        return
    owner = np.repeat(np.arange(len(batch)), [len(rows) for _, rows in batch])
    first = batch[owner[np.argmax(bad)]][0]
    replaced = " and ".join(
        f"modality {name!r}{'' if parts is None else f' (part {parts[0]})'} is replaced by {slot!r}"
        for name, parts, slot in first.identity[0]
    )
    raise InputError(
        f"the model's output is NaN or infinite for {int(bad.sum())} of {len(raw)} rows, first where {replaced}; expected finite numbers. The model can't take this replacement: "
        "use another baseline for it (zeros divide, unknown words embed to NaN), such as 'background'."
    )


class _Bar:
    """A progress bar that shows itself only where a run takes more than two seconds."""

    def __init__(self, rows: int, wanted: bool | None) -> None:
        self.rows, self.wanted = rows, wanted
        self.started = time.monotonic()
        self.done = 0
        self.bar: Progress | None = None

    def __enter__(self) -> _Bar:
        return self

    def advance(self, rows: int) -> None:
        self.done += rows
        if self.bar is None and self.wanted is not False and time.monotonic() - self.started > 2:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("rows"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("evaluating the model", total=self.rows)
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
