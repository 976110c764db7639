"""The verb validate: what it runs, keeps and refuses, and what the leaderboard says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

import modalens as ml
from modalens.measures.base import Arrays
from modalens.problem import PRESENT, Outputs, Problem, Values
from modalens.validation import Leaderboard, learn, problem, quick_leaderboard, validate
from modalens.validation.leaderboard import Run
from modalens.validation.store import Store

SMALL = {"train": 300, "test": 120}


@dataclass(frozen=True, kw_only=True)
class Favourite(ml.Measure):
    """A user's measure: everything to one modality, whatever the model does."""

    modality: int = 0

    default_name: ClassVar[str] = "favourite"
    title: ClassVar[str] = "The favourite"
    citation: ClassVar[str] = ""

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "contribution"}

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        return (Outputs(masks=(PRESENT,), baseline=problem.part_baselines[0], draws="part"),)

    def per_sample(self, problem: Problem, values: Values) -> Arrays:
        first = np.arange(len(problem.modalities)) == self.modality
        each = np.tile(first * 1.0, (problem.samples, 1))
        coords = {"modality": list(problem.modalities)}
        return {"share": xr.DataArray(each, dims=("sample", "modality"), coords=coords)}

    def summarise(self, problem: Problem, samples: Arrays, weights: xr.DataArray) -> Arrays:
        return {"contribution": xr.dot(samples["share"], weights, dim="sample")}


class Wrong(Favourite):
    """It names an estimand that there is not."""

    @property
    def estimands(self) -> Mapping[str, str]:
        return {"contribution": "contributions"}


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    measures = [ml.Shapley(), ml.Occlusion(), ml.InterSHAP(), ml.FusionGradient(), Favourite()]
    return validate(measures, ["C4", "F0"], seeds=2, network="function", samples=100, **SMALL)  # type: ignore[arg-type]


def test_the_function_itself_is_measured_nearly_without_error(board: Leaderboard) -> None:
    assert board.table.loc["shapley", "rmse"] < 0.03
    assert board.table.loc["occlusion.anchor", "rmse"] < 0.03
    assert board.table.loc["favourite", "rmse"] > 0.1
    assert board.table.index[-1] in ("favourite", "intershap", "fusion_gradient")


def test_a_user_s_measure_is_ranked_like_any_other(board: Leaderboard) -> None:
    by_problem = board.by_problem()
    assert by_problem.loc["favourite", "F0"] == pytest.approx(0.0, abs=1e-12)  # the favourite is the truth
    assert board.best == {"C4": board.best["C4"], "F0": by_problem["F0"].idxmin()}
    assert board.best["C4"] != "favourite"


def test_a_measure_that_can_t_be_asked_says_why_and_the_others_go_on(board: Leaderboard) -> None:
    reasons = {run.entry: run.reason for run in board.runs if run.reason}
    assert set(reasons) == {"fusion_gradient"}
    assert "torch" in reasons["fusion_gradient"]


def test_interactions_of_an_additive_function_are_none(board: Leaderboard) -> None:
    frame = board.to_frame()
    assert frame.loc[frame["measure"] == "intershap", "interaction_error"].max() < 1e-6


def test_the_spread_of_seeds_is_told_from_that_of_patients(board: Leaderboard) -> None:
    spread = board.spread
    np.testing.assert_allclose(spread.loc["shapley", "seed"] ** 2 + spread.loc["shapley", "patients"] ** 2, spread.loc["shapley", "total"] ** 2, atol=2e-4)  # fmt: skip
    assert spread.loc["favourite", "total"] == 0


def test_the_leaderboard_is_printed_drawn_kept_and_read_again(board: Leaderboard, tmp_path: Path) -> None:
    assert board.words.startswith("Smallest error: ")
    (held,) = (table for table in board.tables() if table.title.startswith("Intervals that hold"))
    shown = {row[0]: row[1:] for row in held.rows}
    assert shown["shapley"][0] == f"{board.by_problem('covered').loc['shapley', 'C4']:.3f}"
    assert "favourite" in str(board)
    written = board.write(tmp_path)
    assert [path.name for path in written] == [f"leaderboard.{ending}" for ending in ("json", "csv", "svg", "png", "html")]  # fmt: skip
    page = (tmp_path / "leaderboard.html").read_text()
    assert "Can the measures be trusted?" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    again = Leaderboard.load(tmp_path / "leaderboard.json")
    assert again.runs == tuple(Run(**json.loads(json.dumps(run.__dict__))) for run in board.runs)
    assert str(again) == str(board)


def test_what_is_no_leaderboard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[1, 2]")
    with pytest.raises(ml.InputError, match="is no leaderboard"):
        Leaderboard.load(tmp_path / "other.json")


def test_a_leaderboard_that_can_t_be_written_and_a_damaged_store_are_said(board: Leaderboard, tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match="can't be written"):
        board.save(tmp_path / "absent" / "board.json")
    (tmp_path / "settings.json").write_text("[1, 2]")
    with pytest.raises(ml.InputError, match=r"settings\.json is damaged"):
        validate([ml.Shapley()], ["C1"], seeds=1, network="function", store=tmp_path, **SMALL)  # type: ignore[arg-type]
    with pytest.raises(ml.InputError, match="expected one explanation of several measures"):
        ml.validation.agreement("board")


def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"network": "function", "samples": 60, "store": tmp_path, **SMALL}
    first = validate([ml.Shapley()], ["C1"], seeds=1, **ask)  # type: ignore[arg-type]
    asked: list[tuple[str, int]] = []

    def counted(name: str, seed: int, **options: int) -> object:
        asked.append((name, seed))
        return problem(name, seed, **options)

    monkeypatch.setattr("modalens.validation.run.problem", counted)
    both = validate([ml.Shapley()], ["C1"], seeds=2, **ask)  # type: ignore[arg-type]
    assert asked == [("C1", 1)]
    assert both.runs[0] == first.runs[0]
    (tmp_path / "C1-seed1.json").write_text("{ torn")
    validate([ml.Shapley()], ["C1"], seeds=2, **ask)  # type: ignore[arg-type]
    assert asked == [("C1", 1), ("C1", 1)]
    assert not list(tmp_path.glob("*.part"))


def test_a_store_made_otherwise_is_refused_with_the_difference(tmp_path: Path) -> None:
    ask = {"network": "function", "store": tmp_path, **SMALL}
    validate([ml.Shapley()], ["C1"], seeds=1, samples=60, **ask)  # type: ignore[arg-type]
    with pytest.raises(ml.InputError, match="samples was 60 and is 50"):
        validate([ml.Shapley()], ["C1"], seeds=1, samples=50, **ask)  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(ml.InputError, match="can't be used"):
        validate([ml.Shapley()], ["C1"], seeds=1, samples=60, **ask | {"store": tmp_path / "file"})  # type: ignore[arg-type]


def test_a_store_knows_the_code_of_a_user_s_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"network": "function", "store": tmp_path, "samples": 60, **SMALL}
    validate([Favourite()], ["C1"], seeds=1, **ask)  # type: ignore[arg-type]
    monkeypatch.setattr("inspect.getsource", lambda kind: "another body")
    with pytest.raises(ml.InputError, match=r"measures was .* code"):
        validate([Favourite()], ["C1"], seeds=1, **ask)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"problems": ["C9"]}, r"problem='C9' is not known: give one of 'F0'"),
        ({"problems": ["hdxor2-sinergy"]}, r"did you mean 'hdxor2-synergy'"),
        ({"problems": []}, "at least one"),
        ({"problems": "C4"}, r"\['C4'\]"),
        ({"measures": [ml.Shapley(), ml.Shapley()]}, "stands there twice"),
        ({"measures": ["shapley"]}, "came 'shapley'"),
        ({"measures": [ml.Shapley]}, "a class needs its brackets"),
        ({"measures": ml.Shapley()}, "in a list, such as"),
        ({"measures": [Wrong()]}, r"estimand of favourite='contributions' is not known \(did you mean"),
        ({"seeds": 1.5}, "seeds=1.5: expected at least one, in a list"),
        ({"seeds": [-1]}, "whole numbers from 0 on"),
        ({"seeds": [0, 0]}, "stands there twice"),
        ({"problems": ["C4", "C4"]}, "stands there twice"),
        ({"epochs": 0}, "epochs=0: give a whole number"),
        ({"network": "hybrids"}, "did you mean 'hybrid'"),
        ({"seeds": 0}, "at least one"),
    ],
)
def test_what_can_t_be_validated_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ml.InputError, match=said):
        validate(**{"measures": [ml.Shapley()], "problems": ["C4"]} | wrong)  # type: ignore[arg-type]


def test_a_network_that_learned_nothing_is_shown_and_not_scored() -> None:
    found = validate([ml.Shapley()], ["F0"], seeds=1, flips=0.5, samples=60, epochs=1, **SMALL)  # type: ignore[arg-type]
    assert not found.runs[0].learned
    assert found.runs[0].shares
    assert found.table.empty
    assert "did not learn f" in found.not_learned[0]
    assert found.words == "No run can be scored."
    assert "did not learn f" in str(found)
    found.plot()


@pytest.mark.parametrize(
    ("measure", "name"), [(ml.InterSHAP(), "C6"), (ml.EMAP(), "C4"), (ml.Shapley(), "hdxor2-redundancy")]
)
def test_where_there_is_no_truth_of_shares_the_rest_is_shown(measure: ml.Measure, name: str, tmp_path: Path) -> None:
    network = "function" if measure.key != "emap" else "oracle"  # EMAP needs labels
    found = validate([measure], [name], seeds=1, network=network, samples=40, train=300, test=60)
    assert found.best == {}
    assert found.words == "No shares of modalities can be held to a truth."
    assert found.table.index.tolist() == [measure.key]
    assert np.isnan(found.table.loc[measure.key, "rmse"])
    assert found.table.loc[measure.key, "rows"] > 0
    assert measure.key in str(found)
    assert len(found.write(tmp_path)) == 5


def test_a_measure_that_speaks_of_some_models_only_is_said_to() -> None:
    about = {"model": "m", "accuracy": 1.0, "ceiling": 1.0, "chance": 0.5, "learned": True}
    runs = [
        Run(entry=entry, problem=name, seed=0, estimand="shapley", scores={"rmse": 0.1}, reason=why, **about)  # type: ignore[arg-type]
        for name in ("C4", "C6")
        for entry, why in (("all", ""), ("some", "0 / 0" if name == "C6" else ""))
    ]
    notes = Leaderboard(runs=tuple(runs)).tables()[0].notes
    assert [note for note in notes if "scored on" in note] == [
        "some: it is scored on 1 of 2 models, so its numbers are over fewer than those of others"
    ]


def test_processes_that_keep_the_same_run_leave_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = (Store.open(tmp_path, {"samples": 1}) for _ in range(2))
    one = Run(problem="C4", seed=0, model="m", entry="e", estimand="", accuracy=1, ceiling=1, chance=0.5, learned=True)
    replace = Path.replace

    def meanwhile(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        other.put("C4", 0, [one])  # the other one writes the same before this one has renamed its own
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", meanwhile)
    store.put("C4", 0, [one])
    assert store.get("C4", 0) == [one]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["C4-seed0.json", "settings.json"]
    (tmp_path / "C4-seed0.json").write_text("[]")
    assert store.get("C4", 0) is None


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("hdxor2-synergy", {"clinical": 3}, "option of hdxor2-synergy='clinical' is not known"),
        ("C4", {"tran": 3}, "did you mean 'train'"),
        ("C4", {"train": 0}, "train=0: give a whole number"),
        ("C4", {"flips": 2.0}, r"flips=2.0: give the share"),
    ],
)
def test_options_that_a_problem_does_not_have_are_refused(name: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(ml.InputError, match=said):
        problem(name, **options)


def test_seeds_are_kept_apart_and_repeat_to_the_bit() -> None:
    first, second = (validate([ml.Shapley()], ["C4"], seeds=[3, 4], network="function", samples=60, **SMALL) for _ in range(2))  # type: ignore[arg-type]  # fmt: skip
    assert [run.shares for run in first.runs] == [run.shares for run in second.runs]
    assert first.runs[0].shares != first.runs[1].shares


def test_coverage_of_the_intervals() -> None:
    """Of 40 repeats 34 or more hold a truth with probability .95, and 40 are no reason to doubt (exact binomial)."""
    found = validate([ml.Shapley(), ml.Occlusion()], ["C4"], seeds=40, network="function", samples=60, background=60, **SMALL)  # type: ignore[arg-type]  # fmt: skip
    covered = found.to_frame().groupby("measure")["covered"].mean()
    assert 0.85 <= covered["shapley"] <= 1
    assert 0.85 <= covered["occlusion.anchor"] <= 1


@pytest.mark.slow
def test_the_quick_leaderboard() -> None:
    found = quick_leaderboard()
    assert set(found.best) >= {"C4", "F6"}
    assert found.table.loc["fusion_gradient", "rmse"] < found.table.loc["gradient", "paper_rmse"]
    assert set(found.to_frame()["problem"]) == {"F6", "C4", "C6"}


@pytest.mark.slow
def test_a_longer_leaderboard() -> None:
    found = validate(problems=("F4", "F6", "F7", "C4", "C6", "C8"), seeds=2, progress=False)
    assert not found.not_learned
    assert 0.09 < found.table.loc["gradient", "paper_rmse"] < 0.2
    assert found.table.loc["fusion_gradient", "rmse"] < 0.1
    assert found.table.loc["perceptual_score", "rmse"] < 0.05
    assert "gradient" not in found.best.values()
    faithful = found.table[["deletion", "insertion"]].dropna()
    assert (faithful.loc[["shapley", "fusion_gradient"]] > 0.05).all(axis=None)


def test_the_oracle_sees_more_than_the_network() -> None:
    known = problem("C4", train=600, test=300).taught(epochs=4)
    learned = learn(known)
    assert learned.ceiling > 0.9
    assert learn(known, "oracle").accuracy == learned.ceiling
