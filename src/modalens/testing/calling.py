"""Check of the call: does the model take these inputs, and if not, how would it?"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modalens.errors import InputError, listed, nearest
from modalens.evaluation.engine import as_torch
from modalens.modalities.items import ItemModality
from modalens.models import Calling, adapt, output_of, read
from modalens.models.where import source_line
from modalens.testing.result import Finding, told
from modalens.testing.trial import Trial

Way = tuple[str, Calling]
"""Settings as one would write them, and what they do."""


def called(trial: Trial) -> Iterator[Finding]:
    """Does the model take these modalities, and return something?"""
    few = trial.few
    trial.reach("adapted")
    try:
        trial.reach("model")
        output = trial.output
    except InputError as error:
        yield told("call", "obstacle", str(error), remedy=_way_out(trial))
    except Exception as error:
        yield told("call", "obstacle", failure(error), remedy=_way_out(trial) or "Mend the model, or what it is given.")
    else:
        found = f"{trial.model.name} takes {listed(few)} of {len(few)} patients and returns {type(output).__name__}"
        yield Finding(check="call", verdict="fine", found=found)


def failure(error: Exception) -> str:
    """An exception of the user's code: what it says, where, and what the model was given."""
    where = source_line(error)
    notes = [note.partition(". It is called")[0] for note in getattr(error, "__notes__", ())]
    said = f"{type(error).__name__}: {error!s:.500}{f' (at {where})' if where else ''}"
    return "; ".join([said, *notes[-1:]])


def _way_out(trial: Trial) -> str:
    """Another way to call the model that works when it is tried, which the other checks then use; else what its
    arguments suggest.
    """
    rows = trial.few.take(np.arange(min(2, len(trial.few))))
    for words, calling in _ways(trial):
        try:
            trial.rows += len(rows)
            output = output_of(adapt(trial.given, calling), rows.restored())
            if not isinstance(output, Mapping | tuple):  # of several, it is asked later which one counts
                read(output, len(rows), trial.settings.get("select"))
        except Exception:
            continue
        trial.go_on_with(calling)
        return f"Give {words} (tried, and used for the other checks)."
    return _of_arguments(trial)


def _ways(trial: Trial) -> Iterator[Way]:
    """Other ways to call the model than the one that failed."""
    forward, collate = trial.settings.get("forward"), trial.settings.get("collate")
    names = tuple(trial.patients)
    if forward is None:
        yield (
            "forward=lambda model, inputs: model(inputs)",
            Calling(forward=lambda model, inputs: model(inputs), collate=collate),
        )
        known = _arguments(trial.given)
        if len(known) == len(names):
            pairs = _matched(known, names)
            given = ", ".join(f"{argument}=inputs[{name!r}]" for argument, name in pairs.items())
            yield (
                f"forward=lambda model, inputs: model({given})",
                Calling(
                    forward=lambda model, inputs: model(**{argument: inputs[name] for argument, name in pairs.items()}),
                    collate=collate,
                ),
            )
        positions = ", ".join(f"inputs[{name!r}]" for name in names)
        yield (
            f"forward=lambda model, inputs: model({positions})",
            Calling(forward=lambda model, inputs: model(*inputs.values()), collate=collate),
        )
    if collate is None:
        yield from _collated(trial, forward)


def _collated(trial: Trial, forward: Any) -> Iterator[Way]:
    """Batches that are made otherwise: lists of tensors padded, or one patient a call."""
    lists = [
        name for name, kind in trial.patients.modalities.items() if isinstance(kind, ItemModality) and not kind.members
    ]
    if lists and as_torch(trial.adapted) is not None:
        from torch.nn.utils.rnn import pad_sequence

        def padded(samples: Any) -> Any:
            return pad_sequence(list(samples), batch_first=True)

        words = ", ".join(f"{name!r}: lambda samples: pad_sequence(samples, batch_first=True)" for name in lists)
        yield (
            f"collate={{{words}}}, of torch.nn.utils.rnn",
            Calling(forward=forward, collate=dict.fromkeys(lists, padded)),
        )
    yield "collate='patient', one patient a call", Calling(forward=forward, collate="patient")


def _arguments(model: Any) -> tuple[str, ...]:
    """The arguments that a model can't do without."""
    try:
        parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(
        one.name
        for one in parameters
        if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    )


def _matched(arguments: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Each argument's modality: the one of nearly its name, else the next that is left."""
    left, pairs = list(names), {}
    for argument in arguments:
        close = [name for name in left if name == argument or nearest(argument, [name])]
        if close:
            pairs[argument] = close[0]
            left.remove(close[0])
    return {argument: pairs[argument] if argument in pairs else left.pop(0) for argument in arguments}


def _of_arguments(trial: Trial) -> str:
    """What the model's arguments suggest, where nothing that was tried works."""
    known, names = _arguments(trial.given), tuple(trial.patients)
    more = [name for name in known if name not in names]
    if more and set(names) < set(known) and trial.settings.get("forward") is None:
        given = ", ".join(f"{name}=inputs[{name!r}]" if name in names else f"{name}=..." for name in known)
        return f"Add {' and '.join(more)} to the inputs, or give them a fixed value: forward=lambda model, inputs: model({given})."
    return ""
