"""What is measured, in the field's words: the probability of surviving 5 years, a log-risk, an output in mmHg."""

from __future__ import annotations

from collections.abc import Sequence

SPACES = {
    "probability": "probability",
    "logit": "log-odds",
    "log-hazard": "log cumulative hazard",
    "raw": "output",
}
OF_SURVIVAL = {"probability": "probability of surviving", "raw": "log-risk"}

ALL = "all"
"""The target that asks for all outputs together."""


def quantity(space: str, *, task: str = "", units: str | None = None) -> str:
    """What outputs are in this space, whichever of them: `probability`, `log-risk`, `output in mmHg`.

    Example
    -------
    >>> quantity("raw", task="regression", units="mmHg"), quantity("probability", task="survival")
    ('output in mmHg', 'probability of surviving')
    """
    words = (OF_SURVIVAL if task == "survival" else SPACES).get(space) or SPACES.get(space, space)
    return f"{words} in {units}" if units else words


def of_output(space: str, output: str, *, task: str = "", units: str | None = None) -> str:
    """What one output is: `probability of effusion`, `probability of surviving 5 years`, `output of systole in mmHg`.

    Example
    -------
    >>> of_output("probability", "5 years", task="survival"), of_output("logit", "effusion")
    ('probability of surviving 5 years', 'log-odds of effusion')
    """
    words = quantity(space, task=task)
    if task == "survival" and space in OF_SURVIVAL:
        return words if space == "raw" else f"{words} {output}"
    joined = f"{words} {'at' if task == 'survival' else 'of'} {output}"
    return f"{joined} in {units}" if units else joined


def lead_alone(task: str, target: str, outputs: Sequence[str]) -> tuple[str, ...]:
    """The outputs that are reported each by itself, before any sum over them: the labels of a multi-label model,
    unless all together or one of them are asked for; none for other models.
    """
    if task != "multilabel" or len(outputs) < 2 or (target == ALL and ALL not in outputs):
        return ()
    return (target,) if target in outputs else tuple(outputs)
