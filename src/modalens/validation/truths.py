"""What is true of a decision function, for each thing that a measure may estimate.

Two measures that disagree may both be right, of different things. So a truth names its estimand, and a measure is
compared with the one that it declares. All of them are of f on its latents, and what is absent is drawn: from its
distribution given what is present (`conditional`), or from its own (`interventional`), as background rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from modalens.measures import indices
from modalens.validation.functions import Function
from modalens.validation.latents import Gaussian, Latents, Source, mixed

ESTIMANDS = {
    "sensitivity": "mean |df/dz|, summed over a modality's latents (the gradient paper's truth)",
    "contribution": "mean |f - f with the modality replaced by other patients'|",
    "shapley": "mean |Shapley value of f|, absent modalities replaced by other patients'",
    "variance": "the part of f's variance that is lost when the modality is not known (Sobol's total index)",
    "shapley_effects": "the modality's Shapley value of the variance that is explained, given what is known of it by others",
    "reliance": "the modality's Shapley value of the accuracy of what f says with most other patients' absent modalities",
    "loss": "the accuracy of f's own labels that is lost when the modality is another patient's",
}
"""What the shares of modalities may be shares of."""

REPEATS = 8
"""Independent Monte-Carlo repetitions, of which the error is taken."""

SAMPLES, DRAWS = 500, 32
"""Patients and draws of one repetition."""

OF_GAMES = 240, 960
"""Patients, and other patients who stand in for what is absent, of one game of f. Both numbers are such that the patterns of
up to four bits come exactly as often as they should: nothing of Monte Carlo is left there.
"""

OF_TERMS = 50_000
"""Patients of one repetition where f adds up terms that are known one by one."""

Amounts = Callable[[Function, Any, np.random.Generator], np.ndarray]
"""(f, source of its latents, generator) -> amounts, (modality,)."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The true shares of the modalities, (modality,), and their Monte-Carlo standard error."""

    estimand: str
    values: np.ndarray
    error: np.ndarray

    @property
    def tied(self) -> bool:
        """Whether all modalities share alike, so that there is no ranking."""
        return bool(np.ptp(self.ranked) == 0)

    @property
    def ranked(self) -> np.ndarray:
        """The values with those equal that can't be told apart within four standard errors of the Monte Carlo."""
        order = np.argsort(-self.values, kind="stable")
        apart = np.diff(-self.values[order]) > 1e-9 + 4 * np.maximum(self.error[order[1:]], self.error[order[:-1]])
        group = np.concatenate([[0], np.cumsum(apart)])
        found = np.empty(len(self.values))
        for one in np.unique(group):
            found[order[group == one]] = self.values[order[group == one]].mean()
        return found


def truth_of(function: Function, latents: Source, estimand: str, seed: int = 0) -> Truth:
    """The shares of one estimand: in closed form where f is linear and its modalities are independent, else by Monte
    Carlo.
    """
    known = closed_form(function, latents, estimand)
    if known is not None:
        return Truth(estimand=estimand, values=known / known.sum(), error=np.zeros(len(known)))
    generators = [np.random.default_rng(one) for one in np.random.SeedSequence((seed, 16)).spawn(REPEATS)]
    amounts = np.stack([AMOUNTS[estimand](function, latents, one) for one in generators])
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    total = amounts.mean(axis=0)
    return Truth(estimand=estimand, values=total / total.sum(), error=shares.std(axis=0, ddof=1) / np.sqrt(REPEATS))


def closed_form(function: Function, latents: Source, estimand: str) -> np.ndarray | None:
    """For f = sum_m w_m sum_j z_mj: |w_m| d_m for the sensitivity, |w_m| sd(sum_j z_mj) for the contribution and the
    Shapley values, its square for the variance and the Shapley effects.
    """
    if function.weights is None or not isinstance(latents, Gaussian):
        return None
    if estimand in ("variance", "shapley_effects") and not latents.separate:
        return None
    weights = np.abs(function.weights(latents.widths))
    match estimand:
        case "sensitivity":
            return weights * latents.widths
        case "contribution" | "shapley":
            return weights * latents.spreads
        case "variance" | "shapley_effects":
            return (weights * latents.spreads) ** 2
        case _:
            return None


def interventional() -> tuple[str, ...]:
    """The estimands that need no density of the latents: absent modalities are other patients'."""
    return ("contribution", "shapley", "reliance", "loss")


def interaction_orders(function: Function, latents: Source, seed: int = 0) -> np.ndarray:
    """The shares of f's behaviour that are of order 1, 2, and 3 or more, in the game in which absent modalities are other
    patients'. Where f has values: mean |Moebius coefficient| of f. Where f is the label (bits): |mean coefficient| of
    its being the patient's own, which is InterSHAP's reading.
    """
    generator = np.random.default_rng(np.random.SeedSequence((seed, 12)))
    if isinstance(latents, Gaussian):
        game = _game(function, latents, generator, mirrored=latents.separate)
        coefficients = np.abs(indices.moebius(game[:, :, None])).mean(axis=1)[:, 0]
    else:
        coefficients = np.abs(indices.moebius(_kept(function, latents, generator).mean(axis=1)[:, None, None]))[:, 0, 0]
    size = indices.sizes(len(latents.widths))
    amounts = np.array([coefficients[size == 1].sum(), coefficients[size == 2].sum(), coefficients[size >= 3].sum()])
    return amounts / amounts.sum()


def sensitivity(function: Function, latents: Gaussian, generator: np.random.Generator) -> np.ndarray:
    """GT_m before it is a share: sum_{j in m} mean_i |df/dz_ij|."""
    slopes = function.gradient(latents.draw(SAMPLES * DRAWS, generator))
    return np.array([np.abs(group).mean(axis=0).sum() for group in slopes])


def contribution(function: Function, latents: Source, generator: np.random.Generator) -> np.ndarray:
    """E |f(z) - E f(z without m)|; for a linear f it is |w_m| sd(s_m)."""
    if function.terms is not None:
        return _apart(function.terms, latents, generator)
    game = _game(function, latents, generator)
    everyone = len(game) - 1
    return np.array([np.abs(game[-1] - game[everyone & ~(1 << m)]).mean() for m in range(len(latents.widths))])


def shapley(function: Function, latents: Source, generator: np.random.Generator) -> np.ndarray:
    """E |phi_m|; for a sum of terms phi_m is the m-th term less its mean."""
    if function.terms is not None:
        return _apart(function.terms, latents, generator)
    values = indices.shapley_values(indices.moebius(_game(function, latents, generator)[:, :, None]))
    return np.asarray(np.abs(values).mean(axis=(1, 2)))


def _apart(
    terms: Callable[[Latents], tuple[np.ndarray, ...]], latents: Source, generator: np.random.Generator
) -> np.ndarray:
    """E |term - E term| of each modality."""
    return np.array([np.abs(term - term.mean()).mean() for term in terms(latents.draw(OF_TERMS, generator))])


def variance(function: Function, latents: Gaussian, generator: np.random.Generator) -> np.ndarray:
    """E Var(f | all but m)."""
    z = latents.draw(SAMPLES, generator)
    groups = range(len(latents.widths))
    lost = [
        function.value(latents.given(z, [other for other in groups if other != m], DRAWS, generator)).var(
            axis=1, ddof=1
        )
        for m in groups
    ]
    return np.array([one.mean() for one in lost])


def shapley_effects(function: Function, latents: Gaussian, generator: np.random.Generator) -> np.ndarray:
    """Shapley values of the game E Var(f | what is not in S): Song, Nelson and Staum 2016 (the same as that of
    Var E(f | S), and estimated without bias).
    """
    z = latents.draw(SAMPLES, generator)
    groups = range(len(latents.widths))
    game = np.zeros(1 << len(groups))
    for code in range(1, len(game)):
        known = [m for m in groups if not code >> m & 1]
        drawn = latents.given(z, known, DRAWS, generator) if known else tuple(one[None] for one in z)
        game[code] = function.value(drawn).var(axis=1, ddof=1).mean()
    return np.asarray(indices.shapley_values(indices.moebius(game[:, None, None]))[:, 0, 0])


def reliance(function: Function, latents: Source, generator: np.random.Generator) -> np.ndarray:
    """Shapley values of the accuracy of what f says in most cases when it is fed other patients' absent modalities: the
    label of a mean output, as SHAPE scores it. A tie is half right.
    """
    kept = _kept(function, latents, generator)
    game = ((kept > 0.5) + 0.5 * (kept == 0.5)).mean(axis=1)
    return np.clip(indices.shapley_values(indices.moebius(game[:, None, None]))[:, 0, 0], 0, None)


def loss(function: Function, latents: Source, generator: np.random.Generator) -> np.ndarray:
    """How often f says another label than its own, fed one other patient's modality."""
    game = _kept(function, latents, generator).mean(axis=1)
    everyone = len(game) - 1
    return np.array([game[-1] - game[everyone & ~(1 << m)] for m in range(len(latents.widths))])


def _kept(function: Function, latents: Source, generator: np.random.Generator) -> np.ndarray:
    """How often f keeps its side of its median (of bits: of one half) in every coalition, (2^M, samples). Of many
    patients: an answer that is right or wrong varies more between them than with who stands in.
    """
    z, others = (latents.draw(count, generator) for count in reversed(OF_GAMES))
    f = function.value(z)
    edge = np.median(f) if isinstance(latents, Gaussian) else 0.5
    return np.array(
        [
            ((function.value(mixed(z, known, others)) > edge) == (f > edge)[:, None]).mean(axis=1)
            for known in _coalitions(len(latents.widths))
        ]
    )


AMOUNTS: Mapping[str, Amounts] = {
    "sensitivity": sensitivity,
    "contribution": contribution,
    "shapley": shapley,
    "variance": variance,
    "shapley_effects": shapley_effects,
    "reliance": reliance,
    "loss": loss,
}


def _coalitions(groups: int) -> list[Sequence[int]]:
    return [[m for m in range(groups) if code >> m & 1] for code in range(1 << groups)]


def _game(function: Function, latents: Source, generator: np.random.Generator, *, mirrored: bool = False) -> np.ndarray:
    """v(S) of every coalition and patient, (2^M, samples): the mean of f over other patients' absent modalities. Many
    of them: what is left of the error looks like an effect of its own.
    """
    z, others = (latents.draw(count, generator) for count in OF_GAMES)
    others = _mirrored(others) if mirrored else others
    coalitions = _coalitions(len(latents.widths))
    return np.stack([function.value(mixed(z, known, others)).mean(axis=1) for known in coalitions])


def _mirrored(others: Latents) -> Latents:
    """Fewer of them, each in all mirror images, group by group. Where groups are independent and symmetric these are as
    likely as the others, and what is odd in a group cancels exactly, where it would look like an effect of its own.
    """
    few = len(others[0]) >> len(others)
    signs = np.array(list(product((1.0, -1.0), repeat=len(others)))).T
    return tuple(np.concatenate([one * group[:few] for one in own]) for own, group in zip(signs, others, strict=True))
