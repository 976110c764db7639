"""How a model wants to be called: modalities by keyword, unless it says otherwise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from modalens.errors import InputError, listed, nearest

Forward = Callable[[Any, dict[str, Any]], Any] | None
"""(model, inputs by modality) -> output: for models that take one dict, positions, or other names."""

Collate = Literal["patient"] | Mapping[str, Callable[[Any], Any]] | None
"""modality -> function of its samples that makes the batch (padding, packing); or "patient", one patient a call."""


@dataclass(frozen=True, kw_only=True)
class Calling:
    """Calls anything with a batch of every modality.

    A bundle is given as a dict under its modality's name; to a model that has no such argument, but one for each
    member, they are given one by one. With `collate="patient"` the model sees one patient a call, without an axis for
    patients, and its outputs are put together.
    """

    forward: Forward = None
    collate: Collate = None

    @property
    def one_by_one(self) -> bool:
        return self.collate == "patient"

    def __call__(self, model: Any, inputs: Mapping[str, Any]) -> Any:
        if self.one_by_one:
            return together([self._called(model, one) for one in patients(inputs)])
        return self._called(model, inputs)

    def _called(self, model: Any, inputs: Mapping[str, Any]) -> Any:
        functions = self.collate if isinstance(self.collate, Mapping) else {}
        given = {name: functions[name](samples) if name in functions else samples for name, samples in inputs.items()}
        if self.forward is not None:
            return self.forward(model, given)
        return model(**self._spread(model, given))

    def _spread(self, model: Any, given: dict[str, Any]) -> dict[str, Any]:
        """Bundles whose members are arguments of the model are given one by one."""
        if not any(isinstance(samples, Mapping) for samples in given.values()):
            return given
        found: dict[str, Any] = {}
        known = keywords(model)
        for name, samples in given.items():
            found |= samples if spreads(name, samples, known) else {name: samples}
        return found

    def require(self, model: Any, called: str, bundles: Mapping[str, Sequence[str]]) -> None:
        """Refuse modalities that are not the model's arguments, and arguments without a modality. `bundles` are the
        members of each modality, none for most.
        """
        unknown = [name for name in (self.collate if isinstance(self.collate, Mapping) else ()) if name not in bundles]
        if unknown:
            raise InputError(
                f"collate names {listed(unknown)}, and the modalities are {listed(bundles)}{nearest(unknown[0], bundles)}: give modality -> function of its samples."
            )
        if self.forward is None:
            known = keywords(model)
            names = [
                one
                for name, members in bundles.items()
                for one in (members if spreads(name, members, known) else (name,))
            ]
            require_keywords(model, called, tuple(names))


def checked_forward(forward: Forward) -> Forward:
    """Refuse what can't be called with the model and its inputs."""
    if forward is None:
        return None
    if not callable(forward):
        raise InputError(
            f"forward={forward!r}: expected a function of the model and its inputs, such as lambda model, inputs: model(inputs)."
        )
    try:
        inspect.signature(forward).bind(None, {})
    except TypeError as error:
        raise InputError(
            f"forward takes other arguments than the model and its inputs ({error}): write forward=lambda model, inputs: model(inputs)."
        ) from error
    except ValueError:  # a builtin that does not tell its arguments
        pass
    return forward


def checked_collate(collate: Collate) -> Collate:
    """Refuse what says nothing about how batches are made."""
    if isinstance(collate, Mapping):
        odd = [name for name, function in collate.items() if not callable(function)]
        if odd:
            raise InputError(
                f"collate[{odd[0]!r}]={collate[odd[0]]!r}: give a function of the modality's samples, such as torch.nn.utils.rnn.pad_sequence."
            )
    elif collate not in (None, "patient"):
        raise InputError(
            f"collate={collate!r}: give modality -> function of its samples, or 'patient' for a model that takes one patient a call."
        )
    return collate


BY_KEYWORD = Calling()
"""A batch at a time, as modalities by keyword."""


def keywords(model: Any) -> tuple[str, ...] | None:
    """The arguments that a model names, None where that can't be seen."""
    try:
        parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
    except (TypeError, ValueError):
        return None
    return tuple(one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY))


def spreads(name: str, samples: Any, known: Sequence[str] | None) -> bool:
    """Whether a modality's members are arguments of their own."""
    members = list(samples) if isinstance(samples, Mapping | tuple | list) else []
    return (
        bool(members)
        and known is not None
        and name not in known
        and all(isinstance(one, str) and one in known for one in members)
    )


def patients(inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each patient's samples, without an axis for patients."""

    def one(samples: Any, row: int) -> Any:
        if isinstance(samples, Mapping):
            return {name: one(member, row) for name, member in samples.items()}
        return samples.iloc[row] if hasattr(samples, "iloc") else samples[row]

    first = next(iter(inputs.values()))
    rows = len(next(iter(first.values())) if isinstance(first, Mapping) else first)
    return [{name: one(samples, row) for name, samples in inputs.items()} for row in range(rows)]


def together(outputs: Sequence[Any]) -> Any:
    """The outputs of single patients as those of a batch; an axis of one that stands for the patient is kept as it."""
    first = outputs[0]
    if isinstance(first, Mapping):
        return {name: together([one[name] for one in outputs]) for name in first}
    if isinstance(first, tuple):
        return tuple(together(each) for each in zip(*outputs, strict=True))
    if type(first).__module__.partition(".")[0] == "torch":
        import torch

        joined: Any = torch.stack(list(outputs))
    else:
        joined = np.stack([np.asarray(one) for one in outputs])
    return joined[:, 0] if joined.ndim == 3 and joined.shape[1] == 1 else joined


def require_keywords(function: Any, model: str, names: tuple[str, ...]) -> None:
    """Refuse modality names that are not the function's arguments, and arguments without a modality."""
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):
        return
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    usable = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    known = [parameter.name for parameter in usable]
    unknown = [name for name in names if name not in known and not open_ended]
    missing = [
        parameter.name for parameter in usable if parameter.default is parameter.empty and parameter.name not in names
    ]
    if unknown or missing:
        raise InputError(
            f"the model {model!r} takes {listed(known)} by keyword, and the inputs are {listed(names)}: "
            f"unknown to the model {listed(unknown)}{nearest(unknown[0], known) if unknown else ''}, missing {listed(missing)}. "
            "Name the inputs after the model's arguments, or say how it is called: forward=lambda model, inputs: model(inputs['ct'], inputs['report'])."
        )
