"""Partial information decomposition: distributions whose answer is known, identities that always hold, and dit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens.validation.pid import PID, decomposed, least_told, pid

BITS = np.array(list(product((0, 1), repeat=2)))
A, B = BITS.T


def atoms(found: PID) -> tuple[float, float, float, float]:
    return found.redundancy, found.unique_first, found.unique_second, found.synergy


@pytest.mark.parametrize(
    ("first", "second", "labels", "expected"),
    [
        (A, B, A ^ B, (0, 0, 0, 1)),
        (A, A, A, (1, 0, 0, 0)),
        (A, B, A, (0, 1, 0, 0)),
        (A, B, B, (0, 0, 1, 0)),
        (A, B, A & B, (0.311278, 0, 0, 0.5)),  # Bertschinger et al. (2014), AND
        (A, B, 2 * A + B, (0, 1, 1, 0)),  # two bits, each of which one modality holds
        (A, B, np.zeros(4, int), (0, 0, 0, 0)),
    ],
)
def test_gates_whose_answer_is_known(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, expected: tuple[float, ...]
) -> None:
    assert atoms(pid(first[:, None], second[:, None], labels)) == pytest.approx(expected, abs=1e-3)


def drawn(seed: int, labels: int, rows: int, columns: int, zeros: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    joint = generator.dirichlet(np.full(labels * rows * columns, 0.5)).reshape(labels, rows, columns)
    joint[generator.random(joint.shape) < zeros] = 0
    return joint / joint.sum()


def entropy(p: np.ndarray) -> float:
    held = p[p > 0]
    return float(-(held * np.log2(held)).sum())


@given(seed=st.integers(0, 999), labels=st.integers(2, 3), sides=st.tuples(st.integers(2, 4), st.integers(2, 4)))
def test_what_atoms_add_up_to(seed: int, labels: int, sides: tuple[int, int]) -> None:
    joint = drawn(seed, labels, *sides, zeros=0.2)
    found = decomposed(joint)
    of_label, of_both = entropy(joint.sum(axis=(1, 2))), entropy(joint.sum(axis=0))
    of_first = of_label + entropy(joint.sum(axis=(0, 2))) - entropy(joint.sum(axis=2))
    of_second = of_label + entropy(joint.sum(axis=(0, 1))) - entropy(joint.sum(axis=1))
    assert found.total == pytest.approx(of_label + of_both - entropy(joint), abs=1e-9)
    assert found.redundancy + found.unique_first == pytest.approx(of_first, abs=1e-9)
    assert found.redundancy + found.unique_second == pytest.approx(of_second, abs=1e-9)
    assert min(atoms(found)) > -1e-9
    swapped = decomposed(joint.transpose(0, 2, 1))
    assert atoms(swapped) == pytest.approx(
        (found.redundancy, found.unique_second, found.unique_first, found.synergy), abs=2e-3
    )


def told(joint: np.ndarray) -> float:
    return entropy(joint.sum(axis=(1, 2))) + entropy(joint.sum(axis=0)) - entropy(joint)


@given(
    seed=st.integers(0, 999),
    labels=st.integers(2, 3),
    sides=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    zeros=st.sampled_from([0.0, 0.3]),
)
def test_what_is_least_told_has_the_marginals_and_no_way_from_it_leads_lower(
    seed: int, labels: int, sides: tuple[int, int], zeros: float
) -> None:
    joint = drawn(seed, labels, *sides, zeros=zeros)
    least = least_told(joint)
    joint = joint[joint.sum(axis=(1, 2)) > 0]
    np.testing.assert_allclose(least.sum(axis=2), joint.sum(axis=2), atol=1e-9)
    np.testing.assert_allclose(least.sum(axis=1), joint.sum(axis=1), atol=1e-4)
    apart = np.einsum("la,lb->lab", joint.sum(axis=2), joint.sum(axis=1)) / joint.sum(axis=(1, 2))[:, None, None]
    for other in (joint, apart):
        for step in (0.01, 0.1, 0.5, 1.0):
            assert told((1 - step) * least + step * other) > told(least) - 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_against_dit(seed: int) -> None:
    """dit's optimiser starts at random and may stop short of the optimum, where synergy is largest: the best of several runs."""
    dit = pytest.importorskip("dit", reason="the oracle dit is not installed")
    joint = drawn(seed, 2, 2 + seed % 2, 3)
    outcomes = [(str(a), str(b), str(y)) for y, a, b in np.ndindex(*joint.shape)]
    nodes = (((0,), (1,)), ((0,),), ((1,),), ((0, 1),))
    ours, runs = atoms(decomposed(joint)), []
    while len(runs) < 8 and (not runs or max(runs)[0] < ours[3] - 1e-3):
        oracle = dit.pid.PID_BROJA(dit.Distribution(outcomes, joint.ravel()), [[0], [1]], [2])
        found = [float(oracle.get_pi(node)) for node in nodes]
        runs.append((found[3], found))
    assert ours == pytest.approx(max(runs)[1], abs=1e-3)


def test_features_are_clustered_and_the_seed_decides_how() -> None:
    generator = np.random.default_rng(0)
    bits = generator.integers(2, size=(600, 2))
    first, second = (4 * bits[:, [place]] + generator.normal(size=(600, 15)) for place in (0, 1))
    found = pid(first, second, bits[:, 0] ^ bits[:, 1], clusters=2)
    assert found.synergy > 0.95
    assert max(found.redundancy, found.unique_first, found.unique_second) < 0.02
    assert pid(first, second, bits[:, 0], clusters=4, seed=1) == pid(first, second, bits[:, 0], clusters=4, seed=1)
    images = first.reshape(600, 3, 5)
    assert pid(images, second, bits[:, 0], clusters=4) == pid(first, second, bits[:, 0], clusters=4)


def test_names_of_classes_do_for_labels() -> None:
    assert pid(A[:, None], B[:, None], np.array(["ill", "well", "well", "ill"])).synergy == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("first", "labels", "clusters", "message"),
    [
        (np.ones((3, 1)), A, 20, "the first modality: expected a row of features for each of the 4 labels"),
        (np.full((4, 1), np.nan), A, 20, "the first modality: expected finite numbers"),
        (np.array([["a"]] * 4), A, 20, "the first modality: expected finite numbers"),
        (np.ones((4, 1)), BITS, 20, r"labels: expected the class of each patient"),
        (np.ones((4, 1)), A, 1, "clusters=1: give a whole number, at least 2"),
    ],
)
def test_what_can_not_be_decomposed_is_refused(
    first: np.ndarray, labels: np.ndarray, clusters: int, message: str
) -> None:
    with pytest.raises(ml.InputError, match=message):
        pid(first, B[:, None], labels, clusters=clusters)
