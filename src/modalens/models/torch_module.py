"""A torch module: evaluation mode, no gradients, on its own device and in its own type; everything restored
afterwards.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from modalens.errors import InputError
from modalens.models import rows
from modalens.models.base import Model
from modalens.models.calling import BY_KEYWORD, Calling
from modalens.models.fusion import FusionPoint, none_found
from modalens.models.modes import evaluating
from modalens.models.separation import State, Where, forget, parameter_state, remembered, separate, warn_unused

CPU_SPEED, ACCELERATOR_SPEED = 1e11, 1e13
"""Arithmetic operations a second that small batches reach, roughly."""

_fingerprints: weakref.WeakKeyDictionary[torch.nn.Module, tuple[object, str]] = weakref.WeakKeyDictionary()
"""Of the parameters that a module had when it was last looked at."""

SECONDS_A_ROW = 1e-5
"""What a row costs whatever the model does with it."""


@dataclass(frozen=True)
class TorchModel(Model):
    """A torch module that takes modalities by keyword. NumPy and pandas inputs become tensors on its device, floating
    ones in its type; tensors must match both already.
    """

    module: torch.nn.Module
    calling: Calling = BY_KEYWORD

    @property
    def name(self) -> str:
        return type(self.module).__name__

    @property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The names of the outputs that the module itself holds: its attribute `classes`, where that is a tuple of str."""
        found = getattr(self.module, "classes", None)
        named = isinstance(found, tuple) and bool(found) and all(isinstance(name, str) for name in found)
        return found if named else None

    @property
    def says(self) -> str:  # type: ignore[override]
        """What the module itself says of its outputs, in words: its attribute `says`."""
        return found if isinstance(found := getattr(self.module, "says", ""), str) else ""

    @cached_property
    def device(self) -> torch.device:
        return next((parameter.device for parameter in self.module.parameters()), torch.device("cpu"))

    @cached_property
    def dtype(self) -> torch.dtype:
        return next(
            (parameter.dtype for parameter in self.module.parameters() if parameter.is_floating_point()),
            torch.get_default_dtype(),
        )

    @property
    def precision(self) -> float:  # type: ignore[override]
        return torch.finfo(self.dtype).eps

    def require(self, bundles: Mapping[str, Sequence[str]]) -> None:
        self.calling.require(self.module, self.name, bundles)

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        return self.calling(self.module, {name: self.tensor(name, values) for name, values in inputs.items()})

    @contextmanager
    def session(self) -> Iterator[None]:
        devices = [self.device] if self.device.type == "cuda" else []
        with evaluating(self.module), torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield

    def fingerprint(self) -> str:
        state, known = _fingerprints.get(self.module, (None, ""))
        if state != self.state:
            known = self._digest()
            _fingerprints[self.module] = self.state, known
        return known

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            digest.update(name.encode())
            if isinstance(tensor, torch.Tensor):
                digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def state(self) -> State:
        """The parameters as they are now: this adapter lives no longer than a call."""
        return parameter_state(self.module)

    def remembered(self, few: Mapping[str, Any], encoders: Where) -> FusionPoint | None:
        """The split that was made before, with the parameters that the module has now."""
        return remembered(self.module, self.state, self.calling, few, encoders)

    def separate(self, few: Mapping[str, Any], encoders: Where) -> FusionPoint:
        """The module's fusion point, compared with the whole module on a few rows, unless it is known."""
        known = self.remembered(few, encoders)
        return known or separate(self.module, self.state, self.calling, few, encoders)

    def forget(self) -> None:
        """Let go of what is known of the module's fusion point."""
        forget(self.module)

    def no_split(self, reason: str) -> FusionPoint:
        """No fusion point, for this reason."""
        return none_found(reason)

    def warn_unused(self, point: FusionPoint) -> None:
        """Say that the module runs whole, and why."""
        warn_unused(point, self.name)

    def seconds(self, few: Mapping[str, Any]) -> float:
        """About how long one row takes, by its arithmetic and not by the clock, so that the same call always decides
        the same.
        """
        number = rows.count(next(iter(few.values())))
        with FlopCounterMode(display=False) as counted:
            self.calling(self.module, few)
        learned = sum(parameter.numel() for parameter in self.module.parameters())
        work = max(counted.get_total_flops() / number, 2 * learned)
        return SECONDS_A_ROW + work / (CPU_SPEED if self.device.type == "cpu" else ACCELERATOR_SPEED)

    def tensor(self, name: str, values: Any) -> Any:
        """A modality's samples as the module takes them, before they are collated."""
        if isinstance(values, Mapping):
            return {member: self.tensor(f"{name}[{member}]", one) for member, one in values.items()}
        if isinstance(values, list | tuple) and any(isinstance(one, np.ndarray | torch.Tensor) for one in values):
            return [None if one is None else self.tensor(name, one) for one in values]
        if isinstance(values, torch.Tensor):
            if values.device != self.device or (values.is_floating_point() and values.dtype != self.dtype):
                raise InputError(
                    f"modality {name!r}: came a tensor of {values.dtype} on {values.device}, expected {self.dtype} on {self.device} as the model is; "
                    "bring it there with .to(...), or give a NumPy array."
                )
            return values
        if isinstance(values, pd.DataFrame | pd.Series):
            values = _numbers(values)
        if not isinstance(values, np.ndarray) or values.dtype.kind in "OUT":
            return values
        tensor = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        return tensor.to(device=self.device, dtype=self.dtype if tensor.is_floating_point() else None)


def _numbers(table: pd.DataFrame | pd.Series) -> Any:
    """A table of numbers and truth values as an array; one with text or categories stays as it is, for the module to
    read.
    """
    values = table.to_numpy()
    types = table.dtypes if isinstance(table, pd.DataFrame) else [table.dtype]
    if values.dtype != object:
        return values
    return table.to_numpy(dtype=float) if all(map(pd.api.types.is_numeric_dtype, types)) else table
