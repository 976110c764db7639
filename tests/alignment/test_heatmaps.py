"""Heat maps on the pixels of an image: where they lie, which way up, and between the cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modalens.alignment.heatmaps import HeatMap, as_heat_map, check_smoothing
from modalens.errors import InputError

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))
VALUES = arrays.arrays(np.float64, SHAPES, elements=st.floats(-10, 10, width=32))


def interpolated(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    grid = torch.as_tensor(values)[None, None]
    return torch.nn.functional.interpolate(grid, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()


@settings(deadline=None)
@given(VALUES, st.integers(1, 5), st.integers(1, 5))
def test_bilinear_as_torch_does_it(values: np.ndarray, down: int, across: int) -> None:
    size = values.shape[0] * down + 1, values.shape[1] * across
    scale = max(float(np.abs(values).max()), 1e-30)
    np.testing.assert_allclose(HeatMap(values=values).on(size), interpolated(values, size), atol=2e-6 * scale)


@settings(deadline=None)
@given(VALUES, st.integers(1, 4), st.integers(1, 4))
def test_cell_by_cell_is_each_cell_repeated(values: np.ndarray, down: int, across: int) -> None:
    size = values.shape[0] * down, values.shape[1] * across
    expected = values.repeat(down, axis=0).repeat(across, axis=1)
    np.testing.assert_allclose(
        HeatMap(values=values).on(size, smooth=False), expected, atol=2e-6 * np.abs(values).max()
    )


def test_the_map_is_not_turned_over() -> None:
    corner = np.zeros((3, 4))
    corner[0, 3] = 1  # upper right
    found = HeatMap(values=corner).on((30, 60))
    assert np.unravel_index(found.argmax(), found.shape)[0] < 10
    assert np.unravel_index(found.argmax(), found.shape)[1] >= 45
    assert found[0, -1] == 1
    assert found[-1, 0] == found[0, 0] == found[-1, -1] == 0


def test_a_map_on_its_own_grid_is_itself() -> None:
    values = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_array_equal(HeatMap(values=values).on((5, 7)), values)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 361, -7.3, 1e-30, 1e30])
def test_a_constant_stays_one_to_the_bit(constant: float, smooth: bool) -> None:
    found = HeatMap(values=np.full((19, 19), constant)).on((224, 200), smooth=smooth)
    assert (found == constant).all()


def test_the_rounding_of_a_constant_is_no_ranking() -> None:
    almost = np.full((4, 4), 0.1)
    almost[2, 1] += 1e-16
    assert HeatMap(values=almost).constant
    assert np.ptp(HeatMap(values=almost).on((16, 16))) == 0
    clear = np.full((4, 4), 0.1)
    clear[2, 1] += 1e-6
    assert not HeatMap(values=clear).constant
    assert HeatMap(values=clear).on((16, 16)).argmax() // 16 in range(8, 12)


def test_small_differences_on_a_large_level_keep_their_order() -> None:
    values = 1e6 + np.arange(12.0).reshape(3, 4) * 1e-2
    found = HeatMap(values=values).on((6, 8), smooth=False)
    assert len(np.unique(found)) == 12
    assert (np.diff(found[::2, ::2].ravel()) > 0).all()


def test_outside_of_its_extent_the_model_did_not_look() -> None:
    values = np.arange(4.0).reshape(2, 2)
    found = HeatMap(values=values, extent=(2, 1, 6, 5)).on((6, 10))
    expected = np.full((6, 10), np.nan)
    expected[1:5, 2:6] = interpolated(values, (4, 4))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("extent", [(-3, -2, 5, 6), (4, 3, 14, 9), (-2, -2, 12, 8), (-4, 2, 3, 11)])
def test_an_extent_that_reaches_out_of_the_image_is_cut_at_its_edge(extent: tuple[float, float, float, float]) -> None:
    values = np.random.default_rng(1).normal(size=(3, 5))
    height, width, margin = 6, 10, 5
    # The same on a canvas that holds all of it.
    moved = tuple(edge + margin for edge in extent)
    canvas = HeatMap(values=values, extent=moved).on((height + 2 * margin, width + 2 * margin))  # type: ignore[arg-type]
    expected = canvas[margin : margin + height, margin : margin + width]
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(HeatMap(values=values, extent=extent).on((height, width)), expected)


@pytest.mark.parametrize(
    "extent", [(-8, 0, -3, 5), (10, 0, 14, 5), (0, -6, 5, 0), (3, 6, 5, 9), (4, 1, 4.2, 5), (6, 1, 2, 5)]
)
def test_an_extent_has_an_area_on_the_image(extent: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=r"no area on an image of \(6, 10\).*give \(x1, y1, x2, y2\)"):
        HeatMap(values=np.eye(2), extent=extent).on((6, 10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": np.ones(4)}, r"rows and columns; an array of shape \(4,\)"),
        ({"values": np.ones((0, 4))}, r"rows and columns; an array of shape \(0, 4\)"),
        ({"values": np.array([[1, np.nan]])}, r"NaN or infinity"),
        ({"values": np.array([[1, -np.inf]])}, r"NaN or infinity"),
        ({"values": np.eye(2), "opt_out": 1.5}, r"0 to 1; 1\.5 came"),
    ],
)
def test_what_is_no_heat_map(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        HeatMap(**arguments)


def test_arrays_and_tensors_become_heat_maps() -> None:
    given = HeatMap(values=np.eye(2), opt_out=0.3)
    assert as_heat_map(given, "record 'a'") is given
    tensor = torch.eye(2, requires_grad=True)
    for came in (np.eye(2), [[1, 0], [0, 1]], tensor):
        np.testing.assert_array_equal(as_heat_map(came, "record 'a'").values, np.eye(2))
    for wrong in ("a map", [[1, 0], [1]], np.ones(3), None):
        with pytest.raises(InputError, match=r"record 'a'"):
            as_heat_map(wrong, "record 'a'")


def test_smoothing_has_a_name() -> None:
    assert check_smoothing("bilinear")
    assert not check_smoothing("cells")
    with pytest.raises(InputError, match=r"interpolation='nearest' is not known"):
        check_smoothing("nearest")
