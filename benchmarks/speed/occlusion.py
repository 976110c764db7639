"""Ways to p0 - p_l, what the output loses when a part is set to zero: (samples, parts, outputs)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from .encoding import encode, encoded
from .problem import OUTPUTS, Problem
from .shapley import Run, Setting


def modalens(problem: Problem, setting: Setting) -> Run:
    """The package itself."""
    from .own import explain

    def run() -> np.ndarray:
        parts = explain(problem).occlusion.parts
        return np.concatenate([parts[name].to_numpy() for name in problem.names], axis=1)

    return run


def captum(problem: Problem, setting: Setting) -> Run:
    """FeatureAblation; one call gives all outputs, as rows (sample, output)."""
    from captum.attr import FeatureAblation

    chunk, perturbations = setting
    masks = list(problem.parts().values())
    starts = np.cumsum([0, *(int(mask.max()) + 1 for mask in masks)])
    numbered = tuple(mask + int(start) for mask, start in zip(masks, starts, strict=False))
    firsts = [[int((mask == part).flatten().nonzero()[0]) for part in range(int(mask.max()) + 1)] for mask in masks]

    def run() -> np.ndarray:
        explainer, pieces = FeatureAblation(problem.whole), []
        baselines = tuple(problem.background.values())
        for start in range(0, problem.case.samples, chunk):
            given = tuple(values[start : start + chunk] for values in problem.inputs.values())
            with torch.no_grad():
                found = explainer.attribute(
                    given, baselines=baselines, feature_mask=numbered, perturbations_per_eval=perturbations
                )
            pieces.append(
                np.concatenate(
                    [one.flatten(1)[:, first].numpy() for one, first in zip(found, firsts, strict=True)], axis=1
                ).reshape(len(given[0]), OUTPUTS, -1)
            )
        return np.concatenate(pieces).transpose(0, 2, 1).astype(float)

    return run


def plain_loop(problem: Problem, setting: Setting) -> Run:
    """The whole model for every part."""
    (batch,) = setting

    def run() -> np.ndarray:
        pieces = []
        with torch.inference_mode():
            for start in range(0, problem.case.samples, batch):
                given = {name: values[start : start + batch] for name, values in problem.inputs.items()}
                present = problem.model(**given)
                changes = [
                    present - problem.model(**given | {name: occluded})
                    for name, values in given.items()
                    for occluded in without_each_part(problem, name, values)
                ]
                pieces.append(torch.stack(changes, dim=1))
        return torch.cat(pieces).numpy().astype(float)

    return run


def cached_loop(problem: Problem, setting: Setting) -> Run:
    """Written by hand: a part that is occluded changes the encoding of its own modality only."""
    (batch,) = setting

    def run() -> np.ndarray:
        with torch.inference_mode():
            own, _ = encode(problem, batch)
            present = problem.model.head(torch.cat(own, dim=1))
            changes = []
            for place, (name, encoder) in enumerate(problem.model.encoders.items()):
                for occluded in without_each_part(problem, name, problem.inputs[name]):
                    changed = [*own[:place], encoded(encoder, occluded, batch), *own[place + 1 :]]
                    changes.append(present - problem.model.head(torch.cat(changed, dim=1)))
        return torch.stack(changes, dim=1).numpy().astype(float)

    return run


def without_each_part(problem: Problem, name: str, values: torch.Tensor) -> Iterator[torch.Tensor]:
    """The samples with each part of this modality set to zero in turn."""
    where = problem.parts()[name]
    for part in range(int(where.max()) + 1):
        yield torch.where(where == part, problem.background[name], values)
