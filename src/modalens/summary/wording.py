"""Numbers as people read them: shares in per cent, bounds in brackets, `n/a` for what is not defined."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import xarray as xr

NOT_DEFINED = "n/a"
NOT_THERE = "–"


def percent(share: float) -> str:
    """A share with one decimal: `62.3 %`; `n/a` for NaN."""
    return NOT_DEFINED if np.isnan(share) else f"{_signed(100 * share, 1).removeprefix('+')} %"


def rounded_percent(share: float) -> str:
    """A share for a sentence: whole per cent, one decimal below ten, `less than 0.1 %` rather than a false 0."""
    if np.isnan(share):
        return NOT_DEFINED
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points: `+14.2`."""
    return NOT_DEFINED if np.isnan(difference) else _signed(100 * difference, 1)


def score(value: float) -> str:
    """A score such as an AUC: `0.83`."""
    return NOT_DEFINED if np.isnan(value) else _signed(value, 2).removeprefix("+")


def difference(value: float) -> str:
    """A difference of scores: `+0.08`."""
    return NOT_DEFINED if np.isnan(value) else _signed(value, 2)


def change(value: float) -> str:
    """A signed amount in units of the output, with three digits: `+0.031`."""
    if np.isnan(value):
        return NOT_DEFINED
    decimals = int(np.clip(2 - np.floor(np.log10(abs(value))), 0, 3)) if value else 3
    return _signed(value, decimals)


def with_bounds(value: xr.DataArray, bounds: xr.DataArray | None, words: Callable[[float], str] = percent) -> str:
    """A number with its bounds in brackets: `62.3 % (55.1 to 70.2)`; alone where it has none."""
    number = words(float(value))
    if bounds is None or number == NOT_DEFINED or number.startswith("less") or bool(bounds.isnull().any()):
        return number
    lower, upper = (words(float(bounds.sel(bound=bound))).removesuffix(" %") for bound in ("lower", "upper"))
    return f"{number} ({lower} to {upper})"


def quote(name: object) -> str:
    """A name of the user's in a sentence: `“ct”`."""
    return f"“{name}”"


def in_words(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def capital(sentence: str) -> str:
    """The sentence with a capital first letter, the rest as it is."""
    return sentence[:1].upper() + sentence[1:]


def baseline_label(label: str) -> str:
    """A baseline in a few words: `rows of other patients`, `the mean`."""
    words = {
        "background": "other patients' data",
        "conditional": "similar patients' data",
        "mean": "the mean",
        "mode": "the most frequent value",
        "zeros": "zero",
        "sample_mean": "each sample's own mean",
        "blur": "a blurred copy",
        "mask_token": "the mask token",
    }
    if label in words:
        return words[label]
    fills = re.findall(r"\w+: ([^,]+)", label)
    return " or ".join(dict.fromkeys(words.get(fill.strip(), fill.strip()) for fill in fills)) if fills else label


def metric_words(metric: str) -> str:
    """A metric as it is written: `AUC`, `accuracy`, `R²`, `concordance`."""
    return {"auc": "AUC", "r2": "R²"}.get(metric, metric)


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")
