"""Ways to the exact Shapley values of modalities, all outputs: (samples, modalities, outputs).

Each function prepares what belongs to no run and returns the run. Coalitions are numbers whose bit m says that
modality m is present; v(S) is the mean output over the rows that stand in for what is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from math import comb
from typing import Any

import numpy as np
import torch

from .encoding import encode
from .problem import OUTPUTS, WIDTH, Problem

Run = Callable[[], np.ndarray]
Setting = tuple[int, ...]


def modalens(problem: Problem, setting: Setting, **options: Any) -> Run:
    """The package itself; the model is split at its fusion point beforehand, and the split is kept."""
    from .own import explain

    return lambda: explain(problem, **options).shapley.values.to_numpy()


def modalens_with_intervals(problem: Problem, setting: Setting) -> Run:
    """The same with intervals, as it comes without asking."""
    return modalens(problem, setting, confidence=0.95)


def modalens_all_measures(problem: Problem, setting: Setting) -> Run:
    """A call that names no measure: all that fit, with intervals."""
    return modalens(problem, setting, measures=None, confidence=0.95)


def captum(problem: Problem, setting: Setting) -> Run:
    """ShapleyValues goes through all orders of arrival. It knows one baseline a sample, so it is called for each row of
    background; one call gives all outputs.
    """
    from captum.attr import ShapleyValues

    (chunk,) = setting
    masks = tuple(
        torch.full((1,) * values.ndim, player, dtype=torch.long)
        for player, values in enumerate(problem.inputs.values())
    )

    def run() -> np.ndarray:
        explainer = ShapleyValues(problem.whole)
        total = np.zeros((problem.case.samples, len(problem.names), OUTPUTS))
        for start in range(0, problem.case.samples, chunk):
            given = tuple(values[start : start + chunk] for values in problem.inputs.values())
            for row in range(problem.rows):
                baselines = tuple(values[row : row + 1] for values in problem.background.values())
                with torch.no_grad():
                    found = explainer.attribute(given, baselines=baselines, feature_mask=masks)
                total[start : start + chunk] += np.stack([one.flatten(2)[:, :, 0].numpy() for one in found], axis=1)
        return total / problem.rows

    return run


def shap_exact(problem: Problem, setting: Setting) -> Run:
    """The Exact explainer, one sample a call: given several, it evaluates main effects too from the second one on."""
    import shap

    def run() -> np.ndarray:
        masker = shap.maskers.Independent(background_ids(problem), max_samples=problem.rows)
        explainer = shap.explainers.Exact(of_ids(problem), masker)
        each = [
            explainer(ids[None], max_evals=2 ** len(problem.names), silent=True).values for ids in sample_ids(problem)
        ]
        return np.concatenate(each)

    return run


def shap_kernel(problem: Problem, setting: Setting) -> Run:
    """The Kernel explainer with all coalitions, which makes it exact."""
    import shap

    def run() -> np.ndarray:
        explainer = shap.KernelExplainer(of_ids(problem), background_ids(problem))
        found = explainer.shap_values(sample_ids(problem), nsamples=2 ** len(problem.names), l1_reg=False, silent=True)
        return np.asarray(found)

    return run


def shapiq(problem: Problem, setting: Setting) -> Run:
    """The ExactComputer on a sample's game; its games are scalar, so the game is played once and read once an
    output.
    """
    from shapiq.game_theory.exact import ExactComputer

    players = len(problem.names)

    def run() -> np.ndarray:
        outputs, other = of_ids(problem), background_ids(problem)
        found = np.empty((problem.case.samples, players, OUTPUTS))

        def play(ids: np.ndarray) -> Callable[[bytes], np.ndarray]:
            """The game of one sample: coalitions -> mean outputs, each played once."""

            @cache
            def played(asked: bytes) -> np.ndarray:
                coalitions = np.frombuffer(asked, dtype=bool).reshape(-1, 1, players)
                each, places = np.unique(
                    np.where(coalitions, ids, other).reshape(-1, players), axis=0, return_inverse=True
                )
                return outputs(each)[places].reshape(len(coalitions), len(other), OUTPUTS).mean(axis=1)

            return played

        for sample, ids in enumerate(sample_ids(problem)):
            played = play(ids)
            for output in range(OUTPUTS):
                computer = ExactComputer(partial(read, played, output), n_players=players)
                found[sample, :, output] = computer("SV").get_n_order_values(1)
        return found

    return run


def read(played: Callable[[bytes], np.ndarray], output: int, coalitions: np.ndarray) -> np.ndarray:
    """One output of a played game: the scalar game that shapiq wants."""
    return played(coalitions.tobytes())[:, output]


def sample_ids(problem: Problem) -> np.ndarray:
    """Each sample as a row of ids, one a modality: those after the background's."""
    return np.repeat(np.arange(problem.case.samples)[:, None] + problem.rows, len(problem.names), axis=1).astype(float)


def background_ids(problem: Problem) -> np.ndarray:
    return np.repeat(np.arange(problem.rows)[:, None], len(problem.names), axis=1).astype(float)


def of_ids(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function of ids, (rows, modalities) -> (rows, outputs): how packages for tables get to a
    multimodal model. Modality m of a row is that of the background row or sample of this id.
    """
    everyone = [torch.cat([problem.background[name], values]) for name, values in problem.inputs.items()]

    def outputs(rows: np.ndarray) -> np.ndarray:
        ids = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64))
        with torch.inference_mode():
            return (
                problem.whole(*(values[ids[:, player]] for player, values in enumerate(everyone))).numpy().astype(float)
            )

    return outputs


def plain_loop(problem: Problem, setting: Setting) -> Run:
    """The whole model on every coalition, in batches of samples and rows."""
    (batch,) = setting
    rows, full = problem.rows, 2 ** len(problem.names) - 1
    per_chunk = max(1, batch // rows)

    def run() -> np.ndarray:
        values = torch.empty(full + 1, problem.case.samples, OUTPUTS)
        with torch.inference_mode():
            values[0] = problem.model(**problem.background).mean(dim=0)
            tiled = {name: tile(other, per_chunk) for name, other in problem.background.items()}
            for start in range(0, problem.case.samples, batch):
                here = slice(start, start + batch)
                values[full, here] = problem.model(**{name: own[here] for name, own in problem.inputs.items()})
            for start in range(0, problem.case.samples, per_chunk):
                here = slice(start, start + per_chunk)
                own = {name: own[here].repeat_interleave(rows, dim=0) for name, own in problem.inputs.items()}
                count = len(next(iter(own.values())))
                for coalition in range(1, full):
                    given = {
                        name: own[name] if coalition >> player & 1 else tiled[name][:count]
                        for player, name in enumerate(problem.names)
                    }
                    values[coalition, here] = problem.model(**given).view(-1, rows, OUTPUTS).mean(dim=1)
        return shapley_of(values)

    return run


def tile(other: torch.Tensor, times: int) -> torch.Tensor:
    return other.repeat(times, *(1,) * (other.ndim - 1))


def cached_loop(problem: Problem, setting: Setting) -> Run:
    """Written by hand: each row is encoded once, and only the head sees the combinations. From one coalition to the
    next a single modality changes, so that only its part of the head's input is written.
    """
    encoder_batch, head_batch = setting
    players, rows = len(problem.names), problem.rows
    first, last = problem.model.first, problem.model.last
    per_chunk = min(max(1, head_batch // rows), problem.case.samples)

    def run() -> np.ndarray:
        values = torch.empty(2**players, problem.case.samples, OUTPUTS)
        with torch.inference_mode():
            own, other = encode(problem, encoder_batch)
            joined = torch.empty(per_chunk, rows, players * WIDTH)
            hidden = torch.empty(per_chunk * rows, first.out_features)
            found = torch.empty(per_chunk * rows, OUTPUTS)
            values[0] = problem.model.head(torch.cat(other, dim=1)).mean(dim=0)
            values[-1] = problem.model.head(torch.cat(own, dim=1))
            for start in range(0, problem.case.samples, per_chunk):
                here = slice(start, start + per_chunk)
                count = len(own[0][here])
                used = count * rows
                for player in range(players):
                    encoding_of(joined, player)[:count] = other[player]
                for coalition, changed in in_steps_of_one(players):
                    present = coalition >> changed & 1
                    encoding_of(joined, changed)[:count] = own[changed][here, None] if present else other[changed]
                    if coalition == 2**players - 1:
                        continue
                    flat = joined.view(-1, players * WIDTH)[:used]
                    torch.addmm(first.bias, flat, first.weight.T, out=hidden[:used])
                    hidden[:used].relu_()
                    torch.addmm(last.bias, hidden[:used], last.weight.T, out=found[:used])
                    torch.mean(found[:used].view(count, rows, OUTPUTS), dim=1, out=values[coalition, here])
        return shapley_of(values)

    return run


def encoding_of(joined: torch.Tensor, player: int) -> torch.Tensor:
    """The player's part of the head's input."""
    return joined[:, :, player * WIDTH : (player + 1) * WIDTH]


def in_steps_of_one(players: int) -> list[tuple[int, int]]:
    """All coalitions but the empty one, each differing from the one before in one player, who is named too."""
    codes = [number ^ number >> 1 for number in range(2**players)]
    return [(code, (code ^ before).bit_length() - 1) for before, code in pairwise(codes)]


def split_loop(problem: Problem, setting: Setting) -> Run:
    """Written by hand: encodings cached, and the head's first linear layer split by modality. A combination costs one
    addition of a sample's and a row's share, the rest of the head, and nothing else.
    """
    encoder_batch, head_batch = setting
    players, rows = len(problem.names), problem.rows
    first, last = problem.model.first, problem.model.last
    per_chunk = min(max(1, head_batch // rows), problem.case.samples)
    present = torch.tensor([[code >> player & 1 for player in range(players)] for code in range(2**players)]).float()

    def run() -> np.ndarray:
        values = torch.empty(2**players, problem.case.samples, OUTPUTS)
        with torch.inference_mode():
            own, other = encode(problem, encoder_batch)
            pieces = first.weight.split(WIDTH, dim=1)
            of_samples = torch.stack([one @ piece.T for one, piece in zip(own, pieces, strict=True)])
            of_rows = torch.stack([one @ piece.T for one, piece in zip(other, pieces, strict=True)])
            share_of_samples = torch.einsum("cm,mnh->cnh", present, of_samples).add_(first.bias)
            share_of_rows = torch.einsum("cm,mkh->ckh", 1 - present, of_rows)
            hidden = torch.empty(per_chunk, rows, first.out_features)
            found = torch.empty(per_chunk * rows, OUTPUTS)
            values[0] = last((share_of_rows[0] + first.bias).relu_()).mean(dim=0)
            values[-1] = last(share_of_samples[-1].relu())
            for start in range(0, problem.case.samples, per_chunk):
                here = slice(start, start + per_chunk)
                count = len(own[0][here])
                used = count * rows
                for coalition in range(1, 2**players - 1):
                    torch.add(share_of_samples[coalition, here, None], share_of_rows[coalition], out=hidden[:count])
                    hidden[:count].relu_()
                    flat = hidden[:count].view(used, first.out_features)
                    torch.addmm(last.bias, flat, last.weight.T, out=found[:used])
                    torch.mean(found[:used].view(count, rows, OUTPUTS), dim=1, out=values[coalition, here])
        return shapley_of(values)

    return run


def shapley_of(values: torch.Tensor) -> np.ndarray:
    """Shapley values from all coalitions' values, (coalitions, samples, outputs): one matrix product."""
    table = values.numpy().astype(float)
    return np.einsum("pc,cno->npo", shapley_weights(len(table).bit_length() - 1), table, optimize=True)


@cache
def shapley_weights(players: int) -> np.ndarray:
    """What each coalition's value counts for each player, (players, coalitions)."""
    weights = np.empty((players, 2**players))
    for player in range(players):
        for coalition in range(2**players):
            others = (coalition & ~(1 << player)).bit_count()
            weight = 1 / (players * comb(players - 1, others))
            weights[player, coalition] = weight if coalition >> player & 1 else -weight
    return weights
