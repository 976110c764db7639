"""What the loops written by hand share: each row through its encoder once."""

from __future__ import annotations

import torch

from .problem import WIDTH, Problem


def encode(problem: Problem, batch: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The encodings of all samples, and of the rows that stand in, by modality."""
    own, other = [], []
    for name, encoder in problem.model.encoders.items():
        own.append(encoded(encoder, problem.inputs[name], batch))
        other.append(encoded(encoder, problem.background[name], batch))
    return own, other


def encoded(encoder: torch.nn.Module, rows: torch.Tensor, batch: int) -> torch.Tensor:
    """Rows through an encoder, in batches that stay within the processor's cache."""
    found = torch.empty(len(rows), WIDTH)
    for start in range(0, len(rows), batch):
        found[start : start + batch] = encoder(rows[start : start + batch])
    return found
