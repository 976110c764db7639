"""Mixed patients and real ones: told apart where modalities copy each other, and not where they are independent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from modalens.modalities.patients import gather
from modalens.validation import off_manifold, problem
from modalens.validation.manifold import _real_and_mixed, _somebody_else, features, normal_scores

DRAW = np.random.default_rng(0)


def test_independent_modalities_make_patients_like_any_other() -> None:
    """Of the seven ways to split four modalities, no area is far from .5."""
    known = problem("C1", 0, train=600, test=10)
    found = off_manifold(known.train.inputs, modalities=known.kinds)
    assert found.sizes["coalition"] == 16
    assert float(abs(found - 0.5).max()) < 0.06
    assert bool((found.lower <= found).all())
    assert bool((found <= found.upper).all())


def test_copies_are_found_where_they_are_split() -> None:
    known = problem("C7", 0, train=600, test=10)
    found = off_manifold(known.train.inputs, modalities=known.kinds)
    for coalition in map(str, found.coalition.values):
        inside = coalition.split(" x ")
        split = ("image_1" in inside) != ("clinical_1" in inside)
        assert (
            (float(found.sel(coalition=coalition)) > 0.93)
            if split
            else abs(found.sel(coalition=coalition) - 0.5) < 0.06
        )
    whole = found.sel(coalition=["none", "image_1 x image_2 x clinical_1 x clinical_2"])
    assert whole.values.tolist() == [0.5, 0.5]


def test_conditional_rows_are_nearer_to_the_manifold() -> None:
    image = DRAW.normal(size=(500, 1))
    inputs = {"image": image, "copy": image + 0.3 * DRAW.normal(size=(500, 1))}
    by_chance, alike = (
        float(off_manifold(inputs, baseline=baseline).sel(coalition="image"))
        for baseline in ("background", "conditional")
    )
    assert by_chance > 0.85
    assert abs(alike - 0.5) < 0.5 * (by_chance - 0.5)


def test_a_bend_is_seen() -> None:
    x = DRAW.normal(size=(600, 1))
    assert float(off_manifold({"x": x, "square": x**2 + 0.3 * DRAW.normal(size=x.shape)}).sel(coalition="x")) > 0.65


def test_other_pools_are_no_difference_by_themselves() -> None:
    """The background is of another hospital, whose images are brighter: within each patient nothing depends."""
    inputs = {name: DRAW.normal(size=(200, 3)) for name in ("image", "table")}
    shifted = off_manifold(inputs, {"image": DRAW.normal(size=(200, 3)) + 2, "table": DRAW.normal(size=(200, 3))})
    assert float(abs(shifted - 0.5).max()) < 0.1
    assert shifted.attrs["patients"] == 400


def test_the_same_patients_are_real_and_mixed() -> None:
    scores = {name: DRAW.normal(size=(40, 2)) for name in "ab"}
    rows = np.arange(5, 25)
    seen, known = _real_and_mixed(scores, {}, ["a"], rows, np.random.default_rng(0))
    assert known.tolist() == [0] * 20 + [1] * 20
    real, mixed = seen[:20], seen[20:]
    for column in (-4, -3):  # squares of a: each patient's own in both
        np.testing.assert_array_equal(real[:, column], mixed[:, column])
    for column in (-2, -1):  # squares of b: the same patients, none in its place
        np.testing.assert_array_equal(np.sort(real[:, column]), np.sort(mixed[:, column]))
        assert (real[:, column] != mixed[:, column]).all()


def test_everybody_gets_somebody_else() -> None:
    for count in (2, 3, 11):
        found = _somebody_else(count, np.random.default_rng(count))
        assert sorted(found) == list(range(count))
        assert (found != np.arange(count)).all()


def numbers(kind: ml.Modality | None, samples: Any) -> np.ndarray:
    pool = gather({"it": samples}, {} if kind is None else {"it": kind})
    return features(pool.modalities["it"], pool.samples["it"])


def test_every_kind_becomes_numbers() -> None:
    np.testing.assert_array_equal(numbers(ml.Image(), np.arange(8.0).reshape(2, 2, 2)), np.arange(8.0).reshape(2, 4))
    np.testing.assert_array_equal(numbers(ml.Text(), ["no effusion", "no no"]), [[1, 1], [0, 2]])
    table = pd.DataFrame({"age": [1.0, 2.0], "site": pd.Categorical(["x", "y"])})
    np.testing.assert_array_equal(numbers(None, table), [[1, 1, 0], [2, 0, 1]])
    series = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]])]
    np.testing.assert_array_equal(numbers(ml.Series(), series), [[2, 3, 2], [5, 6, 1]])
    bundle = {"values": np.array([[1.0, 2.0], [3.0, 4.0]]), "mask": np.ones((2, 2))}
    np.testing.assert_array_equal(numbers(ml.Series(), bundle), [[1, 2], [3, 4]])


def test_normal_scores_are_standard_and_blind_to_scale_and_constants() -> None:
    pool = gather({"it": np.exp(DRAW.normal(size=(300, 4))) * [1, 1e4, 1, 0]})
    found = normal_scores(pool.modalities["it"], pool.samples["it"], components=10)
    assert found.shape == (300, 3)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=0), 1)
    assert normal_scores(pool.modalities["it"], np.ones((9, 2)), components=2).shape == (9, 0)


def test_texts_that_say_what_the_table_does() -> None:
    ill = DRAW.integers(0, 2, 300)
    texts = ["large effusion" if one else "no effusion" for one in ill]
    found = off_manifold({"report": texts, "lab": ill[:, None] + 0.1 * DRAW.normal(size=(300, 1))})
    assert found.sel(coalition="report") > 0.7
    assert off_manifold({"report": texts, "constant": np.ones((300, 1))}).sel(coalition="report") == 0.5


def test_the_same_seed_gives_the_same_numbers() -> None:
    inputs = {name: DRAW.normal(size=(60, 2)) for name in "ab"}
    assert off_manifold(inputs, seed=1).equals(off_manifold(inputs, seed=1))
    assert not off_manifold(inputs, seed=1).equals(off_manifold(inputs, seed=2))


@pytest.mark.parametrize(
    ("inputs", "settings", "match"),
    [
        ({"a": np.ones((40, 1))}, {}, "of 2 to 12; came 1"),
        ({"a": np.ones((10, 1)), "b": np.ones((10, 1))}, {}, "4 patients in each"),
        ({"a": np.ones((40, 1)), "b": np.ones((40, 1))}, {"folds": 1}, "at least 2 folds"),
        ({"a": np.ones((40, 1)), "b": np.ones((40, 1))}, {"baseline": "mean"}, "baseline='mean' is not known"),
    ],
)
def test_refused(inputs: dict[str, np.ndarray], settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ml.InputError, match=match):
        off_manifold(inputs, **settings)
