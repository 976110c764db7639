"""Outputs of every task, from small cases worked out by hand: log-risks, survival at times, values with units, labels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sksurv.util import Surv
from torch import Tensor, nn

import modalens as ml
from modalens import plots
from modalens.labels import checked_labels
from modalens.models.readout import Readout, decide
from modalens.studyfile import read_study
from modalens.summary.headline import headline
from modalens.summary.tables import Table, content

PAIR = {"a": np.array([[1.0], [2.0]]), "b": np.array([[3.0], [-1.0]])}
LOG_RISK = Readout(task="survival", outputs=("log-risk",), link=None, space="raw", spaces=("raw",))


def explained(model: Any, inputs: Any = PAIR, **settings: Any) -> ml.Explanation:
    """An explanation in which what is absent is 0."""
    defaults: dict[str, Any] = {"baseline": "zeros", "confidence": None, "progress": False, "measures": [ml.Shapley()]}
    return ml.explain(model, inputs, **(defaults | settings))


def printed(explanation: ml.Explanation) -> str:
    """What print shows, without its line breaks."""
    return " ".join(str(explanation).split())


def table(explanation: ml.Explanation, title: str) -> Table:
    """The one table whose title begins so."""
    (found,) = [one for one in content(explanation) if one.title.startswith(title)]
    return found


# Survival: a log-risk ---------------------------------------------------------------------------------------------------------------


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2 * a[:, 0] + a[:, 0] * b[:, 0]


def test_a_log_risk_is_measured_as_it_comes() -> None:
    """f = 2 a + a b: a adds 2 a + a b / 2 = 3.5 and 3, b adds a b / 2 = 1.5 and -1; mean |.| is 3.25 and 1.25."""
    found = explained(product, task="survival")
    np.testing.assert_allclose(found.shapley.values.values[..., 0], [[3.5, 1.5], [3.0, -1.0]], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.shapley.contribution.values, [3.25 / 4.5, 1.25 / 4.5], rtol=0, atol=1e-12)
    about = found.provenance
    assert (about["task"], about["space"], about["outputs"]) == ("survival", "raw", ["log-risk"])
    assert about["value_function"] == (
        "v(S) = the log-risk that the model returns (higher = earlier event), with what is outside S replaced; rows are averaged"
    )


def test_a_log_risk_is_called_so() -> None:
    measures = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()]
    found = explained(product, task="survival", measures=measures)
    assert "in units of the log-risk" in printed(found)
    assert "in units of the log-risk" in plots.interaction_matrix(found).get_xlabel()
    assert plots.parts(found, "a").get_xlabel() == "change of the log-risk"
    assert table(found, "Whether modalities are combined").rows[0][0] == "log-risk"


def test_the_concordance_is_told() -> None:
    """Risks 5 and 2, events at 1 and 2: the one pair is in order. b alone gives 0 and 0 (a tie), without b 2 and 4."""
    found = explained(product, task="survival", labels=[(1.0, True), (2.0, True)], measures=[ml.Reliance()])
    assert float(found.reliance.everything) == 1.0
    assert found.reliance.alone.values.tolist() == [0.0, 0.5]
    assert "How well this model predicts (concordance)" in printed(found)
    assert "concordance" in plots.reliance(found).get_xlabel()
    assert "dashed: a model that knows nothing" in plots.reliance(found).get_xlabel()


# Survival: probabilities at times ---------------------------------------------------------------------------------------------------


def line(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """S(1 year) = 1 - a / 10, S(5 years) = 1 - (a + b) / 10 - 0.2."""
    return np.concatenate([1 - a / 10, 0.8 - (a + b) / 10], axis=1)


YEARS = {"task": "survival", "classes": ("1 year", "5 years")}


def test_survival_at_times_is_measured_at_each() -> None:
    """a takes a / 10 from both times, b takes b / 10 from the second."""
    found = explained(line, **YEARS)
    expected = np.array([[[-0.1, -0.1], [0.0, -0.3]], [[-0.2, -0.2], [0.0, 0.1]]])
    np.testing.assert_allclose(found.shapley.values.values, expected, rtol=0, atol=1e-12)
    by_output = found.shapley.by_output
    np.testing.assert_allclose(by_output.sel(output="1 year").values, [1.0, 0.0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_output.sel(output="5 years").values, [0.15 / 0.35, 0.2 / 0.35], rtol=0, atol=1e-12)
    assert found.provenance["value_function"].startswith(
        "v(S) = probability of surviving at each of 2 times by itself ('1 year', '5 years'), with"
    )


def test_times_without_names_are_numbered() -> None:
    assert explained(line, task="survival").provenance["outputs"] == ["time 0", "time 1"]


def test_survival_is_named_with_its_time() -> None:
    named = explained(line, **YEARS, target="5 years", measures=[ml.Occlusion(), ml.InterSHAP()])
    assert "in units of the probability of surviving 5 years" in printed(named)
    assert named.provenance["value_function"].startswith("v(S) = probability of surviving at '5 years'")
    label = plots.parts(named, "a", output="1 year").get_xlabel()
    assert label.startswith("change of the probability of surviving 1 year")
    each = explained(line, **YEARS, measures=[ml.InterSHAP()])
    assert "in units of the probability of surviving to each time" in printed(each)


def proportional(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """S(t) = exp(-t exp(a + b)) for t = 0.5 and 2: additive on log(-log S) = log t + a + b, and on no other scale."""
    return np.exp(-np.array([0.5, 2.0]) * np.exp(a + b))


def test_proportional_hazards_are_additive_on_the_log_hazard_only() -> None:
    random = np.random.default_rng(0)
    draw = {name: random.normal(size=(12, 1)) / 2 for name in ("a", "b")}
    others = {name: random.normal(size=(8, 1)) / 2 for name in ("a", "b")}
    settings: dict[str, Any] = {"baseline": "background", "background": others, "task": "survival"}
    found = explained(proportional, draw, measures=[ml.InterSHAP()], **settings).intershap
    np.testing.assert_allclose(found.by_space.sel(space="log-hazard").values, 0, rtol=0, atol=1e-10)
    assert (found.by_space.sel(space="probability") > 0.05).all()
    np.testing.assert_allclose(found.excess.values, 0, rtol=0, atol=1e-10)
    shapley = explained(proportional, draw, output="log-hazard", **settings).shapley
    expected = draw["a"] - others["a"].mean()  # the value of a, at both times
    np.testing.assert_allclose(shapley.values.sel(modality="a").values, np.tile(expected, 2), rtol=0, atol=1e-10)


class Hazards(nn.Module):
    """The same, of a torch module, whose gradients can be had."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("times", torch.tensor([0.5, 2.0]))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-torch.exp(a + 2 * b) * self.times)


@pytest.mark.parametrize("output", ["probability", "log-hazard"])
def test_gradients_of_survival(output: str) -> None:
    """With eta = a + 2 b, d S / d eta = -t exp(eta) S, and d log(-log S) / d eta = 1; a and 2 b are what is added."""
    inputs = {name: torch.linspace(-1, 1, 8)[:, None].roll(seed) for seed, name in enumerate("ab")}
    found = explained(
        Hazards(),
        inputs,
        measures=[ml.FusionGradient(estimator="grouped")],
        task="survival",
        output=output,
        labels=(np.arange(1.0, 9), np.ones(8)),
        encoders="graph",
    ).fusion_gradient
    a, b = inputs["a"].double().numpy(), 2 * inputs["b"].double().numpy()
    times, hazard = np.array([0.5, 2.0]), np.exp(a + b)
    slope = times * hazard * np.exp(-times * hazard) if output == "probability" else np.ones((8, 2))
    amounts = np.array([(slope * abs(one)).sum() for one in (a, b)])
    np.testing.assert_allclose(found.contribution.values, amounts / amounts.sum(), rtol=0, atol=1e-5)


def test_certain_survival_has_a_finite_log_hazard() -> None:
    raw = np.array([[1.0, 0.0], [1.0, 0.5]])
    spaces = decide(raw, link=None, output="probability", task="survival", classes=None)(raw)
    assert np.isfinite(spaces["log-hazard"]).all()
    np.testing.assert_allclose(spaces["log-hazard"][1, 1], np.log(np.log(2.0)), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(spaces["probability"], raw)


def test_what_is_cut_off_before_a_logarithm_is_said() -> None:
    """Additive on log(-log S); but the largest hazards leave nothing of S."""
    draw = {name: np.linspace(-1, 4, 12)[:, None] for name in ("a", "b")}
    settings: dict[str, Any] = {"baseline": "zeros", "task": "survival", "measures": [ml.InterSHAP()]}
    with pytest.warns(ml.ModalensWarning, match=r"some probabilities are 0 or 1 .*log\(-log S\) are infinite"):
        found = explained(proportional, draw, **settings)
    assert (found.intershap.by_space.sel(space="log-hazard") > 0.01).all()
    few = {name: values[:4] for name, values in draw.items()}
    assert not any("cut off" in note for note in explained(proportional, few, **settings).provenance["warnings"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"raw": np.array([[0.5, 1.5]])}, r"between 0.5 and 1.5, expected probabilities of surviving to each time"),
        ({"raw": np.array([[0.5, -0.5]])}, r"expected probabilities of surviving.*one column for a log-risk"),
        ({"link": "sigmoid"}, r"link='sigmoid' with task='survival'.*cumprod"),
        ({"link": "softmax"}, r"link='softmax' with task='survival'"),
        ({"output": "logit"}, r"output='logit' is not known.*'probability', 'log-hazard', 'raw'"),
        ({"raw": np.array([[0.5]]), "output": "log-hazard"}, r"needs probabilities of surviving to several times"),
        ({"classes": ["1 year"]}, r"expected 2 different names"),
    ],
)
def test_what_is_no_survival_is_refused(settings: dict[str, Any], message: str) -> None:
    defaults = {
        "raw": np.array([[0.9, 0.5]]),
        "link": None,
        "output": "probability",
        "task": "survival",
        "classes": None,
    }
    with pytest.raises(ml.InputError, match=message):
        decide(**(defaults | settings))


def test_survival_outside_its_range_under_a_mask_is_refused() -> None:
    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([np.where(a == 0, 1.2, 0.9), 0.8 + 0 * b], axis=1)

    with pytest.raises(ml.InputError, match="expected probabilities of surviving"):
        explained(model, task="survival")


def test_survival_that_rises_with_time_is_said() -> None:
    def dying(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 1 - line(a, b)

    with pytest.warns(ml.ModalensWarning, match="rise from one time to a later one"):
        explained(dying, **YEARS)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "task='survival'")
        explained(line, **YEARS)


def test_hazards_become_survival_by_a_function() -> None:
    """Hazards .1 and .5 leave .9 and .9 * .5 = .45."""

    def survival(hazards: np.ndarray) -> np.ndarray:
        return np.cumprod(1 - hazards, axis=1)

    readout = decide(np.array([[0.1, 0.5]]), link=None, output=survival, task="survival", classes=["1", "2"])
    np.testing.assert_allclose(readout(np.array([[0.1, 0.5]]))["survival"], [[0.9, 0.45]])
    assert (readout.task, readout.space) == ("survival", "survival")
    with pytest.raises(ml.InputError, match="expected probabilities of surviving"):
        readout(np.array([[-4.0, 0.5]]))


# Labels of survival -----------------------------------------------------------------------------------------------------------------

TIMES, EVENTS = np.array([5.0, 2.5, 4.0]), np.array([True, False, True])
FORMS: dict[str, Any] = {
    "pair": (TIMES, EVENTS),
    "pair of lists": (TIMES.tolist(), EVENTS.tolist()),
    "list of arrays": [TIMES, EVENTS],
    "pair of tensors": (torch.tensor(TIMES), torch.tensor(EVENTS)),
    "array": np.stack([TIMES, EVENTS], axis=1),
    "list of pairs": [(5.0, True), (2.5, False), (4.0, True)],
    "frame": pd.DataFrame({"site": list("xyz"), "event": EVENTS.astype(int), "time": TIMES}),
    "frame with other names": pd.DataFrame({"months": TIMES, "died": EVENTS}),
    "frame, event first": pd.DataFrame({"died": EVENTS, "months": TIMES}),
    "scikit-survival": Surv.from_arrays(EVENTS, TIMES),
    "scikit-survival, other names": Surv.from_arrays(EVENTS, TIMES, name_event="cens", name_time="days"),
    "structured, time first": np.array(
        [(5.0, True), (2.5, False), (4.0, True)], dtype=[("t", np.float32), ("e", np.bool_)]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_times_and_events_in_every_form(form: str) -> None:
    found = checked_labels(FORMS[form], 3, LOG_RISK)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[5.0, 1.0], [2.5, 0.0], [4.0, 1.0]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((TIMES[:2], EVENTS[:2]), "3 samples, came 2"),
        (TIMES, r"survival needs \(time, event\).*Came shape \(3,\)"),
        ((TIMES, EVENTS[:2]), r"times of shape \(3,\) and events of shape \(2,\)"),
        ((EVENTS, TIMES), r"events are 1 \(seen\) or 0 \(censored\), came 5; give \(time, event\) in this order"),
        ((TIMES, [1, 2, 0]), "came 2"),
        ((TIMES, [1, np.nan, 0]), "came nan"),
        (([5.0, 0.0, 4.0], EVENTS), "above 0, came 0"),
        (([5.0, -1.0, 4.0], EVENTS), "above 0, came -1"),
        (([5.0, np.inf, 4.0], EVENTS), "finite and above 0, came inf"),
        ((["long", "short", "long"], EVENTS), "are no numbers"),
        (np.ones((3, 3)), r"Came shape \(3, 3\)"),
        (pd.DataFrame({"x": TIMES, "y": TIMES, "z": TIMES}), "Came the columns 'x', 'y', 'z'"),
    ],
)
def test_what_are_no_times_and_events_is_refused(labels: Any, message: str) -> None:
    with pytest.raises(ml.InputError, match=f"labels: .*{message}"):
        checked_labels(labels, 3, LOG_RISK)


# Regression keeps its units ---------------------------------------------------------------------------------------------------------


def pressure(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 120 + product(a, b)


def test_units_stand_wherever_values_of_the_output_do() -> None:
    """The mean Shapley values of f = 120 + 2 a + a b are (3.5 + 3) / 2 and (1.5 - 1) / 2."""
    measures = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()]
    found = explained(pressure, task="regression", units="mmHg", measures=measures)
    assert found.provenance["units"] == "mmHg"
    assert found.provenance["value_function"].startswith("v(S) = the model's own output in mmHg, with what")
    added = table(found, "What each modality adds to the output in mmHg")
    assert added.rows == (("a", "+3.25"), ("b", "+0.250"))
    assert "in units of the output in mmHg" in printed(found)
    assert plots.parts(found, "a").get_xlabel() == "change of the output in mmHg"
    assert "output in mmHg" in plots.interaction_matrix(found).get_xlabel()


def test_units_of_several_values_and_of_a_function() -> None:
    def both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b], axis=1)

    found = explained(both, task="regression", units="mmHg", classes=["systole", "diastole"], measures=[ml.Occlusion()])
    assert plots.parts(found, "a", output="systole").get_xlabel().startswith("change of the output of systole in mmHg")
    assert plots.parts(found, "a").get_xlabel() == "change of the output in mmHg, summed over outputs"

    def exponent(raw: np.ndarray) -> np.ndarray:
        return np.exp(raw)

    grown = explained(product, output=exponent, units="kg").provenance
    assert grown["value_function"].startswith("v(S) = exponent of the output in kg,")


def test_without_units_nothing_is_said_of_them() -> None:
    found = explained(pressure, task="regression")
    assert found.provenance["units"] is None
    assert "What each modality adds" not in printed(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"link": "sigmoid"}, "the output is a probability"),
        ({"link": "sigmoid", "output": "logit"}, "the output is a logit"),
        ({"task": "survival"}, "the output is a log-risk"),
        ({"task": "regression", "units": " "}, "expected the units of the output in words"),
        ({"task": "regression", "units": 3}, "expected the units of the output in words"),
    ],
)
def test_units_of_what_has_none_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ml.InputError, match=f"units=.*{message}"):
        explained(product, **({"units": "mmHg"} | settings))


# Several labels ---------------------------------------------------------------------------------------------------------------------

ONES = {"a": np.ones((6, 1)), "b": np.ones((6, 1))}


def labelled(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Edema changes by .4 with a and .1 with b, a mass by .04 with a and .16 with b, and gas with neither."""
    return np.concatenate([0.1 + 0.4 * a + 0.1 * b, 0.1 + 0.04 * a + 0.16 * b, 0 * a + 0.5], axis=1)


def labels_of(**settings: Any) -> ml.Explanation:
    defaults = {"task": "multilabel", "classes": ["edema", "mass", "gas"], "confidence": 0.95}
    return explained(labelled, ONES, **(defaults | {"measures": [ml.Occlusion(), ml.Shapley()]} | settings))


def test_every_label_by_itself() -> None:
    """Edema: .4 and .1 of .5. Mass: .04 and .16 of .2. Summed over labels: .44 and .26 of .7, which is what neither says."""
    found = labels_of().occlusion
    np.testing.assert_allclose(found.by_output.sel(output="edema").values, [0.8, 0.2], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.by_output.sel(output="mass").values, [0.2, 0.8], rtol=0, atol=1e-12)
    assert found.by_output.sel(output="gas").isnull().all()
    np.testing.assert_allclose(found.contribution.values, [0.44 / 0.7, 0.26 / 0.7], rtol=0, atol=1e-12)


def test_what_is_printed_leads_with_each_label() -> None:
    explanation = labels_of()
    assert headline(explanation)[:3] == [
        "“a” carries most of “edema” (80 %, 80 to 80), when hidden part by part: shares of the change in each output by itself.",
        "“b” carries most of “mass” (80 %, 80 to 80), when hidden part by part: shares of the change in each output by itself.",
        "“gas” stays the same when hidden part by part, so no modality has a share of it.",
    ]
    first = content(explanation)[0]
    assert first.title.startswith("How much each modality carries for each output (hidden part by part")
    assert [row[0] for row in first.rows] == ["edema", "mass", "gas"]
    assert first.rows[0][1].startswith("80.0 %")
    assert first.rows[2][1:] == ("n/a", "n/a")
    assert not any("each column sums to" in one.title for one in content(explanation))
    assert "The sum over labels" in " ".join(first.notes)


def test_the_sum_over_labels_leads_where_it_is_asked_for() -> None:
    explanation = labels_of(target="all")
    assert headline(explanation)[0].startswith("“a” carries most: 63 % (95 % interval 63 to 63) of the change")
    first = content(explanation)[0]
    assert "each column sums to 100 %" in first.title
    assert first.rows[0][1].startswith("62.9 %")
    assert explanation.provenance["target"] == "all"
    assert explanation.occlusion.contribution.equals(labels_of().occlusion.contribution)


def test_one_label_that_is_asked_for_leads() -> None:
    for target in ("mass", 1):
        explanation = labels_of(target=target)
        assert headline(explanation)[0].startswith("“b” carries most of “mass”")
        assert [row[0] for row in content(explanation)[0].rows] == ["mass"]


def test_a_lead_of_a_label_that_may_be_chance_is_not_called_one() -> None:
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=(12, 1)) for name in ("a", "b")}

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([0.5 + 0.01 * (a + b), 0.5 + 0.1 * a], axis=1)

    settings: dict[str, Any] = {"task": "multilabel", "measures": [ml.Occlusion()]}
    said = headline(explained(model, inputs, confidence=0.95, **settings))
    assert said[0].startswith("“a” carries most of “1”")
    assert said[1].startswith("Which modality carries most is not clear for “0” (“")
    unsaid = headline(explained(model, inputs, confidence=None, **settings))
    assert unsaid[0].startswith("Without intervals it can't be said which modality carries most for “0”")


def test_labels_on_which_ways_of_asking_disagree_are_named() -> None:
    """With x = y = 1, v(x) = v(y) = .5 and .3: hidden parts of y count for .4 each, its whole for no more than them."""
    inputs = {"x": np.ones((6, 1)), "y": np.ones((6, 2))}

    def model(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        edema = 0.1 + 0.3 * x[:, 0] + 0.2 * (y[:, 0] * y[:, 1])  # either half of y takes all of its .2
        return np.stack([edema, 0.5 + 0.1 * x[:, 0]], axis=1)

    settings: dict[str, Any] = {"task": "multilabel", "classes": ["edema", "mass"], "confidence": 0.95}
    found = explained(model, inputs, measures=[ml.Occlusion(), ml.Shapley()], **settings)
    np.testing.assert_allclose(found.occlusion.by_output.sel(output="edema").values, [0.3 / 0.7, 0.4 / 0.7], atol=1e-12)
    np.testing.assert_allclose(found.shapley.by_output.sel(output="edema").values, [0.6, 0.4], atol=1e-12)
    assert "But by the Shapley value “x” comes first for “edema”: the answer depends on how one asks." in headline(
        found
    )


def test_a_modality_that_one_rare_label_reads_is_not_ignored() -> None:
    """b carries .01 of 1.01 of the sum, and all of the second label."""

    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([0.5 * a, 0.005 * b], axis=1)

    random = np.random.default_rng(0)
    inputs = {name: random.uniform(0.5, 1, size=(6, 1)) for name in ("a", "b")}
    labels = np.concatenate([inputs[name] > np.median(inputs[name]) for name in ("a", "b")], axis=1)
    settings: dict[str, Any] = {"task": "multilabel", "confidence": 0.95, "measures": [ml.Occlusion(), ml.Reliance()]}
    found = explained(model, inputs, labels=labels, **settings)
    assert float(found.occlusion.interval["contribution"].sel(modality="b", bound="upper")) < 0.05
    assert found.reliance.verdict.sel(modality="b").item() == "withheld: ignored as one part, but not as it is cut"
    assert "“b” is ignored:" not in " ".join(headline(found))
    unlabelled = explained(model, inputs, **(settings | {"measures": [ml.Occlusion()]}))
    assert "“b” is ignored:" not in " ".join(headline(unlabelled))


def test_all_exclusive_classes_together_are_refused() -> None:
    with pytest.raises(ml.InputError, match=r"target='all' is for several labels.*exclusive classes"):
        explained(product, link="sigmoid", target="all")


def test_an_output_that_is_called_all_is_that_output() -> None:
    found = labels_of(target="all", classes=["edema", "all", "gas"])
    assert [row[0] for row in content(found)[0].rows] == ["all"]
    np.testing.assert_allclose(found.shapley.of_target.values, [[0.04, 0.16]] * 6, rtol=0, atol=1e-12)


def test_labels_are_written_out_in_the_value_function() -> None:
    words = labels_of().provenance["value_function"]
    assert words.startswith("v(S) = probability of each of 3 labels by itself ('edema', 'mass', 'gas'), with")
    odds = explained(product, PAIR, link="sigmoid", task="multilabel", output="logit").provenance["value_function"]
    assert odds.startswith("v(S) = log-odds, log p - log(1 - p),")


# No score of a fixed output is 0/0 or a constant by construction --------------------------------------------------------------------


def as_regression(f: np.ndarray) -> np.ndarray:
    return 100 + 5 * f


def as_log_risk(f: np.ndarray) -> np.ndarray:
    return f[:, :1]


def as_probabilities(f: np.ndarray) -> np.ndarray:
    return 0.5 + 0.05 * f


FIXED: list[Any] = [
    pytest.param(as_regression, {"task": "regression"}, id="regression"),
    pytest.param(as_log_risk, {"task": "survival"}, id="log-risk"),
    pytest.param(as_probabilities, {"task": "survival"}, id="survival at times"),
    pytest.param(as_probabilities, {"task": "multilabel"}, id="labels"),
    pytest.param(as_probabilities, {"task": "multilabel", "target": 0}, id="one label"),
]
STRENGTHS = np.array([1.0, 0.25])
"""c of f = a + b + c a b, for two outputs."""


def game(form: Any, inputs: dict[str, np.ndarray], settings: dict[str, Any], **reading: Any) -> ml.Result:
    """f = a + b + c a b in the form of a task, the samples standing in for each other."""
    return explained(
        lambda a, b: form(a + b + STRENGTHS * a * b),
        inputs,
        background=inputs,
        baseline="background",
        measures=[ml.InterSHAP(**reading)],
        **settings,
    ).intershap


@pytest.mark.filterwarnings("ignore:task='survival'")
@pytest.mark.parametrize(("form", "settings"), FIXED)
def test_independent_modalities_would_be_zero_by_zero(form: Any, settings: dict[str, Any]) -> None:
    """a, b = +-1, all four: v(a) = a, v(b) = b, v() = 0, so phi_ab = c a b / 2 and phi_aa = a. Every mean is 0; by
    mean |.| the score is c / (c + 2): 1/3 and 1/9.
    """
    inputs = {"a": np.array([[1.0], [1.0], [-1.0], [-1.0]]), "b": np.array([[1.0], [-1.0], [1.0], [-1.0]])}
    assert game(form, inputs, settings, reading="paper").score.isnull().all()
    found = game(form, inputs, settings)
    expected = np.array([1 / 3, 1 / 9])[: found.score.size]
    np.testing.assert_allclose(np.atleast_1d(found.score.values), expected, rtol=0, atol=1e-9)
    _all_defined(found)


@pytest.mark.filterwarnings("ignore:task='survival'")
@pytest.mark.parametrize(("form", "settings"), FIXED)
def test_dependent_modalities_would_be_one_half(form: Any, settings: dict[str, Any]) -> None:
    """a = b = +-1: v(a) = a, v() = c, so phi_ab = (2 a + c - 2 a + c) / 2 = c and phi_aa = a - c. By |mean .| that is 2 c
    of 4 c for every c; by mean |.| phi_aa is (|1 - c| + |1 + c|) / 2 = 1, and the score c / (c + 1): 1/2 and 1/5.
    """
    inputs = {"a": np.array([[1.0], [-1.0]]), "b": np.array([[1.0], [-1.0]])}
    np.testing.assert_allclose(game(form, inputs, settings, reading="paper").score.values, 0.5, rtol=0, atol=1e-9)
    found = game(form, inputs, settings)
    expected = np.array([1 / 2, 1 / 5])[: found.score.size]
    np.testing.assert_allclose(np.atleast_1d(found.score.values), expected, rtol=0, atol=1e-9)
    _all_defined(found)


def _all_defined(found: ml.Result) -> None:
    assert found.settings["reading"] == "absolute"
    for name in ("score", "matrix", "contribution", "local", "orders", "by_space"):
        assert np.isfinite(found.array(name).values).all(), name


# Study files ------------------------------------------------------------------------------------------------------------------------

NETWORK = """
import numpy as np

def network(image, table):
    return 3 * image.mean(axis=(1, 2)) + table["age"].to_numpy()
"""

STUDY = """\
model: network.py:network
inputs:
  image: {file: test.npz, key: image}
  table: {file: test.csv, columns: [age, sex]}
labels: {file: test.csv, columns: [months, died]}
measures: [reliance]
baseline: zeros
task: survival
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "test.npz", image=random.normal(size=(8, 4, 4)))
    columns = {"age": random.normal(size=8), "sex": [0, 1] * 4, "months": np.arange(1.0, 9), "died": [1, 0, 1, 1] * 2}
    pd.DataFrame(columns).to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def test_a_study_of_survival_runs(folder: Path) -> None:
    study = read_study(folder / "study.yaml")
    found = ml.explain(study.model, study.inputs, **study.settings)
    assert found.provenance["task"] == "survival"
    assert found.reliance.settings["metric"] == "concordance"


def test_a_study_has_units_and_says_what_it_knows(folder: Path) -> None:
    values = STUDY.replace("task: survival", "task: regression\nunits: mmHg").replace(
        "columns: [months, died]", "column: months"
    )
    (folder / "study.yaml").write_text(values)
    study = read_study(folder / "study.yaml")
    assert ml.explain(study.model, study.inputs, **study.settings).provenance["units"] == "mmHg"
    (folder / "study.yaml").write_text(STUDY.replace("survival", "survivall"))
    with pytest.raises(ml.InputError, match=r"line 8: task: came 'survivall'.*'survival'"):
        read_study(folder / "study.yaml")


def test_an_explanation_of_survival_is_saved_and_shown_again(tmp_path: Path) -> None:
    found = explained(
        line, **YEARS, labels=([1.0, 2.0], [1, 0]), measures=[ml.Occlusion(), ml.InterSHAP(), ml.Reliance()]
    )
    again = ml.load(found.save(tmp_path / "survival.nc"))
    assert str(again) == str(found)
