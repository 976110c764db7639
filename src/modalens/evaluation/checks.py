"""What every model is asked before it is believed: the same output for the same input, whatever else is in the batch,
and finite numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from modalens.errors import InputError
from modalens.evaluation.plan import Piece
from modalens.modalities.patients import Patients
from modalens.models import Model, output_of, read
from modalens.models.readout import Selector
from modalens.problem import Absent, OwnParts


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The raw outputs of a few patients, the rows that this took, the seconds of one row, and by how much outputs of
    the same input differed: changes below that mean nothing.
    """

    raw: np.ndarray
    rows: int
    seconds: float
    noise: float = 0.0


def check_rows(
    model: Model, patients: Patients, background: Patients, select: Selector, *, trusted: bool = False
) -> Checked:
    """Run a few patients twice, together and alone (a single one beside background rows): the same input must give
    the same output, whatever else is in the batch.

    A `trusted` model has been through as much before, with the parameters that it has now, and is run once.

    Returns what was seen. Raises InputError for a model that is random or mixes the rows of a batch.
    """
    few = patients.first(2 if trusted else 4)
    started = time.perf_counter()
    together = _raw(model, patients.take(few), select, "the inputs as they are")
    if trusted:
        return Checked(raw=together, rows=len(few), seconds=(time.perf_counter() - started) / len(few))
    again = _raw(model, patients.take(few), select, "the inputs as they are")
    seconds = (time.perf_counter() - started) / (2 * len(few))
    scale = max(float(np.abs(together).max()), 1e-12)
    noise = float(np.abs(together - again).max())
    if noise > max(1e-6, 8 * model.precision) * scale:
        raise InputError(
            f"the model gives different outputs for the same input (they differ by {noise:.2g}): it is random. "
            "Put it into evaluation mode (dropout off), or fix its seed inside the call; a torch module given as it is, is put into evaluation mode."
        )
    # The first and the last: a network that takes the batch for time mixes one of them with nobody.
    others = (
        {row: patients.take(few[row : row + 1]) for row in {0, len(few) - 1}}
        if len(patients) > 1
        else {0: patients.joined(background.take(np.arange(min(3, len(background)))))}
    )
    alone = [read(output_of(model, other.restored()), len(other), select)[0] for other in others.values()]
    change = float(np.abs(np.stack(alone) - together[list(others)]).max())
    if not change <= max(1e-4, 16 * model.precision) * scale:  # it may be NaN
        raise InputError(
            f"the model's output for a patient depends on the other patients of the batch (it differs by {change:.2g} when they are others): "
            "expected row k of the output to depend on row k of the inputs only. "
            "Batch normalization must be in evaluation mode, the batch the first axis (batch_first=True), and collate= must keep rows in their places."
        )
    rows = 2 * len(few) + sum(map(len, others.values()))
    return Checked(raw=together, rows=rows, seconds=seconds, noise=max(noise, change))


def _raw(model: Model, patients: Patients, select: Selector, when: str) -> np.ndarray:
    raw = read(output_of(model, patients.restored()), len(patients), select)
    finite = np.isfinite(raw).all(axis=1)
    if not finite.all():
        raise _not_finite(~finite, when)
    return raw


def _not_finite(bad: np.ndarray, when: str) -> InputError:
    return InputError(
        f"the model's output is NaN or infinite for {int(bad.sum())} of {len(bad)} rows of {when} (first: row {int(np.argmax(bad))}); expected finite numbers. "
        "Look for a division by zero or a logarithm in the model, and leave the patients out that it can't score."
    )


def require_finite(raw: np.ndarray, batch: Sequence[Piece], patients: Patients) -> None:
    """Refuse a batch whose outputs are not finite, and say under which mask that is, or whose fillers they are."""
    bad = ~np.isfinite(raw).all(axis=1)
    if not bad.any():
        return
    owner = np.repeat(np.arange(len(batch)), [piece.rows for piece in batch])
    first = batch[owner[np.argmax(bad)]].of
    if not first.identity[0]:
        everyone = np.concatenate([np.repeat(piece.patients, len(piece.draws)) for piece in batch])
        as_they_are = np.array([not piece.of.identity[0] for piece in batch])[owner]
        whose = everyone[bad & as_they_are]
        for name, has in patients.has.items():
            if not has[whose].any():
                raise InputError(
                    f"the model's output is NaN or infinite for {len(whose)} patients who lack {name!r} (first: patient {whose[0]}): "
                    f"expected that {name!r} holds, in their place, what the model expects of them. Put zeros or the model's own token for a missing modality there."
                )
        raise _not_finite(bad, "the inputs as they are")
    replaced = " and ".join(
        f"modality {name!r}{_of_parts(parts)} is replaced by {slot!r}" for name, parts, slot in first.identity[0]
    )
    raise InputError(
        f"the model's output is NaN or infinite for {int(bad.sum())} of {len(raw)} rows, first where {replaced}; expected finite numbers. The model can't take this replacement: "
        "use another baseline for it (zeros divide, unknown words embed to NaN), such as 'background'."
    )


@contextmanager
def telling_replaced(slots: Iterable[tuple[str, str | None]]) -> Iterator[None]:
    """Add to what the model raises what it was given in the place of which modalities, (modality, baseline)."""
    try:
        yield
    except Exception as error:
        replaced = _replaced(slots)
        if replaced and not isinstance(error, InputError):
            error.add_note(
                f"raised while the model was given some inputs with something in their place, or in that of their parts: {replaced}. If it can't take that (such as a series "
                "of which nothing is left), mend the model or its collate=, or use another baseline; ml.check_model with the same arguments says which one stands in the way."
            )
        raise


def _replaced(slots: Iterable[tuple[str, str | None]]) -> str:
    """What stands in for each modality, in words; nothing where all are as they are."""
    return ", ".join(dict.fromkeys(f"{name!r} replaced by {slot!r}" for name, slot in slots if slot is not None))


def _of_parts(parts: Absent) -> str:
    match parts:
        case None:
            return ""
        case OwnParts():
            return " (parts of it)"
        case _:
            return f" (part {parts[0]})"
