"""What a measure found: named arrays, with intervals for the global ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import xarray as xr

from modalens import statistics
from modalens.errors import InputError, listed, nearest


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one measure: its arrays are attributes, such as `result.contribution`; a dict of arrays where
    modalities differ in shape.

    `interval` holds the bounds of every global number, `draws` the bootstrap draws behind them, `monte_carlo_error`
    the part of the error that comes from drawing a finite number of background rows, `reasons` why a number is NaN,
    `settings` how the measure was set.
    """

    measure: str
    title: str
    arrays: Mapping[str, xr.DataArray | Mapping[str, xr.DataArray]]
    draws: xr.Dataset = field(default_factory=xr.Dataset)
    monte_carlo_error: xr.Dataset = field(default_factory=xr.Dataset)
    confidence: float | None = 0.95
    resampled: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    citation: str = ""

    @cached_property
    def interval(self) -> xr.Dataset:
        """The interval of each global number: a variable each, on the axis `bound` (lower, upper)."""
        if self.confidence is None or not self.draws:
            return xr.Dataset(attrs={"resampled": self.resampled})
        bounds = statistics.interval(self.draws, self.confidence)
        known = {name: bounds[name].where(array.notnull()) for name, array in self.global_numbers.items()}
        return bounds.assign(known).assign_attrs(resampled=self.resampled, confidence=self.confidence)

    @property
    def global_numbers(self) -> dict[str, xr.DataArray]:
        """The arrays that have an interval, by name."""
        return {
            name: array for name, array in self.arrays.items() if name in self.draws and isinstance(array, xr.DataArray)
        }

    def array(self, name: str) -> xr.DataArray:
        """The array of this name, as `result.<name>` gives it, with its type. Raises InputError where there is none, or
        one by modality.
        """
        found = self._named(name)
        if not isinstance(found, xr.DataArray):
            raise InputError(
                f"{name!r} of {self.measure!r} is an array for each modality, not one: ask by_modality({name!r})[{next(iter(found), 'name')!r}]."
            )
        return found

    def by_modality(self, name: str) -> Mapping[str, xr.DataArray]:
        """The arrays of this name, one a modality, as `result.<name>` gives them, with their type. Raises InputError
        where there are none, or one array for all.
        """
        found = self._named(name)
        if isinstance(found, xr.DataArray):
            raise InputError(
                f"{name!r} of {self.measure!r} is one array for all modalities, with the axes {listed(found.dims)}: ask array({name!r})."
            )
        return found

    def _named(self, name: str) -> xr.DataArray | Mapping[str, xr.DataArray]:
        if name not in self.arrays:
            raise InputError(
                f"the result of {self.measure!r} has no {name!r}{nearest(name, self.arrays)}; it has {listed(self.arrays)}."
            )
        return self.arrays[name]

    def __getattr__(self, name: str) -> Any:
        arrays = self.__dict__.get("arrays", {})
        if name in arrays:
            return arrays[name]
        raise AttributeError(
            f"the result of {self.__dict__.get('measure')!r} has no {name!r}; it has {listed(arrays)}, and interval, draws, monte_carlo_error."
        )

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.arrays]
