"""check_model: each obstacle and its remedy, before any long run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from modalens.errors import InputError, require_keywords_of
from modalens.pipeline import explain, noting
from modalens.testing.calling import called, failure
from modalens.testing.given import background, inputs, settings
from modalens.testing.inside import cost, fusion, gradients
from modalens.testing.outputs import finite, output, read_at_all, repeatable, varies
from modalens.testing.result import Finding, ModelCheck, told
from modalens.testing.trial import NotReached, Trial, same_randomness

Check = Callable[[Trial], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    "inputs": inputs,
    "call": called,
    "background": background,
    "settings": settings,
    "output": output,
    "same again": repeatable,
    "finite": finite,
    "reads": read_at_all,
    "varies": varies,
    "fusion point": fusion,
    "gradients": gradients,
    "cost": cost,
}
"""Every check by its name, in the order in which one would ask."""


def check_model(model: Any, inputs: Mapping[str, Any], **settings: Any) -> ModelCheck:
    """What stands in the way of explaining this model on these inputs, and what to do about it?

    Runs a few rows, which takes seconds, and looks at: what the inputs are taken as, whether the model can be called
    with them, what its output means, whether it comes again for the same input, is finite, follows every modality and
    differs between patients, where the modalities meet, gradients, and what `explain` would cost.

    Parameters
    ----------
    model, inputs, settings : as for `explain`. Nothing of the model is changed, also where it fails.

    Returns
    -------
    ModelCheck: `.findings`, each with a verdict ("fine", "note", "obstacle", or "not checked" where something has to be
        mended first), what was found and what to do; `.obstacles`, `.ok`; `print` shows a table.

    Raises
    ------
    TypeError : a keyword that `explain` does not take. What is wrong with the model or the data is a finding.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"image": np.random.default_rng(0).normal(size=(10, 8, 8)), "lab": np.random.default_rng(1).normal(size=(10, 2))}
    >>> def model(image, lab):
    ...     return 1 / (1 + np.exp(-image.mean(axis=(1, 2))))
    >>> found = ml.check_model(model, inputs, modalities={"image": ml.Image(patch=4)})
    >>> found.ok, found.obstacles[0].found
    (False, "'lab' is never read: the output stays the same when 10 patients get that of others.")
    """
    require_keywords_of(explain, "check_model", settings)
    settings.pop("progress", None)
    with ExitStack() as closing:
        closing.enter_context(same_randomness())
        trial = Trial(model, inputs, settings, closing)
        findings = [finding for name, check in CHECKS.items() for finding in _found(name, check, trial)]
        return ModelCheck(model=_name(trial), findings=tuple(findings), rows=trial.rows)


def _found(name: str, check: Check, trial: Trial) -> list[Finding]:
    """What a check found; what it raises, and what it warns of, are findings too."""
    trial.check = name
    findings: list[Finding] = []
    with noting() as notes:
        try:
            findings.extend(check(trial))
        except NotReached as reason:
            findings.append(Finding(check=name, verdict="not checked", found=f"{reason}."))
        except InputError as error:
            findings.append(told(name, "obstacle", str(error)))
        except Exception as error:
            findings.append(Finding(check=name, verdict="obstacle", found=f"{failure(error)}."))
    trial.obstacles |= any(finding.verdict == "obstacle" for finding in findings)
    return [*findings, *(told(name, "note", message) for message in notes)]


def _name(trial: Trial) -> str:
    """What the model is called, adapted or not."""
    known = trial.taken.get("adapted")
    return known.name if known is not None else getattr(trial.given, "__name__", type(trial.given).__name__)
