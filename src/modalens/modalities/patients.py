"""The patients of a run: every modality's samples, checked against each other, cut into parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError, about, listed, nearest
from modalens.modalities.availability import cut_of_everyone, gaps, of_everyone, samples_of, who_has
from modalens.modalities.base import Modality, Parts, is_tensor
from modalens.modalities.infer import fitted, infer, require_members


@dataclass(frozen=True, kw_only=True)
class Patients:
    """Samples by modality, in canonical form, with the parts that they are cut into; `said` tells which kinds were
    inferred. `has` holds which patients have a modality, for those that some patients lack.
    """

    modalities: Mapping[str, Modality]
    samples: Mapping[str, np.ndarray]
    parts: Mapping[str, Parts]
    said: tuple[str, ...] = ()
    has: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.samples.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.modalities)

    def take(self, rows: np.ndarray) -> Patients:
        """These patients, in this order."""
        samples = {name: modality.take(self.samples[name], rows) for name, modality in self.modalities.items()}
        return replace(
            self,
            samples=samples,
            parts={name: parts.take(rows) for name, parts in self.parts.items()},
            has={name: present[rows] for name, present in self.has.items()},
        )

    @cached_property
    def complete(self) -> np.ndarray:
        """The patients who have every modality."""
        return np.flatnonzero(np.logical_and.reduce([np.ones(len(self), dtype=bool), *self.has.values()]))

    def first(self, count: int) -> np.ndarray:
        """A few patients, those with every modality if there are any."""
        return (self.complete if len(self.complete) else np.arange(len(self)))[:count]

    def having(self, name: str) -> np.ndarray:
        """Which patients have this modality, (patients,)."""
        return self.has.get(name, np.ones(len(self), dtype=bool))

    def joined(self, others: Patients) -> Patients:
        """These patients and then the others, to be run and not to be cut."""
        samples = {
            name: modality.stack([self.samples[name], others.samples[name]])
            for name, modality in self.modalities.items()
        }
        return Patients(modalities=self.modalities, samples=samples, parts={})

    def restored(self) -> dict[str, Any]:
        """The samples in the form in which they came, as a model takes them."""
        return {name: modality.restore(self.samples[name]) for name, modality in self.modalities.items()}

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """The names of each modality's arrays, none for most, which have one."""
        return {name: kind.members for name, kind in self.modalities.items()}

    @property
    def available(self) -> np.ndarray | None:
        """Which patients have which modality, (patients, modalities); None where all have all."""
        return np.stack([self.having(name) for name in self.modalities], axis=1) if self.has else None

    @property
    def bytes_by_modality(self) -> dict[str, int]:
        """Memory of one patient's samples."""
        return {name: modality.row_bytes(self.samples[name]) for name, modality in self.modalities.items()}

    @property
    def row_bytes(self) -> int:
        return sum(self.bytes_by_modality.values())

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal data, modality by modality."""
        digests = "".join(f"{name}:{digest};" for name, digest in self.digests().items())
        digests += "".join(f"{name} of:{np.packbits(present).tobytes().hex()};" for name, present in self.has.items())
        return hashlib.sha256(digests.encode()).hexdigest()[:16]

    def digests(self) -> dict[str, str]:
        """Of each modality's samples."""
        return {name: modality.digest(self.samples[name]) for name, modality in self.modalities.items()}

    def describe(self) -> dict[str, str]:
        described = {}
        for name, modality in self.modalities.items():
            if name not in self.has:
                described[name] = modality.describe(self.samples[name], self.parts[name])
                continue
            rows = np.flatnonzero(self.has[name])
            words = modality.describe(self.samples[name][rows], self.parts[name].take(rows))
            described[name] = f"{words}; {len(rows)} of {len(self)} patients have it"
        return described


def gather(
    inputs: Mapping[str, Any],
    modalities: Mapping[str, Modality] | None = None,
    present: Mapping[str, Any] | None = None,
) -> Patients:
    """Check the inputs, infer the kinds that are not given, and cut everything into parts. `present` says which
    patients have a modality; None in place of a sample says that its patient lacks it.

    Raises InputError for missing or unknown names, unequal or empty batches, values that are not finite, mixed tensor
    types, and parts that overlap.
    """
    _require_mapping(inputs)
    if not isinstance(modalities, Mapping | None):
        raise InputError(
            f"modalities: expected a dict of modality name to kind, such as {{'ct': ml.Image(patch=16)}}, came {type(modalities).__name__}."
        )
    _require_one_tensor_type(inputs)
    given = dict(modalities or {})
    unknown = set(given) - set(inputs)
    if unknown:
        wrong = sorted(unknown)[0]
        raise InputError(
            f"modalities names {listed(sorted(unknown))}, and the inputs are {listed(inputs)}{nearest(wrong, inputs)}: use the same names in both."
        )
    resolved, samples, parts, said = {}, {}, {}, []
    for name, values in inputs.items():
        _require_samples(name, values)
    has = who_has(inputs, present)
    for name, values in inputs.items():
        with about(name):
            known = samples_of(values, np.flatnonzero(has[name])) if name in has else values
            kind = given.get(name) or infer(name, known)
            if not isinstance(kind, Modality):
                raise InputError(
                    f"modalities[{name!r}] is {kind!r}: expected a kind of modality; give an Image, Volume, Text, Tabular, Series, Vector or Bag, such as ml.Image(patch=16)."
                )
            resolved[name] = fitted(kind, values).resolve(name, known)
            samples[name] = resolved[name].canonical(name, known)
            if name in has:
                samples[name] = of_everyone(name, resolved[name], samples[name], values, np.flatnonzero(has[name]))
        if name not in given:
            said.append(
                f"{name!r} is taken as {type(kind).__name__} (inferred from its samples; modalities= says otherwise)"
                + (
                    ", and a mean of token ids is another word: ml.Text(tokenizer) knows words"
                    if "input_ids" in name
                    else ""
                )
            )
    _require_equal_lengths({name: len(values) for name, values in samples.items()})
    require_one_order(inputs)
    for name, kind in resolved.items():
        with about(name):
            parts[name] = cut_of_everyone(kind, samples[name], has[name]) if name in has else kind.cut(samples[name])
    return Patients(modalities=resolved, samples=samples, parts=parts, said=tuple(said), has=has)


def gather_background(background: Any, patients: Patients) -> Patients:
    """Background patients, checked to be of the same form as the explained ones."""
    _require_mapping(background, "background")
    if set(background) != set(patients.modalities):
        missing, unknown = set(patients.modalities) - set(background), set(background) - set(patients.modalities)
        raise InputError(
            f"background holds {listed(background)}, and the inputs are {listed(patients)}: missing {listed(sorted(missing))}, "
            f"unknown {listed(sorted(unknown))}{nearest(min(unknown), missing) if unknown else ''}. Give both the same names."
        )
    samples = {}
    for name, kind in patients.modalities.items():
        require_members(name, background[name])
        if background[name] is None or gaps(name, background[name]) is not None:
            raise InputError(
                f"background of modality {name!r} is None, for all patients or for some: its rows stand in for others, so each must have every modality; leave the others out."
            )
        with about(name):
            kind.resolve(name, background[name])
            samples[name] = kind.canonical(name, background[name])
        expected, came = patients.samples[name], samples[name]
        if expected.shape[1:] != came.shape[1:] or expected.dtype != came.dtype:
            raise InputError(
                f"background of modality {name!r}: expected samples of shape {expected.shape[1:]} and type {expected.dtype}, as those explained; came {came.shape[1:]} and {came.dtype}. "
                "Prepare both in the same way."
            )
    _require_equal_lengths({name: len(values) for name, values in samples.items()}, "background")
    return Patients(modalities=patients.modalities, samples=samples, parts={})


def _require_mapping(inputs: Any, argument: str = "inputs") -> None:
    if not isinstance(inputs, Mapping) or not inputs:
        came = "an empty one" if isinstance(inputs, Mapping) else type(inputs).__name__
        raise InputError(
            f"{argument}: expected a dict of modality name to samples, such as {{'ct': array, 'report': list of str}}, came {came}."
        )
    odd = [name for name in inputs if not isinstance(name, str) or not name.isidentifier()]
    if odd:
        raise InputError(
            f"{argument}: {listed(odd)} can't be a keyword of the model; name modalities like Python arguments ('ct', 'lab_values')."
        )


def _require_samples(name: str, values: Any) -> None:
    """Refuse a modality that is not there at all."""
    if values is None:
        raise InputError(
            f"modality {name!r} is None: expected its samples. Give values for every patient, None in the place of those who lack it, or leave it out."
        )
    require_members(name, values)


def _require_equal_lengths(lengths: Mapping[str, int], argument: str = "inputs") -> None:
    if min(lengths.values()) == 0:
        empty = [name for name, length in lengths.items() if length == 0]
        raise InputError(f"{argument}: modality {listed(empty)} has no samples; give at least one for each modality.")
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name!r}: {length}" for name, length in lengths.items())
        raise InputError(
            f"{argument}: the modalities hold different numbers of samples ({counts}); row k of each must be the same patient."
        )


def _require_one_tensor_type(inputs: Mapping[str, Any]) -> None:
    every = [
        (name, member)
        for name, samples in inputs.items()
        for member in (samples.values() if isinstance(samples, Mapping) else [samples])
    ]
    tensors = {name: member for name, member in every if is_tensor(member)}
    devices = {name: str(tensor.device) for name, tensor in tensors.items()}
    dtypes = {name: str(tensor.dtype) for name, tensor in tensors.items() if tensor.is_floating_point()}
    for what, found in (("devices", devices), ("floating types", dtypes)):
        if len(set(found.values())) > 1:
            came = ", ".join(f"modality {name!r} {value}" for name, value in found.items())
            raise InputError(
                f"the tensors have different {what} ({came}): expected one for all; bring them there with .to(...)."
            )


def require_one_order(tables: Mapping[str, Any]) -> None:
    """Refuse tables that carry different row labels: row k of one would be another patient than row k of the other.
    Labels that only count the rows say nothing, unless another table has the same ones in another order.
    """
    indices = {name: values.index for name, values in tables.items() if isinstance(values, pd.DataFrame | pd.Series)}
    for one, other in combinations(indices, 2):
        first, second = indices[one], indices[other]
        counted = isinstance(first, pd.RangeIndex) or isinstance(second, pd.RangeIndex)
        differ = not first.equals(second) if not counted else _reordered(first, second)
        if differ:
            place = int(np.argmax(np.asarray(first != second))) if len(first) == len(second) else 0
            raise InputError(
                f"{one!r} and {other!r}: their row labels differ (first in row {place}: {first[place]!r} and {second[place]!r}), and row k of each must be the same patient. "
                f"Bring them into one order ({other} = {other}.loc[{one}.index]), or drop labels that mean nothing with reset_index(drop=True)."
            )


def _reordered(first: pd.Index, second: pd.Index) -> bool:
    """Whether these are the same labels in another order."""
    return len(first) == len(second) and not first.equals(second) and first.sort_values().equals(second.sort_values())
