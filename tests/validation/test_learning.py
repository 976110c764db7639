"""Models of problems with a known answer: what they are taught, by which seed, and what they can't learn."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import modalens as ml
from modalens.validation import problem
from modalens.validation.known import KnownProblem, Schedule
from modalens.validation.learning import accuracy, learn, oracle, taught
from modalens.validation.networks import NETWORKS

BRIEF = Schedule(epochs=3, batch=50)
TWO = {"a": (5,), "b": (3,)}


def small(name: str, **schedule: int) -> KnownProblem:
    return problem(name, train=600, test=200).taught(**{"epochs": 2, "batch": 100, **schedule})


def on_bits(name: str, network: str, seed: int = 0) -> float:
    """The accuracy of a network that is taught the bits themselves."""
    known = small(name)
    schedule = Schedule(epochs=30, batch=50, rate=1e-2)
    model = taught(NETWORKS[network], known.train.latents, known.train.labels, schedule, seed)
    return accuracy(model, known.latents, known.labels)


def test_the_global_random_state_is_left_as_it_was() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    known = small("hdxor2-synergy")
    learn(known, "early")
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    known = small("hdxor2-synergy")
    found = []
    for before, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(before)
        model = taught(NETWORKS["early"], known.train.inputs, known.train.labels, BRIEF, seed)
        found.append(torch.cat([one.detach().flatten() for one in model.parameters()]))
    assert torch.equal(found[0], found[1])
    assert not torch.isclose(found[0], found[2]).all()


def test_a_taught_network_is_in_evaluation_mode_and_has_learned_something() -> None:
    known = small("F2", epochs=8)
    learned = learn(known)
    assert not learned.model.training
    assert learned.accuracy > 0.8 > learned.chance


@pytest.mark.parametrize("name", ["F4", "C6", "hdxor2-synergy", "hdxor3-synergy", "hdxor2-redundancy", "sum-mix-1"])
def test_the_decision_function_is_always_right(name: str) -> None:
    learned = learn(small(name), "function")
    assert learned.accuracy == pytest.approx(1, abs=0.02 if name[0] in "FCs" else 0)
    assert learned.good


def test_a_tenth_of_turned_labels_is_out_of_its_reach() -> None:
    assert learn(problem("C8", train=2_000, test=2_000), "function").accuracy == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("name", ["hdxor2-synergy", "hdxor3-parity", "hdxor4-synergy", "F2"])
def test_the_oracle_learns_what_the_latents_decide(name: str) -> None:
    known = problem(name, train=2_000, test=400)
    assert accuracy(oracle(known), known.latents, known.labels) > 0.95
    learned = learn(known, "oracle")
    assert learned.accuracy == learned.ceiling
    assert set(learned.inputs) == set(known.latents)


def test_no_network_is_held_to_what_the_inputs_do_not_show() -> None:
    known = small("hdxor2-synergy")
    learned = learn(known, "early")
    assert learned.ceiling == known.reachable < accuracy(oracle(known), known.latents, known.labels) - 0.02
    assert learn(known, "oracle").ceiling > 0.98
    assert not learned.good  # two epochs teach nothing


def test_averaged_logits_cannot_learn_xor_and_joined_layers_can() -> None:
    for seed in range(3):
        assert on_bits("hdxor2-synergy", "late", seed) < 0.8  # of four patterns three at most
        assert on_bits("hdxor2-synergy", "early", seed) == 1
        assert on_bits("hdxor2-synergy", "intermediate", seed) == 1


def test_averaged_logits_learn_what_one_modality_decides() -> None:
    assert on_bits("hdxor2-uniqueness-1", "late") == 1


@pytest.mark.parametrize("network", ["early", "intermediate", "late"])
def test_networks_give_a_logit_a_class(network: str) -> None:
    model = NETWORKS[network](TWO)
    found = model(a=torch.zeros(7, 5), b=torch.zeros(7, 3))
    assert found.shape == (7, 2)


def test_only_late_fusion_is_additive_on_the_logits() -> None:
    rows = torch.Generator().manual_seed(0)
    a, b = torch.randn((2, 6, 5), generator=rows), torch.randn((2, 6, 3), generator=rows)
    for network, additive in (("early", False), ("intermediate", False), ("late", True)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = NETWORKS[network](TWO)
        mixed = model(a=a[0], b=b[0]) - model(a=a[1], b=b[0]) - model(a=a[0], b=b[1]) + model(a=a[1], b=b[1])
        assert (mixed.abs().max().item() < 1e-6) == additive


def test_both_images_of_the_hybrid_go_through_one_encoder() -> None:
    model = NETWORKS["hybrid"]({"one": (1, 28, 28), "two": (1, 28, 28), "table": (4,)})
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model.modules()) == 2
    assert model(one=torch.ones(3, 1, 28, 28), two=torch.zeros(3, 1, 28, 28), table=torch.zeros(3, 4)).shape == (3, 2)


@pytest.mark.parametrize("network", ["function", "oracle", "early"])
@pytest.mark.parametrize("name", ["hdxor3-synergy", "C4"])
def test_every_model_can_be_explained_with_its_settings(name: str, network: str) -> None:
    known = small(name)
    learned = learn(known, "hybrid" if (name, network) == ("C4", "early") else network)
    found = ml.explain(
        learned.model,
        {one: rows[:20] for one, rows in learned.inputs.items()},
        background=learned.background,
        modalities=learned.kinds,
        baseline=ml.Background(rows=20),
        measures=[ml.InterSHAP()],
        confidence=None,
        **learned.asked,
    )
    assert found.intershap.orders.sum() == pytest.approx(1)


@pytest.mark.parametrize(("name", "order"), [("C6", 1), ("C4", 0), ("C8", 0), ("F7", 0)])
def test_the_truth_of_products_and_sums_has_no_noise_of_other_orders(name: str, order: int) -> None:
    np.testing.assert_allclose(small(name).orders, np.eye(3)[order], atol=1e-9)


@pytest.mark.parametrize("name", ["hdxor2-synergy", "hdxor2-uniqueness-2", "hdxor3-synergy", "hdxor3-parity", "C6"])
def test_the_decision_function_has_the_true_orders_and_shares(name: str) -> None:
    known = problem(name, train=1_000, test=300)
    learned = learn(known, "function")
    found = ml.explain(
        learned.model,
        learned.inputs,
        background=learned.background,
        modalities=learned.kinds,
        baseline=ml.Background(rows=1_000),
        measures=[ml.InterSHAP(), ml.Shapley()],
        confidence=None,
        **learned.asked,
    )
    np.testing.assert_allclose(found.intershap.orders.values, known.orders, atol=0.1 if name == "C6" else 0.05)
    np.testing.assert_allclose(found.shapley.contribution.values, known.truth["shapley"].values, atol=0.03)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ml.InputError, match="early"):
        learn(small("F2"), "erly")


@pytest.mark.slow
def test_a_network_comes_near_the_best_decision_on_hdxor() -> None:
    known = problem("hdxor2-synergy")
    early, late = (learn(known.taught(epochs=40, rate=3e-4), network) for network in ("early", "late"))
    assert early.good
    assert early.accuracy <= known.reachable + 0.01
    assert late.accuracy < 0.6


def test_the_epoch_is_kept_that_is_best_on_other_patients() -> None:
    known = problem("hdxor2-uniqueness-1", train=300, test=60)
    assert known.watched is not None
    assert len(known.watched) == 65

    def loss(model: torch.nn.Module) -> float:
        assert known.watched is not None
        with torch.no_grad():
            logits = model(**{name: torch.as_tensor(values) for name, values in known.watched.inputs.items()})
        return float(torch.nn.functional.cross_entropy(logits, torch.as_tensor(known.watched.labels)))

    def after(epochs: int, patience: int | None) -> torch.nn.Module:
        schedule = Schedule(epochs=epochs, rate=1e-2, falling=False, patience=patience)
        return taught(NETWORKS["early"], known.train.inputs, known.train.labels, schedule, 0, known.watched)

    by_epoch = [loss(after(epochs, None)) for epochs in range(1, 9)]
    assert min(by_epoch) < by_epoch[-1]  # it learns its patients by heart
    assert loss(after(8, 8)) == min(by_epoch)
    first_worse = next(place for place, value in enumerate(by_epoch) if place and value > min(by_epoch[:place]))
    assert loss(after(8, 1)) == min(by_epoch[:first_worse])
