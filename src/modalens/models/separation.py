"""Splitting a torch model at its fusion point: find it, compare it with the whole model, measure which batches it
likes, and remember it as long as the model lives.
"""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from modalens.errors import InputError, ModalensWarning
from modalens.models.fusion import (
    FusionPoint,
    disagreement,
    from_graph,
    mixed_disagreement,
    none_found,
    tolerance,
)
from modalens.models.graph import NotSeparable
from modalens.models.named import at_inputs, from_names, named_submodules

Encoders = Mapping[str, str] | str
"""Where encoders are looked for: in the graph ("auto", "graph"), at named submodules, or nowhere (INPUTS)."""

INPUTS = "inputs"
"""The inputs themselves in place of a fusion point."""

ENCODER_BATCHES = (32, 64, 128, 256)
HEAD_BATCHES = (1024, 2048, 4096, 8192)
"""Rows a call that are tried; the best differs by an order of magnitude between machines."""

PATIENCE = 0.25
"""Seconds after which no larger batch is tried."""

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, tuple[Any, FusionPoint]]] = weakref.WeakKeyDictionary()


def remembered(module: nn.Module, few: Mapping[str, Any], encoders: Encoders) -> FusionPoint | None:
    """The split of this model for inputs of this form, if one was made with the parameters that it has now."""
    state, point = _known.get(module, {}).get(_form(few, encoders), (None, None))
    return point if point is not None and state == parameter_state(module) else None


def separate(
    module: nn.Module, whole: Callable[[Mapping[str, Any]], Any], few: Mapping[str, Any], encoders: Encoders
) -> FusionPoint:
    """The model's fusion point, compared with the whole model and remembered; `exact` says whether it can be used.

    `few` holds a few rows of every modality, as the model takes them. To be called within the model's session.
    """
    point = remembered(module, few, encoders)
    if point is not None and (again := _looked_at_again(point, whole, few)) is not None:
        return again
    if isinstance(encoders, Mapping):
        named_submodules(module, encoders, tuple(few))
    try:
        _require_tensors(few)
        found = _found(module, few, encoders)
        point = _compared(found, whole, few)
    except NotSeparable as reason:
        point = none_found(str(reason))
    except InputError:
        raise
    except Exception as error:  # whatever a user's forward does on the way, the model still runs whole
        point = none_found(
            f"splitting it raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )
    if point.exact and encoders != INPUTS:
        point = replace(point, batch=_measured(point, few))
    _known.setdefault(module, {})[_form(few, encoders)] = (parameter_state(module), point)
    return point


def _found(module: nn.Module, few: Mapping[str, Tensor], encoders: Encoders) -> FusionPoint:
    if isinstance(encoders, Mapping):
        return from_names(module, few, encoders)
    return at_inputs(module, few) if encoders == INPUTS else from_graph(module, few)


def parameter_state(module: nn.Module) -> tuple[tuple[int, int], ...]:
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


def _form(few: Mapping[str, Any], encoders: Encoders) -> Any:
    shapes = tuple(
        (name, tuple(getattr(one, "shape", ())[1:]), str(getattr(one, "dtype", type(one)))) for name, one in few.items()
    )
    return shapes, tuple(encoders.items()) if isinstance(encoders, Mapping) else encoders == INPUTS


def _require_tensors(few: Mapping[str, Any]) -> None:
    for name, values in few.items():
        if not isinstance(values, Tensor):
            raise NotSeparable(f"modality {name!r} reaches it as {type(values).__name__}, not as a tensor")


def _compared(found: FusionPoint, whole: Callable[[Mapping[str, Any]], Any], few: Mapping[str, Tensor]) -> FusionPoint:
    rows = len(next(iter(few.values())))
    apart = disagreement(found, whole, few)
    allowed = tolerance(_coarsest(found, few))
    agrees = apart <= allowed
    reason = (
        ""
        if agrees
        else f"encoders and head together differ from the whole model by {apart:.2g} of the output's scale (allowed {allowed:g})"
    )
    crossing = {name: found.encoders[name](values[:1]) for name, values in few.items()}
    real = all(any(one.is_floating_point() for one in said) for said in crossing.values() if said)
    return replace(found, exact=agrees, difference=apart, reason=reason, check_rows=2 * rows + 1, real=real)


def _looked_at_again(
    point: FusionPoint, whole: Callable[[Mapping[str, Any]], Any], few: Mapping[str, Any]
) -> FusionPoint | None:
    """A remembered split, unless the model has changed in a way that no parameter shows, such as an attribute."""
    if not point.exact:
        return replace(point, check_rows=0)
    rows = len(next(iter(few.values())))
    agrees = mixed_disagreement(point, whole, few) <= tolerance(_coarsest(point, few))
    return replace(point, check_rows=rows) if agrees else None


def _coarsest(point: FusionPoint, few: Mapping[str, Tensor]) -> torch.dtype:
    """The least exact type of number that crosses the fusion point."""
    crossing = [one.dtype for name, values in few.items() for one in point.encoders[name](values[:1])]
    floating = [dtype for dtype in crossing if dtype.is_floating_point]
    return max(floating, key=lambda dtype: torch.finfo(dtype).eps, default=torch.float32)


def _measured(point: FusionPoint, few: Mapping[str, Tensor]) -> dict[str, int]:
    """The rows a call at which each encoder, and the head, takes the least time a row."""
    assert point.head is not None
    head, rows = point.head, len(next(iter(few.values())))
    encodings = {name: point.encoders[name](values) for name, values in few.items()}

    def repeated(count: int) -> Tensor:
        return torch.arange(count) % rows

    best = {
        name: _fastest(
            lambda count, name=name, values=values: (values[repeated(count)],), point.encoders[name], ENCODER_BATCHES
        )
        for name, values in few.items()
    }
    best["head"] = _fastest(
        lambda count: ({name: tuple(one[repeated(count)] for one in said) for name, said in encodings.items()},),
        head,
        HEAD_BATCHES if point.source == "graph" else ENCODER_BATCHES,
    )
    return best


def _fastest(make: Callable[[int], tuple[Any]], run: Callable[[Any], Any], candidates: tuple[int, ...]) -> int:
    """The number of rows with the least time a row; stops at the first that is worse than the one before it."""
    started, best, shortest = time.perf_counter(), candidates[0], float("inf")
    for count in candidates:
        given = make(count)
        seconds = float("inf")
        for _ in range(3):
            begun = time.perf_counter()
            run(*given)
            seconds = min(seconds, time.perf_counter() - begun)
        if seconds / count < shortest:
            best, shortest = count, seconds / count
        elif seconds / count > 1.1 * shortest:
            break
        if time.perf_counter() - started > PATIENCE:
            break
    return best
