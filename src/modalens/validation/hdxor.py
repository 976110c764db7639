"""The interaction paper's data: HD-XOR, whose labels follow the parity or the count of hidden bits, and SUM, whose labels
follow a sum of hidden vectors that modalities share or not.

L. Wenderoth et al., "Measuring Cross-Modal Interactions in Multimodal Models", AAAI 2025, section 4 and appendix; SUM
after P. P. Liang et al., "Quantifying & Modeling Multimodal Interactions", NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
from scipy.special import logsumexp

from modalens.modalities import Tabular
from modalens.validation.functions import Function
from modalens.validation.known import KnownProblem, Patients, Schedule, Truths, truths
from modalens.validation.latents import Gaussian, Latents, Source

WIDTHS = (110, 90, 100, 110, 100)
"""Columns of each modality, the paper's for up to four."""

SUM_WIDTHS = (200, 200)
"""The same of SUM: twice the length of what is hidden, so that nothing is hard to read."""

HIDDEN = 200
"""Length of each modality's hidden vector."""

TRAIN, TEST = 14_000, 3_000
"""Of the paper's 20,000 patients; the other 3,000 are those by which an epoch is chosen."""

SHIFT, SHIFT_OF_COPIES = 0.35, 0.25
"""How far a bit moves the mean of its block, up or down; of blocks that all modalities hold."""

SPREAD = 2.0
"""Standard deviation of a block around its mean where each modality holds one bit."""

PART = 50
"""Length of each of SUM's hidden vectors, a modality's own and the shared one."""

PAPER = Schedule(epochs=200, batch=400, rate=1e-4, decay=1e-4, falling=False, patience=20)


@dataclass(frozen=True, kw_only=True)
class Bits:
    """Bits of 0 and 1, one or more a modality, such that each label is as frequent as the other, and so are the patterns
    that have it; `copied` where all modalities hold the same.
    """

    widths: tuple[int, ...]
    rule: Callable[[Latents], np.ndarray]
    copied: bool = False

    @cached_property
    def patterns(self) -> Latents:
        """All that there are."""
        return self.split(_patterns(self.widths[0] if self.copied else sum(self.widths)))

    @cached_property
    def frequency(self) -> np.ndarray:
        """Of each pattern."""
        label = self.rule(self.patterns).astype(int)
        return np.asarray(0.5 / np.bincount(label)[label])

    def draw(self, samples: int, generator: np.random.Generator) -> Latents:
        """Samples in random order, in which patterns are as frequent as they should be, as near as the number allows."""
        label = self.rule(self.patterns)
        counted = [
            np.resize(generator.permutation(np.flatnonzero(label == one)), number)
            for one, number in ((0, samples - samples // 2), (1, samples // 2))
        ]
        chosen = generator.permutation(np.concatenate(counted))
        return tuple(group[chosen] for group in self.patterns)

    def split(self, rows: np.ndarray) -> Latents:
        """(..., all bits) by modality."""
        if self.copied:
            return tuple(rows for _ in self.widths)
        return tuple(np.split(rows, np.cumsum(self.widths)[:-1], axis=-1))


def _patterns(bits: int) -> np.ndarray:
    return (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(float)


def parity(z: Latents) -> np.ndarray:
    """Whether the number of bits that are set is odd."""
    return np.asarray(sum(group.sum(axis=-1) for group in z) % 2)


def exactly_one(z: Latents) -> np.ndarray:
    """Whether one bit is set, and only one."""
    return np.asarray((sum(group.sum(axis=-1) for group in z) == 1) * 1.0)


def parity_of_first(z: Latents) -> np.ndarray:
    """The parity of the bits that the first modality holds."""
    return np.asarray(z[0].sum(axis=-1) % 2)


def _parity_of(place: int, z: Latents) -> np.ndarray:
    return parity((z[place],))


Means = Callable[[Latents], list[np.ndarray]]
"""Where the hidden vectors of each modality lie, (n, length), given the latents."""


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """One data set: its latents, what decides the label, the means of the hidden vectors, and their standard deviation
    around these. `binary` where f is the label itself; `identified` where shares are those of f.
    """

    words: str
    function: Function
    source: Source
    means: Means
    spread: float = 1.0
    binary: bool = True
    identified: bool = True
    random: bool = False

    @property
    def copied(self) -> bool:
        """Whether all modalities hold the same hidden vector."""
        return isinstance(self.source, Bits) and self.source.copied

    def hidden(self, z: Latents, generator: np.random.Generator) -> list[np.ndarray]:
        """Hidden vectors by modality."""
        means = self.means(z)
        found = [mean + self.spread * generator.normal(size=mean.shape) for mean in means[: 1 if self.copied else None]]
        return found * len(means) if self.copied else found


def _uniqueness(modalities: int, place: int) -> Vectors:
    widths = tuple(2 if other == place else 1 for other in range(modalities))
    rule = partial(_parity_of, place)

    def means(z: Latents) -> list[np.ndarray]:
        return [_blocks(group, SHIFT if other == place else 0.0) for other, group in enumerate(z)]

    return Vectors(
        words=f"two bits in modality {place + 1}, label 1 where just one is set",
        function=_function(f"uniqueness {place + 1}", rule),
        source=Bits(widths=widths, rule=rule),
        means=means,
    )


def _synergy(modalities: int, rule: Callable[[Latents], np.ndarray]) -> Vectors:
    said = "where exactly one is set" if rule is exactly_one else "where an odd number is set"
    return Vectors(
        words=f"one bit a modality, label 1 {said}",
        function=_function("synergy", rule),
        source=Bits(widths=(1,) * modalities, rule=rule),
        means=lambda z: [_blocks(group, SHIFT) for group in z],
        spread=SPREAD,
    )


def _redundancy(modalities: int) -> Vectors:
    return Vectors(
        words="the same two bits in every modality, label 1 where just one is set",
        function=_function("redundancy", parity_of_first),
        source=Bits(widths=(2,) * modalities, rule=parity_of_first, copied=True),
        means=lambda z: [_blocks(group, SHIFT_OF_COPIES) for group in z],
        identified=False,
    )


def _random(modalities: int) -> Vectors:
    return Vectors(
        words="labels by chance",
        function=_function("random", parity),
        source=Bits(widths=(1,) * modalities, rule=parity),
        means=lambda z: [_blocks(group, 0.0) for group in z],
        identified=False,
        random=True,
    )


def _blocks(bits: np.ndarray, shift: float) -> np.ndarray:
    """A block for each bit, shifted up where it is set and down where it is not."""
    return np.repeat((2 * bits - 1) * shift, HIDDEN // bits.shape[1], axis=1)


def _function(name: str, rule: Callable[[Latents], np.ndarray]) -> Function:
    def no_gradient(z: Latents) -> Latents:
        raise NotImplementedError("bits have no gradient")

    return Function(name=name, words=name, value=rule, gradient=no_gradient)


OWN, SHARED = slice(PART), slice(PART, None)
SUMS: dict[str, tuple[str, tuple[tuple[int, slice], ...]]] = {
    "sum-unique-1": ("the first modality's own vector", ((0, OWN),)),
    "sum-unique-2": ("the second modality's own vector", ((1, OWN),)),
    "sum-redundancy": ("the vector that both modalities hold", ((0, SHARED),)),
    "sum-synergy": ("both own vectors", ((0, OWN), (1, OWN))),
    "sum-mix-1": ("the first's own vector and the shared one", ((0, OWN), (0, SHARED))),
    "sum-mix-2": ("the second's own vector and the shared one", ((1, OWN), (1, SHARED))),
}


def _sum(name: str) -> Vectors:
    """Each modality is its own vector beside a shared one, which is the same in both."""
    words, parts = SUMS[name]
    weights = [np.zeros(2 * PART), np.zeros(2 * PART)]
    for group, part in parts:
        weights[group][part] = 1.0
    correlation = np.eye(4 * PART)
    first, second = np.arange(PART, 2 * PART), np.arange(3 * PART, 4 * PART)
    correlation[first, second] = correlation[second, first] = 1.0

    def value(z: Latents) -> np.ndarray:
        return np.asarray(sum(group @ own for group, own in zip(z, weights, strict=True)))

    def gradient(z: Latents) -> Latents:
        return tuple(np.broadcast_to(own, group.shape) for group, own in zip(z, weights, strict=True))

    return Vectors(
        words=f"label 1 where the sum of {words} is above its median",
        function=Function(name=name, words=words, value=value, gradient=gradient),
        source=Gaussian(widths=(2 * PART, 2 * PART), correlation=correlation),
        means=list,
        spread=0.0,
        binary=False,
        identified=not any(part == SHARED for _, part in parts),
    )


def _all() -> dict[str, Vectors]:
    found: dict[str, Vectors] = {}
    for count in (2, 3, 4, 5):
        found |= {f"hdxor{count}-uniqueness-{place + 1}": _uniqueness(count, place) for place in range(count)}
        found[f"hdxor{count}-synergy"] = _synergy(count, exactly_one)
        if count > 2:  # of two bits, exactly one is the parity
            found[f"hdxor{count}-parity"] = _synergy(count, parity)
        found[f"hdxor{count}-redundancy"] = _redundancy(count)
        found[f"hdxor{count}-random"] = _random(count)
    return found | {name: _sum(name) for name in SUMS}


VECTORS = _all()
"""By name: hdxor for two to five modalities, and SUM."""


def vectors(name: str, seed: int, *, train: int = TRAIN, test: int = TEST) -> KnownProblem:
    """One of `VECTORS`: x_m = A_m z_m, with A_m from U(-.5, .5)."""
    chosen = VECTORS[name]
    data, turned = np.random.SeedSequence((seed, 31, list(VECTORS).index(name))).spawn(2)
    generator = np.random.default_rng(data)
    watched = -(-train * (20_000 - TRAIN - TEST) // TRAIN)
    z = chosen.source.draw(train + test + watched, generator)
    names = tuple(f"modality_{place + 1}" for place in range(len(z)))
    hidden = chosen.hidden(z, generator)
    widths = WIDTHS if chosen.binary else SUM_WIDTHS
    mixing = [generator.uniform(-0.5, 0.5, (one.shape[1], width)) for one, width in zip(hidden, widths, strict=False)]
    rendered = [(one @ mixed).astype(np.float32) for one, mixed in zip(hidden, mixing, strict=True)]
    f = chosen.function.value(z)
    labels = (f > (0.5 if chosen.binary else np.median(f[:train]))).astype(np.int64)
    if chosen.random:
        labels = np.random.default_rng(turned).permutation(labels)
    everyone = Patients(
        inputs=dict(zip(names, rendered, strict=True)), labels=labels, latents=dict(zip(names, z, strict=True))
    )
    return KnownProblem(
        name=name,
        words=chosen.words,
        kinds={one: Tabular() for one in names},
        train=everyone.rows(slice(train)),
        test=everyone.rows(slice(train, train + test)),
        watched=everyone.rows(slice(train + test, None)),
        function=chosen.function,
        source=chosen.source,
        truth=_truths(name),
        seed=seed,
        network="early",
        schedule=PAPER,
        asked={} if chosen.binary else {"output": "logit", "target": 1},
        reachable=_reachable(
            chosen, [one[train : train + test] for one in hidden], mixing, labels[train : train + test]
        ),
    )


def _reachable(
    chosen: Vectors, hidden: Sequence[np.ndarray], mixing: Sequence[np.ndarray], labels: np.ndarray
) -> float:
    """How often the label that is most probable, given all inputs, is right: no model does better. What is seen of a hidden
    vector is its projection on the columns of A_m. SUM's inputs show all of theirs.
    """
    if not isinstance(chosen.source, Bits):
        return 1.0
    means = chosen.means(chosen.source.patterns)
    if chosen.copied:
        hidden, means, mixing = hidden[:1], means[:1], [np.hstack(mixing)]
    evidence = np.log(chosen.source.frequency)
    for one, mean, mixed in zip(hidden, means, mixing, strict=True):
        seen, _ = np.linalg.qr(mixed)
        expected = mean @ seen
        evidence = evidence + (one @ seen @ expected.T - (expected**2).sum(axis=1) / 2) / chosen.spread**2
    of = chosen.source.rule(chosen.source.patterns) > 0.5
    said = logsumexp(evidence[:, of], axis=1) > logsumexp(evidence[:, ~of], axis=1)
    return float((said == labels).mean())


@lru_cache(maxsize=len(VECTORS))
def _truths(name: str) -> Truths:
    chosen = VECTORS[name]
    return truths(chosen.function, chosen.source, identified=chosen.identified)
