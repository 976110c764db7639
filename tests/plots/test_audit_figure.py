"""The figure of an audit shows the numbers of the audit, on the axes that it is given."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

import modalens as ml
from audited import SIZE, Maps, bilateral, blind, obedient, record
from modalens.alignment.result import Audit
from modalens.plots.audit import delta_panel, examples, map_over_image, score_panel

CHANGES = ["swap left/right", "random boxes"]


def audited(model: object = obedient, **settings: object) -> Audit:
    return ml.audit(model, bilateral(6), **({"perturbations": CHANGES} | settings))  # type: ignore[arg-type]


def rendered(figure: object) -> None:
    assert isinstance(figure, Figure)
    figure.savefig(io.BytesIO(), format="svg")


@pytest.mark.parametrize("panel", [score_panel, delta_panel])
def test_panels_draw_on_the_axes_they_are_given(panel: object) -> None:
    ax = Figure().subplots()
    assert panel(audited(), ax=ax) is ax  # type: ignore[operator]
    assert isinstance(panel(audited()), Axes)  # type: ignore[operator]
    rendered(ax.get_figure())


def test_scores_stand_beside_their_baselines() -> None:
    audit = audited(confidence=0.9)
    ax = score_panel(audit, score="average_precision")
    model, uniform, centre = ax.get_lines()
    subsets = [one.get_text().replace("\n", " ") for one in ax.get_yticklabels()]
    at = {"score": "average_precision", "subset": subsets}
    np.testing.assert_allclose(model.get_xdata(), audit.scores.sel(at))
    np.testing.assert_allclose(uniform.get_xdata(), audit.baselines.sel(at | {"baseline": "uniform"}))
    np.testing.assert_allclose(centre.get_xdata(), audit.baselines.sel(at | {"baseline": "centre"}))
    assert ax.get_xlabel() == "average precision (90 % interval by patient)"


def test_every_baseline_has_a_mark() -> None:
    ax = score_panel(audited(baselines={f"own {number}": blind for number in range(8)}))
    assert len(ax.get_lines()) == 1 + 10


def test_changes_stand_beside_what_could_be() -> None:
    other = record("Left nodule in both.", (1, 2, 7, 5), name="q", number=9)
    audit = ml.audit(obedient, [*bilateral(6), other], perturbations=CHANGES)
    ax = delta_panel(audit)
    possible, found = ([bar.get_width() for bar in one] for one in ax.containers if isinstance(one, BarContainer))
    on = [{"condition": "swap left/right", "subset": "one lung"}, {"condition": "random boxes", "subset": "all"}]
    np.testing.assert_allclose(found, [audit.deltas.sel(at | {"score": "auroc"}) for at in on])
    np.testing.assert_allclose(possible, [audit.attainable_deltas.sel(at | {"score": "auroc"}) for at in on])


def test_without_anything_to_show_it_says_so() -> None:
    audit = audited(perturbations=())
    assert "no perturbation" in delta_panel(audit).texts[0].get_text()
    rendered(audit.plot())
    whole = [record("Opacity.", (0, 0, 8, 8), name=f"p{n}", number=n) for n in range(2)]
    nothing = ml.audit(obedient, whole, perturbations=())
    assert "no score" in score_panel(nothing).texts[0].get_text()
    rendered(nothing.plot())


def test_a_map_lies_over_its_image() -> None:
    values = np.arange(64.0).reshape(SIZE)
    values[0] = np.nan
    ax = map_over_image(np.random.default_rng(0).random((3, *SIZE)), values, truth=np.eye(8) > 0, title="cost $5 $x_{")
    assert len(ax.images) == 2
    shown = ax.images[1].get_array()
    assert np.ma.getmaskarray(shown)[0].all()
    np.testing.assert_array_equal(shown[1:], values[1:])
    rendered(ax.get_figure())


def test_the_maps_of_a_row_have_one_scale() -> None:
    def uneven(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [map * (5 if "left" in phrase else -1) for map, phrase in zip(obedient(images, phrases), phrases, strict=True)]  # fmt: skip

    figure = audited(uneven).plot(records=[0, 1])
    rows = [ax for ax in figure.get_axes() if len(ax.images) == 2 and ax.get_title(loc="left") != "annotated"]
    assert len(rows) == 4
    for one, other in (rows[:2], rows[2:]):
        assert one.images[1].norm.vmin == other.images[1].norm.vmin
        assert one.images[1].norm.vmax == other.images[1].norm.vmax
        assert one.images[1].get_cmap() == other.images[1].get_cmap()


def test_cells_are_shown_as_they_were_scored() -> None:
    def grid(images: Sequence[np.ndarray], phrases: Sequence[str]) -> Maps:
        return [np.array([[4.0, 1.0], [3.0, 2.0]]) for _ in images]

    figure = audited(grid, interpolation="cells").plot(records=[0])
    shown = next(ax for ax in figure.get_axes() if len(ax.images) == 2 and "“" in ax.get_title(loc="left"))
    assert np.unique(shown.images[1].get_array().round(6)).tolist() == [0, 0.2, 0.6]  # 2.5 is an even share


def test_examples_are_of_both_lungs_and_from_least_to_most_right(tmp_path: Path) -> None:
    audit = ml.audit(blind, [*bilateral(6), record("Left nodule.", (5, 2, 8, 5), name="q", labels=("nodule",))])
    chosen = examples(audit)
    auroc = audit.data.value.sel(condition="as it is", score="auroc").values
    assert 12 not in chosen
    assert len(chosen) == 3
    assert auroc[chosen[0]] == auroc[:12].min()
    assert auroc[chosen[-1]] == auroc[:12].max()
    assert examples(Audit.load(audit.save(tmp_path / "a.nc"))) == []
