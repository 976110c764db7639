"""Any model as one thing: called with modalities by keyword, a batch of patients at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modalens.errors import InputError
from modalens.models.calling import BY_KEYWORD, Calling


class Model(ABC):
    """A model behind one interface. `task`, `classes` and `says` (in words) are what the model itself says of its
    outputs, if anything.
    """

    task: str | None = None
    classes: tuple[str, ...] | None = None
    says: str = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the model is called in results."""

    @abstractmethod
    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """The model's output, as it comes, for a batch of patients."""

    precision: float = 0.0
    """The relative rounding error of the model's own arithmetic, where it is coarser than its outputs' type."""

    @abstractmethod
    def require(self, bundles: Mapping[str, Sequence[str]]) -> None:
        """Raise InputError where the model does not take exactly these modalities; each has the members given, if any."""

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
    calling: Calling = BY_KEYWORD

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        return self.calling(self.function, inputs)

    def require(self, bundles: Mapping[str, Sequence[str]]) -> None:
        self.calling.require(self.function, self.name, bundles)


def output_of(model: Model, inputs: Mapping[str, Any]) -> Any:
    """The model's output; an error that the model raises says what the model was given."""
    try:
        return model(inputs)
    except Exception as error:
        if not isinstance(error, InputError):
            given = ", ".join(f"{name}: {_form(values)}" for name, values in inputs.items())
            error.add_note(
                f"raised by the model {model.name!r}, which was given {given} (as they are before collate=). "
                "It is called with modalities by keyword, first axis the patient, tensors where it is a torch module; "
                "forward= and collate= say otherwise."
            )
        raise


def _form(values: Any) -> str:
    if isinstance(values, Mapping):
        return "{" + ", ".join(f"{name}: {_form(member)}" for name, member in values.items()) + "}"
    shape = getattr(values, "shape", None)
    of = f"of {len(values)}" if shape is None else f"{tuple(shape)} {getattr(values, 'dtype', '')}".rstrip()
    return f"{type(values).__name__} {of}"
