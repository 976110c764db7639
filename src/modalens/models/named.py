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


class _Named(nn.Module):
    """A named submodule of the copy; where several modalities name the same one, its k-th call is the k-th of them."""

    def __init__(self, original: nn.Module, names: tuple[str, ...], script: _Script) -> None:
        super().__init__()
        self.original, self.names, self.script = original, names, script

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        path = self.names[0]
        call = self.script.called.get(path, 0)
        self.script.called[path] = call + 1
        name = self.names[min(call, len(self.names) - 1)]
        if name == self.script.asked:
            self.script.said = self.original(*args, **kwargs)
            raise _Reached
        if name not in self.script.given:
            raise _Unknown
        return self.script.given[name]


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
        self, model: nn.Module, few: Mapping[str, Tensor], encoders: Mapping[str, str], with_inputs: bool
    ) -> None:
        self.encoders, self.with_inputs = encoders, with_inputs
        self.rows = {name: values[:2] for name, values in few.items()}
        self.script = _Script()
        self.shadow = _shadow(model, encoders, self.script)
        self.known: dict[str, Any] = {}
        """What every named submodule says of two rows: stands in where its output does not matter."""
        self._ask_in_order()
        self.structures = {name: pytree.tree_structure(said) for name, said in self.known.items()}

    def encode(self, name: str, samples: Tensor) -> Encodings:
        """What a modality's submodule says of these samples; the samples themselves where none is named."""
        if name not in self.encoders:
            return (samples,)
        said = tuple(pytree.tree_leaves(self._ask(name, samples)))
        return (*said, samples) if self.with_inputs else said

    def head(self, encodings: Mapping[str, Encodings]) -> Any:
        """The model's output, with these encodings for what the named submodules say."""
        rows = len(next(iter(encodings.values()))[0])
        seen = {
            name: encodings[name][-1] if self.with_inputs or name not in self.encoders else _repeated(values, rows)
            for name, values in self.rows.items()
        }
        # Copies: the forward may write into what it is given.
        given = {
            name: pytree.tree_unflatten([one.clone() for one in encodings[name][: structure.num_leaves]], structure)
            for name, structure in self.structures.items()
        }
        self._prepare(asked=None, given=given)
        return self.shadow(**seen)

    def _ask(self, name: str, samples: Tensor) -> Any:
        """What the submodule named for a modality says, while the others say what they are known to."""
        rows = len(samples)
        self._prepare(asked=name, given={other: _repeated(said, rows) for other, said in self.known.items()})
        inputs = {other: samples.clone() if other == name else _repeated(one, rows) for other, one in self.rows.items()}
        try:
            self.shadow(**inputs)
        except _Reached:
            return self.script.said
        raise NotSeparable(f"its forward does not call {self.encoders[name]!r} for modality {name!r}")

    def _ask_in_order(self) -> None:
        """What every submodule says, in the order in which the forward calls them: what comes before one must be known
        when it is asked.
        """
        waiting = list(self.encoders)
        while waiting:
            for name in waiting:
                try:
                    said = self._ask(name, self.rows[name])
                except _Unknown:
                    continue
                self._require_rows(name, said)
                self.known[name] = said
                waiting.remove(name)
                break
            else:
                raise NotSeparable(f"its forward does not call the submodules named for {listed(waiting)}")

    def _require_rows(self, name: str, said: Any) -> None:
        rows = len(self.rows[name])
        for leaf in pytree.tree_leaves(said):
            if not isinstance(leaf, Tensor) or leaf.dim() == 0 or len(leaf) != rows:
                came = f"a tensor of shape {tuple(leaf.shape)}" if isinstance(leaf, Tensor) else type(leaf).__name__
                raise NotSeparable(
                    f"{self.encoders[name]!r}, named for modality {name!r}, says {came} for {rows} patients, and the first axis must be the patient; name a submodule around it"
                )

    def _prepare(self, *, asked: str | None, given: Mapping[str, Any]) -> None:
        script = self.script
        script.asked, script.given, script.said, script.called = asked, dict(given), None, {}


def from_names(
    model: nn.Module, few: Mapping[str, Tensor], encoders: Mapping[str, str], *, with_inputs: bool = False
) -> FusionPoint:
    """The fusion point at the outputs of the named submodules; modalities without one enter the head as they are.
    `with_inputs` lets the head see a named modality's samples too, such as token ids that tell what is padding.

    Raises NotSeparable where a submodule is not called once for each modality that names it, or says no tensors with
    the patient in front.
    """
    shadowed = _Shadowed(model, few, encoders, with_inputs)
    own = {id(parameter) for path in encoders.values() for parameter in model.get_submodule(path).parameters()}
    return FusionPoint(
        encoders={
            name: Encoder(
                widths=tuple(tuple(leaf.shape[1:]) for leaf in pytree.tree_leaves(shadowed.known.get(name, values))),
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


def at_inputs(model: nn.Module, few: Mapping[str, Tensor]) -> FusionPoint:
    """The inputs themselves as the fusion point, whole numbers at the embedding that they are looked up in.

    Raises NotSeparable for whole numbers that no embedding takes as they are.
    """
    embeddings = _embeddings(model, few)
    missing = [name for name, values in few.items() if not values.is_floating_point() and name not in embeddings]
    if missing:
        raise NotSeparable(
            f"modality {listed(missing)} is whole numbers, and no nn.Embedding of the model is called with them as they are"
        )
    return from_names(model, few, embeddings, with_inputs=True)


def _embeddings(model: nn.Module, few: Mapping[str, Tensor]) -> dict[str, str]:
    """The path of the embedding that takes each modality of whole numbers."""
    found: dict[str, str] = {}
    tokens = {name: values for name, values in few.items() if not values.is_floating_point()}
    paths = [path for path, module in model.named_modules() if isinstance(module, nn.Embedding)]
    if tokens and paths:
        shadow = evaluation_copy(model)
        for path in paths:
            shadow.set_submodule(path, _Watched(shadow.get_submodule(path), path, tokens, found))
        shadow(**few)
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
