"""The verb validate: measures are asked about models of problems whose answer is known."""

from __future__ import annotations

import hashlib
import inspect
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from modalens.errors import InputError, ModalensWarning, choice, listed
from modalens.evaluation.progress import Bar
from modalens.explanation import Explanation
from modalens.measures import (
    LIME,
    SHAPE,
    FusionGradient,
    InterSHAP,
    Measure,
    Occlusion,
    PerceptualScore,
    Result,
    Shapley,
)
from modalens.pipeline import explain
from modalens.validation.faithfulness import faithful_scores, game
from modalens.validation.functions import FUNCTIONS
from modalens.validation.known import KnownProblem
from modalens.validation.leaderboard import Leaderboard, Run
from modalens.validation.learning import MODELS, Learned, learn
from modalens.validation.problems import problem, problems
from modalens.validation.scores import interaction_error, scores
from modalens.validation.store import Store
from modalens.validation.truths import ESTIMANDS

SAMPLES, BACKGROUND = 256, 64
"""Patients explained, and rows that stand in for what is absent."""

SUITE = tuple(FUNCTIONS)
"""F0 to F7 and C1 to C8."""

QUICK = ("F6", "C4", "C6")
"""All alike, graded, and an interaction."""

LITTLE: Mapping[str, Any] = {"train": 1_500, "test": 300, "epochs": 15}
"""Of patients and training: enough for those three."""

NO_LABELS = ("function",)
"""Models whose output is f itself, and no probability of a label."""


def default_measures() -> list[Measure]:
    """One of each kind that ranks modalities or splits interactions."""
    return [
        FusionGradient(),
        FusionGradient(estimator="gradient", name="gradient"),
        FusionGradient(estimator="covariance", name="covariance"),
        Shapley(),
        LIME(),
        Occlusion(),
        PerceptualScore(),
        SHAPE(),
        InterSHAP(),
    ]


def validate(
    measures: Sequence[Measure] | None = None,
    problems: Sequence[str] = SUITE,
    seeds: int | Sequence[int] = 5,
    *,
    network: str | None = None,
    samples: int = SAMPLES,
    background: int = BACKGROUND,
    store: str | Path | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Leaderboard:
    """Can a measure be trusted? Asked about models of problems whose answer is known, how near does it come?

    For every problem and seed patients are drawn, a network is taught, an oracle that sees the true latents tells how well
    it could have learned, and each measure explains it. A run whose network lies more than 5 points below the oracle is
    shown and not scored.

    Parameters
    ----------
    measures : any, your own too (see `ml.Measure`): what its `estimands` name, out of `ml.validation.ESTIMANDS`, is held
        to that truth, and to the paper's (mean |gradient|). Some of each kind, unless given.
    problems : names from `ml.validation.problems()`; F0 to F7 and C1 to C8 unless given.
    seeds : how many, counted from 0, or which. Each draws other patients and other first weights.
    network : "hybrid", "early", "intermediate", "late", "function" (f itself) or "oracle"; each problem's own unless given.
    samples : patients explained. background : rows that stand in for what is absent.
    store : a folder; each (problem, seed) that is done is kept there, and the same call goes on where it was, also with
        other problems and seeds. With other measures (your own: other code) or settings it is refused.
    progress : None shows a bar for runs of more than two seconds.
    options : as `ml.validation.problem` takes them: train, test, pictures, clinical, flips; and `epochs`.

    Returns
    -------
    Leaderboard: `table`, `best`, `spread`, `runs`; `print`, `plot()`, `write(folder)`.

    Raises
    ------
    InputError : an unknown problem, two measures of one name, a store that was made with other settings.

    Example
    -------
    >>> import modalens as ml
    >>> board = ml.validate([ml.Shapley()], ["C1", "C4"], seeds=2, network="function", train=200, test=100)
    >>> bool(board.table.loc["shapley", "rmse"] < 0.05)
    True
    """
    asked = default_measures() if measures is None else measures
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    _require(asked, problems, numbers, network, options.get("epochs"))
    numbers = [int(seed) for seed in numbers]
    settings = {
        "measures": {one.key: _identity(one) for one in asked},
        "network": network,
        "samples": samples,
        "background": background,
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in sorted(options.items())},
    }
    kept = Store.open(store, settings)
    found: list[Run] = []
    with Bar(len(problems) * len(numbers), progress, doing="teaching and asking", unit="models") as bar:
        for name in problems:
            for seed in numbers:
                done = kept.get(name, seed)
                if done is None:
                    done = _runs(asked, name, seed, network, samples, background, dict(options))
                    kept.put(name, seed, done)
                found += done
                bar.advance(1)
    return Leaderboard(runs=tuple(found), settings=settings | {"problems": list(problems), "seeds": list(numbers)})


def quick_leaderboard(problems: Sequence[str] = QUICK, **settings: Any) -> Leaderboard:
    """A small leaderboard, in about a minute: few patients, short training, two seeds. It shows how measures differ, and is
    no result to cite.
    """
    return validate(problems=problems, seeds=2, **LITTLE, **settings)


def _runs(
    measures: Sequence[Measure],
    name: str,
    seed: int,
    network: str | None,
    samples: int,
    background: int,
    options: dict[str, Any],
) -> list[Run]:
    """All measures on one problem and seed."""
    epochs = options.pop("epochs", None)
    known = problem(name, seed, **options)
    known = known if epochs is None else known.taught(epochs=epochs)
    learned = learn(known, network, seed)
    with _quiet():
        played = game(learned, samples, background, seed)
    return [run for measure in measures for run in _asked(measure, known, learned, samples, background, played)]


def _asked(
    measure: Measure, known: KnownProblem, learned: Learned, samples: int, background: int, played: xr.DataArray
) -> list[Run]:
    """One measure on one model: a run for each of its arrays that estimates something, or one for its interactions.
    `played` is the game of the model's coalitions.
    """
    about: dict[str, Any] = {
        "problem": known.name,
        "seed": known.seed,
        "model": learned.name,
        "accuracy": learned.accuracy,
        "ceiling": learned.ceiling,
        "chance": learned.chance,
        "learned": learned.good,
    }
    started = time.perf_counter()
    try:
        explanation = explained(measure, known, learned, samples, background)
    except InputError as error:
        return [Run(entry=measure.key, estimand="", reason=str(error), **about)]
    cost = {"seconds": time.perf_counter() - started, "rows": float(explanation.provenance["head_rows"])}
    result = explanation[measure.key]
    of_all = {"interaction_error": interaction_error(known, result)} | cost
    arrays = {array: estimand for array, estimand in measure.estimands.items() if array in result.arrays}
    if not arrays:
        return [Run(entry=measure.key, estimand="", scores=_known(of_all), **about)]
    return [
        Run(
            entry=measure.key if array == "contribution" else f"{measure.key}.{array}",
            estimand=estimand,
            scores=_known(
                scores(known, result, array, estimand)
                | (faithful_scores(learned, result, known.seed, played=played) if array == "contribution" else {})
                | of_all
            ),
            truth=_truth(known, estimand),
            **_shares(known, result, array),
            **about,
        )
        for array, estimand in arrays.items()
    ]


def explained(
    measure: Measure, known: KnownProblem, learned: Learned, samples: int = SAMPLES, background: int = BACKGROUND
) -> Explanation:
    """The measure alone, on the first of the patients to be explained, with other patients' rows."""
    with _quiet():
        return explain(
            learned.model,
            {name: values[:samples] for name, values in learned.inputs.items()},
            measures=[measure],
            modalities=learned.kinds,
            background={name: values[:background] for name, values in learned.background.items()},
            labels=None if learned.name in NO_LABELS else known.labels[:samples],
            seed=known.seed,
            progress=False,
            **learned.asked,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings of single explanations would be one a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)
        yield


def _truth(known: KnownProblem, estimand: str) -> dict[str, float]:
    truth = known.truth.get(estimand)
    return {} if truth is None else dict(zip(known.modalities, truth.values.tolist(), strict=True))


def _shares(known: KnownProblem, result: Result, array: str) -> dict[str, Any]:
    """The shares with their bounds and bootstrap errors, by modality; a reason where they are undefined."""
    shares = result.array(array).sel(modality=list(known.modalities))
    found: dict[str, Any] = {"shares": _by_name(known, shares.values)}
    if array in result.interval:
        bounds = result.interval[array].sel(modality=list(known.modalities))
        drawn = result.draws[array].sel(modality=list(known.modalities)).std("draw", ddof=1)
        found |= {
            "lower": _by_name(known, bounds.sel(bound="lower").values),
            "upper": _by_name(known, bounds.sel(bound="upper").values),
            "sample_error": _by_name(known, drawn.transpose("modality").values),
        }
    return found | ({"reason": result.reasons.get(array, "undefined")} if shares.isnull().any() else {})


def _by_name(known: KnownProblem, values: np.ndarray) -> dict[str, float]:
    return _known(dict(zip(known.modalities, np.asarray(values, dtype=float).tolist(), strict=True)))


def _known(numbers: dict[str, float]) -> dict[str, float]:
    """Without those that are undefined."""
    return {name: value for name, value in numbers.items() if not np.isnan(value)}


def _require(
    measures: Sequence[Measure], names: Sequence[str], seeds: Sequence[int], network: str | None, epochs: Any
) -> None:
    """Refuse what can't be run, before anything is."""
    _require_list("measures", measures, "[ml.Shapley()]")
    _require_list("problems", names, "['C4']")
    _require_list("seeds", seeds, "3, or [0, 1, 2]")
    for name in names:
        choice("problem", name, problems())
    if any(not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0 for seed in seeds):
        raise InputError(f"seeds={list(seeds)!r}: expected whole numbers from 0 on, such as 3, or [0, 1, 2].")
    if network is not None:
        choice("network", network, MODELS)
    if epochs is not None and (not isinstance(epochs, int) or epochs < 1):
        raise InputError(f"epochs={epochs!r}: give a whole number, at least 1.")
    for one in measures:
        if not isinstance(one, Measure):
            hint = " (a class needs its brackets)" if isinstance(one, type) else ""
            raise InputError(f"measures: expected measures such as ml.Shapley(), came {one!r}{hint}.")
        for estimand in one.estimands.values():
            choice(f"estimand of {one.key}", estimand, ESTIMANDS)
    _require_once("measures", [one.key for one in measures], "; give each a name=")
    _require_once("problems", names)
    _require_once("seeds", seeds)


def _require_once(name: str, given: Sequence[Any], remedy: str = "") -> None:
    twice = [one for one in dict.fromkeys(given) if list(given).count(one) > 1]
    if twice:
        raise InputError(f"{name}: {listed(map(str, twice))} stands there twice{remedy}.")


def _require_list(name: str, given: Any, example: str) -> None:
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or not len(given):
        raise InputError(f"{name}={given!r}: expected at least one, in a list, such as {example}.")


def _identity(measure: Measure) -> str:
    """The measure with its settings, and a digest of its code where that is the user's own."""
    kind = type(measure)
    if kind.__module__.startswith("modalens."):
        return repr(measure)
    try:
        code = inspect.getsource(kind)
    except (OSError, TypeError):  # typed into a shell
        code = ""
    return f"{measure!r} of {kind.__module__}, code {hashlib.sha256(code.encode()).hexdigest()[:12]}"
