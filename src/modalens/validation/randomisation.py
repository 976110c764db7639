"""Does a measure look at the model at all? Its importances of the trained model beside those of models that know nothing.

J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from modalens.errors import InputError, listed, require_keywords_of
from modalens.evaluation.progress import Bar
from modalens.explanation import Explanation
from modalens.measures import Measure, Result
from modalens.pipeline import explain
from modalens.planting.opposites import shuffled, with_random_weights
from modalens.refits import Train, count_of, rows_of
from modalens.validation.agreement import mean_rank_correlation, rank_correlation

WEIGHTS, LABELS = "random weights", "permuted labels"
"""What is taken from a model: its weights are drawn anew, or it is trained on labels in another order."""

ALIKE, PARTLY = 0.9, 0.5
"""Importances whose mean rank correlation is at least this share of that with the model itself count as the same, and as
partly the same: a convention."""

NO_RANKS, IN_PART = "withheld: it ties everything, so that there are no ranks", "in part"

MODALITIES = "modalities"
"""The view of shares by sample and modality."""


@dataclass(frozen=True, kw_only=True)
class Randomised:
    """How much a measure's importances of a model resemble those of models that know nothing.

    correlation (check, draw, view): Spearman's rank correlation with the importances of the model itself. A view is
        "modalities" (over samples and modalities) or "parts of <modality>" (over a sample's parts, the mean over
        samples). again (view): the same of the model itself under another seed, which is as high as it can be.
    contribution (model, modality): the global importance, of the model and of each of the others.
    mean, spread (check, view): over draws. verdicts (check, view).
    """

    measure: str
    correlation: xr.DataArray
    again: xr.DataArray
    contribution: xr.DataArray

    @property
    def mean(self) -> xr.DataArray:
        return self.correlation.mean("draw")

    @property
    def spread(self) -> xr.DataArray:
        """The standard deviation over draws; NaN for a single one."""
        return self.correlation.std("draw", ddof=1) if self.correlation.sizes["draw"] > 1 else self.mean * np.nan

    @property
    def verdicts(self) -> xr.DataArray:
        """ "follows the weights" (or labels), "follows the weights in part", "does not follow the weights", or "withheld:
        ...".
        """
        said = [[self._verdict(check, view) for view in self._views] for check in self._checks]
        return xr.DataArray(np.array(said, dtype=object), dims=("check", "view"), coords=self.mean.coords)

    @property
    def verdict(self) -> str:
        """All of them in one: the least favourable. Views without ranks don't count, unless there are no others."""
        every = [str(one) for one in self.verdicts.values.ravel()]
        ranked = [one for one in every if one != NO_RANKS] or every
        worst = max(ranked, key=_severity)
        if any(_severity(worst)):
            return worst
        return " and ".join(dict.fromkeys(ranked))

    @property
    def _checks(self) -> list[str]:
        return [str(check) for check in self.correlation.check.values]

    @property
    def _views(self) -> list[str]:
        return [str(view) for view in self.correlation.view.values]

    def _verdict(self, check: str, view: str) -> str:
        followed = "the weights" if check == WEIGHTS else "the labels"
        mean, again = float(self.mean.sel(check=check, view=view)), float(self.again.sel(view=view))
        if np.isnan(mean) or np.isnan(again):
            return NO_RANKS
        if again < PARTLY:
            return f"withheld: it does not agree with itself under another seed ({again:.2f})"
        if mean >= ALIKE * again:
            return f"does not follow {followed}"
        return f"follows {followed}" if mean < PARTLY * again else f"follows {followed} {IN_PART}"

    def __str__(self) -> str:
        lines = [f"{self.measure}: {self.verdict}"]
        lines += [f"  {view}: {float(self.again.sel(view=view)):+.2f} with itself" for view in self._views]
        for check in self._checks:
            for view in self._views:
                at = {"check": check, "view": view}
                lines.append(
                    f"  {view}: {float(self.mean.sel(at)):+.2f} (sd {float(self.spread.sel(at)):.2f}) with {check}, {self._verdict(check, view)}"
                )
        return "\n".join(lines)


def _severity(verdict: str) -> tuple[bool, bool, bool]:
    """How bad a verdict is, to be compared."""
    return verdict.startswith("does not"), verdict.startswith("withheld"), verdict.endswith(IN_PART)


def randomised(
    model: Any,
    inputs: Mapping[str, Any],
    measure: Measure,
    *,
    repeats: int = 3,
    train: Train | None = None,
    train_labels: Any = None,
    progress: bool | None = None,
    **settings: Any,
) -> Randomised:
    """Do a measure's importances change when what the model has learned is taken from it?

    A measure that says the same of a model whose weights are drawn at random shows the input, not the model. That it
    changes is no proof of the opposite: noise changes too, so the model itself is explained again under another seed.

    Parameters
    ----------
    model, inputs, settings : as `explain` takes them; intervals are left out.
    measure : what is checked. Its shares of each sample and modality are compared, and where it has them, the sizes of
        its parts.
    repeats : how many models that know nothing are made for each check.
    train : (inputs, labels, seed) -> model, as `usefulness` takes it: models are trained on the `background` patients,
        whose labels, `train_labels`, are put into another order. Without it, only weights are randomised, which needs a
        torch module.

    Returns
    -------
    Randomised : correlation (check, draw, view), contribution (model, modality), verdicts (check, view).

    Raises
    ------
    InputError : no torch module and no `train`; `train` without labels and background; a measure without importances of
        single samples; and as `explain` does.

    Example
    -------
    >>> import numpy as np, torch, modalens as ml
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.head = torch.nn.Linear(8, 2)
    ...     def forward(self, a, b):
    ...         return self.head(torch.cat([a, b], dim=1))
    >>> _ = torch.manual_seed(0)
    >>> draw = lambda n, seed: {name: np.random.default_rng((seed, k)).normal(size=(n, 4)).astype("f4") for k, name in enumerate("ab")}
    >>> found = ml.validation.randomised(Net(), draw(40, 0), ml.Shapley(), background=draw(50, 1), link="softmax", output="logit")
    >>> found.verdict
    'follows the weights'
    """
    require_keywords_of(explain, "randomised", settings)
    _require(model, measure, repeats, train, train_labels, settings)
    seed = int(settings.pop("seed", 0))

    def explained(one: Any, seed: int = seed) -> Explanation:
        return explain(one, inputs, measures=[measure], confidence=None, seed=seed, progress=False, **settings)

    checks: dict[str, Callable[[int], Any]] = {}
    if _is_module(model):
        checks[WEIGHTS] = lambda draw: with_random_weights(model, seed + draw + 1)
    if train is not None:
        background, labels = settings["background"], train_labels
        checks[LABELS] = lambda draw: train(
            dict(background), rows_of(labels, shuffled(count_of(labels), seed + draw)), seed + draw
        )
    with Bar(2 + len(checks) * repeats, progress, doing="explaining", unit="models") as bar:
        own, again = explained(model), explained(model, seed + 1)
        bar.advance(2)
        others = {check: list(_each(make, explained, repeats, bar.advance)) for check, make in checks.items()}
    views = importances(own[measure.key])
    return Randomised(
        measure=measure.key,
        correlation=_correlations(views, others, measure.key),
        again=xr.DataArray(_with(views, again[measure.key]), dims="view", coords={"view": list(views)}),
        contribution=_contributions(own, others, measure.key),
    )


def importances(result: Result) -> dict[str, np.ndarray]:
    """How important a result calls modalities and parts, whatever the sign, by view: (sample, unit). Raises InputError
    where it says nothing of single samples.
    """
    found: dict[str, np.ndarray] = {}
    shares = result.arrays.get("by_sample")
    if isinstance(shares, xr.DataArray) and set(shares.dims) == {"sample", "modality"}:
        found[MODALITIES] = np.abs(shares.transpose("sample", "modality").values)
    if "parts" in result.arrays:
        for name, signed in result.by_modality("parts").items():
            if signed.sizes["part"] > 1:
                found[f"parts of {name}"] = abs(signed).sum("output", min_count=1).transpose("sample", "part").values
    if not found:
        raise InputError(
            f"the result of {result.measure!r} has no importance of single samples: expected by_sample (sample, modality) or parts, came {listed(result.arrays)}; "
            "use a measure that has, such as Shapley() or Occlusion()."
        )
    return found


def _each(
    make: Callable[[int], Any], explained: Callable[[Any], Explanation], repeats: int, advance: Callable[[int], None]
) -> Iterator[Explanation]:
    for draw in range(repeats):
        yield explained(make(draw))
        advance(1)


def _with(views: Mapping[str, np.ndarray], other: Result) -> list[float]:
    """The rank correlations with another result, by view."""
    others = importances(other)
    return [
        rank_correlation(own.ravel(), others[view].ravel())
        if view == MODALITIES
        else mean_rank_correlation(own, others[view])
        for view, own in views.items()
    ]


def _correlations(
    views: Mapping[str, np.ndarray], others: Mapping[str, list[Explanation]], measure: str
) -> xr.DataArray:
    found = np.array([[_with(views, one[measure]) for one in each] for each in others.values()])
    return xr.DataArray(found, dims=("check", "draw", "view"), coords={"check": list(others), "view": list(views)})


def _contributions(own: Explanation, others: Mapping[str, list[Explanation]], measure: str) -> xr.DataArray:
    """The global importance of every model; of several outputs the mean."""
    named = {"as it is": own} | {f"{check} {k}": one for check, each in others.items() for k, one in enumerate(each)}
    rows = []
    for one in named.values():
        shares = one[measure].array("contribution").sel(modality=list(own.modalities))
        rows.append(shares.mean([dim for dim in shares.dims if dim != "modality"]).values)
    coords = {"model": list(named), "modality": list(own.modalities)}
    return xr.DataArray(np.stack(rows), dims=("model", "modality"), coords=coords)


def _is_module(model: Any) -> bool:
    """Whether this is a torch module; torch is not imported for those who have none."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _require(
    model: Any, measure: Any, repeats: int, train: Train | None, train_labels: Any, settings: Mapping[str, Any]
) -> None:
    if not isinstance(measure, Measure):
        raise InputError(
            f"measure: expected one such as ml.Shapley(), came {measure!r:.60}; a class needs its brackets."
        )
    for name, why in {
        "measures": "give the one that is checked as measure",
        "confidence": "it has no intervals",
    }.items():
        if name in settings:
            raise InputError(f"randomised() does not take {name}=: {why}.")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
        raise InputError(f"repeats={repeats!r}: give a whole number of models, at least 1.")
    if train is None and not _is_module(model):
        raise InputError(
            f"randomised: the model is a {type(model).__name__}, whose weights can't be drawn anew; expected a torch.nn.Module. "
            "Give train= and train_labels=, to check it with labels in another order."
        )
    if train is not None and (train_labels is None or settings.get("background") is None):
        raise InputError(
            "randomised(train=...) trains on the background patients: give background= and train_labels=, the labels of those patients."
        )
