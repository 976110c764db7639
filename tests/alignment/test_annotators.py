"""Annotators' answers: the table and its round trip, agreement against Krippendorff's example and other packages, means,
differences and correlations against slow ones, and what is refused.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

import modalens as ml
from modalens import ModalensWarning
from modalens.alignment.annotators import COLUMNS, QUESTIONS, Annotations, Estimate, read_annotations
from modalens.alignment.weighted import krippendorff_alpha, quadratic_kappa, weighted_spearman

LITERATURE = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Four observers, twelve units: Krippendorff, Computing Krippendorff's alpha-reliability (2011), part C."""

PROMPTS = [
    "Opacity.",
    "=1+1",
    "+x",
    "-x",
    "@x",
    "'=x",
    "''-x",
    "'tis",
    "a\nb",
    "\tx",
    "\rx",
    'say "no", twice',
    "＝x",
    "nan",
]


def row(**more: Any) -> dict[str, Any]:
    answers = dict.fromkeys(QUESTIONS, 3)
    names = {"dicom_sent_id": "d_0", "dicom_id": "d", "sent_id": "0", "checkpoint_name": "gloria", "prompt": "Opacity."}
    return names | answers | {"is_custom_prompt": False, "no_attn_score": 0.25} | more


def table(*rows: dict[str, Any]) -> Annotations:
    return Annotations(table=pd.DataFrame([row(**one) for one in rows]))


def rated(matrix: list[list[Any]], pictures: int = 100) -> Annotations:
    """Answers (rater, map) to how intuitive maps are; map k is of picture k modulo `pictures`."""
    return table(
        *(
            {
                "rater": f"r{r}",
                "dicom_sent_id": f"d{k % pictures}_{k}",
                "dicom_id": f"d{k % pictures}",
                "is_intuitive": answer,
            }
            for r, answers in enumerate(matrix)
            for k, answer in enumerate(answers)
        )
    )


def drawn(pictures: int = 12, raters: int = 2, seed: int = 0) -> Annotations:
    """Two models on three sentences a picture, the second a point better, with blanks."""
    rng = np.random.default_rng(seed)
    rows = []
    for picture in range(pictures):
        for sentence in range(3):
            base = rng.integers(1, 5)
            for model, better in (("plain", 0), ("opt-out", 1)):
                for rater in range(raters):
                    answers = {q: None if rng.random() < 0.1 else int(np.clip(base + better + rng.integers(-1, 2), 1, 5)) for q in QUESTIONS}  # fmt: skip
                    names = {
                        "dicom_id": f"d{picture}",
                        "dicom_sent_id": f"d{picture}_{sentence}",
                        "sent_id": str(sentence),
                    }
                    rows.append({"checkpoint_name": model, "rater": f"r{rater}"} | names | answers)
    return table(*rows)


# Agreement


def test_krippendorffs_own_example() -> None:
    found = rated(LITERATURE).agreement("is_intuitive")
    assert found.value == pytest.approx(0.815, abs=5e-4)
    assert found.count == 11  # the twelfth unit has one answer
    assert found.lower < found.value < found.upper <= 1
    assert found.reason == ""


def test_alpha_by_hand() -> None:
    # Two raters; units (1, 2), (2, 2). Coincidences: 12, 21: 1 each; 22: 2. Answers: 1 once, 2 three times; n = 4.
    # Mean ranks .5 and 2.5, squared distance 4. Seen 2 * 4 = 8; by chance 2 * (1 * 3) * 4 / 3 = 8.
    assert float(rated([[1, 2], [2, 2]]).agreement("is_intuitive")) == pytest.approx(0)
    # Units (1, 1), (5, 5): nothing is apart.
    assert float(rated([[1, 5], [1, 5]]).agreement("is_intuitive")) == 1
    # Units (1, 5), (5, 1): seen 4 * d, by chance 2 * 4 / 3 * d.
    assert float(rated([[1, 5], [5, 1]]).agreement("is_intuitive")) == pytest.approx(1 - 4 / (8 / 3))


@settings(max_examples=50)
@given(
    matrix=st.lists(st.lists(st.sampled_from([1, 2, 3, 4, 5, None]), min_size=8, max_size=8), min_size=2, max_size=4)
)
def test_alpha_is_that_of_the_krippendorff_package(matrix: list[list[int | None]]) -> None:
    found = rated(matrix).agreement("is_intuitive")
    answers = np.array(matrix, dtype=float)
    judged = answers[:, (~np.isnan(answers)).sum(axis=0) > 1]
    if np.isnan(found.value):
        assert found.reason
        assert judged.size == 0 or np.nanmin(judged) == np.nanmax(judged)
    else:
        assert found.value == pytest.approx(krippendorff.alpha(answers, level_of_measurement="ordinal"), abs=1e-12)


def test_a_weight_is_how_often_a_unit_was_drawn() -> None:
    answers = np.array(LITERATURE, dtype=float)[:, :11]
    counts = (answers.T[:, :, None] == np.arange(1, 6)).sum(axis=1)
    often = np.array([[0, 2, 1, 0, 3, 1, 1, 0, 1, 1, 1], [1] * 11])
    expected = [
        krippendorff.alpha(np.repeat(answers, times, axis=1), level_of_measurement="ordinal") for times in often
    ]
    np.testing.assert_allclose(krippendorff_alpha(counts, often / 11), expected, atol=1e-12)


def test_kappa_by_hand() -> None:
    # Ratings (1, 1), (1, 2), (2, 2), (5, 3): squared distances 0, 1, 0, 4, mean 1.25. Margins: a is 1, 1, 2, 5; b is 1, 2, 2, 3:
    # mean over all pairs (0+1+1+4 + 0+1+1+4 + 1+0+0+1 + 16+9+9+4) / 16 = 52 / 16.
    found = rated([[1, 1, 2, 5], [1, 2, 2, 3]]).agreement("is_intuitive", "kappa")
    assert found.value == pytest.approx(1 - 1.25 / (52 / 16))
    assert found.count == 4


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=9))
def test_kappa_is_that_of_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    one, other, often = np.array(rows).T
    found = quadratic_kappa(one, other, (often / often.sum())[None])[0]
    if one.min() == one.max() == other.min() == other.max():
        assert np.isnan(found)
    else:
        oracle = cohen_kappa_score(one, other, labels=range(1, 6), weights="quadratic", sample_weight=often)
        assert found == pytest.approx(oracle, abs=1e-12)


def test_agreement_is_taken_over_maps_that_two_judged_and_its_interval_draws_pictures() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 6, size=60)
    noisy = np.clip(truth + rng.integers(-1, 2, size=60), 1, 5)
    alone, many = (rated([truth.tolist(), noisy.tolist()], pictures=n) for n in (60, 8))
    for statistic in ("alpha", "kappa"):
        one, other = (of.agreement("is_intuitive", statistic) for of in (alone, many))  # type: ignore[arg-type]
        assert one.value == pytest.approx(other.value)
        assert one.lower < one.value < one.upper
        assert (one.lower, one.upper) != (other.lower, other.upper)
        assert one == alone.agreement("is_intuitive", statistic)  # type: ignore[arg-type]
        assert one != alone.agreement("is_intuitive", statistic, seed=1)  # type: ignore[arg-type]
        narrow = alone.agreement("is_intuitive", statistic, confidence=0.5)  # type: ignore[arg-type]
        assert one.lower < narrow.lower < narrow.upper < one.upper


@pytest.mark.parametrize(
    ("matrix", "statistic", "reason"),
    [
        ([[1, 2, 3]], "alpha", r"1 rater: agreement takes two or more"),
        ([[1, 2, 3], [None, None, None]], "alpha", r"1 rater"),
        ([[None], [None]], "alpha", r"no rater"),
        ([[1, None], [None, 2]], "alpha", r"no map was judged by two"),
        ([[4, 4, None], [4, 4, 1]], "alpha", r"all answers are the same"),
        ([[4, 4], [4, 4]], "kappa", r"all answers are the same"),
        ([[1, 2], [1, 2], [2, 2]], "kappa", r"kappa is of two raters, and 3 judged"),
    ],
)
def test_no_agreement_has_a_reason(matrix: list[list[Any]], statistic: Any, reason: str) -> None:
    found = rated(matrix).agreement("is_intuitive", statistic)
    assert np.isnan(float(found))
    assert reason in found.reason


def test_few_pictures_give_no_interval() -> None:
    found = rated([[1, 2, 3, 4, 5, 1], [1, 2, 3, 4, 5, 2]], pictures=4).agreement("is_intuitive")
    assert found.value > 0
    assert np.isnan([found.lower, found.upper]).all()
    assert found.reason == "no interval: 4 patients or pictures, and it takes 5"


def test_unknown_questions_and_statistics_are_refused() -> None:
    with pytest.raises(ml.InputError, match=r"did you mean 'is_intuitive'"):
        table({}).agreement("intuitive")  # type: ignore[arg-type]
    with pytest.raises(ml.InputError, match=r"statistic='fleiss' is not known"):
        table({}).agreement("is_intuitive", "fleiss")  # type: ignore[arg-type]


# Means, differences, correlations


def test_means_are_of_the_answers_that_were_given() -> None:
    answers = [("a", 1), ("a", None), ("a", 4), ("b", None)]
    found = table(*({"checkpoint_name": m, "dicom_sent_id": f"d_{k}", "is_intuitive": v} for k, (m, v) in enumerate(answers))).means()  # fmt: skip
    one = found[found.question == "is_intuitive"].set_index("model")
    assert one.loc["a", ["value", "answers", "blank"]].tolist() == [2.5, 2, 1]
    assert one.loc["b", ["answers", "blank", "reason"]].tolist() == [0, 1, "no answer was given"]
    assert np.isnan(one.loc["b", "value"])
    assert one.loc["a", "reason"].startswith("no interval: 1 patients")


def test_intervals_draw_patients_where_they_are_named_and_else_pictures() -> None:
    found = drawn()
    of_patients = Annotations(
        table=found.table.assign(patient="p" + (found.table.dicom_id.str[1:].astype(int) // 2).astype(str))
    )
    one, other = found.means(), of_patients.means()
    np.testing.assert_array_equal(one.value, other.value)
    assert (one.lower != other.lower).any()
    of_two = Annotations(table=found.table.assign(patient=np.where(found.table.dicom_id == "d0", "x", "y")))
    assert of_two.means().reason.str.startswith("no interval: 2 patients").all()


def test_the_interval_of_a_mean_is_that_of_drawing_pictures() -> None:
    found = drawn(pictures=40)
    mine = found.means().set_index(["model", "question"]).loc[("plain", "is_intuitive")]
    of = found.table[found.table.checkpoint_name == "plain"].dropna(subset="is_intuitive")
    sums = of.groupby("dicom_id").is_intuitive.agg(["sum", "count"]).to_numpy()
    rng = np.random.default_rng(1)
    means = [np.divide(*sums[rng.integers(0, len(sums), len(sums))].sum(axis=0)) for _ in range(4000)]
    np.testing.assert_allclose([mine.lower, mine.upper], np.quantile(means, [0.025, 0.975]), atol=0.03)
    assert mine.value == pytest.approx(of.is_intuitive.mean())


def test_a_difference_is_of_the_same_rater_and_item() -> None:
    found = table(
        *(
            {"checkpoint_name": "a", "dicom_sent_id": s, "rater": r, "is_intuitive": v}
            for s, r, v in [("1", "x", 5), ("1", "y", 3), ("2", "x", 1)]
        ),
        *(
            {"checkpoint_name": "b", "dicom_sent_id": s, "rater": r, "is_intuitive": v}
            for s, r, v in [("1", "x", 2), ("1", "y", 4), ("2", "y", 5)]
        ),
    ).difference("a", "b")
    one = found.set_index("question").loc["is_intuitive"]
    assert one[["difference", "pairs"]].tolist() == [1.0, 2]


def test_a_difference_turns_its_sign_with_the_models_and_finds_what_was_put_there() -> None:
    found = drawn(pictures=40)
    one, other = found.difference("opt-out", "plain"), found.difference("plain", "opt-out")
    np.testing.assert_allclose(one.difference, -other.difference)
    np.testing.assert_allclose(one.lower, -other.upper)
    assert (one.lower > 0).all()
    assert (one.upper < 1.2).all()
    blank = table({"checkpoint_name": "a"}, {"checkpoint_name": "b", "dicom_sent_id": "other"}).difference("a", "b")
    assert blank.reason.tolist() == ["no answer was given"] * 3
    assert blank.difference.isna().all()


def test_differences_of_unknown_models_are_refused() -> None:
    with pytest.raises(ml.InputError, match=r"model_b='gloira' is not known \(did you mean 'gloria'\?\)"):
        table({}).difference("gloria", "gloira")
    with pytest.raises(ml.InputError, match=r"'gloria' is compared with itself"):
        table({}).difference("gloria", "gloria")


def test_correlation_is_spearmans_of_the_raters_mean() -> None:
    found = drawn(pictures=20)
    maps = found.table.groupby(["dicom_sent_id", "checkpoint_name"], as_index=False)[list(QUESTIONS)].mean()
    rng = np.random.default_rng(0)
    noise = rng.normal(size=len(maps))
    scores = maps.assign(auroc=maps.is_intuitive.fillna(3) + noise, iou=1.0)[
        ["dicom_sent_id", "checkpoint_name", "auroc", "iou"]
    ]
    got = found.correlation(scores.iloc[::-1]).set_index(["score", "question", "model"])
    for model in ("all", "plain", "opt-out"):
        of = maps if model == "all" else maps[maps.checkpoint_name == model]
        expected = spearmanr(of.is_intuitive, scores.auroc[of.index], nan_policy="omit").statistic
        one = got.loc[("auroc", "is_intuitive", model)]
        assert one.value == pytest.approx(expected)
        assert one.lower < one.value < one.upper
        assert one.maps == of.is_intuitive.notna().sum()
    tied = got.loc[("iou", "is_intuitive", "all")]
    assert np.isnan(tied.value)
    assert "the same" in tied.reason


def test_correlation_leaves_out_own_prompts_unless_scores_name_them() -> None:
    rows = [{"dicom_sent_id": str(k), "is_intuitive": k + 1} for k in range(4)]
    own = [
        {"dicom_sent_id": str(k), "prompt": "Mine.", "is_custom_prompt": True, "is_intuitive": 4 - k} for k in range(4)
    ]
    found = table(*rows, *own)
    scores = pd.DataFrame(
        {"dicom_sent_id": map(str, range(4)), "checkpoint_name": "gloria", "auroc": [0.1, 0.2, 0.3, 0.4]}
    )

    def rho(of: pd.DataFrame) -> tuple[float, int]:
        one = found.correlation(of).set_index(["question", "model"]).loc[("is_intuitive", "all")]
        return one.value, one.maps

    assert rho(scores) == (pytest.approx(1), 4)
    assert rho(scores.assign(prompt="Mine.")) == (pytest.approx(-1), 4)
    assert rho(scores.assign(dicom_sent_id=range(4))) == (pytest.approx(1), 4)  # numbers as names


@settings(max_examples=50)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=12).filter(
        lambda rows: sum(often for *_, often in rows) > 1
    )
)
def test_weighted_spearman_is_scipys_of_what_was_drawn(rows: list[tuple[int, int, int]]) -> None:
    one, other, often = np.array(rows).T
    first, second = np.repeat(one, often), np.repeat(other, often)
    found = weighted_spearman(one, other, (often / often.sum())[None])[0]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"dicom_sent_id": ["d_0"], "auroc": [0.5]}, r"need dicom_sent_id, checkpoint_name and one or more columns"),
        ({"dicom_sent_id": ["d_0"], "checkpoint_name": ["gloria"]}, r"columns of numbers"),
        ({"dicom_sent_id": ["d_0"] * 2, "checkpoint_name": ["gloria"] * 2, "auroc": [0.5, 0.6]}, r"two rows for .*d_0"),
        ({"dicom_sent_id": ["e_0"], "checkpoint_name": ["gloria"], "auroc": [0.5]}, r"no row of scores has the .*d_0"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: dict, message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        table({}).correlation(pd.DataFrame(scores))


# The table and its file


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    given = table(
        *(
            {
                "prompt": prompt,
                "dicom_sent_id": f"00{k}",
                "is_custom_prompt": k % 2 == 0,
                "note": f"-{k}",
                "is_intuitive": (1, 5, None)[k % 3],
            }
            for k, prompt in enumerate(PROMPTS)
        ),
        {"no_attn_score": None, "rater": "=HYPERLINK()", "patient": "p"},
        {"no_attn_score": -1.5},
    )
    given.write(tmp_path / "answers.csv")
    back = read_annotations(tmp_path / "answers.csv")
    pd.testing.assert_frame_equal(back.table, given.table)
    assert back.table.prompt.tolist()[: len(PROMPTS)] == PROMPTS
    assert back.models == ("gloria",)
    assert back.raters == ("", "=HYPERLINK()")


def test_no_text_in_the_file_is_a_formula(tmp_path: Path) -> None:
    table(*({"prompt": prompt, "rater": prompt} for prompt in PROMPTS)).write(tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        cells = [row[name] for row in csv.DictReader(file) for name in ("prompt", "rater")]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r\n＝＋－＠"]
    assert cells[:2] == ["Opacity."] * 2


@settings(max_examples=100)
@given(prompt=st.text(alphabet=list("'=+-@ax\n\r\t\", ＝"), max_size=6))
def test_any_prompt_comes_back(tmp_path_factory: pytest.TempPathFactory, prompt: str) -> None:
    path = tmp_path_factory.mktemp("prompts") / "answers.csv"
    table({"prompt": prompt}).write(path)
    assert read_annotations(path).table.prompt.tolist() == [prompt]


def lines(*rows: str) -> str:
    return "\n".join([",".join(COLUMNS), *rows, ""])


def test_the_papers_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(
        "\ufeff" + lines("d_0,d,0,gloria,Opacity.,4,,2.0,False,", "d_1,d,1,gloria,,1,nan,5,1,.5"), encoding="utf-8"
    )
    found = read_annotations(path).table
    assert found[list(COLUMNS[:5])].to_numpy().tolist() == [
        ["d_0", "d", "0", "gloria", "Opacity."],
        ["d_1", "d", "1", "gloria", ""],
    ]
    np.testing.assert_array_equal(found[list(QUESTIONS)], [[4, np.nan, 2], [1, np.nan, 5]])
    assert found.is_custom_prompt.tolist() == [False, True]
    np.testing.assert_array_equal(found.no_attn_score, [np.nan, 0.5])
    assert set(found.rater) == {""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines("d_0,d,0,gloria,x,6,1,1,False,"), r"answers\.csv, line 2: has_good_recall must be a whole number from 1 to 5, or blank; '6' came"),
        (lines("d_0,d,0,gloria,x,1,1,1,False,", 'd_1,d,0,gloria,"a\nb",1,0,1,False,'), r"line 3: has_good_precision must be"),
        (lines('d_1,d,0,gloria,"a\nb",1,1,1,False,', "d_0,d,0,gloria,x,1,1,good,False,"), r"line 4: is_intuitive must be .* 'good' came"),
        (lines("d_0,d,0,gloria,x,1,2.5,1,False,"), r"'2\.5' came"),
        (lines("d_0,d,0,gloria,x,1,1,1,perhaps,"), r"is_custom_prompt must be true or false; 'perhaps' came"),
        (lines("d_0,d,0,gloria,x,1,1,1,False,inf"), r"no_attn_score must be a number, or blank; 'inf' came"),
        (lines("d_0,d,0,,x,1,1,1,False,"), r"line 2: checkpoint_name must be a name; '' came"),
        (lines("d_0,d,0,gloria,x,1,1,1"), r"line 2: expected 10 cells, as in the first line, came 8"),
        (lines(), r"answers\.csv: there are no rows"),
        ("", r"the columns 'dicom_sent_id', .* are missing; none came"),
        (lines("d_0,d,0,gloria,x,1,1,1,False,").replace("is_intuitive", "is_intuitve"), r"'is_intuitive' are missing \(did you mean 'is_intuitve'\?\)"),
        (lines("d_0,d,0,gloria,x,1,1,1,False,").replace("sent_id,check", "prompt,check"), r"each column must be there once"),
        (lines('d_0,d,0,gloria,"x"y,1,1,1,False,'), r"can't be read as a CSV file"),
        (b"\xff\xfe\x00", r"can't be read as a CSV file"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_the_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ml.InputError, match=message):
        read_annotations(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match=r"nowhere\.csv can't be read as a CSV file: .*No such file"):
        read_annotations(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([row()], r"expected a DataFrame, came list"),
        (pd.DataFrame([row(is_intuitive=True)]), r"annotations, row 0: is_intuitive must be .*True came"),
        (pd.DataFrame([row(), row(is_intuitive=0)], index=["a", "b"]), r"annotations, row b: is_intuitive"),
        (pd.DataFrame([row(dicom_id=None)]), r"row 0: dicom_id must be a name"),
    ],
)
def test_bad_tables_are_refused_with_the_row(given: Any, message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        Annotations(table=given)


def test_of_two_answers_of_a_rater_to_a_map_the_last_counts_and_a_warning_says_so(tmp_path: Path) -> None:
    rows = ["d_0,d,0,gloria,x,1,1,1,False,", "d_1,d,1,gloria,x,2,2,2,False,", "d_0,d,0,gloria,x,5,5,5,False,"]
    path = tmp_path / "answers.csv"
    path.write_text(lines(*rows))
    with pytest.warns(
        ModalensWarning, match=r"1 answers of a rater .* the first in .*line 2; the last ones count"
    ) as seen:
        found = read_annotations(path)
    assert len(seen) == 1
    assert found.table[["dicom_sent_id", "is_intuitive"]].to_numpy().tolist() == [["d_1", 2], ["d_0", 5]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table({}, {"rater": "b"}, {"prompt": "Mine."}, {"checkpoint_name": "b"}, {"dicom_sent_id": "other"})


def test_the_table_that_was_given_stays_as_it_was() -> None:
    given = pd.DataFrame([row(is_intuitive="4")])
    Annotations(table=given)
    assert given.is_intuitive.tolist() == ["4"]
    assert "rater" not in given


def test_an_estimate_is_a_number() -> None:
    assert float(Estimate(value=0.5, lower=0.4, upper=0.6, count=3)) == 0.5
