"""Patients who lack a modality: they have fewer players, NaN in its place and never 0, and nobody looks at what stands
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import modalens as ml
from modalens.plots import parts as draw_parts

NAMES = ("a", "b", "c")
PATTERNS = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
"""All three, two with two, and one with one modality: a third of the cells are empty."""

FILLER = {"a": -7.5, "b": 3.25, "c": 11.0}
WIDTHS = {"a": 2, "b": 3, "c": 1}
ROWS = 12


def logits(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Three classes, of which modalities are multiplied."""
    one = np.tanh(a).sum(1) * b[:, 0] - c[:, 0]
    return np.stack([one, np.sin(b).sum(1) * c[:, 0], 0.3 * a[:, 0] * np.cos(b[:, 1]) * c[:, 0]], axis=1)


def model(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    scores = np.exp(logits(a, b, c) / 4)
    return scores / scores.sum(1, keepdims=True)


@cache
def study() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Inputs with fillers, who has what, and a background of complete patients."""
    random = np.random.default_rng(0)
    patterns = PATTERNS[np.array([0] * 8 + [1] * 5 + [2] * 4 + [3] * 3)]
    patterns = patterns[random.permutation(len(patterns))]
    has = dict(zip(NAMES, patterns.T, strict=True))
    inputs = {name: random.normal(size=(len(patterns), WIDTHS[name])) for name in NAMES}
    inputs = {name: np.where(has[name][:, None], values, FILLER[name]) for name, values in inputs.items()}
    return inputs, has, {name: random.normal(size=(ROWS, WIDTHS[name])) for name in NAMES}


def explained(**settings: Any) -> ml.Explanation:
    inputs, has, background = study()
    return ml.explain(
        settings.pop("model", model),
        inputs,
        **{"background": background, "present": has, "progress": False, "target": "0"} | settings,
    )


@cache
def known() -> ml.Explanation:
    """With everything that there is."""
    labels = np.arange(len(study()[1]["a"])) % 3
    return explained(
        measures=[ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Reliance()], labels=labels
    )


def groups() -> list[tuple[tuple[str, ...], np.ndarray]]:
    """The sets of modalities that patients have, and their patients."""
    _, has, _ = study()
    table = np.stack([has[name] for name in NAMES], axis=1)
    return [(tuple(np.array(NAMES)[pattern]), np.flatnonzero((table == pattern).all(axis=1))) for pattern in PATTERNS]


# What is found is what the smaller game finds ----------------------------------------------------------------------------------


def smaller(names: Sequence[str], rows: np.ndarray, *measures: ml.Measure, **settings: Any) -> ml.Explanation:
    """These patients explained with their own modalities alone, by a model that is given the fillers of the others."""
    inputs, _, background = study()

    def own_model(**own: np.ndarray) -> np.ndarray:
        count = len(next(iter(own.values())))
        fillers = {name: np.full((count, WIDTHS[name]), FILLER[name]) for name in NAMES if name not in own}
        return model(**own, **fillers)

    return ml.explain(
        own_model,
        {name: inputs[name][rows] for name in names},
        background={name: background[name] for name in names},
        measures=list(measures),
        **{"progress": False, "target": "0"} | settings,
    )


@pytest.mark.parametrize("baseline", [None, "mean", ml.Background(rows=7, part_rows=5)])
@pytest.mark.parametrize("group", range(3))
def test_each_group_is_explained_as_by_itself(group: int, baseline: Any) -> None:
    """The oracle: the patients who have the same modalities, explained alone."""
    names, rows = groups()[group]
    wanted = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), ml.Interactions()]
    whole = explained(measures=wanted, baseline=baseline, confidence=None)
    alone = smaller(names, rows, *wanted, baseline=baseline, confidence=None)

    def same(found: xr.DataArray, expected: xr.DataArray) -> None:
        assert found.sizes == expected.sizes
        np.testing.assert_allclose(found.values, expected.transpose(*found.dims).values, rtol=0, atol=1e-12)

    own = {"modality": list(names)}
    same(whole.shapley.values.isel(sample=rows).sel(own), alone.shapley.values)
    same(whole.shapley.of_target.isel(sample=rows).sel(own), alone.shapley.of_target)
    same(whole.shapley.by_sample.isel(sample=rows).sel(own), alone.shapley.by_sample)
    same(whole.intershap.by_sample.isel(sample=rows), alone.intershap.by_sample)
    same(whole.intershap.values.isel(sample=rows).sel(own | {"modality_2": list(names)}), alone.intershap.values)
    same(whole.occlusion.by_sample.isel(sample=rows).sel(own), alone.occlusion.by_sample)
    for name in names:
        same(whole.occlusion.parts[name].isel(sample=rows), alone.occlusion.parts[name])
    sets = alone.interactions.values.coalition.values
    same(whole.interactions.values.isel(sample=rows).sel(coalition=sets), alone.interactions.values)
    label = " + ".join(names)
    for measure in ("occlusion", "shapley", "intershap"):
        same(whole[measure].by_available.sel(available=label).sel(own), alone[measure].contribution)


def brute_force_shapley(value: Callable[[frozenset[str]], np.ndarray], players: Sequence[str]) -> dict[str, np.ndarray]:
    """What each player adds, averaged over all orders of arrival."""
    added: dict[str, list[np.ndarray]] = {name: [] for name in players}
    for order in permutations(players):
        for place, name in enumerate(order):
            before = frozenset(order[:place])
            added[name].append(value(before | {name}) - value(before))
    return {name: np.mean(each, axis=0) for name, each in added.items()}


def test_shapley_values_by_brute_force_over_the_modalities_that_a_patient_has() -> None:
    inputs, _, background = study()
    values = known().shapley.values
    for names, rows in groups():
        for row in rows:

            def value(inside: frozenset[str], row: int = row, names: Sequence[str] = names) -> np.ndarray:
                """The mean over background patients, who stand in for what is outside and could be there."""
                filled = {
                    name: background[name]
                    if name in names and name not in inside
                    else np.repeat(inputs[name][[row]], ROWS, axis=0)
                    for name in NAMES
                }
                return model(**filled).mean(axis=0)

            expected = brute_force_shapley(value, names)
            for name in names:
                np.testing.assert_allclose(
                    values.isel(sample=row).sel(modality=name).values, expected[name], rtol=0, atol=1e-12
                )
            assert values.isel(sample=row).sel(modality=[one for one in NAMES if one not in names]).isnull().all()


def test_occlusion_of_parts_by_hand() -> None:
    inputs, has, background = study()
    plain = model(**inputs)
    for name in NAMES:
        found = known().occlusion.parts[name]
        for column in range(WIDTHS[name]):
            replaced = inputs[name].copy()
            replaced[:, column] = background[name][:, column].mean()
            expected = np.where(has[name][:, None], plain - model(**inputs | {name: replaced}), np.nan)
            np.testing.assert_allclose(found.isel(part=column).values, expected, rtol=0, atol=1e-12)


# NaN and never 0 ---------------------------------------------------------------------------------------------------------------


def test_what_a_patient_lacks_is_nan_everywhere() -> None:
    _, has, _ = study()
    found = known()
    for name in NAMES:
        at, lacking = {"modality": name}, ~has[name]
        for array in (
            found.shapley.values,
            found.shapley.of_target,
            found.shapley.by_sample,
            found.occlusion.by_sample,
            found.intershap.values,
        ):
            own = array.sel(at).transpose("sample", ...).values.reshape(len(lacking), -1)
            assert np.isnan(own[lacking]).all()
            assert not np.isnan(array.sel(at).isel(sample=~lacking)).all()
        assert np.isnan(found.occlusion.parts[name].values[lacking]).all()
        assert not np.isnan(found.occlusion.parts[name].values[~lacking]).any()
        assert (found.occlusion.part_count.sel(at).values == np.where(lacking, 0, WIDTHS[name])).all()
        for label in found.interactions.values.coalition.values:
            if name in label.split(" x "):
                assert np.isnan(found.interactions.values.sel(coalition=label).values[lacking]).all()


def test_a_modality_that_the_model_ignores_is_nan_too_where_it_is_missing() -> None:
    """And those who have it say 0."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.left, self.right = torch.nn.Linear(2, 4).double(), torch.nn.Linear(3, 4).double()
            self.head = torch.nn.Linear(8, 2).double()

        def forward(self, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            return self.head(torch.cat([self.left(a).tanh(), self.right(b).tanh()], dim=1))

    _, has, _ = study()
    wanted = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()]
    split = explained(model=Net(), link="softmax", encoders="graph", measures=wanted)
    whole = explained(model=Net(), link="softmax", encoders="whole", measures=wanted)
    assert split.provenance["fusion_point"]["exact"]
    np.testing.assert_array_equal(np.isnan(split.occlusion.parts["c"].values).all(axis=(1, 2)), ~has["c"])
    assert (split.occlusion.parts["c"].values[has["c"]] == 0).all()
    for measure, array in (
        ("shapley", "values"),
        ("shapley", "contribution"),
        ("occlusion", "contribution"),
        ("intershap", "by_sample"),
    ):
        np.testing.assert_allclose(
            split[measure].array(array).values, whole[measure].array(array).values, rtol=0, atol=1e-10
        )


# Shares within each set of modalities ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["occlusion", "shapley"])
def test_shares_sum_to_one_in_each_set(measure: str) -> None:
    result = known()[measure]
    np.testing.assert_allclose(result.by_available.sum("modality").values, 1, rtol=0, atol=1e-12)
    counts = {"a + b + c": 8, "a + b": 5, "a + c": 4, "b": 3}
    found = result.available_count
    assert dict(zip(found.available.values.tolist(), found.values.tolist(), strict=True)) == counts
    assert result.by_available.available.values.tolist() == found.available.values.tolist()
    assert known().provenance["available"] == counts


@pytest.mark.parametrize("measure", ["occlusion", "shapley", "intershap"])
def test_the_contribution_is_the_mean_over_the_sets_that_hold_the_modality(measure: str) -> None:
    result = known()[measure]
    each, counts = result.by_available, result.available_count
    for name in NAMES:
        own = each.sel(modality=name)
        # An interaction takes two: a patient with a single modality has none, and not 0.
        fewest = 2 if measure == "intershap" else 1
        sets = [str(label).split(" + ") for label in each.available.values]
        assert [name in one and len(one) >= fewest for one in sets] == (~np.isnan(own.values)).tolist()
        expected = float((own * counts).sum() / counts.where(own.notnull()).sum())
        assert abs(float(result.contribution.sel(modality=name)) - expected) < 1e-12


def test_the_parts_of_a_modality_sum_to_its_contribution() -> None:
    occlusion = known().occlusion
    for name in NAMES:
        total = float(occlusion.part_contribution[name].sum())
        assert abs(total - float(occlusion.contribution.sel(modality=name))) < 1e-12


def test_intervals_exist_and_hold_the_numbers() -> None:
    for measure in ("occlusion", "shapley"):
        bounds = known()[measure].interval.contribution
        found = known()[measure].contribution
        assert bool(((bounds.sel(bound="lower") <= found) & (found <= bounds.sel(bound="upper"))).all())
        assert bool((bounds.sel(bound="lower") < bounds.sel(bound="upper")).all())
    assert known().shapley.monte_carlo_error.contribution.notnull().all()


def test_a_pair_that_nobody_has_is_nan_with_the_reason() -> None:
    found = known().intershap
    assert np.isnan(found.matrix.values).sum() == 0
    inputs, has, background = study()
    never = has["b"] & has["c"]
    apart = dict(has) | {"b": has["b"] & ~never}
    found = ml.explain(
        model,
        inputs,
        background=background,
        present=apart,
        measures=[ml.InterSHAP(), ml.Interactions(), ml.Occlusion()],
        progress=False,
    )
    assert np.isnan(found.intershap.matrix.sel(modality="b", modality_2="c"))
    assert np.isnan(found.intershap.matrix.values).sum() == 2
    for measure, name in (("intershap", "matrix"), ("interactions", "mean"), ("occlusion", "entropy")):
        assert "no patient has all" in found[measure].reasons[name], (measure, name)


# Nobody looks at what stands in the place --------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [None, "mean", "mode", "background", "zeros"])
def test_a_filler_is_never_replaced_nor_stands_in_for_another(baseline: Any) -> None:
    """Each row that the model sees is of one patient: what that one lacks is the filler, and what he has never is."""
    inputs, has, _ = study()
    seen: list[dict[str, np.ndarray]] = []

    def spy(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        seen.append({"a": a.copy(), "b": b.copy(), "c": c.copy()})
        return model(a, b, c)

    ml.explain(spy, inputs, present=has, baseline=baseline, progress=False)
    rows = {name: np.concatenate([one[name] for one in seen]) for name in NAMES}
    filled = {name: (rows[name] == FILLER[name]).all(axis=1) for name in NAMES}
    for name in NAMES:
        assert ((rows[name] == FILLER[name]).any(axis=1) == filled[name]).all(), (
            "a filler was mixed with something else"
        )
    found = {tuple(pattern) for pattern in ~np.stack([filled[name] for name in NAMES], axis=1)}
    assert found <= {tuple(pattern) for pattern in PATTERNS}, "a patient was made who has what nobody has"
    # Of the patients who lack one, every coalition of the others is evaluated, and with the filler in its place.
    assert filled["c"].sum() > (~has["c"]).sum()


def test_the_words_of_the_missing_are_none_for_the_model() -> None:
    random = np.random.default_rng(1)
    reports = ["large effusion", None, "no acute disease", "normal", None, "small effusion seen"]
    series = [random.normal(size=(length, 2)) if length else None for length in (3, 4, 0, 2, 5, 3)]
    lab = random.normal(size=(6, 2))
    patterns = [[one is None for one in reports], [one is None for one in series]]
    seen: list[tuple[list[Any], list[Any]]] = []

    def of_lists(report: list[str | None], vitals: list[np.ndarray | None], lab: np.ndarray) -> np.ndarray:
        seen.append((report, vitals))
        words = np.array([0.0 if text is None else len(text) / 20 for text in report])
        steps = np.array([0.0 if one is None else one.sum() for one in vitals])
        return 1 / (1 + np.exp(-words - steps * lab[:, 0]))

    inputs = {"report": reports, "vitals": series, "lab": lab}
    found = ml.explain(of_lists, inputs, progress=False)
    assert all(text is None or isinstance(text, str) for texts, _ in seen for text in texts)
    assert None in {text for texts, _ in seen for text in texts}
    assert any(one is None for _, each in seen for one in each)
    assert np.isnan(found.shapley.values.sel(modality="report").values[patterns[0]]).all()
    assert np.isnan(found.shapley.values.sel(modality="vitals").values[patterns[1]]).all()
    assert not np.isnan(found.shapley.values.sel(modality="report").values[~np.array(patterns[0])]).any()
    assert found.provenance["modalities"]["report"].endswith("4 of 6 patients have it")
    assert {type(texts) for texts, _ in seen} == {type(each) for _, each in seen} == {list}


def test_whatever_stands_in_the_place_is_not_looked_at() -> None:
    """An empty text, a row of NaN, ids of padding alone, a category of its own: they go to the model as they are."""
    random = np.random.default_rng(2)
    has = np.array([True, False, True, True, False, True])
    seen: list[Any] = []

    def of_all(report: list[str], lab: np.ndarray, age: np.ndarray) -> np.ndarray:
        seen.append((report, lab))
        words = np.array([len(text) for text in report]) / 10
        return 1 / (1 + np.exp(-words - np.nan_to_num(lab).sum(1) * age[:, 0]))

    lab = np.where(has[:, None], random.normal(size=(6, 2)), np.nan)
    reports = [
        text if there else "" for text, there in zip(["ab cd", "x", "b", "cd ef g", "y", "a a"], has[::-1], strict=True)
    ]
    inputs = {"report": reports, "lab": lab, "age": random.normal(size=(6, 1))}
    found = ml.explain(of_all, inputs, present={"lab": has, "report": has[::-1]}, progress=False)
    assert "" in {text for texts, _ in seen for text in texts}
    assert any(np.isnan(values).any() for _, values in seen)
    assert np.isnan(found.shapley.values.sel(modality="lab").values[~has]).all()
    assert not np.isnan(found.shapley.values.sel(modality="lab").values[has]).any()


def test_own_segments_of_images_that_some_lack() -> None:
    random = np.random.default_rng(3)
    images, lab = random.normal(size=(6, 4, 4)), random.normal(size=(6, 1))
    segments = np.stack([np.arange(16).reshape(4, 4) * (2 + row % 2) // 16 for row in range(6)])
    has = np.array([True, True, False, True, True, False])
    found = ml.explain(
        lambda ct, lab: ct.sum((1, 2)) + lab[:, 0],
        {"ct": images, "lab": lab},
        modalities={"ct": ml.Image(segments=segments)},
        present={"ct": has},
        baseline="zeros",
        output="raw",
        measures=[ml.Occlusion()],
        progress=False,
    ).occlusion
    assert found.part_count.sel(modality="ct").values.tolist() == [2, 3, 0, 3, 2, 0]
    for row in np.flatnonzero(has):
        for part in range(2 + row % 2):
            expected = images[row][segments[row] == part].sum()
            assert abs(float(found.parts["ct"].isel(sample=row, part=part, output=0)) - expected) < 1e-12


# Properties ----------------------------------------------------------------------------------------------------------------------


def numbers(explanation: ml.Explanation) -> dict[str, np.ndarray]:
    """All arrays by name."""
    return {
        f"{measure}.{name}.{modality}": one.values
        for measure, result in explanation.results.items()
        for name, array in result.arrays.items()
        for modality, one in (array.items() if isinstance(array, Mapping) else [("", array)])
    } | {
        f"{measure}.{name}.draws": array.values
        for measure, result in explanation.results.items()
        for name, array in result.draws.items()
    }


def test_present_all_true_is_no_present_bit_for_bit() -> None:
    random = np.random.default_rng(4)
    inputs = {name: random.normal(size=(7, WIDTHS[name])) for name in NAMES}
    plain, said = (
        ml.explain(model, inputs, background=study()[2], present=present, progress=False)
        for present in (None, {"a": np.ones(7, dtype=bool), "c": [True] * 7})
    )
    first, second = numbers(plain), numbers(said)
    assert first.keys() == second.keys()
    for name, values in first.items():
        if values.dtype.kind == "f":
            assert values.tobytes() == second[name].tobytes(), name
    assert plain.provenance["data"] == said.provenance["data"]


@given(st.permutations(range(20)))
def test_the_order_of_patients_does_not_matter(order: list[int]) -> None:
    inputs, has, background = study()
    rows = np.array(order)
    moved = ml.explain(
        model,
        {name: values[rows] for name, values in inputs.items()},
        background=background,
        present={name: values[rows] for name, values in has.items()},
        target="0",
        confidence=None,
        progress=False,
    )
    np.testing.assert_allclose(
        moved.shapley.values.values, known().shapley.values.isel(sample=rows).values, rtol=0, atol=1e-12
    )
    for measure in ("occlusion", "shapley", "intershap"):
        np.testing.assert_allclose(
            moved[measure].contribution.values, known()[measure].contribution.values, rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    found = numbers(explained(batch_size=batch_size, confidence=None))
    for name, values in numbers(explained(confidence=None)).items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-12, err_msg=name)


@given(
    patterns=st.lists(
        st.sampled_from([pattern for size in (1, 2, 3) for pattern in combinations(range(3), size)]),
        min_size=2,
        max_size=6,
    ).filter(lambda each: set().union(*each) == {0, 1, 2}),
    seed=st.integers(0, 99),
)
def test_shapley_values_of_any_pattern_are_efficient(patterns: list[tuple[int, ...]], seed: int) -> None:
    """They sum, over what a patient has, to the output less that with all of it replaced."""
    random = np.random.default_rng(seed)
    table = np.array([[place in pattern for place in range(3)] for pattern in patterns])
    inputs = {name: random.normal(size=(len(patterns), WIDTHS[name])) for name in NAMES}
    background = {name: random.normal(size=(4, WIDTHS[name])) for name in NAMES}
    found = ml.explain(
        model,
        inputs,
        background=background,
        present=dict(zip(NAMES, table.T, strict=True)),
        measures=[ml.Shapley()],
        progress=False,
    ).shapley
    for row, pattern in enumerate(table):
        nothing = {
            name: background[name] if there else np.repeat(inputs[name][[row]], 4, axis=0)
            for name, there in zip(NAMES, pattern, strict=True)
        }
        expected = model(**{name: values[[row]] for name, values in inputs.items()})[0] - model(**nothing).mean(axis=0)
        np.testing.assert_allclose(found.values.isel(sample=row).sum("modality").values, expected, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(np.isnan(found.values.isel(sample=row, output=0).values), ~pattern)


def test_background_rows_of_different_number_by_modality() -> None:
    """Pairs of whom nobody has both: their coalitions are evaluated with as many rows as the one that is there."""
    inputs, _, background = study()
    has = {"a": np.arange(20) % 2 == 0, "b": np.arange(20) % 2 == 1}
    rows = {"a": ml.Background(rows=3), "b": ml.Background(rows=11), "c": ml.Background(rows=5)}
    found = explained(present=has, baseline=rows, measures=[ml.Shapley()], confidence=0.95).shapley
    order = np.random.default_rng(np.random.SeedSequence((0, 1))).permutation(ROWS)

    def value(row: int, absent: Sequence[str]) -> np.ndarray:
        count = min([rows[name].rows for name in absent], default=1)
        filled = {
            name: background[name][order[:count]] if name in absent else np.repeat(inputs[name][[row]], count, axis=0)
            for name in NAMES
        }
        return model(**filled).mean(axis=0)

    for row in range(20):
        own = "a" if row % 2 == 0 else "b"
        expected = (value(row, ["c"]) - value(row, [own, "c"]) + value(row, []) - value(row, [own])) / 2
        np.testing.assert_allclose(found.values.isel(sample=row).sel(modality=own).values, expected, rtol=0, atol=1e-12)
    assert (found.monte_carlo_error.contribution > 0).all()


# Refusals ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "says"),
    [
        ({"a": [False] * 20}, "modality 'a': no patient has it"),
        ({name: np.arange(20) > 3 for name in NAMES}, r"patient 0 has none of the modalities.*\(4 in all\)"),
        ({"a": np.arange(20) > 3, "A": [True] * 20}, r"present names 'A', and the inputs are 'a', 'b', 'c'"),
        ({"a": [1] * 20}, "present\\['a'\\]: expected True or False for each of the 20 patients, came int64"),
        ({"a": [True] * 19}, "present\\['a'\\]: expected True or False .* shape \\(19,\\)"),
        ([True] * 20, "present: expected a dict"),
    ],
)
def test_what_present_can_not_say(present: Any, says: str) -> None:
    with pytest.raises(ml.InputError, match=says):
        explained(present=present)


def test_present_against_a_sample_that_is_none() -> None:
    inputs = {"report": ["a", None], "lab": np.ones((2, 1))}
    with pytest.raises(ml.InputError, match="modality 'report': present says that patient 1 has it"):
        ml.explain(lambda report, lab: lab[:, 0], inputs, present={"report": [True, True]})


def test_nobody_with_everything_can_stand_in_for_nobody() -> None:
    inputs, _, background = study()
    has = {"a": np.arange(20) % 2 == 0, "b": np.arange(20) % 2 == 1}
    with pytest.raises(ml.InputError, match=r"no patient has every modality.*give background="):
        ml.explain(model, inputs, present=has)
    assert (
        ml.explain(model, inputs, present=has, background=background, progress=False)
        .shapley.contribution.notnull()
        .all()
    )


def test_a_background_with_gaps_is_refused() -> None:
    inputs = {"report": ["a b", "c"], "lab": np.array([[0.0], [1.0]])}
    with pytest.raises(ml.InputError, match="background of modality 'report' is None"):
        ml.explain(lambda report, lab: lab[:, 0], inputs, background={"report": ["a", None], "lab": np.ones((2, 1))})


def test_gaps_of_unequal_lists_are_told_as_such() -> None:
    inputs = {"report": ["a b", None], "notes": ["a", None, "b"], "lab": np.ones((2, 1))}
    with pytest.raises(ml.InputError, match="different numbers of samples"):
        ml.explain(lambda report, notes, lab: lab[:, 0], inputs)


def test_arrays_of_one_shape_need_something_in_the_place() -> None:
    inputs = {"ct": [np.ones((4, 4)), None, np.zeros((4, 4))], "lab": np.ones((3, 1))}
    with pytest.raises(ml.InputError, match=r"modality 'ct': 1 of its samples are None.*present=\{'ct'"):
        ml.explain(lambda ct, lab: lab[:, 0], inputs, modalities={"ct": ml.Image(patch=2)})


def test_measures_and_baselines_that_compare_all_modalities_refuse() -> None:
    with pytest.raises(ml.InputError, match=r"'conditional'.*some lack 'a', 'b', 'c'.*use 'background'"):
        explained(baseline="conditional")
    net = torch.nn.Bilinear(2, 3, 2).double()
    inputs, has, background = study()
    two = {name: inputs[name] for name in "ab"}
    with pytest.raises(ml.InputError, match=r"FusionGradient.*(?:lack|have)"):
        ml.explain(
            net,
            two,
            forward=lambda module, given: module(given["a"], given["b"]),
            background={name: background[name] for name in "ab"},
            present={"a": has["a"]},
            link="softmax",
            measures=[ml.FusionGradient()],
        )


# Tables, figures, files ----------------------------------------------------------------------------------------------------------


def test_a_saved_file_keeps_what_is_missing(tmp_path: Path) -> None:
    loaded = ml.load(known().save(tmp_path / "found.nc", inputs=True))
    first, second = numbers(known()), numbers(loaded)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values, err_msg=name)
    assert loaded.provenance["available"] == known().provenance["available"]
    np.testing.assert_array_equal(loaded.inputs["a"].values, study()[0]["a"])


def test_words_that_are_missing_stay_missing_in_a_file(tmp_path: Path) -> None:
    inputs = {"report": ["a b", None, "", "c"], "lab": np.array([[0.0], [1.0], [2.0], [3.0]])}
    present = {"report": np.array([True, False, False, True])}

    def of_words(report: list[str | None], lab: np.ndarray) -> np.ndarray:
        return np.array([len(text or "") for text in report]) / 9 * lab[:, 0]

    found = ml.explain(of_words, inputs, present=present, output="raw", progress=False)
    assert ml.load(found.save(tmp_path / "found.nc", inputs=True)).inputs["report"] == inputs["report"]


def test_the_frame_has_no_row_of_zeros_for_what_is_missing() -> None:
    frame = known().to_frame()
    rows = frame[(frame.measure == "shapley") & (frame.quantity == "contribution")]
    assert rows.value.notna().all()
    assert (rows.value > 0).all()


def test_tables_say_who_has_what() -> None:
    said = str(known())
    assert "each column sums to 100 %" not in said
    flat = " ".join(said.split())
    assert "Who has what" in flat
    for label, count in (("a + b + c", 8), ("a + b", 5), ("a + c", 4), ("b", 3)):
        assert any(line.split("  ")[0].strip() == label and f" {count}" in line for line in said.splitlines()), label
    plain = ml.explain(model, {name: values[:6] for name, values in study()[2].items()}, progress=False)
    assert "Who has what" not in str(plain)
    assert "each column sums to 100 %" in str(plain)


def test_figures_and_page_with_gaps(tmp_path: Path) -> None:
    known().plot()
    _, has, _ = study()
    lacking = int(np.flatnonzero(~has["c"])[0])
    with pytest.raises(ml.InputError, match=f"sample {lacking} has no 'c'"):
        draw_parts(known(), "c", lacking)
    page = known().report(tmp_path / "page.html", samples=[lacking]).read_text(encoding="utf-8")
    assert "Who has what" in page
    assert "each column sums to 100 %" not in page
    assert f"Sample {lacking} has no “c”" in page


def test_a_filler_that_the_model_cannot_take_is_told_of_its_patients() -> None:
    random = np.random.default_rng(0)
    has = np.arange(12) % 3 > 0
    inputs = {"a": random.normal(size=(12, 2)), "ct": np.where(has[:, None], random.normal(size=(12, 3)), np.nan)}
    others = {"a": random.normal(size=(6, 2)), "ct": random.normal(size=(6, 3))}
    with pytest.raises(
        ml.InputError, match=r"4 patients who lack 'ct' \(first: patient 0\).*zeros or the model's own token"
    ):
        ml.explain(lambda a, ct: a[:, 0] + ct[:, 0], inputs, background=others, present={"ct": has}, output="raw")


def test_the_models_own_way_with_a_missing_modality_can_stand_in() -> None:
    random = np.random.default_rng(0)
    series = [random.normal(size=(int(random.integers(2, 6)), 1)) for _ in range(12)]
    inputs = {"vitals": series, "report": ["one two"] * 6 + ["one"] * 6, "labs": random.normal(size=(12, 1))}
    token = 7.0

    def model(vitals: list[Any], report: list[Any], labs: np.ndarray) -> np.ndarray:
        own = np.array([token if one is None else one.sum() for one in vitals])
        words = np.array([-token if one is None else len(one.split()) for one in report])
        return own + words + labs[:, 0]

    found = ml.explain(
        model,
        inputs,
        modalities={"vitals": ml.Series(), "report": ml.Text()},
        baseline={"vitals": "missing", "report": ml.Missing(), "labs": ml.Constant(value=3.0)},
        output="raw",
        measures=[ml.Shapley()],
    )
    expected = np.stack(
        [
            [one.sum() - token for one in series],
            [len(one.split()) + token for one in inputs["report"]],
            inputs["labs"][:, 0] - 3,
        ],
        axis=1,
    )
    np.testing.assert_allclose(found.shapley.values.isel(output=0).values, expected, atol=1e-12)
    with pytest.raises(ml.InputError, match=r"'labs': .*can't hold None.*Constant"):
        ml.explain(model, inputs, baseline="missing", output="raw", measures=[ml.Shapley()])
