"""Who has which modality: by `present=`, and by None in the place of a sample.

Where samples are None, there is nothing to look at. Where something stands in their place (zeros, an empty text), the
model is given it as it is, and nobody else looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modalens.errors import InputError, listed, nearest
from modalens.modalities.base import Modality, Parts


def who_has(inputs: Mapping[str, Any], present: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Which patients have each modality that some lack, (patients,) of bool.

    Raises InputError for what is no True or False for each patient, for a modality that nobody has, and for patients
    who have none.
    """
    if present is not None and not isinstance(present, Mapping):
        raise InputError(
            f"present: expected a dict of modality -> True or False for each patient, came {type(present).__name__}; give {{'ct': array of True and False}}."
        )
    unknown = [name for name in present or {} if name not in inputs]
    if unknown:
        raise InputError(
            f"present names {listed(unknown)}, and the inputs are {listed(inputs)}{nearest(str(unknown[0]), inputs)}: use the same names in both."
        )
    has = {}
    for name, values in inputs.items():
        lacking = gaps(name, values)
        if lacking is None and name not in (present or {}):
            continue
        known = np.ones(_count(name, values), dtype=bool) if lacking is None else ~lacking
        if present is not None and name in present:
            known = _as_said(name, present[name], known)
        if not known.any():
            raise InputError(f"modality {name!r}: no patient has it, so nothing can be said of it; leave it out.")
        if not known.all():
            has[name] = known
    _require_something(inputs, has)
    return has


def gaps(name: str, values: Any) -> np.ndarray | None:
    """Where a list holds None in place of a sample; None where it holds none. The members of a modality must agree."""
    if isinstance(values, Mapping):
        each = {one: gaps(f"{name}[{one}]", member) for one, member in values.items()}
        first = next(iter(each.values()), None)
        if len({None if one is None else tuple(one.tolist()) for one in each.values()}) > 1:
            raise InputError(
                f"modality {name!r}: a sample is None in some of its members {listed(each)} and not in others; give None in all of them for a patient who lacks it."
            )
        return first
    if not isinstance(values, list | tuple) or not any(sample is None for sample in values):
        return None
    return np.array([sample is None for sample in values])


def samples_of(values: Any, rows: np.ndarray) -> Any:
    """The samples of these patients, in the form in which all came."""
    if isinstance(values, Mapping):
        return {one: samples_of(member, rows) for one, member in values.items()}
    if isinstance(values, list | tuple):
        return type(values)([values[row] for row in rows])
    return values.iloc[rows] if hasattr(values, "iloc") else values[rows]


def of_everyone(name: str, kind: Modality, known: np.ndarray, values: Any, rows: np.ndarray) -> np.ndarray:
    """Samples in canonical form at the places of their patients; at those of the others what stands there, or None."""
    if gaps(name, values) is None:
        everyone = kind.unchecked(values).copy()
    elif known.dtype == object and known.ndim == 1:
        everyone = np.empty(_count(name, values), dtype=object)
    else:
        raise InputError(
            f"modality {name!r}: {_count(name, values) - len(rows)} of its samples are None, and arrays of one shape are given to the model as one: "
            f"put there what your model expects of patients without it (zeros, its own token), and say who has it with present={{{name!r}: array of True and False}}."
        )
    everyone[rows] = known
    return everyone


def cut_of_everyone(kind: Modality, samples: np.ndarray, has: np.ndarray) -> Parts:
    """The parts of all patients; those who lack the modality have none, unless all share theirs."""
    if samples.dtype != object:
        return _emptied(kind.cut(samples), ~has)
    rows = np.flatnonzero(has)
    parts = kind.cut(samples[rows])
    names, where = parts.names, parts.where
    if len(names) > 1 or (len(rows) == 1 and where.dtype == object):
        own = dict(zip(rows.tolist(), names, strict=True))
        names = tuple(own.get(row, ()) for row in range(len(has)))
    if where.dtype == object:
        everyone = np.empty(len(has), dtype=object)
        everyone[rows] = where
        where = everyone
    return Parts(names=names, where=where)


def _emptied(parts: Parts, lacking: np.ndarray) -> Parts:
    """The parts, of which these patients have none, where each has their own."""
    if len(parts.names) == 1:
        return parts
    where = parts.where.copy()
    where[lacking] = -1
    return Parts(
        names=tuple(() if gone else names for gone, names in zip(lacking, parts.names, strict=True)), where=where
    )


def _as_said(name: str, said: Any, known: np.ndarray) -> np.ndarray:
    """Who has a modality by `present=`, which must not contradict its samples."""
    found = np.asarray(said)
    if found.shape != known.shape or found.dtype != bool:
        raise InputError(
            f"present[{name!r}]: expected True or False for each of the {len(known)} patients, came {found.dtype} of shape {found.shape}; give an array of bool."
        )
    odd = found & ~known
    if odd.any():
        raise InputError(
            f"modality {name!r}: present says that patient {int(np.argmax(odd))} has it, expected a sample, and it is None; make both agree, or leave present out."
        )
    return found


def _require_something(inputs: Mapping[str, Any], has: Mapping[str, np.ndarray]) -> None:
    """Refuse patients who have no modality at all."""
    counts = {name: len(known) for name, known in has.items()}
    if len(set(counts.values())) > 1:
        raise InputError(
            f"inputs: the modalities hold different numbers of samples ({', '.join(f'{name!r}: {count}' for name, count in counts.items())}); row k of each must be the same patient."
        )
    if len(has) < len(inputs):
        return
    nothing = ~np.logical_or.reduce(list(has.values()))
    if nothing.any():
        raise InputError(
            f"patient {int(np.argmax(nothing))} has none of the modalities {listed(inputs)}; leave such patients out ({int(nothing.sum())} in all)."
        )


def _count(name: str, values: Any) -> int:
    """The number of samples."""
    if not isinstance(values, Mapping):
        return len(values)
    counts = [len(member) for member in values.values()]
    if len(set(counts)) > 1:
        raise InputError(
            f"modality {name!r}: its members {listed(values)} hold {listed(counts)} samples; row k of each must be the same patient."
        )
    return counts[0]
