"""Transformer layers stay whole: torch computes one in a single fused operation, which exporting takes apart into some
thirty, a third slower.
"""

from __future__ import annotations

from torch import Tensor, fx, nn

from modalens.models.modes import evaluation_copy

LAYER = "torch.nn.modules.transformer.TransformerEncoderLayer"


def keep_fast_layers(graph_module: fx.GraphModule, model: nn.Module) -> None:
    """Put calls of the model's own layers (copies that share their parameters, in evaluation mode) in the place of
    what they were exported to, where a layer reads one tensor and no mask.
    """
    for place, (path, nodes) in enumerate(_calls(graph_module.graph).values()):
        inside = set(nodes)
        read = {
            one
            for node in nodes
            for one in node.all_input_nodes
            if one not in inside and one.op != "get_attr" and isinstance(one.meta.get("val"), Tensor)
        }
        ends = [
            node
            for node in nodes
            if isinstance(node.meta.get("val"), Tensor) and any(user not in inside for user in node.users)
        ]
        if len(read) != 1 or len(ends) != 1:
            continue
        name = f"transformer_layer_{place}"
        graph_module.add_submodule(name, evaluation_copy(model.get_submodule(path)))
        with graph_module.graph.inserting_after(ends[0]):
            call = graph_module.graph.call_module(name, (read.pop(),))
        call.meta.update(ends[0].meta)
        ends[0].replace_all_uses_with(call)


def _calls(graph: fx.Graph) -> dict[str, tuple[str, list[fx.Node]]]:
    """The path of each transformer layer, and the operations of each of its calls."""
    found: dict[str, tuple[str, list[fx.Node]]] = {}
    for node in graph.nodes:
        for call, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
            if kind == LAYER and node.op == "call_function":
                found.setdefault(call, (path.partition(".")[2], []))[1].append(node)
    return found
