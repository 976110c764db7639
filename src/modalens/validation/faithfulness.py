"""Does the output rest on what a measure calls important? Deletion and insertion, of modalities and of parts.

After V. Petsiuk, A. Das, K. Saenko, "RISE", BMVC 2018, and W. Samek et al., "Evaluating the visualization of what a deep
neural network has learned", IEEE TNNLS 2017; here for modalities too, and with intervals.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from modalens.errors import InputError, ModalensWarning, choice, listed, nearest, require_keywords_of
from modalens.measures import Measure, Occlusion, Result, Shapley
from modalens.pipeline import explain, noting
from modalens.quantity import quantity
from modalens.setting import Setting, prepare
from modalens.validation.curves import BY, RANDOM, Curves, areas, modality_curves, oriented, summarised
from modalens.validation.learning import Learned
from modalens.validation.removals import Coalitions, OfModalities, OfParts, Way, importance_of

STEPS = 10
"""Most steps of a curve over parts."""

Level = Literal["modality", "part"]


def deletion(
    model: Any,
    inputs: Mapping[str, Any],
    *,
    measure: Measure | None = None,
    importance: Any = None,
    level: Level = "modality",
    modality: str | None = None,
    insertion: bool = False,
    steps: int = STEPS,
    progress: bool | None = None,
    **settings: Any,
) -> Curves:
    """Does the output fall quickly when what a measure calls important is taken away first?

    The output of each sample's target class is followed while its modalities (or parts) go, the most important first;
    beside it the reversed order, and random ones. Values, and several labels, have no class that could fall: there it
    is how far the output is from that with everything gone, in the direction of the whole input.

    Parameters
    ----------
    model, inputs, settings : as `explain` takes them; `target=labels` follows the true class.
    measure : whose importances give the order, Shapley() of modalities and Occlusion() of parts unless given: its
        signed values of the target where it has such, else its share of each sample, else its contribution.
    importance : the order itself, the highest first: (sample, modality) or (modality,); of parts, modality -> (sample,
        part) or (part,), NaN where a sample has no such part.
    level : "modality": all 2^M coalitions are evaluated, and "random" is the mean over all orders. "part": parts are
        replaced as Occlusion replaces them, those of one `modality` or of all, in at most so many `steps`; random
        orders are five for each sample.
    insertion : put in, into the all-absent input, instead of taken away.

    Returns
    -------
    Curves : curve (order, step), area (order), gain, their interval; `plot()`. What stands in for what is absent makes
        inputs that the model has not seen, for every order alike: so areas are compared with random orders.

    Raises
    ------
    InputError : both measure and importance, an importance of another form, a measure without importances of this
        level, and as `explain` does.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.full((6, 1), 3.0), "b": np.full((6, 1), 1.0)}
    >>> found = ml.validation.deletion(lambda a, b: a[:, 0] + b[:, 0], inputs, baseline="zeros", output="raw")
    >>> found.curve.sel(order="by the measure").values, found.area.values
    (array([4., 1., 0.]), array([1.5, 2.5, 2. ]))
    """
    choice("level", level, ("modality", "part"))
    require_keywords_of(explain, "deletion", settings)
    _require(measure, importance, level, modality, steps, settings)
    asked = measure if measure is not None else Shapley() if level == "modality" else Occlusion()
    setting = prepare(model, inputs, measures=[asked], **settings)
    with noting() as notes, setting.model.session():
        setting.note_background()
        way: Way = OfModalities(importance)
        if level == "part":
            way = OfParts(importance, _chosen(setting, modality), steps)
        by_sample, problem, followed = way.curves(setting, asked, insertion, progress)
    for message in notes:
        warnings.warn(message, ModalensWarning, stacklevel=2)
    summary = summarised(
        by_sample, insertion=insertion, groups=problem.groups, seed=problem.seed, confidence=problem.confidence
    )
    return Curves(
        **summary,
        by_sample=by_sample,
        insertion=insertion,
        measure="the given importance" if importance is not None else asked.key,
        output=f"{quantity(problem.space, task=problem.task, units=setting.units)}{followed.words}",
        what="modalities" if level == "modality" else "parts" if modality is None else f"parts of {modality}",
        notes=tuple(notes),
    )


def _chosen(setting: Setting, modality: str | None) -> tuple[str, ...]:
    names = tuple(setting.patients.modalities)
    if modality is not None and modality not in names:
        raise InputError(
            f"modality={modality!r} is none of {listed(names)}{nearest(modality, names)}: give one of them."
        )
    return names if modality is None else (modality,)


def _require(
    measure: Measure | None, importance: Any, level: str, modality: str | None, steps: int, settings: Mapping[str, Any]
) -> None:
    if measure is not None and importance is not None:
        raise InputError("deletion: both measure= and importance= give an order; give one of them.")
    if measure is not None and not isinstance(measure, Measure):
        raise InputError(
            f"measure: expected a measure such as ml.Shapley(), came {measure!r:.60}; a class needs its brackets."
        )
    if "measures" in settings:
        raise InputError("deletion() does not take measures=: give the one that orders as measure=.")
    if level == "modality" and modality is not None:
        raise InputError("modality= names the one whose parts go: give level='part' with it.")
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"steps={steps!r}: give a whole number of steps, at least 1.")


# For the leaderboard -------------------------------------------------------------------------------------------------------


def game(learned: Learned, samples: int = 256, background: int = 64, seed: int = 0) -> xr.DataArray:
    """v(S) of a model of a known problem, for all coalitions and its first samples: how far the output has come from
    that with nothing towards that with everything, 0 and 1 on the mean. (coalition, sample)

    Example
    -------
    >>> from modalens.validation import learn, problem
    >>> played = game(learn(problem("C1", train=200, test=30), "function"))
    >>> played.sizes["coalition"], played.mean("sample").values[[0, -1]].round(6).tolist()
    (16, [0.0, 1.0])
    """
    explanation = explain(
        learned.model,
        {name: values[:samples] for name, values in learned.inputs.items()},
        measures=[Coalitions()],
        modalities=learned.kinds,
        background={name: values[:background] for name, values in learned.background.items()},
        confidence=None,
        seed=seed,
        progress=False,
        **learned.asked,
    )
    return oriented(explanation.results["coalitions"].array("of_target"))


def faithful_scores(
    learned: Learned, result: Result, seed: int = 0, *, played: xr.DataArray | None = None
) -> dict[str, float]:
    """How much better a result's own shares of each sample order the modalities than chance does.

    Parameters
    ----------
    learned : the model. result : a measure's, of its first samples. seed : of the background rows, and of what is tied.
    played : what `game` gives for the same samples, to be computed once for several results.

    Returns
    -------
    deletion, insertion : area below the curve of random orders minus that by the measure, and the opposite, so that
        more is better for both; the output goes from 1 (everything) to 0 (nothing). NaN where the result says nothing
        of modalities.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens.validation import learn, problem
    >>> learned = learn(problem("C1", train=200, test=30), "function")
    >>> found = ml.explain(learned.model, learned.inputs, measures=[ml.Shapley()], background=learned.background, **learned.asked)
    >>> {name: round(score, 2) for name, score in faithful_scores(learned, found.shapley).items()}
    {'deletion': 0.38, 'insertion': 0.38}
    """
    try:
        ranked = importance_of(result, list(learned.kinds))
    except InputError:
        return {"deletion": float("nan"), "insertion": float("nan")}
    if played is None:
        played = game(learned, samples=len(ranked) if len(ranked) > 1 else 256, seed=seed)
    if len(ranked) == 1:
        ranked = np.broadcast_to(ranked, (played.sizes["sample"], ranked.shape[1]))
    importance = xr.DataArray(np.nan_to_num(ranked), dims=("sample", "modality"))
    found = {}
    for name, insertion in (("deletion", False), ("insertion", True)):
        area = areas(modality_curves(played, importance, insertion=insertion, seed=seed).mean("sample"))
        gain = float(area.sel(order=RANDOM) - area.sel(order=BY))
        found[name] = -gain if insertion else gain
    return found
