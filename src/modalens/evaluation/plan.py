"""The one merged plan: every evaluation that some measure needs, once, and what it will cost before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from modalens.evaluation.standins import StandIns
from modalens.problem import Key, Mask, Outputs, Problem

VALUES_BUDGET = 256 * 2**20
"""Bytes that the table of values may take before background rows are pooled into fewer blocks."""

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
    """What will be run. `print(plan)` shows its cost."""

    evaluations: tuple[Evaluation, ...]
    modalities: tuple[str, ...]
    batch_size: int
    row_bytes: int
    value_bytes: int
    blocks: int
    seconds_per_row: float | None = None

    def __len__(self) -> int:
        return len(self.evaluations)

    @property
    def rows(self) -> int:
        """Rows through the model."""
        return sum(evaluation.rows for evaluation in self.evaluations)

    @property
    def encoder_rows(self) -> dict[str, int]:
        """Rows through each modality's encoder: all of them, while the model runs as a whole."""
        return dict.fromkeys(self.modalities, self.rows)

    @property
    def head_rows(self) -> int:
        return self.rows

    @property
    def batch_bytes(self) -> int:
        return self.batch_size * self.row_bytes

    @property
    def seconds(self) -> float | None:
        """The expected time, from the time of the first rows."""
        return None if self.seconds_per_row is None else self.seconds_per_row * self.rows

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
        lines.append(
            f"{'in all':<{width}}{len(self):>8,} masks {self.rows:>12,} rows through the model, {self.batch_size} at a time"
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


def merge(
    needs: Iterable[Outputs],
    problem: Problem,
    stand_ins: StandIns,
    *,
    known: Mapping[object, object],
    batch_size: int | None,
    seconds_per_row: float | None = None,
) -> Plan:
    """All needs as one plan: what two of them ask for is run once, and what is known already not at all."""
    evaluations: dict[tuple[Key, int], Evaluation] = {}
    for need in needs:
        for mask in need.masks:
            identity = stand_ins.key(mask, need.baseline, need.draws)
            if identity in known or identity in evaluations:
                continue
            shared = not stand_ins.by_patient(identity[0])
            samples = np.zeros(1, dtype=np.int64) if shared else stand_ins.rows(mask)
            evaluations[identity] = Evaluation(identity=identity, mask=mask, samples=samples, shared=shared)
    # Cells of the table a block: patients and outputs in every space, for each mask that draws rows.
    cell = 8 * len(problem.outputs) * len(problem.spaces)
    drawn = sum(len(one.samples) for one in evaluations.values() if one.draws > 1)
    blocks = int(max(10, VALUES_BUDGET // max(cell * drawn, 1)))
    value_bytes = sum(cell * len(one.samples) * min(one.draws, blocks) for one in evaluations.values())
    row_bytes = stand_ins.patients.row_bytes
    return Plan(
        evaluations=tuple(evaluations.values()),
        modalities=tuple(stand_ins.patients.modalities),
        batch_size=batch_size or default_batch(row_bytes),
        row_bytes=row_bytes,
        value_bytes=value_bytes,
        blocks=min(blocks, max((one.draws for one in evaluations.values()), default=1)),
        seconds_per_row=seconds_per_row,
    )


def default_batch(row_bytes: int) -> int:
    """Rows a batch that stay within the memory for inputs: 16 to 256, where encoders are fastest."""
    return int(np.clip(INPUTS_BUDGET // max(row_bytes, 1), 16, 256))
