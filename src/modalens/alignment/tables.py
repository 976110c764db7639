"""The tables of an audit as text: scores by subset, what perturbations change, what random weights leave, what is NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from modalens.summary.cells import Table

if TYPE_CHECKING:
    from modalens.alignment.result import Audit

COLUMNS = ("auroc", "average_precision", "iou@10%", "pointing_game", "contrast_to_noise", "wrong_lung", "entropy")
"""The scores that a table shows; `to_frame()` has all of them."""

TITLES = {
    "auroc": "AUROC", "average_precision": "AP", "pointing_game": "pointing", "contrast_to_noise": "CNR", "wrong_lung": "wrong lung",
    "iou@10%": "IoU@10%", "iou": "IoU", "f1": "F1",
}  # fmt: skip

SCORE_NOTES = (
    "Means over sentences, in brackets the interval by drawing patients anew. AUROC and AP over the image's pixels; "
    "precision, recall and IoU of the brightest share of pixels, ties shared; pointing: the brightest pixel lies in the region; "
    "CNR: contrast to noise; wrong lung: more of the map in the wrong half, of one-sided regions (lower is better); entropy in nats.",
    "“can reach” is the mean over regions of the lowest and highest that any map could have. Baselines know nothing of the text; their entropy is that of other grids, and is left out.",
)

DELTA_NOTES = (
    "Changes on the sentences that were changed, beside those of a map that follows the text perfectly (attainable; a map may go further, to where nothing is); "
    "J: how far the map moves, 1/2 sum (p - q) ln(p/q), 0 for a model that does not read.",
)


def tables(audit: Audit) -> list[Table]:
    """All of them, in the order of reading."""
    found = [_scores(audit)]
    if len(audit.conditions) > 1:
        found.append(_deltas(audit))
    if audit.randomised is not None:
        found.append(_randomised(audit))
    if any("@" in str(name) for name in audit.data.score.values):
        found.append(_shares(audit))
    return [*found, *_missing(audit)]


def _shown(audit: Audit) -> list[str]:
    names = [str(name) for name in audit.data.score.values]
    common = [name for name in COLUMNS if name in names]
    own = [name for name in names if name not in audit.standard]
    return [*common, *own]


def _scores(audit: Audit) -> Table:
    names = _shown(audit)
    bounds = audit.interval.scores
    rows = [
        (
            str(subset),
            str(audit.counted(str(subset))),
            *(_cell(audit.scores, bounds, subset=subset, score=name) for name in names),
        )
        for subset in audit.data.subset.values
        if audit.counted(str(subset))
    ]
    rows += [
        (
            f"baseline: {name}",
            str(audit.counted()),
            *(
                "–" if score == "entropy" else _cell(audit.baselines, None, baseline=name, subset="all", score=score)
                for score in names
            ),
        )
        for name in map(str, audit.data.baseline.values)
    ]
    reach = [_reach(audit, name) for name in names]
    return Table(
        title="Do the highlights show the region?",
        columns=("sentences", "number", *(TITLES.get(name, name) for name in names)),
        rows=(*rows, ("can reach", str(audit.counted()), *reach)),
        notes=SCORE_NOTES,
    )


def _reach(audit: Audit, name: str) -> str:
    inside = audit.data.member.sel(subset="all")
    low, high = (float(audit.data[end].sel(score=name).where(inside).mean()) for end in ("lowest", "highest"))
    if np.isnan(low):
        return "n/a"
    return f"{low:.2f} to {high:.2f}" if np.isfinite([low, high]).all() else "–"


def _deltas(audit: Audit) -> Table:
    names = [name for name in ("auroc", "average_precision", "wrong_lung") if name in audit.data.score.values]
    rows = []
    for condition in audit.conditions[1:]:
        subset = audit.subset_of(condition)
        at = {"condition": condition, "subset": subset}
        cells = []
        for name in names:
            cells.append(_cell(audit.deltas, audit.interval.deltas, signed=True, score=name, **at))
            cells.append(_cell(audit.attainable_deltas, None, signed=True, score=name, **at))
        count = audit.counted(subset, condition)
        rows.append(
            (
                condition + (" (one lung)" if subset != "all" else ""),
                str(count),
                _cell(audit.moved, audit.interval.moved, condition=condition),
                *cells,
            )
        )
    heads = [head for name in names for head in (f"Δ {TITLES.get(name, name)}", "attainable")]
    return Table(
        title="Does the text matter?",
        columns=("perturbation", "number", "J", *heads),
        rows=tuple(rows),
        notes=DELTA_NOTES,
    )


def _randomised(audit: Audit) -> Table:
    found = audit.randomised
    assert found is not None
    names = [
        name
        for name in ("auroc", "average_precision", "pointing_game", "wrong_lung")
        if name in audit.data.score.values
    ]
    bounds = audit.interval.randomised
    rows = tuple(
        (
            str(level) if place == 0 else f"from {level} on" if level else "all",
            *(_cell(found, bounds, level=level, score=name) for name in names),
        )
        for place, level in enumerate(found.level.values)
    )
    return Table(
        title="What is left of the agreement when weights are drawn anew, from the output down?",
        columns=("weights drawn anew", *(TITLES.get(name, name) for name in names)),
        rows=rows,
        notes=(
            f"On {audit.settings['randomised']} located sentences (Adebayo et al. 2018). Agreement that stays is not due to what the model learned.",
        ),
    )


def _shares(audit: Audit) -> Table:
    """Precision, recall, F1 and IoU at every share of the brightest pixels."""
    names = [str(name) for name in audit.data.score.values if "@" in str(name)]
    shares = list(dict.fromkeys(name.split("@")[1] for name in names))
    kinds = list(dict.fromkeys(name.split("@")[0] for name in names))
    bounds = audit.interval.scores
    rows = [
        (
            share,
            *(
                cell
                for kind in kinds
                for cell in (
                    (
                        _cell(audit.scores, bounds, subset="all", score=f"{kind}@{share}"),
                        _reach(audit, f"{kind}@{share}"),
                    )
                    if f"{kind}@{share}" in names
                    else ("–", "–")
                )
            ),
        )
        for share in shares
    ]
    heads = [head for kind in kinds for head in (TITLES.get(kind, kind), "can reach")]
    return Table(
        title="The brightest pixels against the region (all located sentences)",
        columns=("share", *heads),
        rows=tuple(rows),
    )


def _missing(audit: Audit) -> list[Table]:
    """What is NaN or left out, and why; nothing where there is none."""
    rows = [(name, why, str(count)) for (name, why), count in sorted(audit.reasons.items())]
    unlocated = audit.data.sizes["record"] - audit.counted()
    rows += [("every score", "nobody has annotated where the phrase points", str(unlocated))] if unlocated else []
    rows += [
        (condition, why, str(count))
        for condition in audit.conditions[1:]
        for why, count in audit.left_out(condition).items()
    ]
    if not rows:
        return []
    return [
        Table(title="Not counted, and why", columns=("score or perturbation", "reason", "sentences"), rows=tuple(rows))
    ]


def _cell(values: xr.DataArray, bounds: xr.DataArray | None, *, signed: bool = False, **at: object) -> str:
    value = float(values.sel(at))
    if np.isnan(value):
        return "n/a"
    sign = "+" if signed else ""
    words = f"{value:{sign}.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:{sign}.3f}"
    if bounds is not None:
        low, high = bounds.sel(at).values
        words += "" if np.isnan([low, high]).any() else f" ({low:{sign}.2f} to {high:{sign}.2f})"
    return words.replace("-", "−").replace("inf", "∞")
