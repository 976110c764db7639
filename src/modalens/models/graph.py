"""A torch model's exported graph, cut at its fusion point: one graph a modality, and one for the head.

Every tensor of the graph depends on some of the inputs. Those that depend on a single modality and are read where
modalities meet are the fusion point; what lies before them is that modality's encoder, all else the head.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

Owners = frozenset[str]

ENLARGING = {torch.ops.aten.expand.default, torch.ops.aten.repeat.default}
"""Operations that only repeat what they are given: they belong behind the fusion point, where nothing is kept."""


class NotSeparable(Exception):
    """The model has no split of this kind; the message says why, for a warning."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The graphs before and behind the fusion point, and what crosses it: tensors by modality, in the order in which
    the head takes them.
    """

    encoders: Mapping[str, fx.GraphModule]
    head: fx.GraphModule
    widths: Mapping[str, tuple[tuple[int, ...], ...]]
    structure: pytree.TreeSpec
    """How the head's tensors make up the model's output."""


class _ByKeyword(nn.Module):
    """The model behind one argument, since torch.export takes no dynamic shapes of a `**kwargs` forward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: dict[str, Tensor]) -> Any:
        return self.model(**given)


def cut(model: nn.Module, given: Mapping[str, Tensor]) -> Cut:
    """Export the model with a dynamic batch and cut its graph at the fusion point.

    `given` holds a few rows (at least two) of every modality. Raises NotSeparable where the model can't be exported
    or cut.
    """
    program = _exported(model, dict(given))
    module = program.module(check_guards=False)
    _drop_idle(module.graph)
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    names = dict(zip(inputs, given, strict=True))
    owners = _owners(module.graph, names)
    output = next(node for node in module.graph.nodes if node.op == "output")
    crossing = _frontier(output, owners, inputs[0].meta["val"].shape[0])
    by_name = {
        name: [node for node in module.graph.nodes if node in crossing and owners[node] == {name}] for name in given
    }
    order = list(module.graph.nodes)
    batch = inputs[0].meta["val"].shape[0]
    encoders = {
        name: _part(module, order, batch, starts=[node for node in inputs if names[node] == name], ends=nodes)
        for name, nodes in by_name.items()
        if nodes
    }
    crossed = [node for nodes in by_name.values() for node in nodes]
    flat = [leaf for leaf in pytree.tree_leaves(output.args[0]) if isinstance(leaf, fx.Node)]
    if len(flat) != len(pytree.tree_leaves(output.args[0])):
        raise NotSeparable("its output holds things that are no tensors")
    head = _part(module, order, batch, starts=crossed, ends=flat)
    widths = {
        name: tuple(tuple(map(int, node.meta["val"].shape[1:])) for node in nodes) for name, nodes in by_name.items()
    }
    return Cut(encoders=encoders, head=head, widths=widths, structure=program.call_spec.out_spec)


def _exported(model: nn.Module, given: dict[str, Tensor]) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch")
    try:
        with torch.no_grad():
            program = torch.export.export(
                _ByKeyword(model),
                (given,),
                dynamic_shapes={"given": {name: {0: batch} for name in given}},
                strict=False,
            )
            if any(_mutates(node) for node in program.graph.nodes):
                # x += y would write into encodings that are kept.
                program = program.run_decompositions({})
    except Exception as error:
        raise NotSeparable(f"it can't be exported: {_first_line(error)}") from error
    return program


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]:.200}" if lines else type(error).__name__


def _mutates(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _drop_idle(graph: fx.Graph) -> None:
    """Take out what does nothing in evaluation mode, so that it costs no call and hides no linear layer."""
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.dropout.default and not node.args[2]:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), Tensor)


def _is_size(node: fx.Node) -> bool:
    """Sizes carry no ownership, or one modality's batch size would make all tensors look shared."""
    return isinstance(node.meta.get("val"), torch.SymInt | torch.SymBool | torch.SymFloat | int | bool | float)


def _owners(graph: fx.Graph, names: Mapping[fx.Node, str]) -> dict[fx.Node, Owners]:
    """The modalities that each node depends on."""
    owners: dict[fx.Node, Owners] = {}
    for node in graph.nodes:
        if node in names:
            owners[node] = frozenset({names[node]})
        elif _is_size(node):
            owners[node] = frozenset()
        else:
            owners[node] = frozenset().union(*(owners[one] for one in node.all_input_nodes))
    return owners


def _frontier(output: fx.Node, owners: Mapping[fx.Node, Owners], batch: Any) -> set[fx.Node]:
    """The last tensors of a single modality on the way to the output, moved back to where the first axis is the batch."""
    frontier: set[fx.Node] = set()
    behind, waiting = set(), [output]
    while waiting:
        node = waiting.pop()
        if node in behind or node in frontier:
            continue
        if node is not output and len(owners[node]) == 1 and _crosses(node, batch):
            frontier.add(node)
            continue
        behind.add(node)
        waiting += [one for one in node.all_input_nodes if owners[one]]
    return frontier


def _crosses(node: fx.Node, batch: Any) -> bool:
    """Whether a tensor can be kept by rows: its first axis is the batch, and it repeats nothing."""
    value = node.meta.get("val")
    return (
        isinstance(value, Tensor)
        and value.dim() > 0
        and _same_size(value.shape[0], batch)
        and (node.op == "placeholder" or node.target not in ENLARGING)
    )


def _same_size(one: Any, other: Any) -> bool:
    return isinstance(one, torch.SymInt) and isinstance(other, torch.SymInt) and one.node.expr == other.node.expr


def _part(
    module: fx.GraphModule, order: Sequence[fx.Node], batch: Any, *, starts: Sequence[fx.Node], ends: Sequence[fx.Node]
) -> fx.GraphModule:
    """The graph from some tensors to others; the batch size is read off its own first tensor."""
    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {
        start: graph.placeholder(f"crossing_{place}") for place, start in enumerate(starts)
    }
    sizes: list[fx.Node] = []
    needed = _needed(ends, set(starts))
    for node in order:
        if node in needed and node not in copied:
            if node.op == "placeholder":
                raise NotSeparable(f"{node.name} is read behind the fusion point too")
            copied[node] = _copy(graph, node, copied, starts, batch, sizes)
    graph.output(tuple(copied[end] for end in ends))
    part = fx.GraphModule(module, graph)
    part.eval()
    return part


def _needed(ends: Iterable[fx.Node], starts: set[fx.Node]) -> set[fx.Node]:
    """All nodes between the starts and the ends. Of a size, only the numbers that it is made of."""
    found: set[fx.Node] = set()
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        if node not in starts and not reads_batch(node):
            waiting += node.all_input_nodes
    return found


def reads_batch(node: fx.Node) -> bool:
    """Whether a node is the size of a tensor, which is the batch or a multiple of it."""
    return node.target is torch.ops.aten.sym_size.int


def _copy(
    graph: fx.Graph,
    node: fx.Node,
    copied: Mapping[fx.Node, fx.Node],
    starts: Sequence[fx.Node],
    batch: Any,
    sizes: list[fx.Node],
) -> fx.Node:
    if not reads_batch(node):
        return graph.node_copy(node, lambda one: copied[one])
    value = node.meta["val"]
    if isinstance(value, int):
        return graph.node_copy(node, lambda one: copied[one])
    if not starts:
        raise NotSeparable("a part of it needs the batch size and reads no input")
    if not sizes:
        sizes.append(graph.call_function(torch.ops.aten.sym_size.int, (copied[starts[0]], 0)))
    times, rest = divmod(value.node.hint, batch.node.hint)
    if rest or value.node.expr != times * batch.node.expr:
        raise NotSeparable(f"it computes with the size {value}, which is no multiple of the batch")
    return sizes[0] if times == 1 else graph.call_function(operator.mul, (sizes[0], times))
