"""Running the model on masked inputs: the only code of the package that does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modalens.evaluation.checks import require_finite, telling_replaced
from modalens.evaluation.encodings import Grids, encode_common, encode_own
from modalens.evaluation.memory import halved, note_halving, rows_in
from modalens.evaluation.plan import Plan, batches
from modalens.evaluation.progress import Bar
from modalens.evaluation.sources import Sources
from modalens.evaluation.standins import StandIns
from modalens.evaluation.table import Table
from modalens.models import Readout, read
from modalens.models.memory import out_of_memory
from modalens.models.readout import Selector
from modalens.models.split import Arrays, Grid, Split


def run(
    plan: Plan,
    table: Table,
    stand_ins: StandIns,
    split: Split,
    readout: Readout,
    *,
    select: Selector = None,
    progress: bool | None = None,
) -> None:
    """Carry out a plan, and put its values into the table: block by block of patients, every row that a modality needs
    is encoded once, then the head runs on the combinations.
    """
    everyone = np.arange(len(stand_ins.patients))
    sources = Sources(stand_ins, [*(one.identity for one in plan.evaluations), *(line.key for line in plan.lines)])
    encoding = sum(plan.encoder_rows.values()) if plan.separate else 0
    with Bar(plan.rows + encoding, progress) as bar:
        common = {name: encode_common(sources, split, name, bar.advance) for name in sources.needed}
        lines, features = _open_lines(plan, sources, split, readout, select)
        for start in range(0, len(everyone), plan.patients_at_once):
            block = everyone[start : start + plan.patients_at_once]
            encoded = {
                name: encode_own(sources, split, name, common[name], block, bar.advance) for name in sources.needed
            }
            ready = split.ready({name: one.arrays for name, one in encoded.items()})
            grids = Grids(sources, encoded)
            for batch in batches(plan, block):
                where = [grids.of(one.of.identity[0], one.patients, one.draws, one.of.draws) for one in batch]
                with telling_replaced((name, slot) for one in batch for name, _, slot in one.of.identity[0]):
                    raw = _outputs(split, ready, where, select)
                require_finite(raw, batch, stand_ins.patients)
                table.add(batch, raw, readout, plan.blocks, len(everyone))
                bar.advance(len(raw))
            for line in lines:
                line.evaluate(encoded, block, bar.advance)
            if features is not None:
                features.look(encoded, split, block)
        table.lines |= {line.line.need: line.found for line in lines}
        table.features = features.features() if features is not None else table.features


def _outputs(split: Split, ready: Mapping[str, Arrays], grids: Sequence[Grid], select: Selector) -> np.ndarray:
    """The model's outputs for all rows of these grids. Where they do not fit into memory, those of each half."""
    try:
        return read(split.output(ready, grids), sum(rows_in(grid) for grid in grids), select)
    except Exception as error:
        halves = halved(grids) if out_of_memory(error) else ()
        if not halves:
            raise
        note_halving(sum(rows_in(grid) for grid in grids))
    return np.concatenate([_outputs(split, ready, half, select) for half in halves])


def _open_lines(
    plan: Plan, sources: Sources, split: Split, readout: Readout, select: Selector
) -> tuple[list[Any], Any]:
    """What evaluates gradients and looks at features, where any are asked for; torch is not imported for those who
    need none.
    """
    if not plan.lines:
        return [], None
    from modalens.evaluation.slopes import FeatureSample, Lines
    from modalens.models.cached import Cached

    assert isinstance(split, Cached)
    patients = sources.stand_ins.patients
    names = tuple(patients.modalities)
    lines = [Lines(line, sources, split, readout, select, names, len(readout.outputs)) for line in plan.lines]
    return lines, FeatureSample(len(patients), names, split.note)
