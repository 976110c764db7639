"""`modalens validate` and `modalens reproduce` from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import modalens as ml
from modalens.cli import app


def run(*words: str) -> str:
    found = CliRunner().invoke(app, words, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_problems_are_listed() -> None:
    said = run("validate", "--list")
    assert "F4" in said
    assert "hdxor2-synergy" in said


def test_measures_are_ranked_into_a_folder(tmp_path: Path) -> None:
    asked = ["validate", "C1", "--measure", "shapley", "--measure", "occlusion", "--network", "function"]
    said = run(*asked, "--seeds", "2", "--samples", "40", "--output", str(tmp_path / "board"), "--store", str(tmp_path / "kept"))  # fmt: skip
    assert "Smallest error" in said
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["C1-seed0.json", "C1-seed1.json", "settings.json"]  # fmt: skip
    runs = json.loads((tmp_path / "board" / "leaderboard.json").read_text())["runs"]
    assert {run["entry"] for run in runs} == {"shapley", "occlusion", "occlusion.anchor"}
    assert (tmp_path / "board" / "leaderboard.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("validate", "C1", "--measure", "shapely"), "did you mean 'shapley'"),
        (("validate", "hdxor2-sinergy"), "did you mean 'hdxor2-synergy'"),
        (("validate", "C1", "--network", "funktion"), "did you mean 'function'"),
        (("reproduce", "intershapp"), "did you mean 'intershap'"),
    ],
)
def test_what_is_not_known_is_said(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match=said):
        CliRunner().invoke(app, [*words, "--output", str(tmp_path)], catch_exceptions=False)


@pytest.mark.parametrize("verb", ["validate", "reproduce"])
def test_help_has_an_example(verb: str) -> None:
    assert "Example: modalens" in run(verb, "--help")
