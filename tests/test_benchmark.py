"""The benchmark of speed compares like with like: at tiny sizes, every rival gives the same values, from as many rows
as is said of it, and what disagrees is never timed.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.speed import figures, page, targets
from benchmarks.speed.cases import QUICK, TOLERANCE, Case, Suite
from benchmarks.speed.compare import Comparison, Disagreement, Measured, require_equal
from benchmarks.speed.counting import count_rows
from benchmarks.speed.problem import Problem, network, pose
from benchmarks.speed.processes import Process, RivalFailed, TooSlow
from benchmarks.speed.rivals import REFERENCE, RIVALS, named
from benchmarks.speed.shapley import Run, plain_loop, shapley_of

N, K = 4, 3
CASES = {
    "background": Case(task="shapley", samples=N, background=K),
    "zeros": Case(task="shapley", samples=N),
    "tables": Case(task="shapley", network="tables", modalities=4, samples=N, background=K),
    "occlusion": Case(task="occlusion", samples=N),
    "gradient": Case(task="gradient", samples=N),
}
SMALL = {"captum": {"shapley": (3,), "occlusion": (3, 7), "gradient": (3, 7)}, "plain_loop": (5,)}
"""Settings that leave a rest, where a batch that is cut off would be seen."""
BY_HAND = {"shapley": (3, 2 * K), "occlusion": (3,), "gradient": (3, 3 * N)}
PAIRS = [(name, rival.key) for name, case in CASES.items() for rival in RIVALS[case.task]]


@pytest.fixture(scope="module", autouse=True)
def interpreted() -> None:
    """What shap would compile takes longer to compile than to run."""
    before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
    importlib.import_module("shap")
    numba.config.DISABLE_JIT = before


@cache
def problem(name: str) -> Problem:
    """The case's problem; cases of one network share the model, whose fusion point is then found once."""
    alike = next(case for case in CASES.values() if case.network == CASES[name].network)
    return pose(CASES[name], problem_model(alike))


problem_model = cache(network)


def run_of(name: str, key: str) -> Run:
    task = CASES[name].task
    setting = {**SMALL, "cached_loop": BY_HAND, "split_loop": BY_HAND}.get(key, ())
    function = getattr(importlib.import_module(f"benchmarks.speed.{task}"), key)
    return function(problem(name), setting[task] if isinstance(setting, dict) else setting)


@cache
def reference(name: str) -> np.ndarray:
    return run_of(name, REFERENCE[CASES[name].task])()


# values ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "key"), PAIRS)
def test_every_rival_gives_the_same_values(name: str, key: str) -> None:
    values, expected = run_of(name, key)(), reference(name)
    assert values.dtype == np.float64
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_shapley_values_of_a_game_known_by_heart() -> None:
    import torch

    table = torch.tensor([0.0, 1.0, 2.0, 7.0])[:, None, None]
    np.testing.assert_allclose(shapley_of(table).ravel(), [3.0, 4.0])


def test_data_and_parameters_follow_from_the_seed() -> None:
    again = pose(CASES["background"], network(CASES["background"]))
    np.testing.assert_array_equal(plain_loop(again, (64,))(), plain_loop(problem("background"), (64,))())


def test_the_image_encoder_has_half_a_million_parameters() -> None:
    encoder = problem("background").model.encoders["image"]
    assert 450_000 < sum(one.numel() for one in encoder.parameters()) < 550_000


# rows ------------------------------------------------------------------------------------------------------------------------


def whole(name: str, key: str) -> int:
    """Rows of the rivals that run the whole model."""
    players, rows = (4, K) if name == "tables" else (3, K if name == "background" else 1)
    everyone = N * rows
    if key == "captum":
        return {"shapley": everyone * (players * (1, 1, 2, 6, 24)[players] + 1), "occlusion": N * 81, "gradient": 3 * (50 * N + 2 * N)}[
            CASES[name].task
        ]  # fmt: skip
    once = (2**players - 2) * everyone + N
    return {
        "plain_loop": N * 81 if name == "occlusion" else once + rows,
        "shap_exact": 2**players * everyone,
        "shap_kernel": once + rows,
        "shapiq": once + everyone,
    }[key]


@pytest.mark.parametrize(
    ("name", "key"), [pair for pair in PAIRS if not pair[1].startswith(("modalens", "cached", "split"))]
)
def test_rivals_that_run_the_whole_model_run_it_on_as_many_rows_as_is_said(name: str, key: str) -> None:
    rows = count_rows(problem(name), run_of(name, key))
    assert set(rows) == {*problem(name).names, "head"}
    assert set(rows.values()) == {whole(name, key)}


@pytest.mark.parametrize("key", ["cached_loop", "split_loop"])
@pytest.mark.parametrize("name", ["background", "zeros", "tables"])
def test_loops_by_hand_encode_each_row_once(name: str, key: str) -> None:
    rows = count_rows(problem(name), run_of(name, key))
    behind = problem(name).rows
    assert {rows[one] for one in problem(name).names} == {N + behind}
    assert rows["head"] == (2 ** len(problem(name).names) - 2) * N * behind + N + behind


def test_loops_by_hand_encode_only_what_changes() -> None:
    assert count_rows(problem("occlusion"), run_of("occlusion", "cached_loop")) == {
        "image": N * 17 + 1,
        "report": N * 33 + 1,
        "table": N * 33 + 1,
        "head": N * 81,
    }
    assert count_rows(problem("gradient"), run_of("gradient", "cached_loop")) == {
        **dict.fromkeys(("image", "report", "table"), N + 1),
        "head": N * 50,
    }


@pytest.mark.parametrize("name", CASES)
def test_modalens_runs_what_it_says(name: str) -> None:
    from benchmarks.speed import own

    own.split(problem(name))
    rows, said = count_rows(problem(name), run_of(name, "modalens")), own.claims(problem(name))
    for modality, claimed in said["encoder_rows"].items():
        # What is checked runs through the whole model, and once more through its encoders to be compared.
        assert claimed <= rows[modality] <= claimed + 2 * said["check_rows"]
    if CASES[name].task == "shapley":
        assert said["encoder_rows"] == dict.fromkeys(problem(name).names, N + problem(name).rows)


def test_counting_leaves_out_what_runs_backwards() -> None:
    asked = problem("gradient")

    def run() -> None:
        asked.model(**asked.inputs).sum().backward()
        asked.model.zero_grad()

    assert set(count_rows(asked, run).values()) == {N}


# the lead --------------------------------------------------------------------------------------------------------------------


def made_up(case: Case, growing: bool = False, **medians: float) -> Comparison:
    """A comparison in which each rival took as long as is said, and the others a second."""
    measured = tuple(
        Measured(
            rival=rival,
            case=case,
            setting=rival.usual,
            rounds=[[medians.get(rival.key, 1.0)]] * 2,
            rows=dict.fromkeys(("image", "report", "table"), case.samples + case.background) | {"head": 1},
            claims={
                "encoder_rows": dict.fromkeys("abc", case.samples + case.background),
                "head_rows": 1,
                "check_rows": 0,
            },
        )
        for rival in RIVALS[case.task]
        if not (growing and rival.kind == "variant")
    )
    return Comparison(case=case, measured=measured)


def results(**medians: float) -> page.Results:
    suite = Suite()
    return page.Results(
        suite=suite,
        command="python -m benchmarks.speed",
        threads=2,
        repeats=5,
        load="0.1",
        comparisons=[made_up(case, **medians) for case in suite.comparisons()],
        by_modalities=[made_up(case, growing=True, **medians) for case in suite.by_modalities()],
        by_samples=[made_up(case, growing=True, **medians) for case in suite.by_samples()],
    )


def test_promises_are_met_or_not() -> None:
    fast, slow = results(modalens=0.001, cached_loop=0.001), results(modalens=0.011, cached_loop=0.009)
    assert all(one.met for one in targets.targets(fast.comparisons, fast.by_samples))
    met = [one.met for one in targets.targets(slow.comparisons, slow.by_samples)]
    assert met == [True, False, False, True, True, True, True, True, True]


def test_rows_that_are_not_claimed_break_the_promise() -> None:
    found = results(modalens=0.001)
    for comparison in found.comparisons:
        comparison.of("modalens").rows["image"] += 1
    assert not targets.targets(found.comparisons, found.by_samples)[0].met


def test_memory_that_grows_breaks_the_promise() -> None:
    found = results()
    found.by_samples[-1].of("modalens").run_bytes += 100 * 2**20
    assert not targets.targets(found.comparisons, found.by_samples)[-1].met


def test_the_page_and_its_figures_show_every_rival(tmp_path: Path) -> None:
    found = results(modalens=0.012345)
    found.by_modalities[-1].of("captum").stopped = True
    text = page.page(found)
    figures.draw(found, tmp_path)
    for case in Suite().comparisons():
        assert f"## {case.words}" in text
    for rivals in RIVALS.values():
        for rival in rivals:
            assert f"| {rival.words} |" in text or f"| **{rival.words}** |" in text
    assert "| > 30 |" in text
    assert "0.0123" in text
    pictures = sorted(path.name for path in tmp_path.iterdir())
    assert pictures == ["speed-modalities.svg", "speed-samples.svg", "speed.svg"]
    assert all(f"({name})" in text for name in pictures)


def test_values_that_disagree_are_refused(tmp_path: Path) -> None:
    case = CASES["background"]
    found = [Measured(rival=named("shapley", key), case=case) for key in ("plain_loop", "captum")]
    for one in found:
        np.savez(tmp_path / f"{one.rival.key}.npz", values=np.full((1, 3, 3), 1 + (one.rival.key == "captum") * 1e-4))
    with pytest.raises(Disagreement, match=r"captum ShapleyValues: its values differ by 1\.0e-04"):
        require_equal(found, tmp_path)


def test_a_rival_in_its_own_process(tmp_path: Path) -> None:
    case = CASES["background"]
    with Process("shapley", named("shapley", "cached_loop"), threads=1) as process:
        opened = process.ask("open", case=case.to_json(), setting=[4, 8])
        assert opened["input_bytes"] == (N + K) * (64 * 64 * 4 + 32 * 8 + 32 * 4)
        process.ask("values", path=str(tmp_path / "values.npz"))
        with np.load(tmp_path / "values.npz", allow_pickle=False) as stored:
            np.testing.assert_allclose(stored["values"], reference("background"), atol=1e-6)
        assert 0 < process.ask("memory")["run_bytes"] < 2**30
        assert process.ask("count")["rows"]["image"] == N + K
        assert sum(process.ask("time")["seconds"]) >= 0.25
        assert process.ask("tune", settings=[[4, 8], [64, 4096]])["setting"] in ([4, 8], [64, 4096])
        with pytest.raises(RivalFailed, match="FileNotFoundError"):
            process.ask("values", path=str(tmp_path / "nowhere" / "values.npz"))
        with pytest.raises(TooSlow, match="took more than 0 s"):
            process.ask("time", limit=0.0)


def test_quick_differs_in_sizes_only() -> None:
    assert {case.task for case in QUICK.comparisons()} == {case.task for case in Suite().comparisons()} == set(RIVALS)
