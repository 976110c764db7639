"""Charts that the browser draws: patients as points to click on, and one patient among all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from modalens.plots.style import BLUE, GREY, VERMILION

RIGHT, WRONG, UNJUDGED = "right", "wrong", "patients"

QUANTILES = {"fifth": 0.05, "quarter": 0.25, "half": 0.5, "three": 0.75, "last": 0.95}


def points(table: pd.DataFrame, across: str, up: str | None, *, key: str) -> int | None:
    """Patients as points, right and wrong ones told apart by colour and shape; the position of the one that was clicked on. Without `up`
    they are one above the other.
    """
    data = pd.DataFrame({"sample": table.index, "patient": table["patient"], "across": table[across].astype(float)})
    data["up"] = table[up].to_numpy(dtype=float) if up else np.arange(len(table)) * 0.618 % 1
    data["outcome"] = np.where(table["correct"], RIGHT, WRONG) if "correct" in table else UNJUDGED
    kinds = sorted(set(data["outcome"]))
    colours = {RIGHT: BLUE, WRONG: VERMILION, UNJUDGED: BLUE}
    shapes = {RIGHT: "circle", WRONG: "diamond", UNJUDGED: "circle"}
    spec: dict[str, Any] = {
        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.65, "cursor": "pointer"},
        "params": [{"name": "patient", "select": {"type": "point", "fields": ["sample"]}}],
        "encoding": {
            "x": {"field": "across", "type": "quantitative", "title": across, "scale": {"zero": False}},
            "y": {"field": "up", "type": "quantitative", "title": up, "scale": {"zero": False}}
            | ({} if up else {"axis": None}),
            "color": {
                "field": "outcome",
                "type": "nominal",
                "title": "outcome",
                "scale": {"domain": kinds, "range": [colours[kind] for kind in kinds]},
                **({"legend": None} if kinds == [UNJUDGED] else {}),
            },
            "shape": {
                "field": "outcome",
                "type": "nominal",
                "scale": {"domain": kinds, "range": [shapes[kind] for kind in kinds]},
                **({"legend": None} if kinds == [UNJUDGED] else {}),
            },
            "tooltip": [
                {"field": "patient", "type": "nominal", "title": "patient"},
                {"field": "across", "type": "quantitative", "title": across, "format": ".3g"},
                *([{"field": "up", "type": "quantitative", "title": up, "format": ".3g"}] if up else []),
            ],
        },
        "height": 320,
    }
    alt = f"Points, one a patient: {across}{f' against {up}' if up else ''}. The same patients are in the table below."
    clicked = st.vega_lite_chart(data.dropna(subset=["across", "up"]), spec, on_select="rerun", key=key, alt=alt)
    found = clicked["selection"].get("patient", [])
    return int(found[0]["sample"]) if found else None


def among(table: pd.DataFrame, columns: Sequence[str], sample: int, names: Sequence[str]) -> None:
    """Where one patient lies in each of these columns of shares: a dot over the range of all, from the 5th to the 95th per cent, its middle
    half, and its median.
    """
    rows = []
    for column, name in zip(columns, names, strict=True):
        known = table[column].dropna()
        if known.empty:
            continue
        ends = {key: float(known.quantile(place)) for key, place in QUANTILES.items()}
        rows.append({"name": name, "own": float(table[column][sample]), **ends})
    share = {"type": "quantitative", "axis": {"format": "%"}, "title": "share of the change in the output"}
    at = {"y": {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 220}}}
    spec: dict[str, Any] = {
        "layer": [
            {"mark": {"type": "rule", "color": GREY}, "encoding": at | {"x": {"field": "fifth"} | share, "x2": {"field": "last"}}},
            {"mark": {"type": "bar", "size": 12, "color": "#CCCCCC"}, "encoding": at | {"x": {"field": "quarter"} | share, "x2": {"field": "three"}}},
            {"mark": {"type": "tick", "size": 16, "color": "#333333"}, "encoding": at | {"x": {"field": "half"} | share}},
            {"mark": {"type": "point", "filled": True, "size": 110, "color": VERMILION, "opacity": 1}, "encoding": at | {"x": {"field": "own"} | share}},
        ],
        "height": {"step": 30},
    }  # fmt: skip
    if rows:
        said = "; ".join(f"{row['name']} {row['own']:.0%}, median of all {row['half']:.0%}" for row in rows)
        st.vega_lite_chart(pd.DataFrame(rows), spec, alt=f"This patient's shares among those of all patients: {said}.")
