"""Decision functions of latents, whose labels a model is to learn: the paper's F0 to F7, and C1 to C8 beside them.

T. Azmat and A. Alessio, "Feature Importance Estimation Using Gradient Based Method for Multimodal Fused Neural
Networks", IEEE NSS/MIC 2022. F7's second term is unpublished; .1 exp(x) is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modalens.validation.latents import Latents


@dataclass(frozen=True, kw_only=True)
class Function:
    """f(z) and its gradient; z are latents by group, (..., width), and f is (...)."""

    name: str
    words: str
    value: Callable[[Latents], np.ndarray]
    gradient: Callable[[Latents], Latents]
    weights: Callable[[Sequence[int]], np.ndarray] | None = None
    """Of a linear function: widths -> what each latent of a modality is multiplied by."""
    terms: Callable[[Latents], tuple[np.ndarray, ...]] | None = None
    """Of a function that adds up what each modality says by itself: what each says, (...)."""
    flips: float = 0.0
    """The share of labels that are turned over."""


def linear(name: str, weights: Sequence[float], *, scaled: bool) -> Function:
    """sum_m w_m sum_j z_mj, or sum_m w_m s_m with s_m = sum_j z_mj / sqrt(d_m)."""

    def each(widths: Sequence[int]) -> np.ndarray:
        return np.asarray(weights) / (np.sqrt(widths) if scaled else 1.0)

    def of(z: Latents) -> list[tuple[float, np.ndarray]]:
        return list(zip(each([group.shape[-1] for group in z]).tolist(), z, strict=True))

    def value(z: Latents) -> np.ndarray:
        return np.asarray(sum(w * group.sum(axis=-1) for w, group in of(z)))

    def gradient(z: Latents) -> Latents:
        return tuple(np.full(group.shape, w) for w, group in of(z))

    terms = [
        f"{'' if w == 1 else f'{w:g} '}{'s' if scaled else 'X'}{place + 1}" for place, w in enumerate(weights) if w
    ]
    return Function(name=name, words=" + ".join(terms), value=value, gradient=gradient, weights=each)


def _square_terms(z: Latents) -> tuple[np.ndarray, ...]:
    nothing = np.zeros(z[0].shape[:-1])
    return (z[0][..., 0] + z[0][..., 1]) ** 2, 0.1 * np.exp(z[1][..., 8]), nothing, nothing


def _square(z: Latents) -> np.ndarray:
    return np.asarray(sum(_square_terms(z)))


def _square_gradient(z: Latents) -> Latents:
    found = tuple(np.zeros(group.shape) for group in z)
    found[0][..., :2] = 2 * (z[0][..., :1] + z[0][..., 1:2])
    found[1][..., 8] = 0.1 * np.exp(z[1][..., 8])
    return found


def score(group: np.ndarray) -> np.ndarray:
    """s_m = sum_j z_mj / sqrt(d_m), standard normal where the latents are independent."""
    return np.asarray(group.sum(axis=-1) / np.sqrt(group.shape[-1]))


def _product(z: Latents) -> np.ndarray:
    return score(z[0]) * score(z[2])


def _product_gradient(z: Latents) -> Latents:
    found = tuple(np.zeros(group.shape) for group in z)
    found[0][...] = (score(z[2]) / np.sqrt(z[0].shape[-1]))[..., None]
    found[2][...] = (score(z[0]) / np.sqrt(z[2].shape[-1]))[..., None]
    return found


def _bent_terms(z: Latents) -> tuple[np.ndarray, ...]:
    nothing = np.zeros(z[0].shape[:-1])
    return nothing, np.tanh(2 * score(z[1])), nothing, 0.5 * score(z[3]) ** 2


def _bent(z: Latents) -> np.ndarray:
    return np.asarray(sum(_bent_terms(z)))


def _bent_gradient(z: Latents) -> Latents:
    found = tuple(np.zeros(group.shape) for group in z)
    found[1][...] = (2 * (1 - np.tanh(2 * score(z[1])) ** 2) / np.sqrt(z[1].shape[-1]))[..., None]
    found[3][...] = (score(z[3]) / np.sqrt(z[3].shape[-1]))[..., None]
    return found


PAPER = {
    one.name: one
    for one in (
        linear("F0", (1, 0, 0, 0), scaled=False),
        linear("F1", (0, 1, 0, 0), scaled=False),
        linear("F2", (0, 0, 1, 0), scaled=False),
        linear("F3", (0, 0, 0, 1), scaled=False),
        linear("F4", (1, 1, 0, 0), scaled=False),
        linear("F5", (0, 0, 1, 1), scaled=False),
        linear("F6", (1, 1, 1, 1), scaled=False),
        Function(
            name="F7",
            words="(x1_1 + x1_2)^2 + .1 exp(x2_9)",
            value=_square,
            gradient=_square_gradient,
            terms=_square_terms,
        ),
    )
}
"""The paper's eight cases."""

BEYOND = {
    one.name: one
    for one in (
        linear("C1", (1, 0, 0, 0), scaled=True),
        linear("C2", (0, 0, 0, 1), scaled=True),
        linear("C3", (1, 1, 1, 1), scaled=True),
        linear("C4", (0.4, 0.3, 0.2, 0.1), scaled=True),
        linear("C5", (0.1, 0.2, 0.3, 0.4), scaled=True),
        Function(name="C6", words="s1 s3", value=_product, gradient=_product_gradient),
        linear("C7", (1, 0, 0, 0), scaled=True),
        Function(
            name="C8",
            words="tanh(2 s2) + .5 s4^2, 10 % of labels turned",
            value=_bent,
            gradient=_bent_gradient,
            terms=_bent_terms,
            flips=0.1,
        ),
    )
}
"""Eight more, which tell estimators apart. In C7 the third modality is a noisy copy of the first."""

FUNCTIONS = PAPER | BEYOND
