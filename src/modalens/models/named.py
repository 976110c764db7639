"""Encoders that the user names, `{"ct": "backbone"}`, for models whose graph can't be exported.

The model's own forward is run, on a copy of the module tree in evaluation mode that shares all parameters, in which each named submodule
either stops the run and hands out what it said (an encoder), or says what it is given (the head). The user's model is
not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from modalens.errors import InputError, listed, nearest
from modalens.models import rows
from modalens.models.calling import Calling
from modalens.models.fusion import Encoder, Encodings, FusionPoint, Head, parameter_count
from modalens.models.graph import NotSeparable
from modalens.models.modes import evaluation_copy


class _Unknown(Exception):
    """A named submodule was called of which nothing is known yet: it comes before the one that was asked."""


class _Reached(Exception):
    """A named submodule has said what was asked for; the rest of the forward is not run."""


@dataclass
class _Script:
    """What the named submodules do in the run that is under way."""

    asked: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    said: Any = None
    called: dict[str, int] = field(default_factory=dict)
    counting: bool = False
    """Whether they do what they always do, and their calls are counted."""


class _Each(list[Any]):
    """What a submodule says of one patient after the other, where it is called once for each."""


class _Named(nn.Module):
    """A named submodule of the copy; where several modalities name the same one, its k-th call is the k-th of them."""

    def __init__(self, original: nn.Module, names: tuple[str, ...], script: _Script) -> None:
        super().__init__()
        self.original, self.names, self.script = original, names, script

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        call = self.script.called.get(self.names[0], 0)
        self.script.called[self.names[0]] = call + 1
        if self.script.counting:
            return self.original(*args, **kwargs)
        name = self.names[min(call, len(self.names) - 1)]
        if name == self.script.asked:
            self.script.said = self.original(*args, **kwargs)
            raise _Reached
        if name not in self.script.given:
            raise _Unknown
        given = self.script.given[name]
        return given.pop(0) if isinstance(given, _Each) else given


def named_submodules(model: nn.Module, encoders: Mapping[str, str], modalities: tuple[str, ...]) -> None:
    """Refuse names that are no modality, and paths that are no submodule."""
    unknown = [name for name in encoders if name not in modalities]
    if unknown or not encoders:
        raise InputError(
            f"encoders names {listed(unknown) if unknown else 'nothing'}, and the modalities are {listed(modalities)}"
            f"{nearest(unknown[0], modalities) if unknown else ''}: give modality -> submodule, such as {{{modalities[0]!r}: 'backbone'}}."
        )
    known = {path for path, _ in model.named_modules() if path}
    for name, path in encoders.items():
        if path not in known:
            raise InputError(
                f"encoders[{name!r}]={path!r} is no submodule of {type(model).__name__}{nearest(str(path), known)}: "
                f"it has {listed(sorted(known, key=lambda one: (one.count('.'), one))[:12])}; model.named_modules() lists all."
            )


class _Shadowed:
    """Encoders and head by running a model's own forward on its shadow."""

    def __init__(
        self, model: nn.Module, calling: Calling, few: Mapping[str, Any], encoders: Mapping[str, str], with_inputs: bool
    ) -> None:
        self.calling, self.encoders, self.with_inputs = calling, encoders, with_inputs
        self.rows = {name: rows.first(values, 2) for name, values in few.items()}
        self.script = _Script()
        self.shadow = _shadow(model, encoders, self.script)
        self.by_patient = self._called_by_patient()
        """Modalities whose submodule is called once for each patient, as where a forward goes from bag to bag."""
        self.known: dict[str, Any] = {}
        """What every named submodule says of two rows (of one patient): stands in where its output does not matter."""
        self._ask_in_order()
        self.structures = {name: pytree.tree_structure(said) for name, said in self.known.items()}

    def encode(self, name: str, samples: Any) -> Encodings:
        """What a modality's submodule says of these samples; the samples themselves where none is named."""
        if name not in self.encoders:
            return tuple(rows.tensors(samples))
        if name in self.by_patient:
            each = [self._ask(name, rows.take(samples, torch.tensor([row]))) for row in range(rows.count(samples))]
            leaves = zip(*map(pytree.tree_leaves, each), strict=True)
            said = tuple(torch.stack(list(leaf)) for leaf in leaves)
        else:
            said = tuple(pytree.tree_leaves(self._ask(name, samples)))
        return (*said, *rows.tensors(samples)) if self.with_inputs else said

    def head(self, encodings: Mapping[str, Encodings]) -> Any:
        """The model's output, with these encodings for what the named submodules say."""
        number = len(next(iter(encodings.values()))[0])
        seen = {
            name: rows.like(values, encodings[name][-len(rows.tensors(values)) :])
            if self.with_inputs or name not in self.encoders
            else rows.repeated(values, number)
            for name, values in self.rows.items()
        }
        given = {name: self._given(name, encodings[name], number) for name in self.structures}
        self._prepare(asked=None, given=given)
        return self.calling(self.shadow, seen)

    def _given(self, name: str, encoding: Encodings, number: int) -> Any:
        """What a named submodule says, made of its encodings; copies, since the forward may write into it."""
        structure = self.structures[name]
        leaves = [one.clone() for one in encoding[: structure.num_leaves]]
        if name not in self.by_patient:
            return pytree.tree_unflatten(leaves, structure)
        return _Each(pytree.tree_unflatten([one[row] for one in leaves], structure) for row in range(number))

    def _ask(self, name: str, samples: Any) -> Any:
        """What the submodule named for a modality says, while the others say what they are known to."""
        number = rows.count(samples)
        given = {
            other: _Each(pytree.tree_map(torch.clone, said) for _ in range(number))
            if other in self.by_patient
            else _repeated(said, number)
            for other, said in self.known.items()
        }
        self._prepare(asked=name, given=given)
        inputs = {
            other: rows.copied(samples) if other == name else rows.repeated(one, number)
            for other, one in self.rows.items()
        }
        try:
            self.calling(self.shadow, inputs)
        except _Reached:
            return self.script.said
        raise NotSeparable(f"its forward does not call {self.encoders[name]!r} for modality {name!r}")

    def _called_by_patient(self) -> frozenset[str]:
        """Which modalities' submodules are called as often as there are patients: seen with one and with two."""
        paths = list(self.encoders.values())
        alone = [name for name, path in self.encoders.items() if paths.count(path) == 1]
        if self.calling.one_by_one:
            return frozenset(alone)
        most = max(rows.count(values) for values in self.rows.values())
        if most < 2 or not alone:
            return frozenset()
        calls = []
        for number in (1, 2):
            self._prepare(asked=None, given={})
            self.script.counting = True
            self.calling(
                self.shadow, {name: rows.copied(rows.first(values, number)) for name, values in self.rows.items()}
            )
            self.script.counting = False
            calls.append(dict(self.script.called))
        once, twice = calls
        return frozenset(name for name in alone if once.get(name) == 1 and twice.get(name) == 2)

    def _ask_in_order(self) -> None:
        """What every submodule says, in the order in which the forward calls them: what comes before one must be known
        when it is asked.
        """
        waiting = list(self.encoders)
        while waiting:
            for name in waiting:
                try:
                    said = self._ask(name, rows.first(self.rows[name], 1 if name in self.by_patient else 2))
                except _Unknown:
                    continue
                self._require_rows(name, said)
                self.known[name] = said
                waiting.remove(name)
                break
            else:
                raise NotSeparable(f"its forward does not call the submodules named for {listed(waiting)}")

    def _require_rows(self, name: str, said: Any) -> None:
        number = rows.count(self.rows[name])
        for leaf in pytree.tree_leaves(said):
            fits = isinstance(leaf, Tensor) and (name in self.by_patient or (leaf.dim() > 0 and len(leaf) == number))
            if not fits:
                came = f"a tensor of shape {tuple(leaf.shape)}" if isinstance(leaf, Tensor) else type(leaf).__name__
                raise NotSeparable(
                    f"{self.encoders[name]!r}, named for modality {name!r}, says {came} for {number} patients, and the first axis must be the patient; name a submodule around it"
                )

    def _prepare(self, *, asked: str | None, given: Mapping[str, Any]) -> None:
        script = self.script
        script.asked, script.given, script.said, script.called = asked, dict(given), None, {}


def from_names(
    model: nn.Module,
    calling: Calling,
    few: Mapping[str, Any],
    encoders: Mapping[str, str],
    *,
    with_inputs: bool = False,
) -> FusionPoint:
    """The fusion point at the outputs of the named submodules; modalities without one enter the head as they are.
    `with_inputs` lets the head see a named modality's samples too, such as token ids that tell what is padding.

    Raises NotSeparable where a submodule is not called once for each modality that names it, or says no tensors with
    the patient in front.
    """
    shadowed = _Shadowed(model, calling, few, encoders, with_inputs)
    own = {id(parameter) for path in encoders.values() for parameter in model.get_submodule(path).parameters()}
    return FusionPoint(
        encoders={
            name: Encoder(
                widths=_widths(shadowed, name, values),
                parameters=parameter_count(model.get_submodule(encoders[name])) if name in encoders else 0,
                operations=int(name in encoders),
                run=partial(shadowed.encode, name),
            )
            for name, values in few.items()
        },
        head=Head(
            parameters=sum(one.numel() for one in model.parameters() if id(one) not in own),
            operations=1,
            run=shadowed.head,
        ),
        exact=False,
        difference=float("nan"),
        source="names",
    )


def _widths(shadowed: _Shadowed, name: str, values: Any) -> tuple[tuple[int, ...], ...]:
    said = pytree.tree_leaves(shadowed.known[name]) if name in shadowed.known else rows.tensors(values)
    return tuple(tuple(leaf.shape if name in shadowed.by_patient else leaf.shape[1:]) for leaf in said)


def at_inputs(model: nn.Module, calling: Calling, few: Mapping[str, Any]) -> FusionPoint:
    """The inputs themselves as the fusion point, whole numbers at the embedding that they are looked up in.

    Raises NotSeparable for whole numbers that no embedding takes as they are, and for samples that differ in length.
    """
    uneven = [name for name, values in few.items() if not rows.of_one_shape(values)]
    if uneven:
        raise NotSeparable(f"the samples of modality {listed(uneven)} differ in length")
    leading = {name: rows.tensors(values)[0] for name, values in few.items()}
    embeddings = _embeddings(model, calling, few, leading)
    missing = [name for name, values in leading.items() if not values.is_floating_point() and name not in embeddings]
    if missing:
        raise NotSeparable(
            f"modality {listed(missing)} is whole numbers, and no nn.Embedding of the model is called with them as they are"
        )
    return from_names(model, calling, few, embeddings, with_inputs=True)


def _embeddings(
    model: nn.Module, calling: Calling, few: Mapping[str, Any], leading: Mapping[str, Tensor]
) -> dict[str, str]:
    """The path of the embedding that takes each modality of whole numbers."""
    found: dict[str, str] = {}
    tokens = {name: values for name, values in leading.items() if not values.is_floating_point()}
    paths = [path for path, module in model.named_modules() if isinstance(module, nn.Embedding)]
    if tokens and paths:
        shadow = evaluation_copy(model)
        for path in paths:
            shadow.set_submodule(path, _Watched(shadow.get_submodule(path), path, tokens, found))
        calling(shadow, few)
    return found


class _Watched(nn.Module):
    """An embedding that tells which modality it was called with."""

    def __init__(self, original: nn.Module, path: str, tokens: Mapping[str, Tensor], found: dict[str, str]) -> None:
        super().__init__()
        self.original, self.path, self.tokens, self.found = original, path, tokens, found

    def forward(self, ids: Tensor) -> Tensor:
        for name, values in self.tokens.items():
            if ids.shape == values.shape and torch.equal(ids, values):
                self.found.setdefault(name, self.path)
        return self.original(ids)


def _repeated(said: Any, rows: int) -> Any:
    """The first row as often as asked for; its own memory, since the forward may write into it."""
    return pytree.tree_map_only(Tensor, lambda one: one[:1].repeat(rows, *[1] * (one.dim() - 1)), said)


def _shadow(model: nn.Module, encoders: Mapping[str, str], script: _Script) -> nn.Module:
    """A copy of the model with its named submodules in the script's hands."""
    shadow = evaluation_copy(model)
    for path in dict.fromkeys(encoders.values()):
        names = tuple(name for name, other in encoders.items() if other == path)
        shadow.set_submodule(path, _Named(shadow.get_submodule(path), names, script))
    return shadow
