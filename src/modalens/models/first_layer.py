"""A head that begins with a linear layer over a concatenation: its products, one a modality, can be formed once for
each encoding.

    W [h_1, ..., h_M] + b = sum_i W_i h_i + b

So for every coalition only M vectors are added before the layer that follows. A head that begins by adding the
encodings is the same with W_i = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from modalens.models.graph import Cut, reads_batch

CAT, LINEAR = torch.ops.aten.cat.default, torch.ops.aten.linear.default


@dataclass(frozen=True, kw_only=True)
class FirstLayer:
    """The first layer's weights by modality (None where encodings are added as they are), its bias, and the rest of
    the head, which takes the sum.
    """

    weights: Mapping[str, Tensor | None]
    bias: Tensor | None
    rest: fx.GraphModule
    structure: pytree.TreeSpec

    def output(self, total: Tensor) -> Any:
        """The model's output, from the first layer's."""
        return pytree.tree_unflatten(list(self.rest(total)), self.structure)

    def total(self, encodings: Mapping[str, tuple[Tensor, ...]]) -> Tensor:
        """sum_i W_i h_i + b, of the same rows of all modalities."""
        products = [self.product(name, tensors[0]) for name, tensors in encodings.items() if tensors]
        return torch.stack(products).sum(0)

    def product(self, name: str, encoding: Tensor) -> Tensor:
        """W_i h_i; the bias goes with the first modality, which stands in every sum once."""
        weight = self.weights[name]
        bias = self.bias if name == next(iter(self.weights)) else None
        if weight is None:
            return encoding
        return torch.nn.functional.linear(encoding, weight, bias)


def first_layer(cut: Cut) -> FirstLayer | None:
    """The first layer of the head, if all that crosses the fusion point goes through one."""
    starts = [node for node in cut.head.graph.nodes if node.op == "placeholder"]
    names = [name for name, widths in cut.widths.items() for _ in widths]
    flat = all(len(width) == 1 for widths in cut.widths.values() for width in widths)
    if not flat or len(set(names)) != len(names) or len(starts) < 2:
        return None
    linear = _linear_of(starts)
    if linear is not None:
        return _split(cut, starts, names, linear)
    total = _sum_of(starts)
    if total is None or len({widths for widths in cut.widths.values() if widths}) > 1:
        return None
    return FirstLayer(weights=dict.fromkeys(names), bias=None, rest=_rest(cut, total), structure=cut.structure)


def _linear_of(starts: list[fx.Node]) -> fx.Node | None:
    """The linear layer over the concatenation of all that crosses, if nothing else reads it."""
    joined = _only_user(starts[0])
    if joined is None or joined.target is not CAT or any(_only_user(start) is not joined for start in starts):
        return None
    pieces: Any = joined.args[0]
    axis = joined.args[1] if len(joined.args) > 1 else 0
    if axis not in (1, -1) or len(pieces) != len(starts) or set(pieces) != set(starts):
        return None
    linear = _only_user(joined)
    if linear is None or linear.target is not LINEAR or linear.args[0] is not joined:
        return None
    constants = [one for one in linear.args[1:] if one is not None]
    return linear if all(isinstance(one, fx.Node) and one.op == "get_attr" for one in constants) else None


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _split(cut: Cut, starts: list[fx.Node], names: list[str], linear: fx.Node) -> FirstLayer:
    joined, weight, *others = cast(Any, linear.args)
    bias = _attribute(cut.head, str(others[0].target)) if others and others[0] is not None else None
    owner = dict(zip(starts, names, strict=True))
    pieces = [owner[piece] for piece in joined.args[0]]
    columns = torch.split(_attribute(cut.head, str(weight.target)), [cut.widths[name][0][0] for name in pieces], dim=1)
    # Views of the parameter, so that they follow it.
    weights = dict(zip(pieces, columns, strict=True))
    return FirstLayer(weights=weights, bias=bias, rest=_rest(cut, linear), structure=cut.structure)


def _sum_of(starts: list[fx.Node]) -> fx.Node | None:
    """The node at which the sum of all that crosses, and of nothing else, is complete."""
    add = torch.ops.aten.add.Tensor
    waiting, node = set(starts), _only_user(starts[0])
    reached: set[fx.Node] = set()
    while node is not None and node.target is add and not node.kwargs:
        terms = set(node.args)
        if len(terms) < 2 or not terms <= waiting | reached:
            return None
        waiting -= terms
        reached.add(node)
        if not waiting:
            return node
        node = _only_user(node)
    return None


def _attribute(module: fx.GraphModule, target: str) -> Tensor:
    found: Any = module
    for name in target.split("."):
        found = getattr(found, name)
    return cast(Tensor, found)


def _copy(graph: fx.Graph, node: fx.Node, copied: dict[fx.Node, fx.Node], first: fx.Node) -> None:
    """The node, and before it whatever it is made of and stands before the first layer: constants, and the batch size."""
    if node in copied:
        return
    if reads_batch(node):
        copied[node] = graph.call_function(torch.ops.aten.sym_size.int, (copied[first], 0))
        return
    for one in node.all_input_nodes:
        _copy(graph, one, copied, first)
    copied[node] = graph.node_copy(node, lambda old: copied[old])


def _rest(cut: Cut, first: fx.Node) -> fx.GraphModule:
    """The head from the output of its first layer on."""
    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {first: graph.placeholder("total")}
    nodes = list(cut.head.graph.nodes)
    for node in nodes[nodes.index(first) + 1 :]:
        if node.op != "output":
            _copy(graph, node, copied, first)
    output = nodes[-1]
    graph.output(tuple(copied[one] if isinstance(one, fx.Node) else one for one in output.args[0]))
    rest = fx.GraphModule(cut.head, graph)
    rest.graph.eliminate_dead_code()
    rest.recompile()
    rest.eval()
    return rest
