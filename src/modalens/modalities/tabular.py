"""Tables: a column a part, or named groups of columns such as the one-hot block of one attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from modalens.errors import InputError, listed, nearest
from modalens.modalities.arrays import blocks_for, columns_outside, grid
from modalens.modalities.base import (
    Container,
    Modality,
    Parts,
    close_container,
    most_frequent,
    open_container,
    require_dimensions,
    require_finite,
    scaled_distances,
)


@dataclass(frozen=True, kw_only=True)
class Tabular(Modality):
    """A table: an array (samples, columns), one number a sample (samples,), or a DataFrame, also with categories and
    text in its columns.

    `groups` maps a name to the columns, by name or position, that are one part (an attribute's one-hot block); the
    other columns are a part each. `columns` names an array's columns.
    """

    groups: Mapping[str, Sequence[str | int]] | None = None
    columns: tuple[str, ...] | None = None

    @property
    def noun(self) -> str:
        return "part" if self.groups else "column"

    def resolve(self, name: str, samples: Any) -> Self:
        container, values = open_container(samples)
        require_dimensions(name, "Tabular", values, (1, 2), "(samples, columns), or one number a sample")
        width = 1 if values.ndim == 1 else values.shape[1]
        given = [str(column) for column in container.columns] if container.kind == "DataFrame" else None
        columns = tuple(given or self.columns or ([name] if width == 1 else [f"column {i}" for i in range(width)]))
        if len(columns) != width or len(set(columns)) != width:
            raise InputError(
                f"modality {name!r}: expected {width} different column names, came {len(columns)} ({len(set(columns))} different); give columns= one name a column."
            )
        if self.columns is not None and tuple(self.columns) != columns:
            raise InputError(
                f"modality {name!r}: its columns are {listed(columns[:6])}..., expected {listed(self.columns[:6])}...; reorder or rename them."
            )
        resolved = replace(self, columns=columns, container=replace(container, flat=values.ndim == 1))
        resolved._part_of_column(name)
        return resolved

    def canonical(self, name: str, samples: Any) -> np.ndarray:
        container, values = open_container(samples)
        require_dimensions(name, "Tabular", values, (1, 2), "(samples, columns), or one number a sample")
        values = values[:, None] if values.ndim == 1 else values
        self._require_same_columns(name, container, values)
        require_finite(name, values)
        return values

    def unchecked(self, samples: Any) -> np.ndarray:
        values = super().unchecked(samples)
        return values[:, None] if values.ndim == 1 else values

    def _require_same_columns(self, name: str, container: Container, values: np.ndarray) -> None:
        """Refuse a table of other columns or types than the explained one: given back as that one, its values would
        change.
        """
        known = self.container
        if container.kind == known.kind == "DataFrame" and list(container.columns) != list(known.columns):
            raise InputError(
                f"modality {name!r}: its columns are {listed(list(container.columns)[:6])}..., expected those of the explained samples in their order, "
                f"{listed(list(known.columns)[:6])}...; select and reorder them."
            )
        if known.kind not in ("DataFrame", "Series"):
            return
        for column, expected, came in zip(
            self.columns or (), _types(known, values), _types(container, values), strict=False
        ):
            floats = pd.api.types.is_float_dtype(expected) and pd.api.types.is_float_dtype(came)
            if expected != came and not floats:
                raise InputError(
                    f"modality {name!r}: its column {column!r} is of type {_type_text(came)}, expected {_type_text(expected)} as in the explained samples; prepare both in the same way."
                )

    def restore(self, samples: np.ndarray) -> Any:
        return close_container(self.container, samples[:, 0] if self.container.flat else samples)

    def distances(self, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        if samples.dtype == object:
            both = pd.get_dummies(pd.DataFrame(np.concatenate([samples, background])).infer_objects()).to_numpy(
                dtype=float
            )
            samples, background = both[: len(samples)], both[len(samples) :]
        return scaled_distances(samples, background)

    def cut(self, samples: np.ndarray) -> Parts:
        assert self.columns is not None, "a Tabular is resolved before it is cut"
        names, part_of_column = self._part_of_column("")
        if self.parts is not None:
            run, edges = grid([len(names)], blocks_for(self.parts, [len(names)]))
            part_of_column = run[part_of_column]
            names = tuple(
                names[start] if stop - start == 1 else f"{names[start]} .. {names[stop - 1]}"
                for ((start, stop),) in edges
            )
        return Parts(names=(names,), where=part_of_column[None])

    def _part_of_column(self, name: str) -> tuple[tuple[str, ...], np.ndarray]:
        """The parts' names in the order of their first column, and the part of each column."""
        assert self.columns is not None
        owner: dict[int, str] = {}
        for group, members in (self.groups or {}).items():
            if isinstance(members, str | int):
                members = [members]
            if not len(members):
                raise InputError(
                    f"modality {name!r}: group {group!r} has no columns; leave it out or give at least one."
                )
            for member in members:
                position = self._position(name, group, member)
                if position in owner:
                    raise InputError(
                        f"modality {name!r}: column {self.columns[position]!r} is in the groups {owner[position]!r} and {group!r}; every column belongs to one part: leave it in one of them."
                    )
                owner[position] = group
        labels = [owner.get(position, column) for position, column in enumerate(self.columns)]
        clash = set(owner.values()) & {column for position, column in enumerate(self.columns) if position not in owner}
        if clash:
            raise InputError(
                f"modality {name!r}: {listed(sorted(clash))} names both a group and a column outside it; rename the group."
            )
        names = tuple(dict.fromkeys(labels))
        return names, np.array([names.index(label) for label in labels], dtype=np.int32)

    def _position(self, name: str, group: str, member: str | int) -> int:
        assert self.columns is not None
        if isinstance(member, str):
            if member not in self.columns:
                raise InputError(
                    f"modality {name!r}: group {group!r} names the column {member!r}, which is not there{nearest(member, self.columns)}."
                )
            return self.columns.index(member)
        if not 0 <= int(member) < len(self.columns):
            raise InputError(
                f"modality {name!r}: group {group!r} names column {member}, and there are {len(self.columns)}; give positions from 0 to {len(self.columns) - 1}, or names."
            )
        return int(member)

    def mean(self, background: np.ndarray) -> np.ndarray:
        """Means of numbers (rounded where they are whole numbers), the most frequent value of categories, truth
        values and text.
        """
        types = self._column_types(background)
        fills = [
            _as_type(column.astype(float).mean(), of) if _is_number(of) else most_frequent(column)[0]
            for column, of in zip(background.T, types, strict=True)
        ]
        return np.array([fills], dtype=background.dtype)

    def mode(self, background: np.ndarray) -> np.ndarray:
        return most_frequent(background)

    def constant(self, samples: np.ndarray, value: Any) -> np.ndarray:
        if np.ndim(value) and np.shape(value) != samples.shape[1:]:
            raise InputError(
                f"Constant of shape {np.shape(value)} for a table of {samples.shape[1]} columns: give one number, or one a column."
            )
        row = np.broadcast_to(np.array(value, dtype=object), samples.shape[1:])
        types = self._column_types(samples)
        unfit = [column for column, one, of in zip(self.columns or (), row, types, strict=True) if not _fits(one, of)]
        if unfit:
            raise InputError(
                f"its columns {listed(unfit[:6])} hold categories or text, and {value!r} is no value of theirs. Give a value for each column, Constant(value=[...]), "
                "or use 'mean' (their most frequent value), 'mode' or 'background'."
            )
        return np.array([[_as_type(one, of) for one, of in zip(row, types, strict=True)]], dtype=samples.dtype)

    def outside(self, fill: np.ndarray, background: np.ndarray) -> float:
        if background.dtype != object:
            return columns_outside(fill, background)
        types = self._column_types(background)
        shares = [
            columns_outside(column.astype(float), seen.astype(float))
            if _is_number(of)
            else float(np.mean([value not in set(seen) for value in column]))
            for column, seen, of in zip(fill.T, background.T, types, strict=True)
        ]
        return float(np.mean(shares))

    def _column_types(self, values: np.ndarray) -> list[Any]:
        """The type of each column: as it came, or found by its values where it came as objects."""
        return [
            pd.Series(column).infer_objects().dtype if pd.api.types.is_object_dtype(of) else of
            for column, of in zip(values.T, _types(self.container, values), strict=True)
        ]


def _types(container: Container, values: np.ndarray) -> list[Any]:
    """The type of each column of a table (samples, columns) that came in this container."""
    match container.kind:
        case "DataFrame":
            return list(container.dtype)
        case "Series":
            return [container.dtype]
        case _:
            return [values.dtype] * values.shape[1]


def _type_text(of: Any) -> str:
    return f"category ({', '.join(map(str, of.categories))})" if isinstance(of, pd.CategoricalDtype) else str(of)


def _is_number(of: Any) -> bool:
    return pd.api.types.is_numeric_dtype(of) and not pd.api.types.is_bool_dtype(of)


def _as_type(value: Any, of: Any) -> Any:
    """A value of a column of this type: whole numbers are rounded, not cut off."""
    return int(np.rint(value)) if pd.api.types.is_integer_dtype(of) else value


def _fits(value: Any, of: Any) -> bool:
    """Whether a column of this type can hold the value."""
    if isinstance(of, pd.CategoricalDtype):
        return value in of.categories
    number = isinstance(value, int | float | np.number | np.bool_)
    return number if _is_number(of) or pd.api.types.is_bool_dtype(of) else isinstance(value, str)
