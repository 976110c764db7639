"""Several arrays that are one modality, present or absent together: token ids and their attention mask, values and
their missingness mask and time deltas.

The first array leads: it is cut into parts by its own kind, and the others follow it wherever their axes are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from modalens.errors import InputError, listed
from modalens.modalities.base import (
    Container,
    Modality,
    Parts,
    close_container,
    most_frequent,
    open_container,
    require_finite,
)
from modalens.modalities.text import Text

Members = dict[str, np.ndarray]

IDS = "input_ids"
"""What token ids are called by those who make them: they lead, whatever comes first."""


@dataclass(frozen=True, kw_only=True)
class Bundle(Modality):
    """A dict of arrays with the patient first, held as one array of records. `lead` is the kind of its first member
    (of token ids with others: of `input_ids`).

    A fill is made of each member's own: those that follow the leading one are filled by their mean (whole numbers by
    the most frequent value), by zero, or by a constant of their own, `Constant(value={"values": 0, "mask": 0})`;
    "removed" sets the members to zero whose name has the word mask.
    """

    lead: Modality
    others: Mapping[str, Container] = field(default_factory=dict, compare=False)
    name: str = ""

    @property
    def typical(self) -> str:  # type: ignore[override]
        return self.lead.typical

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name, *self.others)

    # samples -----------------------------------------------------------------------------------------------------------

    def resolve(self, name: str, samples: Any) -> Self:
        first = IDS if isinstance(self.lead, Text) and IDS in samples else next(iter(samples))
        rest = [one for one in samples if one != first]
        containers = {one: _opened(name, one, samples[one])[0] for one in rest}
        return replace(self, lead=self.lead.resolve(name, samples[first]), others=containers, name=first)

    def canonical(self, name: str, samples: Any) -> np.ndarray:
        if not isinstance(samples, Mapping) or set(samples) != set(self.members):
            came = listed(samples) if isinstance(samples, Mapping) else type(samples).__name__
            raise InputError(
                f"modality {name!r}: expected a dict of {listed(self.members)}, came {came}; give the same members for all patients."
            )
        members = {self.name: self.lead.canonical(f"{name}[{self.name}]", samples[self.name])}
        for one in self.others:
            _, members[one] = _opened(name, one, samples[one])
            require_finite(f"{name}[{one}]", members[one])
        counts = [len(values) for values in members.values()]
        if len(set(counts)) > 1:
            raise InputError(
                f"modality {name!r}: its members {listed(members)} hold {listed(counts)} samples; row k of each must be the same patient."
            )
        return _records(members)

    def unchecked(self, samples: Any) -> np.ndarray:
        rest = {one: open_container(samples[one])[1] for one in self.others}
        return _records({self.name: self.lead.unchecked(samples[self.name])} | rest)

    def restore(self, samples: np.ndarray) -> dict[str, Any]:
        return {self.name: self.lead.restore(np.ascontiguousarray(samples[self.name]))} | {
            one: close_container(container, np.ascontiguousarray(samples[one]))
            for one, container in self.others.items()
        }

    def same(self, samples: np.ndarray, others: np.ndarray) -> np.ndarray:
        lead = self.lead.same(samples[self.name], others[self.name])
        equal = [(samples[one] == others[one]).reshape(len(samples), -1).all(axis=1) for one in self.others]
        return np.logical_and.reduce([lead, *equal])

    def row_bytes(self, samples: np.ndarray) -> int:
        return self.lead.row_bytes(samples[self.name]) + sum(int(samples[one][:1].nbytes) for one in self.others)

    def digest(self, samples: np.ndarray) -> str:
        digests = [self.lead.digest(samples[self.name])]
        digests += [super(Bundle, self).digest(np.ascontiguousarray(samples[one])) for one in self.others]
        return hashlib.sha256(":".join(digests).encode()).hexdigest()[:16]

    def distances(self, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return self.lead.distances(samples[self.name], background[self.name])

    # parts: the leading member's, which the others follow ----------------------------------------------------------------

    @property
    def noun(self) -> str:
        return self.lead.noun

    @property
    def aligned(self) -> bool:
        return self.lead.aligned

    def cut_into(self, parts: int) -> Self:
        return replace(self, lead=self.lead.cut_into(parts))

    def cut(self, samples: np.ndarray) -> Parts:
        return self.lead.cut(samples[self.name])

    def replace(self, samples: np.ndarray, replacements: np.ndarray, parts: Parts, absent: Sequence[int]) -> np.ndarray:
        replaced = samples.copy()
        lead = self.lead.replace(samples[self.name], replacements[self.name], parts, absent)
        replaced[self.name] = lead
        if parts.where.dtype == object:
            return replaced
        gone = np.isin(parts.where, absent)
        for one in self.others:
            follows = following(gone, samples[one].shape)
            if follows is not None:
                replaced[one] = np.where(follows, replacements[one], samples[one])
        return replaced

    # fills -------------------------------------------------------------------------------------------------------------

    def mean(self, background: np.ndarray) -> np.ndarray:
        return self._filled(self.lead.mean(background[self.name]), background, _average)

    def mode(self, background: np.ndarray) -> np.ndarray:
        return self._filled(self.lead.mode(background[self.name]), background, most_frequent)

    def constant(self, samples: np.ndarray, value: Any) -> np.ndarray:
        of = value_of_each(self.members, value)
        lead = self.lead.constant(samples[self.name], of[self.name])
        rest = {
            one: np.repeat(constant_like(samples[one].dtype, samples[one].shape[1:], of[one]), len(lead), axis=0)
            for one in self.others
        }
        return _records({self.name: lead} | rest)

    def sample_mean(self, samples: np.ndarray) -> np.ndarray:
        return self._led(samples, self.lead.sample_mean(samples[self.name]))

    def blur(self, samples: np.ndarray, sigma: float | None) -> np.ndarray:
        return self._led(samples, self.lead.blur(samples[self.name], sigma))

    def mask_token(self, samples: np.ndarray, token: str | None) -> np.ndarray:
        return self._led(samples, self.lead.mask_token(samples[self.name], token))

    def removed(self, samples: np.ndarray) -> np.ndarray:
        masks = [one for one in self.others if "mask" in one.lower() and "padding" not in one.lower()]
        if not masks:
            raise InputError(
                f"nothing can be removed from it: no member of {listed(self.members)} is a mask by its name; "
                "give one that is 0 where something is absent, such as attention_mask (a padding mask is often 1 there), or use another baseline."
            )
        # What belongs to no part, such as the tokens that begin and end a text, stays.
        where = self.cut(samples).where
        inside = where >= 0 if where.dtype != object else np.ones((len(samples), 1), dtype=bool)
        gone = samples.copy()
        for one in masks:
            follows = following(inside, samples[one].shape)
            gone[one] = 0 if follows is None else np.where(follows, 0, samples[one])
        return gone

    def outside(self, fill: np.ndarray, background: np.ndarray) -> float:
        return self.lead.outside(fill[self.name], background[self.name])

    def _filled(self, lead: np.ndarray, background: np.ndarray, fill: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return _records({self.name: lead} | {one: fill(background[one]) for one in self.others})

    def _led(self, samples: np.ndarray, lead: np.ndarray) -> np.ndarray:
        """The samples with another leading member."""
        found = samples.copy()
        found[self.name] = lead
        return found

    # words -------------------------------------------------------------------------------------------------------------

    def describe(self, samples: np.ndarray, parts: Parts) -> str:
        followed = f", with {' and '.join(self.others)}" if self.others else ""
        return f"{self.lead.describe(samples[self.name], parts)}{followed}"


def following(gone: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """What is gone along the axes that an array of this shape shares with the leading one, or None where it shares
    none: axes of 1 at the end are dropped or added.
    """
    while gone.ndim > len(shape) and gone.shape[-1] == 1:
        gone = gone[..., 0]
    gone = gone.reshape(gone.shape + (1,) * (len(shape) - gone.ndim))
    fits = gone.ndim == len(shape) and all(gone.shape[axis] in (1, shape[axis]) for axis in range(1, len(shape)))
    return gone if fits else None


def value_of_each(members: Sequence[str], value: Any) -> Mapping[str, Any]:
    """The constant of each member: its own, or one for all."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(members, value)
    unknown = [one for one in value if one not in members]
    missing = [one for one in members if one not in value]
    if unknown or missing:
        raise InputError(
            f"Constant of {listed(value)} for members {listed(members)}: unknown {listed(unknown)}, missing {listed(missing)}; give each member its value."
        )
    return value


def constant_like(dtype: np.dtype, shape: tuple[int, ...], value: Any) -> np.ndarray:
    """An array (1, *shape) of this value, in this type; rounded for whole numbers."""
    try:
        values = np.broadcast_to(np.asarray(value, dtype=np.float64), (1, *shape))
    except ValueError as error:
        raise InputError(
            f"Constant {value!r:.60} for samples of shape {shape}: expected one number, or an array of that shape; give one."
        ) from error
    if not np.isfinite(values).all():
        raise InputError(
            f"Constant {value!r:.60} is NaN or infinite; expected finite numbers. Give what a patient could have."
        )
    return (np.rint(values) if dtype.kind in "iub" else values).astype(dtype)


def _opened(name: str, member: str, samples: Any) -> tuple[Container, np.ndarray]:
    try:
        container, values = open_container(samples)
    except InputError as error:
        raise InputError(f"modality {name!r}: of its member {member!r}, {error}") from error
    if values.ndim == 0 or values.dtype == object:
        raise InputError(
            f"modality {name!r}: expected its member {member!r} as an array with the patient first, came {type(samples).__name__} of {values.dtype}; "
            "members of different length a patient are lists of arrays in a Bag or a Series."
        )
    return container, values


def _records(members: Members) -> np.ndarray:
    rows = max(len(values) for values in members.values())
    found = np.empty(rows, dtype=[(one, values.dtype, values.shape[1:]) for one, values in members.items()])
    for one, values in members.items():
        found[one] = values
    return found


def _average(values: np.ndarray) -> np.ndarray:
    """The mean of real numbers, the most frequent value of whole ones."""
    if values.dtype.kind != "f":
        return most_frequent(values)
    return values.mean(axis=0, keepdims=True, dtype=np.float64).astype(values.dtype)
