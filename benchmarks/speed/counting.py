"""Rows through each encoder and the head, counted where they can't hide: at the operations that use the parameters.

A hook on a module would miss a package that runs the model's graph instead of its modules, or that splits a layer.
So the parameters used first in each encoder and last in the head mark them, and each operation on one of these counts
as many rows as its result holds results of a single row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .problem import Problem

HEAD = "head"


class RowCounter(TorchDispatchMode):
    """Counts the rows of every operation on a marked parameter, as long as it is entered.

    What runs backwards through an operation is not counted again.
    """

    def __init__(self, marks: dict[int, str], per_row: dict[str, int]) -> None:
        super().__init__()
        self.marks, self.per_row = marks, per_row
        self.numbers: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        # A view of a parameter is no use of it.
        if not func.is_view and torch._C._current_graph_task_id() == -1 and isinstance(found, torch.Tensor):
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, torch.Tensor) and (name := self.marks.get(leaf.untyped_storage().data_ptr())):
                    self.numbers[name] += found.numel()
        return found

    @property
    def rows(self) -> dict[str, int]:
        """Rows by encoder, and of the head."""
        return {name: self.numbers[name] // self.per_row[name] for name in self.per_row}


def count_rows(problem: Problem, run: Callable[[], Any]) -> dict[str, int]:
    """Rows through each modality's encoder and the head in one run."""
    marks = {
        next(encoder.parameters()).untyped_storage().data_ptr(): name
        for name, encoder in problem.model.encoders.items()
    } | {problem.model.last.weight.untyped_storage().data_ptr(): HEAD}
    counter = RowCounter(marks, dict.fromkeys(marks.values(), 1))
    with torch.no_grad(), counter:
        problem.model(**{name: values[:1] for name, values in problem.inputs.items()})
    per_row = dict(counter.numbers)
    counter = RowCounter(marks, per_row)
    with counter:
        run()
    return counter.rows
