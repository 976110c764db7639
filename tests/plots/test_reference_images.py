"""Every figure looks as it did when somebody last looked at it. `make figures` draws the references anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from pictured import PICTURES, figure_of, tables

from modalens import plots

REFERENCES = Path(__file__).parent / "reference"
TOLERANCE = 1.5
"""Root of the mean square over all pixels and colours, of 255: none for the same fonts, and less for a hair's breadth."""

SMALL = {"dpi": 60, "pil_kwargs": {"optimize": True}}
OF_A_PAGE = SMALL | {"dpi": 41}


def compared(name: str) -> object:
    saved = OF_A_PAGE if name == "patient" else SMALL
    mark = pytest.mark.mpl_image_compare(
        baseline_dir="reference", style="default", tolerance=TOLERANCE, savefig_kwargs=saved
    )
    return pytest.param(name, marks=mark)


@pytest.mark.parametrize("name", [compared(name) for name in PICTURES])
def test_looks(name: str) -> Figure:
    return figure_of(name)


def test_the_comparison_runs_and_every_figure_has_one_small_reference(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("--mpl") or pytestconfig.getoption("--mpl-generate-path")
    found = {path.name: path.stat().st_size for path in REFERENCES.glob("*")}
    assert set(found) == {f"test_looks_{name}.png" for name in PICTURES}
    assert max(found.values()) < 40_000


@pytest.mark.parametrize(("factor", "seen"), [(1.0, False), (1.04, True), (0.96, True)])
def test_a_bar_that_is_a_few_per_cent_off_is_seen(factor: float, seen: bool, tmp_path: Path) -> None:
    ax = plots.contributions(tables())
    bar = max(ax.patches, key=lambda patch: patch.get_width())  # type: ignore[attr-defined]
    bar.set_width(factor * bar.get_width())  # type: ignore[attr-defined]
    drawn = tmp_path / "drawn.png"
    ax.get_figure(root=True).savefig(drawn, **SMALL)  # type: ignore[union-attr]
    told = compare_images(str(REFERENCES / "test_looks_contributions.png"), str(drawn), TOLERANCE)
    assert (told is not None) == seen, told
