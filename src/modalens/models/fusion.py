"""The fusion point of a torch model: one encoder a modality, and the head that combines what they say.

It is found in the model's exported graph, or at submodules that the user names, and believed only after it has agreed
with the whole model on a few rows, also on rows whose modalities come from different patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from modalens.models import rows
from modalens.models.calling import Calling
from modalens.models.first_layer import FirstLayer, first_layer
from modalens.models.graph import Cut, cut

Encodings = tuple[Tensor, ...]
"""What one modality's encoder says of some rows: the tensors that cross the fusion point, first axis the row."""

FEW = 4
"""Rows on which a split is compared with the whole model."""

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
"""Largest difference between split and whole, as a share of the output's scale; half precision has three digits."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """What one modality goes through before it meets the others. Call it with rows of that modality, as the model
    takes them, for the tensors that cross the fusion point.

    `widths` are their shapes without the row, `parameters` the numbers that it learned, `operations` the steps of its
    graph: 0 where the modality enters the head as it is. No widths: the model ignores the modality.
    """

    widths: tuple[tuple[int, ...], ...]
    parameters: int
    operations: int
    run: Callable[[Any], Encodings] = field(repr=False)

    def __call__(self, samples: Any) -> Encodings:
        return self.run(samples)


@dataclass(frozen=True, kw_only=True)
class Head:
    """What combines the modalities. Call it with the encodings of the same rows, by modality, for the model's output
    as it comes.
    """

    parameters: int
    operations: int
    run: Callable[[Mapping[str, Encodings]], Any] = field(repr=False)

    def __call__(self, encodings: Mapping[str, Encodings]) -> Any:
        return self.run(encodings)


@dataclass(frozen=True, kw_only=True)
class FusionPoint:
    """Where the modalities of a model meet. `print` shows it.

    encoders : modality -> `Encoder`; empty where the model could not be split.
    head : `Head`, or None where it could not be split.
    exact : whether encoders and head together gave what the whole model gives, on a few rows as they are and with
        modalities of different patients; nothing is kept between evaluations unless they did.
    difference : the largest difference, as a share of the output's scale.
    source : "graph" (the exported graph), "names" (submodules that were named), or "none".
    reason : why there is no split that could be used; empty where there is one.
    where : the line of the model's code that stands in its way, `network.py:12`, where an error told it.
    batch : rows a call that were found fastest, by modality and for the "head".
    check_rows : rows of the whole model that this took.
    """

    encoders: Mapping[str, Encoder]
    head: Head | None
    exact: bool
    difference: float
    source: Literal["graph", "names", "none"]
    reason: str = ""
    where: str = ""
    batch: Mapping[str, int] = field(default_factory=dict)
    tolerance: float = 0.0
    """The largest difference that was allowed."""
    check_rows: int = 0
    real: bool = True
    """Whether every modality crosses in real numbers, so that gradients can be taken there."""
    first_layer: FirstLayer | None = field(default=None, repr=False)

    @property
    def head_parameters(self) -> int:
        """The numbers that the head learned."""
        return 0 if self.head is None else self.head.parameters

    def table(self) -> Table:
        """Encoders and head, with their parameters and what crosses between them."""
        shown = Table(
            "", "crosses the fusion point", "parameters", "operations", "rows a call", title=Text(self._title())
        )
        shown.title_justify = "left"
        for name, encoder in self.encoders.items():
            crosses = ", ".join("x".join(map(str, width)) or "1" for width in encoder.widths)
            note = "" if encoder.operations else " (enters the head as it is)"
            shown.add_row(
                f"encoder of {name}",
                crosses + note if encoder.widths else "nothing: the model ignores it",
                f"{encoder.parameters:,}",
                f"{encoder.operations}",
                f"{self.batch.get(name, '')}",
            )
        if self.head is not None:
            shown.add_row(
                "head", "", f"{self.head.parameters:,}", f"{self.head.operations}", f"{self.batch.get('head', '')}"
            )
        return shown

    def _title(self) -> str:
        if self.source == "none":
            return f"No fusion point was found: {self.reason}"
        where = "in the model's exported graph" if self.source == "graph" else "at the submodules named"
        agreement = f"agrees with the whole model to {self.difference:.1g} of the output's scale"
        split = "; the head's first layer is split by modality" if self.first_layer is not None else ""
        return f"Fusion point, found {where}; {agreement}{split}" if self.exact else f"Not used: {self.reason}"

    def __str__(self) -> str:
        console = Console(width=120, force_terminal=False, no_color=True, markup=False)
        with console.capture() as captured:
            console.print(self.table() if self.encoders else self._title())
        return captured.get()


def none_found(reason: str, check_rows: int = 0, where: str = "") -> FusionPoint:
    """The answer for a model that can't be split, and why."""
    return FusionPoint(
        encoders={},
        head=None,
        exact=False,
        difference=float("nan"),
        source="none",
        reason=reason,
        where=where,
        check_rows=check_rows,
    )


def from_graph(model: nn.Module, calling: Calling, few: Mapping[str, Any]) -> FusionPoint:
    """The fusion point in the model's exported graph, not compared yet. Raises NotSeparable."""
    found = cut(model, calling, few)
    crossing = [name for name, widths in found.widths.items() for _ in widths]

    def run_head(encodings: Mapping[str, Encodings]) -> Any:
        taken = {name: iter(tensors) for name, tensors in encodings.items()}
        return pytree.tree_unflatten(list(found.head(*(next(taken[name]) for name in crossing))), found.structure)

    return FusionPoint(
        encoders={
            name: Encoder(
                widths=found.widths[name],
                parameters=_parameters(found, name),
                operations=_operations(found, name),
                run=partial(_run, found.encoders[name]) if name in found.encoders else _nothing,
            )
            for name in found.widths
        },
        head=Head(parameters=parameter_count(found.head), operations=_steps(found.head), run=run_head),
        exact=False,
        difference=float("nan"),
        source="graph",
        first_layer=first_layer(found),
    )


def _run(encoder: nn.Module, samples: Any) -> Encodings:
    return tuple(encoder(*rows.tensors(samples)))


def _nothing(samples: Any) -> Encodings:
    return ()


def _parameters(found: Cut, name: str) -> int:
    return parameter_count(found.encoders[name]) if name in found.encoders else 0


def _operations(found: Cut, name: str) -> int:
    return _steps(found.encoders[name]) if name in found.encoders else 0


def parameter_count(module: nn.Module) -> int:
    """The numbers that a module has learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def _steps(module: torch.fx.GraphModule) -> int:
    return sum(node.op.startswith("call") for node in module.graph.nodes)


def disagreement(point: FusionPoint, whole: Callable[[Mapping[str, Any]], Any], few: Mapping[str, Any]) -> float:
    """The largest difference between the split and the whole model, as a share of the output's scale: on these rows,
    on rows whose modalities come from different patients, and on a single row.

    Runs 2 n + 1 rows of the whole model for n rows.
    """
    assert point.head is not None
    number = rows.count(next(iter(few.values())))
    encodings = {name: point.encoders[name](few[name]) for name in few}
    one = {name: rows.first(values, 1) for name, values in few.items()}
    alone = {name: point.encoders[name](values) for name, values in one.items()}
    rolled = {name: torch.roll(torch.arange(number), place) for place, name in enumerate(few)}
    mixed = {name: tuple(one[rolled[name]] for one in encodings[name]) for name in few}
    return max(
        _difference(point.head(encodings), whole(few)),
        _difference(point.head(mixed), whole({name: rows.take(values, rolled[name]) for name, values in few.items()})),
        _difference(point.head(alone), whole(one)),
    )


def _difference(found: Any, expected: Any) -> float:
    """The largest difference of two outputs, tensor by tensor, as a share of the tensor's scale."""
    ours, theirs = ([leaf for leaf in pytree.tree_leaves(one) if isinstance(leaf, Tensor)] for one in (found, expected))
    if len(ours) != len(theirs) or any(one.shape != other.shape for one, other in zip(ours, theirs, strict=True)):
        return float("inf")
    differences = [
        float((one.double() - other.double()).abs().max() / other.double().abs().max().clamp(min=1e-12))
        for one, other in zip(ours, theirs, strict=True)
        if one.numel()
    ]
    return float("inf") if any(value != value for value in differences) else max(differences, default=0.0)


def tolerance(point_dtype: torch.dtype) -> float:
    """How far split and whole may lie apart."""
    return TOLERANCE.get(point_dtype, 1e-2)
