"""The one merged plan: every evaluation that some measure needs, once, and what it will cost before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from modalens.evaluation.lines import Line, line_of
from modalens.evaluation.sources import Sources
from modalens.evaluation.standins import StandIns
from modalens.models.split import Split
from modalens.problem import PRESENT, Gradients, Key, Mask, Need, Outputs, Problem

VALUES_BUDGET = 256 * 2**20
"""Bytes that the table of values may take before background rows are pooled into fewer blocks."""

ENCODINGS_BUDGET = 64 * 2**20
"""Bytes of encodings that belong to the patients at hand: so many patients are evaluated at once."""

PATIENTS_AT_ONCE = 256

INPUTS_BUDGET = 2 * 2**20
"""Bytes of masked inputs in one batch: activations take many times that, and what leaves the processor's cache runs
at half the speed.
"""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One mask under one set of replacements: `samples` are the patients evaluated (one of them, where the mask
    leaves nothing of any), `draws` the background rows.
    """

    identity: tuple[Key, int]
    mask: Mask
    samples: np.ndarray
    shared: bool

    @property
    def draws(self) -> int:
        return self.identity[1]

    @property
    def rows(self) -> int:
        return len(self.samples) * self.draws


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be run. `print(plan)` shows its cost.

    `encoder_rows` are the rows through every modality's encoder, `patients_at_once` the patients whose encodings are
    held together, `batch` the rows a call, by modality and for the "head".
    """

    evaluations: tuple[Evaluation, ...]
    lines: tuple[Line, ...]
    encoder_rows: Mapping[str, int]
    separate: bool
    """Whether encoders run for themselves; else the whole model sees every row."""
    batch: Mapping[str, int]
    patients_at_once: int
    row_bytes: int
    value_bytes: int
    blocks: int
    seconds_per_row: float | None = None

    def __len__(self) -> int:
        return len(self.evaluations) + len(self.lines)

    def joined(self, later: Plan) -> Plan:
        """Both plans, for what was run in all."""
        return replace(
            self,
            evaluations=self.evaluations + later.evaluations,
            lines=self.lines + later.lines,
            encoder_rows={name: rows + later.encoder_rows[name] for name, rows in self.encoder_rows.items()},
        )

    @property
    def rows(self) -> int:
        """Rows through the head, or through the whole model."""
        return sum(evaluation.rows for evaluation in self.evaluations) + sum(line.rows for line in self.lines)

    @property
    def head_rows(self) -> int:
        return self.rows

    @property
    def batch_size(self) -> int:
        """Rows a call of the head, or of the whole model."""
        return self.batch["head"]

    @property
    def batch_bytes(self) -> int:
        return self.batch_size * self.row_bytes

    @property
    def seconds(self) -> float | None:
        """The expected time, from the time of the first rows: of the slowest encoder's rows, where they run for
        themselves.
        """
        if self.seconds_per_row is None:
            return None
        return self.seconds_per_row * (max(self.encoder_rows.values(), default=0) if self.separate else self.rows)

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Evaluations and rows by kind of mask."""
        kinds: dict[str, list[int]] = {}
        for evaluation in self.evaluations:
            counted = kinds.setdefault(_kind(evaluation.identity[0]), [0, 0])
            counted[0] += 1
            counted[1] += evaluation.rows
        return {kind: (masks, rows) for kind, (masks, rows) in kinds.items()}

    def __str__(self) -> str:
        kinds = self.by_kind()
        width = max(28, 2 + max(map(len, kinds), default=0))
        lines = [f"{kind:<{width}}{masks:>8,} masks {rows:>12,} rows" for kind, (masks, rows) in kinds.items()]
        lines += [
            f"{'gradients':<{width}}{len(self.lines):>8,} lines {sum(line.rows for line in self.lines):>12,} rows"
        ] * bool(self.lines)
        through = "head" if self.separate else "model"
        lines.append(
            f"{'in all':<{width}}{len(self.evaluations):>8,} masks {self.rows:>12,} rows through the {through}, {self.batch_size} at a time"
        )
        lines += [f"{f'  encoder of {name}':<{width}}{rows:>27,} rows" for name, rows in self.encoder_rows.items()]
        lines.append(f"{'  head':<{width}}{self.head_rows:>27,} rows")
        lines.append(
            f"memory: {self.batch_bytes / 2**20:.1f} MiB of inputs a batch, {self.value_bytes / 2**20:.1f} MiB of values ({self.blocks} background blocks kept apart)"
        )
        if self.seconds is not None:
            lines.append(f"time: about {self.seconds:.0f} s, from the first rows")
        return "\n".join(lines)


def _kind(key: Key) -> str:
    if not key:
        return "everything present"
    baselines = ", ".join(dict.fromkeys(slot for *_, slot in key))
    return f"{'coalitions' if all(parts is None for _, parts, _ in key) else 'single parts'} ({baselines})"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some patients and draws of one evaluation."""

    of: Evaluation
    patients: np.ndarray
    draws: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.patients) * len(self.draws)


def batches(plan: Plan, block: np.ndarray) -> Iterator[list[Piece]]:
    """The evaluations of a block of patients, as many rows as the head takes at a time."""
    batch: list[Piece] = []
    room = full = plan.batch["head"]
    for piece in _pieces(plan, block, full):
        if piece.rows > room and batch:
            yield batch
            batch, room = [], full
        batch.append(piece)
        room -= piece.rows
    if batch:
        yield batch


def _pieces(plan: Plan, block: np.ndarray, full: int) -> Iterator[Piece]:
    """Every evaluation in pieces of whole patients that fit into a batch; of some draws where one patient does not."""
    for one in plan.evaluations:
        patients = one.samples if one.shared else one.samples[(one.samples >= block[0]) & (one.samples <= block[-1])]
        if one.shared and block[0] > 0:
            continue
        step = max(1, full // one.draws)
        for start in range(0, len(patients), step):
            for draws in np.array_split(np.arange(one.draws), -(-one.draws // full)):
                yield Piece(of=one, patients=patients[start : start + step], draws=draws)


def merge(
    needs: Iterable[Need],
    problem: Problem,
    stand_ins: StandIns,
    split: Split,
    *,
    known: Mapping[object, object] = MappingProxyType({}),
    known_lines: Mapping[Gradients, object] = MappingProxyType({}),
    seconds_per_row: float | None = None,
) -> Plan:
    """All needs as one plan: what two of them ask for is run once, and what is known already not at all. The inputs as
    they are stand in every first plan.
    """
    evaluations: dict[tuple[Key, int], Evaluation] = {}
    lines: dict[Gradients, Line] = {}
    for need in (Outputs(masks=(PRESENT,), baseline=problem.part_baselines[0], draws="part"), *needs):
        if isinstance(need, Gradients):
            if need not in known_lines:
                lines.setdefault(need, line_of(need, problem, stand_ins))
            continue
        for mask in _with_smaller(need.masks, problem):
            identity = stand_ins.key(mask, need.baseline, need.draws)
            if identity in known or identity in evaluations:
                continue
            shared = not stand_ins.by_patient(identity[0])
            samples = np.zeros(1, dtype=np.int64) if shared else stand_ins.rows(mask)
            if not len(samples):  # nobody has what is absent
                continue
            evaluations[identity] = Evaluation(identity=identity, mask=mask, samples=samples, shared=shared)
    # Cells of the table a block: patients and outputs in every space, for each mask that draws rows.
    cell = 8 * len(problem.outputs) * len(problem.spaces)
    drawn = sum(len(one.samples) for one in evaluations.values() if one.draws > 1)
    blocks = int(max(10, VALUES_BUDGET // max(cell * drawn, 1)))
    value_bytes = sum(cell * len(one.samples) * min(one.draws, blocks) for one in evaluations.values())
    keys = [*evaluations, *(line.key for line in lines.values())]
    sources = Sources(stand_ins, keys)
    rows = sum(one.rows for one in evaluations.values()) + sum(line.rows for line in lines.values())
    names = tuple(stand_ins.patients.modalities)
    return Plan(
        evaluations=tuple(evaluations.values()),
        lines=tuple(lines.values()),
        encoder_rows={
            name: (0 if name in stand_ins.ignored or not keys else sources.rows(name)) if split.encoded else rows
            for name in names
        },
        separate=bool(split.encoded),
        batch=split.batch,
        patients_at_once=_patients_at_once(sources, split, stand_ins),
        row_bytes=stand_ins.patients.row_bytes,
        value_bytes=value_bytes,
        blocks=min(blocks, max((one.draws for one in evaluations.values()), default=1)),
        seconds_per_row=seconds_per_row,
    )


def _with_smaller(masks: Sequence[Mask], problem: Problem) -> Iterable[Mask]:
    """The masks, and what they come to for patients who lack some of what is absent."""
    if problem.available is None:
        return masks
    return dict.fromkeys(
        each for mask in masks for each in (mask, *(smaller for smaller, _ in problem.effective(mask)))
    )


def _patients_at_once(sources: Sources, split: Split, stand_ins: StandIns) -> int:
    """As many patients as the memory for encodings holds, judged by the mean patient."""
    patients = np.arange(len(stand_ins.patients))
    total = sum(sources.own_rows(name, patients) * split.row_bytes[name] for name in sources.needed)
    return int(np.clip(ENCODINGS_BUDGET * len(patients) // max(total, 1), 1, PATIENTS_AT_ONCE))


def default_batch(row_bytes: int) -> int:
    """Rows a batch that stay within the memory for inputs: 16 to 256, where encoders are fastest."""
    return int(np.clip(INPUTS_BUDGET // max(row_bytes, 1), 16, 256))
