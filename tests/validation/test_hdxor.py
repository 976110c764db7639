"""HD-XOR and SUM: what the data sets look like, their labels by hand, and what is true of them against an exact count."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from modalens.validation import problem
from modalens.validation.hdxor import HIDDEN, PART, VECTORS, Bits, exactly_one, parity
from modalens.validation.known import KnownProblem
from modalens.validation.latents import Latents

THREE_BITS = [list(map(float, pattern)) for pattern in product((0, 1), repeat=3)]


def small(name: str, seed: int = 0) -> KnownProblem:
    return problem(name, seed, train=700, test=300)


def stacked(found: KnownProblem) -> np.ndarray:
    """All modalities side by side."""
    return np.concatenate([*found.train.inputs.values()], axis=1).astype(float)


def rank(rows: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(rows, tol=1e-4 * np.linalg.norm(rows, 2)))


@pytest.mark.parametrize("name", VECTORS)
def test_shapes_are_the_papers(name: str) -> None:
    found = small(name)
    count = int(name[5]) if name.startswith("hdxor") else 2
    widths = (110, 90, 100, 110, 100) if name.startswith("hdxor") else (200, 200)
    assert [rows.shape for rows in found.train.inputs.values()] == [(700, width) for width in widths[:count]]
    assert [rows.shape[0] for rows in found.inputs.values()] == [300] * count
    assert len(found.train) == 700
    assert all(rows.dtype == np.float32 for rows in found.inputs.values())
    assert found.modalities == tuple(found.latents)


@pytest.mark.parametrize("name", [name for name in VECTORS if name.startswith("hdxor")])
def test_each_label_is_as_frequent_as_the_other(name: str) -> None:
    found = small(name)
    assert found.watched is not None
    everyone = [*found.train.labels, *found.labels, *found.watched.labels]
    assert abs(2 * sum(everyone) - len(everyone)) <= 1
    assert found.labels.mean() == pytest.approx(0.5, abs=0.1)


def test_the_label_by_hand_and_where_exactly_one_differs_from_parity() -> None:
    bits = np.array(THREE_BITS)
    groups: Latents = tuple(bits[:, [place]] for place in range(3))
    np.testing.assert_array_equal(exactly_one(groups), [0, 1, 1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(parity(groups), [0, 1, 1, 0, 1, 0, 0, 1])


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("hdxor2-synergy", lambda bits: bits[0] != bits[1]),
        ("hdxor3-synergy", lambda bits: bits.sum(axis=0) == 1),
        ("hdxor3-parity", lambda bits: np.isin(bits.sum(axis=0), (1, 3))),
        ("hdxor4-synergy", lambda bits: bits.sum(axis=0) == 1),
        ("hdxor4-parity", lambda bits: np.isin(bits.sum(axis=0), (1, 3))),
        ("hdxor2-uniqueness-1", lambda bits: bits[0] != bits[1]),
        ("hdxor2-uniqueness-2", lambda bits: bits[1] != bits[2]),
        ("hdxor3-redundancy", lambda bits: bits[0] != bits[1]),
    ],
)
def test_labels_follow_the_bits(name: str, rule: Callable[[np.ndarray], np.ndarray]) -> None:
    found = small(name)
    for patients in (found.train, found.test):
        bits = np.concatenate([*patients.latents.values()], axis=1).T
        assert set(np.unique(bits)) == {0.0, 1.0}
        np.testing.assert_array_equal(patients.labels == 1, rule(bits))


@pytest.mark.parametrize(
    ("name", "place", "shift", "spread"),
    [
        ("hdxor2-uniqueness-1", 0, 0.35, 1),
        ("hdxor3-uniqueness-3", 2, 0.35, 1),
        ("hdxor2-synergy", 1, 0.35, 2),
        ("hdxor4-parity", 3, 0.35, 2),
        ("hdxor2-redundancy", 1, 0.25, 1),
    ],
)
def test_bits_move_the_means_of_their_blocks(name: str, place: int, shift: float, spread: float) -> None:
    chosen, generator = VECTORS[name], np.random.default_rng(0)
    z = chosen.source.draw(8_000, generator)
    hidden, bits = chosen.hidden(z, generator)[place], z[place]
    assert hidden.shape == (8_000, HIDDEN)
    blocks = np.split(hidden, bits.shape[1], axis=1)
    for column, block in enumerate(blocks):
        for value, mean in ((0, -shift), (1, shift)):
            rows = block[bits[:, column] == value]
            np.testing.assert_allclose(rows.mean(axis=0), mean, atol=5 * spread / np.sqrt(len(rows)))
            assert rows.std() == pytest.approx(spread, rel=0.01)


def test_what_carries_nothing_is_standard_normal() -> None:
    for name, place in (("hdxor2-uniqueness-1", 1), ("hdxor2-random", 0), ("hdxor2-random", 1)):
        chosen, generator = VECTORS[name], np.random.default_rng(0)
        z = chosen.source.draw(4_000, generator)
        hidden = chosen.hidden(z, generator)[place]
        assert abs(hidden.mean()) < 0.01
        assert hidden.std() == pytest.approx(1, abs=0.01)
        assert abs(np.corrcoef(hidden.mean(axis=1), z[place][:, 0])[0, 1]) < 0.06


def test_copies_hold_one_hidden_vector_and_differ_by_their_matrix_only() -> None:
    generator = np.random.default_rng(0)
    chosen = VECTORS["hdxor3-redundancy"]
    first, *others = chosen.hidden(chosen.source.draw(50, generator), generator)
    assert all((first == other).all() for other in others)
    found = small("hdxor3-redundancy")
    assert rank(stacked(found)) == HIDDEN
    assert rank(stacked(small("hdxor3-synergy"))) == 300
    assert (found.latents["modality_1"] == found.latents["modality_3"]).all()


def test_sum_shares_a_vector_between_its_modalities() -> None:
    for name in ("sum-unique-1", "sum-redundancy", "sum-mix-2"):
        found = small(name)
        one, two = found.train.latents.values()
        assert (one[:, PART:] == two[:, PART:]).all()
        assert np.abs(np.corrcoef(one[:, :PART].T, two[:, :PART].T)[:PART, PART:]).max() < 0.2
        assert rank(stacked(found)) == 3 * PART


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("sum-unique-1", lambda a, b, shared: a),
        ("sum-unique-2", lambda a, b, shared: b),
        ("sum-redundancy", lambda a, b, shared: shared),
        ("sum-synergy", lambda a, b, shared: a + b),
        ("sum-mix-1", lambda a, b, shared: a + shared),
        ("sum-mix-2", lambda a, b, shared: b + shared),
    ],
)
def test_labels_follow_the_sum(name: str, total: Callable[..., np.ndarray]) -> None:
    found = small(name)
    one, two = found.train.latents.values()
    f = total(one[:, :PART].sum(axis=1), two[:, :PART].sum(axis=1), one[:, PART:].sum(axis=1))
    np.testing.assert_array_equal(found.train.labels == 1, f > np.median(f))


def test_random_labels_have_nothing_to_do_with_the_inputs() -> None:
    found = problem("hdxor2-random", train=5_000, test=5_000)
    for patients in (found.train, found.test):
        bits = np.concatenate([*patients.latents.values()], axis=1)
        assert (patients.labels == bits.sum(axis=1) % 2).mean() == pytest.approx(0.5, abs=0.03)
        apart = [rows[patients.labels == 1].mean(axis=0) - rows[patients.labels == 0].mean(axis=0) for rows in patients.inputs.values()]  # fmt: skip
        errors = [2 * rows.std(axis=0) / np.sqrt(len(patients)) for rows in patients.inputs.values()]
        assert all((np.abs(one) < 5 * error).all() for one, error in zip(apart, errors, strict=True))
    assert found.reachable == pytest.approx(0.5, abs=0.03)


def test_data_follow_from_name_and_seed() -> None:
    one, again, other = small("hdxor2-synergy"), small("hdxor2-synergy"), small("hdxor2-synergy", seed=1)
    for name in one.modalities:
        np.testing.assert_array_equal(one.inputs[name], again.inputs[name])
        assert not np.isclose(one.inputs[name], other.inputs[name]).all()
        assert not np.isin(one.inputs[name], one.train.inputs[name]).all(axis=1).any()
    np.testing.assert_array_equal(one.labels, again.labels)
    assert (one.labels != other.labels).any()
    assert (one.inputs["modality_1"] != small("hdxor2-random").inputs["modality_1"]).any()


@given(st.integers(1, 60), st.sampled_from(["hdxor2-synergy", "hdxor3-synergy", "hdxor4-synergy", "hdxor2-redundancy"]))
def test_patterns_are_as_frequent_as_they_should_be(samples: int, name: str) -> None:
    source = VECTORS[name].source
    assert isinstance(source, Bits)
    assert source.frequency.sum() == pytest.approx(1)
    z = source.draw(samples, np.random.default_rng(samples))
    labels, known = source.rule(z), source.rule(source.patterns)
    assert abs(2 * labels.sum() - samples) <= 1
    drawn = np.concatenate(z, axis=1)
    counts = np.array([(drawn == pattern).all(axis=1).sum() for pattern in np.concatenate(source.patterns, axis=1)])
    assert counts.sum() == samples
    assert np.ptp(counts[known == 0]) <= 1
    assert np.ptp(counts[known == 1]) <= 1


def exact_orders(rule: Callable[[tuple[int, ...]], int], owners: list[int]) -> np.ndarray:
    """The split of the label's being one's own into orders, by going through all pairs of patterns; `owners` are the
    modalities of the bits.
    """
    patterns = list(product((0, 1), repeat=len(owners)))
    labels = [rule(pattern) for pattern in patterns]
    weight = [0.5 / labels.count(label) for label in labels]
    players = max(owners) + 1

    def kept(coalition: frozenset[int]) -> float:
        total = 0.0
        for p, own, label in zip(patterns, weight, labels, strict=True):
            for q, other in zip(patterns, weight, strict=True):
                mixed = tuple(a if owner in coalition else b for a, b, owner in zip(p, q, owners, strict=True))
                total += own * other * (rule(mixed) == label)
        return total

    sets = [frozenset(i for i in range(players) if code >> i & 1) for code in range(1 << players)]
    value = {one: kept(one) for one in sets}
    found = np.zeros(3)
    for one in sets[1:]:
        coefficient = sum((-1) ** (len(one) - len(inside)) * value[inside] for inside in sets if inside <= one)
        found[min(len(one), 3) - 1] += abs(coefficient)
    return found / found.sum()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hdxor2-uniqueness-1", (1, 0, 0)),
        ("hdxor3-uniqueness-2", (1, 0, 0)),
        ("hdxor2-synergy", (0, 1, 0)),
        ("hdxor3-parity", (0, 0, 1)),
        ("hdxor4-parity", (0, 0, 1)),
        ("hdxor3-synergy", (16 / 75, 14 / 75, 3 / 5)),
    ],
)
def test_orders_by_hand(name: str, expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(small(name).orders, expected, atol=1e-12)


@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_orders_of_exactly_one_against_all_pairs_of_patterns(modalities: int) -> None:
    expected = exact_orders(lambda pattern: int(sum(pattern) == 1), list(range(modalities)))
    np.testing.assert_allclose(small(f"hdxor{modalities}-synergy").orders, expected, atol=1e-12)


@pytest.mark.parametrize("estimand", ["contribution", "shapley", "reliance", "loss"])
def test_shares_by_hand(estimand: str) -> None:
    for name, expected in {
        "hdxor2-uniqueness-1": (1, 0),
        "hdxor2-uniqueness-2": (0, 1),
        "hdxor2-synergy": (0.5, 0.5),
        "hdxor3-synergy": (1 / 3, 1 / 3, 1 / 3),
        "hdxor4-parity": (0.25,) * 4,
    }.items():
        truth = small(name).truth[estimand]
        np.testing.assert_allclose(truth.values, expected, atol=1e-12)
        np.testing.assert_allclose(truth.error, 0, atol=1e-12)
    assert small("hdxor4-parity").truth[estimand].tied


def test_the_contribution_of_bits_that_count_alike_and_do_not() -> None:
    # E |f - E f without m| of exactly one of two is 1/2 for both; of uniqueness 1/2 for the one, by going through the bits.
    found = small("hdxor3-uniqueness-2")
    np.testing.assert_allclose(found.truth["contribution"].values, (0, 1, 0), atol=1e-12)
    assert "sensitivity" not in found.truth


@pytest.mark.parametrize("name", ["hdxor2-redundancy", "hdxor3-random", "sum-redundancy", "sum-mix-1", "sum-mix-2"])
def test_no_truth_where_copies_or_chance_decide(name: str) -> None:
    found = small(name)
    assert len(found.truth) == 0
    assert found.orders is None


def test_truths_of_sums() -> None:
    for estimand in ("sensitivity", "contribution", "shapley", "reliance"):
        np.testing.assert_allclose(small("sum-unique-1").truth[estimand].values, (1, 0), atol=1e-9)
        truth = small("sum-synergy").truth[estimand]
        assert (np.abs(truth.values - 0.5) < 4 * truth.error + 1e-9).all()
    np.testing.assert_allclose(small("sum-synergy").orders, (1, 0, 0), atol=1e-9)


def test_the_best_decision_by_hand() -> None:
    # Copies show all of the hidden vector: each bit is told from 100 values around +-.25, and the label is their XOR.
    wrong = norm.cdf(-0.25 * 10)
    found = problem("hdxor3-redundancy", train=10, test=20_000)
    assert found.reachable == pytest.approx((1 - wrong) ** 2 + wrong**2, abs=0.004)
    # A bit a modality is told from 200 values around +-.35 of standard deviation 2, of which width / 200 is seen.
    first, second = (norm.cdf(-0.35 * np.sqrt(width) / 2) for width in (110, 90))
    expected = (1 - first) * (1 - second) + first * second
    reached = [problem("hdxor2-synergy", seed, train=10, test=4_000).reachable for seed in range(5)]
    assert np.mean(reached) == pytest.approx(expected, abs=0.012)
    assert problem("sum-synergy", train=10, test=10).reachable == 1


@pytest.mark.parametrize(
    ("name", "bits"), [("hdxor2-synergy", (0, 1)), ("hdxor2-uniqueness-1", (0, 0)), ("hdxor3-parity", (0, 1, 2))]
)
def test_the_best_decision_is_nearly_reached_by_discriminants_that_see_the_bits(
    name: str, bits: tuple[int, ...]
) -> None:
    found = problem(name, train=8_000, test=4_000)
    told = []
    for column, place in enumerate(bits):
        own = found.train.latents[f"modality_{place + 1}"]
        taught = LinearDiscriminantAnalysis().fit(
            found.train.inputs[f"modality_{place + 1}"], own[:, column if own.shape[1] > 1 else 0]
        )
        told.append(taught.predict(found.inputs[f"modality_{place + 1}"]))
    reached = (np.sum(told, axis=0) % 2 == found.labels).mean()
    assert found.reachable - 0.02 < reached < found.reachable + 0.005
