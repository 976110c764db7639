"""What two modalities' data say of the labels, before any model: redundant, unique and synergistic information (partial
information decomposition).

N. Bertschinger et al., "Quantifying unique information", Entropy 2014 (the definition); P. P. Liang et al., "Quantifying &
Modeling Multimodal Interactions", NeurIPS 2023 (for modalities, by clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from modalens.errors import InputError

COMPONENTS = 10
"""Principal components in which a modality's features are clustered."""

TOLERANCE = 5e-4
"""Bits by which the decomposition may miss its optimum."""

STEPS, INNER = 20_000, 50
"""Most steps of the optimisation, and of the fit of both marginals within each."""


@dataclass(frozen=True, kw_only=True)
class PID:
    """Information about the label in bits: what both modalities hold, what only one holds, and what only both together
    tell. `total` is their sum, I(label; both).
    """

    redundancy: float
    unique_first: float
    unique_second: float
    synergy: float

    @property
    def total(self) -> float:
        return self.redundancy + self.unique_first + self.unique_second + self.synergy


def pid(first: Any, second: Any, labels: Any, *, clusters: int = 20, seed: int = 0) -> PID:
    """Redundancy, unique information and synergy of two modalities about the labels.

    Parameters
    ----------
    first, second : features of each modality, (n, ...), such as embeddings; row k of both is the same patient.
    labels : the class of each patient, (n,).
    clusters : of each modality, into which its features are sorted: k-means on their first ten principal components.
        Features of so many different rows at most are taken as they are.
    seed : of k-means.

    Returns
    -------
    PID, in bits. The counts are taken as they are, so with few patients a cell (clusters x clusters x classes) labels
    by chance look like synergy: compare with `pid` of shuffled labels.

    Raises InputError where the rows differ in number, or hold what is no number.

    Example
    -------
    >>> import numpy as np
    >>> a, b = np.array([[0], [0], [1], [1]]), np.array([[0], [1], [0], [1]])
    >>> found = pid(a, b, a[:, 0] ^ b[:, 0])
    >>> round(found.synergy, 3), round(found.redundancy, 3)
    (1.0, 0.0)
    """
    if not isinstance(clusters, int) or clusters < 2:
        raise InputError(f"clusters={clusters!r}: give a whole number, at least 2.")
    found = np.asarray(labels)
    if found.ndim != 1 or not len(found):
        raise InputError(f"labels: expected the class of each patient, (n,), came shape {found.shape}; give an array.")
    symbols = [
        _symbols(name, np.asarray(given), len(found), clusters, seed)
        for name, given in (("first", first), ("second", second))
    ]
    counts = np.zeros([len(np.unique(one)) for one in (found, *symbols)])
    np.add.at(counts, tuple(np.unique(one, return_inverse=True)[1] for one in (found, *symbols)), 1.0)
    return decomposed(counts / counts.sum())


def decomposed(joint: np.ndarray) -> PID:
    """The decomposition of a joint distribution p(label, first, second), as Bertschinger et al. (2014) define it.

    Of all distributions with the same p(label, first) and p(label, second), take the one in which both modalities tell
    least of the label: what they tell there needs no knowledge of how they go together.
    """
    alone = [_information(joint.sum(axis=axis)[:, :, None]) for axis in (2, 1)]
    least = max(_information(least_told(joint)), *alone)
    return PID(
        redundancy=max(sum(alone) - least, 0.0),
        unique_first=least - alone[1],
        unique_second=least - alone[0],
        synergy=max(_information(joint) - least, 0.0),
    )


def least_told(joint: np.ndarray) -> np.ndarray:
    """q(label, first, second) with p's two marginals in which the modalities tell least of the label.

    I(label; both) is the least mean divergence of q(both | label) from any r(both). So r and q are fitted in turns: r is
    the mean of q over labels, and q(. | label) the coupling of p's marginals that is nearest to r, by proportional
    fitting. Each step is exact and the whole is convex, so the turns end at the optimum (Csiszar and Tusnady 1984); they
    stop once it can't lie further than `TOLERANCE` away.
    """
    of_label = joint.sum(axis=(1, 2))
    joint, of_label = joint[of_label > 0], of_label[of_label > 0]
    rows, columns = (joint.sum(axis=axis) / of_label[:, None] for axis in (2, 1))
    mixture = np.einsum("l,li,lj->ij", of_label, rows, columns)
    left, right = np.ones_like(rows), np.ones_like(columns)
    for _ in range(STEPS):
        left, right = _coupled(mixture, rows, columns, left, right)
        coupling = left[:, :, None] * mixture * right[:, None, :]
        following = np.tensordot(of_label, coupling, axes=1)
        grown = np.max(following[mixture > 0] / mixture[mixture > 0])
        mixture = following
        if np.log2(grown) < TOLERANCE:
            break
    return of_label[:, None, None] * coupling


def _coupled(
    mixture: np.ndarray, rows: np.ndarray, columns: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of rows and columns that give the mixture each label's marginals: (labels, first) and (labels, second)."""
    for _ in range(INNER):
        left = _ratio(rows, right @ mixture.T)
        right, before = _ratio(columns, left @ mixture), right
        if np.abs(right - before).max() <= 1e-12 * np.abs(right).max():
            break
    return _ratio(rows, right @ mixture.T), right


def _ratio(wanted: np.ndarray, there: np.ndarray) -> np.ndarray:
    """wanted / there, 0 where nothing is wanted."""
    return np.divide(wanted, there, out=np.zeros_like(wanted), where=(wanted > 0) & (there > 0))


def _information(joint: np.ndarray) -> float:
    """I(label; both) in bits, of p(label, first, second)."""
    independent = joint.sum(axis=(1, 2), keepdims=True) * joint.sum(axis=0, keepdims=True)
    held = joint > 0
    return float((joint[held] * np.log2(joint[held] / independent[held])).sum())


def _symbols(name: str, features: np.ndarray, samples: int, clusters: int, seed: int) -> np.ndarray:
    """The cluster of each row, (n,)."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    if features.ndim < 1 or len(features) != samples:
        raise InputError(
            f"the {name} modality: expected a row of features for each of the {samples} labels, came shape {features.shape}; give (n, width)."
        )
    if features.dtype.kind not in "fiub" or not np.isfinite(features.astype(float)).all():
        raise InputError(
            f"the {name} modality: expected finite numbers, came {features.dtype}; give features, such as an encoder's."
        )
    flat = features.reshape(samples, -1).astype(float)
    kinds, symbols = np.unique(flat, axis=0, return_inverse=True)
    if len(kinds) <= clusters:
        return symbols.reshape(-1)
    components = min(COMPONENTS, *flat.shape)
    reduced = PCA(components, random_state=seed).fit_transform(flat)
    return np.asarray(KMeans(clusters, n_init=4, random_state=seed).fit_predict(reduced))
