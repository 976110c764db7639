"""Splitting a torch model at its fusion point: find it, compare it with the whole model, measure which batches it
likes, and remember it as long as the model lives.
"""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from modalens.errors import InputError, ModalensWarning
from modalens.models import rows
from modalens.models.calling import Calling
from modalens.models.fusion import (
    FusionPoint,
    disagreement,
    from_graph,
    none_found,
    tolerance,
)
from modalens.models.graph import NotSeparable
from modalens.models.memory import out_of_memory
from modalens.models.named import at_inputs, from_names, named_submodules
from modalens.models.where import source_line

Where = Mapping[str, str] | str
"""Where encoders are looked for: in the graph ("auto", "graph"), at named submodules, or nowhere (INPUTS)."""

INPUTS = "inputs"
"""The inputs themselves in place of a fusion point."""

ENCODER_BATCHES = (8, 16, 32, 64, 128)
HEAD_BATCHES = (512, 2048, 4096, 8192)
"""Rows a call that are tried; the best differs by an order of magnitude between machines."""

ROUNDS = 5
"""How often each is tried, in turns, so that a busy moment does not decide."""

AROUND_A_CALL = 5e-4
"""Seconds that rows are gathered and values are put away for each call."""

PATIENCE = 0.3
"""Seconds that trying the batches of one part may take."""

INPUTS_BUDGET = 16 * 2**20
"""Bytes that a larger batch may be given: activations take many times that."""

State = tuple[tuple[int, int], ...]

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, tuple[State, FusionPoint]]] = weakref.WeakKeyDictionary()


def remembered(
    module: nn.Module, state: State, calling: Calling, few: Mapping[str, Any], encoders: Where
) -> FusionPoint | None:
    """The split of this module for inputs of this form, if one was made when its parameters were as they are now."""
    then, point = _known.get(module, {}).get(_form(calling, few, encoders), (None, None))
    return point if then == state else None


def forget(module: nn.Module) -> None:
    """Let go of all splits of a module that has changed in a way that no parameter shows, such as an attribute."""
    _known.pop(module, None)


def separate(
    module: nn.Module,
    state: State,
    calling: Calling,
    few: Mapping[str, Any],
    encoders: Where,
) -> FusionPoint:
    """The module's fusion point, compared with the whole module and remembered; `exact` says whether it can be used.

    `few` holds a few rows of every modality, as the module takes them. To be called within the model's session.
    """
    if isinstance(encoders, Mapping):
        named_submodules(module, encoders, tuple(few))
    try:
        _require_tensors(few, encoders)
        point = compared(_found(module, calling, few, encoders), partial(calling, module), few)
    except NotSeparable as reason:
        point = none_found(str(reason), where=source_line(reason.__cause__))
    except InputError:
        raise
    except Exception as error:  # whatever a user's forward does on the way, the model still runs whole
        first = str(error).splitlines()[0] if str(error) else ""
        point = none_found(f"splitting it raised {type(error).__name__}: {first}", where=source_line(error))
    if point.exact and encoders != INPUTS:
        point = replace(point, batch=_measured(point, few))
    _known.setdefault(module, {})[_form(calling, few, encoders)] = (state, point)
    return point


def _found(module: nn.Module, calling: Calling, few: Mapping[str, Any], encoders: Where) -> FusionPoint:
    if isinstance(encoders, Mapping):
        return from_names(module, calling, few, encoders)
    return at_inputs(module, calling, few) if encoders == INPUTS else from_graph(module, calling, few)


def parameter_state(module: nn.Module) -> State:
    """Changes whenever a parameter or buffer is written to or replaced."""
    return tuple(
        (id(one), 0 if one.is_inference() else one._version) for one in (*module.parameters(), *module.buffers())
    )


def warn_unused(point: FusionPoint, name: str) -> None:
    """Say that the model runs whole, and why."""
    warnings.warn(
        f"the model {name!r} runs whole for every mask, its encoders are not kept: {point.reason}. "
        "Name its encoders if it has some, such as encoders={'ct': 'backbone'}; encoders='whole' asks for this and does not warn.",
        ModalensWarning,
        stacklevel=2,
    )


def _form(calling: Calling, few: Mapping[str, Any], encoders: Where) -> Any:
    """What a split is for: inputs of this form, called in this way."""
    shapes = tuple(
        (f"{name}{path}", tuple(getattr(one, "shape", ())[1:]), str(getattr(one, "dtype", type(one))))
        for name, values in few.items()
        for path, one in _members(values)
    )
    collate = tuple(calling.collate.items()) if isinstance(calling.collate, Mapping) else calling.collate
    where = tuple(encoders.items()) if isinstance(encoders, Mapping) else encoders == INPUTS
    return shapes, where, calling.forward, collate


def _members(values: Any) -> list[tuple[str, Any]]:
    return [(f"[{one}]", member) for one, member in values.items()] if isinstance(values, Mapping) else [("", values)]


def _require_tensors(few: Mapping[str, Any], encoders: Where) -> None:
    """Refuse samples that are no tensors of one shape, unless the encoder of them is named."""
    for name, values in few.items():
        for _, member in _members(values):
            lists = isinstance(member, list) and all(isinstance(one, Tensor | None) for one in member)
            if lists and not (isinstance(encoders, Mapping) and name in encoders):
                raise NotSeparable(
                    f"the samples of modality {name!r} differ in length, so its graph is not one for all"
                )
            if not lists and not isinstance(member, Tensor):
                raise NotSeparable(f"modality {name!r} reaches it as {type(member).__name__}, not as a tensor")


def compared(found: FusionPoint, whole: Callable[[Mapping[str, Any]], Any], few: Mapping[str, Any]) -> FusionPoint:
    """A fusion point after it was compared with the whole model on these rows; `exact` says whether it agrees."""
    number = rows.count(next(iter(few.values())))
    apart = disagreement(found, whole, few)
    allowed = tolerance(_coarsest(found, few))
    agrees = apart <= allowed
    reason = (
        ""
        if agrees
        else f"encoders and head together differ from the whole model by {apart:.2g} of the output's scale (allowed {allowed:g})"
    )
    crossing = {name: found.encoders[name](rows.first(values, 1)) for name, values in few.items()}
    real = all(any(one.is_floating_point() for one in said) for said in crossing.values() if said)
    return replace(
        found,
        exact=agrees,
        difference=apart,
        tolerance=allowed,
        reason=reason,
        check_rows=2 * number + 1,
        real=real,
    )


def _coarsest(point: FusionPoint, few: Mapping[str, Any]) -> torch.dtype:
    """The least exact type of number that crosses the fusion point."""
    crossing = [one.dtype for name, values in few.items() for one in point.encoders[name](rows.first(values, 1))]
    floating = [dtype for dtype in crossing if dtype.is_floating_point]
    return max(floating, key=lambda dtype: torch.finfo(dtype).eps, default=torch.float32)


def _measured(point: FusionPoint, few: Mapping[str, Any]) -> dict[str, int]:
    """The rows a call at which each encoder, and the head behind its first layer, takes the least time a row."""
    assert point.head is not None
    encodings = {name: point.encoders[name](values) for name, values in few.items()}
    best = {name: _fastest(point.encoders[name], values, ENCODER_BATCHES) for name, values in few.items()}
    if point.first_layer is not None:
        total = point.first_layer.total(encodings)
        return best | {"head": _fastest(point.first_layer.output, total, HEAD_BATCHES)}
    candidates = HEAD_BATCHES if point.source == "graph" else ENCODER_BATCHES
    return best | {"head": _fastest(point.head, encodings, candidates)}


def _fastest(run: Callable[[Any], Any], few: Any, candidates: tuple[int, ...]) -> int:
    """The number of rows with the least time a row, what is done around each call included; of those nearly as fast
    the smallest, which takes the least memory. `few` are tensors of a few rows, which are repeated.
    """
    leaves = pytree.tree_leaves(few)
    row_bytes = sum(one[0].numel() * one.element_size() for one in leaves)
    fit = int(max(1, INPUTS_BUDGET // max(row_bytes, 1)))
    within = [count for count in candidates if count <= fit] or [fit]

    def repeated(count: int) -> Any:
        return pytree.tree_map(lambda one: one[torch.arange(count) % len(one)], few)

    given = {within[0]: repeated(within[0])}
    if len(within) == 1 or _timed(run, few) > PATIENCE:
        return within[0]
    row_seconds = min(_timed(run, given[within[0]]) for _ in range(2)) / within[0]
    affordable = PATIENCE / ROUNDS / row_seconds
    given |= {
        count: repeated(count) for place, count in enumerate(within) if place and sum(within[: place + 1]) <= affordable
    }
    tried = tuple(given)
    seconds = {
        count: (min(each) + AROUND_A_CALL) / count
        for count, *each in zip(
            tried, *([_timed(run, given[count]) for count in tried] for _ in range(ROUNDS)), strict=True
        )
    }
    return min(count for count, taken in seconds.items() if taken <= 1.05 * min(seconds.values()))


def _timed(run: Callable[[Any], Any], given: Any) -> float:
    """Seconds of a run; endless where it does not fit into memory."""
    started = time.perf_counter()
    try:
        run(given)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return float("inf")
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
