"""A torch model's exported graph, cut at its fusion point: one graph a modality, and one for the head.

Every tensor of the graph depends on some of the inputs. Those that depend on a single modality and are read where
modalities meet are the fusion point; what lies before them is that modality's encoder, all else the head.
"""

from __future__ import annotations

import io
import logging
import operator
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from modalens.models import rows
from modalens.models.calling import Calling
from modalens.models.fast_layers import keep_fast_layers
from modalens.models.modes import evaluation_copy, with_own_containers

Owners = frozenset[str]

ENLARGING = {torch.ops.aten.expand.default, torch.ops.aten.repeat.default}
RESHAPING = {
    torch.ops.aten.clone.default,
    torch.ops.aten.contiguous.default,
    torch.ops.aten.reshape.default,
    torch.ops.aten.unsqueeze.default,
    torch.ops.aten.view.default,
}
"""Operations that only repeat what they are given, and those that only lay it out: they belong behind the fusion point,
where nothing is kept.
"""


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

    def __init__(self, model: nn.Module, calling: Calling) -> None:
        super().__init__()
        self.model, self.calling = model, calling

    def forward(self, given: dict[str, Any]) -> Any:
        return self.calling(self.model, given)


def cut(model: nn.Module, calling: Calling, given: Mapping[str, Any]) -> Cut:
    """Export the model with a dynamic batch and cut its graph at the fusion point.

    `given` holds a few rows (at least two) of every modality. Raises NotSeparable where the model can't be exported
    or cut.
    """
    if calling.one_by_one:
        raise NotSeparable("it takes one patient a call, so its graph is that of one patient")
    given = {name: dict(values) if isinstance(values, Mapping) else values for name, values in given.items()}
    program = _exported(model, calling, given)
    module = program.module(check_guards=False)
    _drop_idle(module.graph)
    keep_fast_layers(module, model)
    order = list(module.graph.nodes)
    inputs = [node for node in order if node.op == "placeholder"]
    batch = inputs[0].meta["val"].shape[0]
    names = dict(zip(inputs, (name for name, values in given.items() for _ in rows.tensors(values)), strict=True))
    owners = _owners(module.graph, names)
    frontier = _frontier(order[-1], owners, batch)
    crossing = {name: [node for node in order if node in frontier and owners[node] == {name}] for name in given}
    encoders = {
        name: _part(
            module, order, batch, starts=[one for one in inputs if names[one] == name], ends=nodes, crossing=True
        )
        for name, nodes in crossing.items()
        if nodes
    }
    crossed = [node for nodes in crossing.values() for node in nodes]
    said = pytree.tree_leaves(order[-1].args[0])
    head = _part(module, order, batch, starts=crossed, ends=said, crossing=False)
    widths = {name: tuple(_width(node, batch) for node in nodes) for name, nodes in crossing.items()}
    return Cut(encoders=encoders, head=head, widths=widths, structure=program.call_spec.out_spec)


def _exported(model: nn.Module, calling: Calling, given: dict[str, Any]) -> torch.export.ExportedProgram:
    """The exported model. One batch size for all inputs is asked for first; where Python code fixes it (`len(x)`, a
    comparison), a stricter tracing and then a batch size that is found while tracing often know better.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise NotSeparable("it is a TorchScript module, whose graph can't be exported")
    batch = torch.export.Dim("batch")
    # Of a copy: what a forward keeps in its attributes while it is traced is no number.
    called = _ByKeyword(with_own_containers(evaluation_copy(model)), calling)
    errors: list[Exception] = []
    for dim, strict in ((batch, False), (batch, True), (torch.export.Dim.AUTO, False)):
        try:
            program = _quietly_exported(called, given, dim, strict)
            sizes = [node.meta["val"].shape[0] for node in program.graph.nodes if node.name in _inputs(program)]
            if not all(_same_size(size, sizes[0]) for size in sizes):
                raise NotSeparable("its forward fixes the number of rows")
            return program
        except NotSeparable:
            raise
        except Exception as error:
            errors.append(error)
    raise NotSeparable(f"it can't be exported: {_first_line(errors[0])}") from errors[0]


def _inputs(program: torch.export.ExportedProgram) -> set[str]:
    return set(program.graph_signature.user_inputs)


def _quietly_exported(model: _ByKeyword, given: dict[str, Any], dim: Any, strict: bool) -> torch.export.ExportedProgram:
    """torch prints graphs and warns of its own affairs while it exports: nothing that a user could act on."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                model,
                (given,),
                dynamic_shapes={"given": pytree.tree_map(lambda _: {0: dim}, given)},
                strict=strict,
            )
            # x += y would write into encodings that are kept.
            return program.run_decompositions({}) if any(map(_mutates, program.graph.nodes)) else program
    finally:
        logging.disable(disabled)


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
    """Whether a tensor can be kept by rows: one of its axes is the batch, and it repeats nothing."""
    return _batch_axis(node, batch) is not None and not _repeats(node)


def _batch_axis(node: fx.Node, batch: Any) -> int | None:
    """The axis of a tensor that is the batch; it is brought to the front where the tensor crosses."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return None
    return next((axis for axis, size in enumerate(value.shape) if _same_size(size, batch)), None)


def _width(node: fx.Node, batch: Any) -> tuple[int, ...]:
    """The shape of what crosses, without the batch."""
    sizes = list(node.meta["val"].shape)
    del sizes[_batch_axis(node, batch) or 0]
    return tuple(map(int, sizes))


def _repeats(node: fx.Node) -> bool:
    """Whether a tensor only repeats another one, which had better cross in its place."""
    if node.op == "placeholder":
        return False
    first: Any = node.args[0] if node.args else None
    return node.target in ENLARGING or (node.target in RESHAPING and _repeats(first))


def _same_size(one: Any, other: Any) -> bool:
    return isinstance(one, torch.SymInt) and isinstance(other, torch.SymInt) and one.node.expr == other.node.expr


def _part(
    module: fx.GraphModule,
    order: Sequence[fx.Node],
    batch: Any,
    *,
    starts: Sequence[fx.Node],
    ends: Sequence[Any],
    crossing: bool,
) -> fx.GraphModule:
    """The graph from some tensors to others; the batch size is read off its own first tensor. What crosses the fusion
    point has the batch in front (`crossing`: the ends do); ends that are no tensors, a number in a dict, stay.
    """
    graph = fx.Graph()
    given = {start: graph.placeholder(f"crossing_{place}") for place, start in enumerate(starts)}
    copied = {start: _moved(graph, one, 0, _batch_axis(start, batch)) for start, one in given.items()}
    sizes: list[fx.Node] = []
    needed = _needed([end for end in ends if isinstance(end, fx.Node)], set(starts))
    for node in order:
        if node in needed and node not in copied:
            if node.op == "placeholder":
                raise NotSeparable(f"{node.name} is read behind the fusion point too")
            copied[node] = _copy(graph, node, copied, list(given.values()), batch, sizes)
    said = {end: copied[end] for end in ends if isinstance(end, fx.Node)}
    if crossing:
        said = {end: _moved(graph, one, _batch_axis(end, batch), 0) for end, one in said.items()}
    graph.output(tuple(said[end] if isinstance(end, fx.Node) else end for end in ends))
    part = fx.GraphModule(module, graph)
    part.eval()
    return part


def _moved(graph: fx.Graph, node: fx.Node, source: int | None, target: int | None) -> fx.Node:
    """The tensor with one axis moved; itself where there is nothing to move."""
    if source is None or target is None or source == target:
        return node
    moved = graph.call_function(torch.ops.aten.movedim.int, (node, source, target))
    return graph.call_function(torch.ops.aten.contiguous.default, (moved,))


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
        sizes.append(graph.call_function(torch.ops.aten.sym_size.int, (starts[0], 0)))
    times, rest = divmod(value.node.hint, batch.node.hint)
    if rest or value.node.expr != times * batch.node.expr:
        raise NotSeparable(f"it computes with the size {value}, which is no multiple of the batch")
    return sizes[0] if times == 1 else graph.call_function(operator.mul, (sizes[0], times))
