"""Small problems for tests of measures: a game as a model, explanations compared array by array."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from string import ascii_lowercase
from typing import Any

import numpy as np
import xarray as xr

import modalens as ml


def names(players: int) -> list[str]:
    """The names of the players of a game: a, b, c ..."""
    return list(ascii_lowercase[:players])


def as_model(table: np.ndarray) -> tuple[Callable[..., np.ndarray], dict[str, np.ndarray]]:
    """A model and its inputs: the output of sample k with coalition S present is table[S, k], absence being zero; bit i of S is player i."""
    players, samples = len(table).bit_length() - 1, table.shape[1]

    def model(**inputs: np.ndarray) -> np.ndarray:
        numbers = np.stack([inputs[name][:, 0] for name in names(players)]).astype(int)
        coalition = ((numbers > 0) << np.arange(players)[:, None]).sum(axis=0)
        return table[coalition, np.maximum(numbers.max(axis=0) - 1, 0)]

    numbered = np.arange(1.0, samples + 1)[:, None]
    return model, {name: numbered.copy() for name in names(players)}


def explain_game(table: Any, *measures: ml.Measure, **settings: Any) -> ml.Explanation:
    """The explanation of a game: values (2^M,), (2^M, samples) or (2^M, samples, outputs)."""
    values = np.asarray(table, dtype=float)
    model, inputs = as_model(values[:, None] if values.ndim == 1 else values)
    return ml.explain(
        model, inputs, measures=measures, **{"baseline": "zeros", "output": "raw", "confidence": None} | settings
    )


def bits(players: int) -> dict[str, np.ndarray]:
    """All 2^M patterns of one bit a modality, each once."""
    patterns = np.array(list(product((0.0, 1.0), repeat=players)))
    return {name: patterns[:, [i]] for i, name in enumerate(names(players))}


def explain_bits(
    function: Callable[[np.ndarray], np.ndarray], players: int, *measures: ml.Measure, **settings: Any
) -> ml.Explanation:
    """The explanation of a function of independent uniform bits: the samples and the background are all patterns, so every expectation is exact."""

    def model(**inputs: np.ndarray) -> np.ndarray:
        return function(np.stack([inputs[name][:, 0] for name in names(players)], axis=1)).astype(float)

    inputs = bits(players)
    return ml.explain(
        model,
        inputs,
        measures=measures,
        **{"background": inputs, "baseline": "background", "confidence": None} | settings,
    )


def arrays_of(result: ml.Result) -> dict[str, xr.DataArray]:
    """Every array of a result by a name of its own, those of single modalities too."""
    found: dict[str, xr.DataArray] = {}
    for name, array in result.arrays.items():
        found |= {f"{name}/{key}": one for key, one in array.items()} if isinstance(array, Mapping) else {name: array}  # type: ignore[dict-item]
    return found


def assert_close(first: ml.Result, second: ml.Result, atol: float = 1e-12, only: Sequence[str] | None = None) -> None:
    """Every array (or those named) of two results agrees, with its coordinates in the same order; NaN equals NaN."""
    one, two = arrays_of(first), arrays_of(second)
    assert one.keys() == two.keys()
    for name in only if only is not None else one:
        if one[name].dtype == object:
            assert one[name].values.tolist() == two[name].values.tolist(), name
        else:
            xr.testing.assert_allclose(one[name], two[name], rtol=0, atol=atol)


def assert_identical(first: ml.Result, second: ml.Result) -> None:
    """Every array, draw and error of two results is the same to the bit."""
    one, two = arrays_of(first), arrays_of(second)
    assert one.keys() == two.keys()
    for name, array in one.items():
        assert array.equals(two[name]), name
    assert first.draws.equals(second.draws)
    assert first.monte_carlo_error.equals(second.monte_carlo_error)
    assert first.interval.equals(second.interval)
    assert first.reasons == second.reasons
