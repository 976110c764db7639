"""Rank-biased overlap: the known facts, ties by hand, a slow re-implementation, and what must always hold."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens.validation import above_chance, rbo, rbo_chance, tau, top_one

FOUR = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (FOUR, 1.0),
        (["e", "f", "g", "h"], 0.0),
        (["b", "a", "c", "d"], 0.9),
        (["a", "b", "d", "c"], 0.973),
        (["d", "c", "b", "a"], 0.783),
    ],
)
def test_known_values_at_p_09(other: list[str], expected: float) -> None:
    assert rbo(FOUR, other) == pytest.approx(expected, abs=5e-4)


def test_the_first_two_swapped_is_p_whatever_p_is() -> None:
    for p in (0.5, 0.8, 0.95):
        assert rbo(FOUR, ["b", "a", "c", "d"], p=p) == pytest.approx(p)


@pytest.mark.parametrize(("p", "chance"), [(0.8, 0.738), (0.9, 0.860), (0.95, 0.9275)])
def test_a_random_order_of_four_is_high_already(p: float, chance: float) -> None:
    assert rbo_chance([4, 3, 2, 1], p) == pytest.approx(chance, abs=5e-4)


def test_chance_follows_the_rule_for_ties() -> None:
    assert rbo_chance([1, 0, 0, 0], 0.9, "b") == pytest.approx(0.878, abs=5e-4)
    assert above_chance([4, 3, 2, 1], [4, 3, 2, 1]) == pytest.approx(1)
    each = [above_chance([4, 3, 2, 1], list(order)) for order in permutations([4, 3, 2, 1])]
    assert np.mean(each) == pytest.approx(0, abs=1e-12)


def test_two_tied_items_by_hand() -> None:
    # <(a b) c> and <a b c>. Depth 1: c_a = c_b = 1/2, X = 1/2. Depth 2 and 3: X = 2, 3.
    p, depths = 0.9, np.array([1, 2, 3])
    overlap = np.array([0.5, 2, 3])
    for ties, scale in (("a", depths), ("b", np.sqrt(np.array([0.5, 2, 3]) * depths))):
        agreement = overlap / scale
        expected = agreement[-1] * p**3 + (1 - p) / p * (agreement * p**depths).sum()
        assert rbo([("a", "b"), "c"], ["a", "b", "c"], p=p, ties=ties) == pytest.approx(expected)  # type: ignore[arg-type]


def test_a_truth_that_ties_everything_ranks_nothing() -> None:
    assert np.isnan(rbo([1, 1, 1, 1], [4, 3, 2, 1]))
    assert not np.isnan(rbo([4, 3, 2, 1], [1, 1, 1, 1]))


def test_lists_of_different_length() -> None:
    # Webber et al. 2010, eq. 32, worked out: <a b> and <a c b>, p = .5. X = 1, 1, 2; s = 2, l = 3.
    # sum X_d/d p^d = .5 + .125 + 2/3 .125 = .708333; sum beyond s: 1 (3 - 2) / (2 3) .125 = .0208333
    # (.708333 + .0208333) (1 - p)/p + ((2 - 1)/3 + 1/2) .125 = .729167 + .104167 = .833333
    assert rbo(["a", "b"], ["a", "c", "b"], p=0.5) == pytest.approx(0.8333333)
    with pytest.raises(ml.InputError, match="different length"):
        rbo([("a", "b")], ["a", "b", "c"])


def slow(first: list[int], second: list[int], p: float) -> float:
    """The definition for lists without ties."""
    n = len(first)
    overlaps = [len(set(first[:d]) & set(second[:d])) for d in range(1, n + 1)]
    total = sum(x / d * p**d for d, x in enumerate(overlaps, 1))
    return overlaps[-1] / n * p**n + (1 - p) / p * total


orders = st.integers(2, 7).flatmap(lambda n: st.tuples(st.permutations(range(n)), st.permutations(range(n))))
ranked = st.lists(st.integers(0, 3), min_size=2, max_size=6).filter(lambda values: len(set(values)) > 1)


@given(orders, st.floats(0.05, 0.99))
def test_equals_the_definition(pair: tuple[list[int], list[int]], p: float) -> None:
    first, second = (list(map(str, one)) for one in pair)
    assert rbo(first, second, p) == pytest.approx(slow(pair[0], pair[1], p))


@given(ranked, st.randoms(use_true_random=False), st.sampled_from(["a", "b"]))
def test_between_0_and_1_symmetric_and_blind_to_names(values: list[int], random: object, ties: str) -> None:
    other = list(values)
    random.shuffle(other)  # type: ignore[attr-defined]
    found = rbo(values, other, ties=ties)  # type: ignore[arg-type]
    assert -1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(rbo(other, values, ties=ties))  # type: ignore[arg-type]
    assert found == pytest.approx(
        rbo(dict(zip("abcdef", values, strict=False)), dict(zip("abcdef", other, strict=False)), ties=ties)
    )  # type: ignore[arg-type]
    assert rbo(values, values, ties="b") == pytest.approx(1)


def test_tau_and_top_one() -> None:
    assert tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(2 / 3)
    assert top_one([0.5, 0.5, 0, 0], [0.1, 0.6, 0.2, 0.1]) == 1
    assert top_one([1, 0, 0], [0.4, 0.4, 0.2]) == 0.5
    assert np.isnan(top_one([1, 1, 1], [3, 2, 1]))


@pytest.mark.parametrize(
    ("given_", "match"),
    [
        ((["a", "a"], ["a", "b"]), "every item once"),
        (([1, float("nan")], [1, 2]), "NaN"),
        (([], ["a"]), "every item once"),
    ],
)
def test_refused(given_: tuple[list[object], list[object]], match: str) -> None:
    with pytest.raises(ml.InputError, match=match):
        rbo(*given_)
    with pytest.raises(ml.InputError, match="between 0 and 1"):
        rbo([1, 2], [2, 1], p=1.0)
