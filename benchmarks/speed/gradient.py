"""Ways to integrated gradients at the fusion point, summed within each modality: (samples, modalities, outputs).

The path runs straight from the encoding of zeros to that of the sample, with 50 Gauss-Legendre steps.
"""

from __future__ import annotations

import numpy as np
import torch

from .encoding import encode
from .problem import OUTPUTS, WIDTH, Problem
from .shapley import Run, Setting

STEPS = 50


def modalens(problem: Problem, setting: Setting) -> Run:
    """The package itself."""
    from .own import explain

    return lambda: explain(problem).fusion_gradient.values.to_numpy()


def captum(problem: Problem, setting: Setting) -> Run:
    """LayerIntegratedGradients with all encoders in one call, once an output: its gradients are of one output."""
    from captum.attr import LayerIntegratedGradients

    chunk, steps = setting

    def run() -> np.ndarray:
        explainer = LayerIntegratedGradients(problem.whole, list(problem.model.encoders.values()))
        baselines = tuple(problem.background.values())
        values = np.empty((problem.case.samples, len(problem.names), OUTPUTS))
        for start in range(0, problem.case.samples, chunk):
            given = tuple(own[start : start + chunk] for own in problem.inputs.values())
            for output in range(OUTPUTS):
                found = explainer.attribute(
                    given,
                    baselines=baselines,
                    target=output,
                    n_steps=STEPS,
                    method="gausslegendre",
                    internal_batch_size=steps * len(given[0]),
                )
                values[start : start + chunk, :, output] = np.stack(
                    [one.detach().sum(dim=1).numpy() for one in found], axis=1
                )
        return values

    return run


def cached_loop(problem: Problem, setting: Setting) -> Run:
    """Written by hand: encodings cached, and the head alone differentiated, many steps a call."""
    encoder_batch, head_batch = setting
    places, weights = np.polynomial.legendre.leggauss(STEPS)
    along = torch.from_numpy((places + 1) / 2).float()
    weight = torch.from_numpy(weights / 2).float()
    players = len(problem.names)

    def run() -> np.ndarray:
        with torch.no_grad():
            own, other = (torch.cat(each, dim=1) for each in encode(problem, encoder_batch))
            distance = own - other
        gradients = torch.zeros(OUTPUTS, len(own), own.shape[1])
        per_call = max(1, head_batch // len(own))
        for start in range(0, STEPS, per_call):
            here = slice(start, start + per_call)
            points = torch.addcmul(other, along[here, None, None], distance).requires_grad_()
            totals = problem.model.head(points).flatten(0, 1).sum(dim=0)
            for output in range(OUTPUTS):
                (slopes,) = torch.autograd.grad(totals[output], points, retain_graph=output < OUTPUTS - 1)
                gradients[output] += torch.einsum("s,snh->nh", weight[here], slopes)
        shares = (gradients * distance).view(OUTPUTS, len(own), players, WIDTH).sum(dim=3)
        return shares.permute(1, 2, 0).numpy().astype(float)

    return run
