"""Any model as one thing: called with modalities by keyword, a batch of patients at a time."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modalens.errors import InputError, listed, nearest


class Model(ABC):
    """A model behind one interface. `task` and `classes` are what the model itself says of its outputs, if anything."""

    task: str | None = None
    classes: tuple[str, ...] | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What the model is called in results."""

    @abstractmethod
    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """The model's output, as it comes, for a batch of patients."""

    @abstractmethod
    def require(self, names: tuple[str, ...]) -> None:
        """Raise InputError where the model does not take exactly these modalities."""

    @contextmanager
    def session(self) -> Iterator[None]:
        """Whatever has to be set while the model runs, and is restored afterwards."""
        yield

    def fingerprint(self) -> str | None:
        """Equal for equal parameters; None where a model's parameters can't be read."""
        return None


@dataclass(frozen=True)
class FunctionModel(Model):
    """Any callable that takes modalities by keyword."""

    function: Callable[..., Any]

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        return self.function(**inputs)

    def require(self, names: tuple[str, ...]) -> None:
        require_keywords(self.function, self.name, names)


def output_of(model: Model, inputs: Mapping[str, Any]) -> Any:
    """The model's output; an error that the model raises says what the model was given."""
    try:
        return model(inputs)
    except Exception as error:
        if not isinstance(error, InputError):
            given = ", ".join(f"{name}: {type(values).__name__}{_form(values)}" for name, values in inputs.items())
            error.add_note(
                f"raised by the model {model.name!r}, which was given {given}. It is called with modalities by keyword, first axis the patient; tensors where it is a torch module."
            )
        raise


def _form(values: Any) -> str:
    shape = getattr(values, "shape", None)
    return f" of {len(values)}" if shape is None else f" {tuple(shape)} {getattr(values, 'dtype', '')}".rstrip()


def require_keywords(function: Callable[..., Any], model: str, names: tuple[str, ...]) -> None:
    """Refuse modality names that are not the function's arguments, and arguments without a modality."""
    try:
        parameters = inspect.signature(function).parameters.values()
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
            "Name the inputs after the model's arguments, or wrap it: lambda ct, report: model(ct, report)."
        )
