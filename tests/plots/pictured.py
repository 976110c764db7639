"""One small figure of each kind, of made-up patients and results, always the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import modalens as ml
from explained import fused, pair, sigmoid
from modalens import plots
from modalens.alignment import Phantom
from modalens.planting.result import Opposite
from modalens.validation.curves import ORDERS, Curves
from modalens.validation.leaderboard import Leaderboard, Run

NOTES = (
    "no effusion",
    "large effusion on the left with loss of volume in the lower lobe and a shift of the heart",
    "clear",
    "small effusion",
)
BLOOD = ("age", "creatinine", "albumin", "sodium")


@cache
def patients() -> ml.Explanation:
    """An image, a volume, a series, a text and a table; the middle of the image, one block, a window, a word and two numbers
    matter.
    """
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    disc = (rows - 15.5) ** 2 + (columns - 15.5) ** 2 < 150
    lungs = ((rows - 15.5) / 9) ** 2 + ((abs(columns - 15.5) - 6) / 4) ** 2 < 1
    body = np.where(disc[::2, ::2], 0.6, 0.1) * np.linspace(0.6, 1.0, 8)[:, None, None]
    inputs = {
        "xray": np.repeat((0.15 + 0.6 * disc - 0.45 * lungs)[None], 6, axis=0),
        "ct": np.repeat(body[None], 6, axis=0),
        "ecg": [np.sin(np.arange(length)[:, None] / np.array([2.0, 3.0])) for length in (24, 32, 24, 30, 24, 28)],
        "note": [NOTES[place % 4] for place in range(6)],
        "blood": pd.DataFrame(random.normal(size=(6, 4)), columns=BLOOD),
    }

    def model(**given: Any) -> np.ndarray:
        image, volume, blood = given["xray"], given["ct"], given["blood"]
        words = np.array(
            [2.0 * text.split().count("effusion") - 1.5 * text.split().count("no") for text in given["note"]]
        )
        waves = np.array([0.3 * one[8:16].sum() for one in given["ecg"]])
        seen = 4 * image[:, 8:24, 16:24].mean((1, 2)) - 2 * image[:, :8].mean((1, 2))
        ill = sigmoid(
            words + waves + seen + 6 * volume[:, :4, :8, :8].mean((1, 2, 3)) + blood["age"] - 0.6 * blood["albumin"] - 3
        )
        return np.stack([1 - ill, ill], axis=1)

    kinds = {
        "xray": ml.Image(patch=8),
        "ct": ml.Volume(block=(4, 8, 8)),
        "ecg": ml.Series(window=8),
        "note": ml.Text(),
        "blood": ml.Tabular(),
    }
    fills = {"xray": "zeros", "ct": "zeros", "ecg": "zeros", "note": "mask_token", "blood": "zeros"}
    found = ml.explain(
        model,
        inputs,
        modalities=kinds,
        baseline=fills,
        classes=["healthy", "ill"],
        measures=[ml.Occlusion(), ml.Shapley()],
        progress=False,
    )
    names = [f"p{number}" for number in range(16, 22)]
    return replace(found, characteristics=pd.DataFrame({"age": np.arange(40.0, 46.0)}, index=names))


@cache
def tables() -> ml.Explanation:
    """Three tables, of which two are multiplied, with every measure that hides something."""
    random = np.random.default_rng(2)

    def draw(rows: int) -> dict[str, np.ndarray]:
        return {name: random.normal(size=(rows, 2)) for name in ("expression", "methylation", "clinical")}

    def model(expression: np.ndarray, methylation: np.ndarray, clinical: np.ndarray) -> np.ndarray:
        score = np.stack(
            [2 * expression[:, 0] * methylation[:, 0], methylation[:, 1] + clinical[:, 0], clinical[:, 1]], 1
        )
        return np.exp(score) / np.exp(score).sum(1, keepdims=True)

    inputs = draw(24)
    measures = [ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), ml.Interactions(), ml.Reliance(), ml.SHAPE(), ml.EMAP()]
    return ml.explain(
        model,
        inputs,
        background=draw(20),
        labels=model(**inputs).argmax(1),
        classes=["basal", "luminal", "normal"],
        measures=measures,
        progress=False,
    )


def surface(*cut: str) -> xr.DataArray:
    """Shares by numbers of parts: in proportion to the root of the number."""
    counts = {"image": [1, 4, 16, 64, 256], "report": [1, 8, 32]}
    found = [
        xr.DataArray(np.sqrt(counts[name]), dims=f"{name}_parts", coords={f"{name}_parts": counts[name]})
        for name in cut
    ]
    weights = [*found, *(xr.DataArray(1.0) for _ in range(2 - len(cut)))]
    shares = xr.concat(xr.broadcast(*weights), "modality").assign_coords(modality=["image", "report"])
    return shares / shares.sum("modality")


def half(images: Any, phrases: Any) -> list[np.ndarray]:
    """A map of the lung that is named, which lies on the other side of the picture."""
    columns = np.arange(64) < 32
    return [
        np.where(columns if "right" in phrase.lower() else ~columns, 1.0, 0.2) * np.ones((64, 64)) for phrase in phrases
    ]


@cache
def audited(*changes: str) -> Any:
    return ml.audit(half, Phantom(noise=0.0).records(24, seed=3), perturbations=["swap left/right", *changes])


def board() -> Leaderboard:
    """Three measures on two problems and seeds: one is near the truth, one half way to an even share, one is even."""
    random = np.random.default_rng(0)
    runs = []
    for seed in range(3):
        for problem, truth in (("copy", 0.8), ("product", 0.35)):
            for name, follows in (("shapley", 0.95), ("occlusion", 0.5), ("intershap: contribution", 0.0)):
                share = 0.5 + follows * (truth - 0.5) + 0.02 * float(random.normal())
                error = abs(share - truth)
                runs.append(
                    Run(
                        problem=problem, seed=seed, model="mlp", entry=name, estimand="shapley", accuracy=0.9, ceiling=0.95,
                        chance=0.5, learned=True, shares={"a": share, "b": 1 - share}, truth={"a": truth, "b": 1 - truth},
                        scores={"rmse": error, "paper_rmse": error + 0.03},
                    )
                )  # fmt: skip
    return Leaderboard(runs=tuple(runs))


def planting() -> ml.Planting:
    """One view that sees what was planted, and one that does not."""
    planted = np.array([0.0, 0.3, 0.6, 1.0])
    views = ["Shapley value", "its own part"]
    value = np.stack([0.05 + 0.93 * planted, np.full(4, 0.12)], axis=1)

    def shares(values: np.ndarray, *dims: str) -> xr.Dataset:
        numbers = {"value": values, "lower": values - 0.05, "upper": values + 0.05}
        return xr.Dataset({name: (dims, array) for name, array in numbers.items()}, coords={"view": views})

    return ml.Planting(
        way="mixed",
        markers=("image",),
        words="a bright corner",
        planted=xr.DataArray(planted, dims="step", coords={"step": planted}),
        measured=shares(value, "step", "view").assign_coords(step=planted),
        on_top=xr.DataArray(np.ones(4, dtype=bool), dims="step"),
        opposites=tuple(
            Opposite(name=name, explanation=patients(), shares=shares(np.array(level), "view"))
            for name, level in (("random weights", [0.45, 0.2]), ("shuffled labels", [0.55, 0.3]))
        ),
    )


def useful() -> ml.Usefulness:
    scores: Any = {
        ("expression", "methylation", "clinical"): [[0.92, 0.88, 0.9]],
        "expression": [[0.62, 0.66, 0.6]],
        "methylation": [[0.7, 0.74, 0.69]],
        "clinical": [[0.52, 0.49, 0.5]],
        ("methylation", "clinical"): [[0.74, 0.73, 0.7]],
        ("expression", "clinical"): [[0.65, 0.63, 0.66]],
        ("expression", "methylation"): [[0.91, 0.88, 0.91]],
    }
    return ml.usefulness(scores=scores, metric="accuracy", chance=0.4)


def curves() -> Curves:
    steps = np.linspace(0, 1, 6)
    drops = np.stack([0.9 * (1 - steps) ** 2, 0.9 * (1 - steps**2), 0.9 * (1 - steps)]) + 0.05
    curve = xr.DataArray(drops, dims=("order", "step"), coords={"order": list(ORDERS), "step": steps})
    bounds = xr.concat([curve - 0.04, curve + 0.04], "bound").assign_coords(bound=["lower", "upper"])
    area = curve.integrate("step")
    return Curves(
        curve=curve,
        area=area,
        gain=area.sel(order="random", drop=True) - area.sel(order="by the measure", drop=True),
        interval=xr.Dataset({"curve": bounds}),
        by_sample=curve.expand_dims("sample", -1),
        insertion=False,
        measure="occlusion",
        output="probability of the predicted class",
        what="patches",
    )


def study() -> list[Any]:
    records = Phantom(bilateral=1.0, noise=0.0).records(1, seed=5)
    return [record for record in records if record.study == records[0].study]


PICTURES: dict[str, Callable[[], Axes | Figure]] = {
    "contributions": lambda: plots.contributions(tables()),
    "contributions_by_class": lambda: plots.contributions_by_output(tables()),
    "part_contributions": lambda: plots.part_contributions(patients(), "blood"),
    "interaction_matrix": lambda: plots.interaction_matrix(tables()),
    "interaction_scores": lambda: plots.interaction_scores(tables()),
    "orders": lambda: plots.orders(tables()),
    "reliance": lambda: plots.reliance(tables()),
    "scores": lambda: plots.scores(tables()),
    "waterfall": lambda: plots.waterfall(tables(), 3),
    "image_amounts": lambda: plots.parts(patients(), "xray", 1, beside=True),
    "image_signed": lambda: plots.parts(patients(), "xray", 1, output="ill"),
    "volume_slices": lambda: plots.volume(patients(), "ct", 1),
    "words": lambda: plots.parts(patients(), "note", 1),
    "words_signed": lambda: plots.parts(patients(), "note", 0, output="ill"),
    "table_bars": lambda: plots.parts(patients(), "blood", 1, output="ill"),
    "series_windows": lambda: plots.series(patients(), "ecg", 1, channels=["I", "II"]),
    "patient": lambda: plots.patient(patients(), 1, width=9.0),
    "overview": lambda: plots.overview(pair(measures=[ml.Shapley(), ml.InterSHAP()])),
    "sweep_surface": lambda: plots.sweep(surface("image", "report")),
    "sweep_lines": lambda: plots.sweep(surface("image")),
    "fusion_gradients": lambda: plots.fusion_gradients(fused()),
    "fusion_diagnostics": lambda: plots.fusion_diagnostics(fused()),
    "audit_map": lambda: plots.map_panel(audited(), 0, condition="as it is"),
    "audit_scores": lambda: plots.score_panel(audited("random boxes")),
    "audit_changes": lambda: plots.delta_panel(audited("random boxes")),
    "audit_page": lambda: plots.audit_figure(audited(), records=[0]),
    "leaderboard": lambda: plots.leaderboard_figure(board()),
    "leaderboard_errors": lambda: plots.error_panel(board()),
    "leaderboard_shares": lambda: plots.truth_panel(board(), "occlusion"),
    "planting": lambda: plots.planting_figure(planting()),
    "planting_opposites": lambda: plots.opposites_panel(planting()),
    "usefulness": lambda: plots.usefulness_figure(useful(), tables()),
    "usefulness_alone": lambda: plots.usefulness_panel(useful()),
    "deletion": lambda: plots.curves_panel(curves()),
    "phantom": lambda: plots.study_panel(study()),
}
"""What is drawn, by the name of its reference picture."""


def figure_of(name: str) -> Figure:
    """One of them as a whole figure."""
    found = PICTURES[name]()
    figure = found if isinstance(found, Figure) else found.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure
