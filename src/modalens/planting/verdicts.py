"""When a planted contribution counts as found: conventions, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modalens.planting.measured import views_words

SLACK = 0.02
"""By so much a share may fall from one step to the next, and still counts as growing with what was planted."""

NOTHING = 0.05
"""A planted share that varies by less is nothing that could be seen."""

FULL = 0.95
"""A share that is larger before anything is planted has no room to grow."""


def judged(planted: np.ndarray, value: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, on_top: bool = True) -> str:
    """Whether a measured share follows the planted one, both by step: "found", "not found: ..." or "withheld: ...".

    Found: it grows with what is planted, from one interval to another that lies above it, and the mark's part is the
    top part of its modality at the largest step.

    Example
    -------
    >>> judged(np.array([0, 0.5, 1]), np.array([0.2, 0.6, 1]), np.array([0.1, 0.5, 1]), np.array([0.3, 0.7, 1]))
    'found'
    """
    order = np.argsort(planted, kind="stable")
    planted, value, lower, upper = (array[order] for array in (planted, value, lower, upper))
    if planted[-1] - planted[0] < NOTHING:
        return f"not found: there is nothing to see, the planted share is {_percent(planted[0])} to {_percent(planted[-1])}"
    undefined = np.isnan(value)
    if undefined.any():
        return f"not found: nothing that it hides changes the output, where the planted share is {_percent(planted[undefined][-1])}"
    if np.isnan(lower[[0, -1]]).any() or np.isnan(upper[[0, -1]]).any():
        return "withheld: no interval"
    if value[0] > FULL:
        return f"withheld: the model uses little else, {_percent(value[0])} before anything is planted"
    if not lower[-1] > upper[0]:
        return f"not found: {_percent(value[0])} where least is planted, {_percent(value[-1])} where most is"
    if (np.diff(value) < -SLACK).any():
        return "not found: it does not grow with what is planted"
    return "found" if on_top else "not found: another part than the planted one is on top"


def together(by_view: Mapping[str, str], *, confident: Sequence[str] = (), unused: str = "") -> str:
    """The verdict over all views of the measures, in a sentence."""
    kinds: dict[str, list[str]] = {"found": [], "not found": [], "withheld": []}
    for view, verdict in by_view.items():
        kinds[verdict.partition(":")[0]].append(view)
    if unused:
        return f"withheld: {unused}"
    if confident:
        return f"withheld: a verdict is given on a model that can know nothing ({', '.join(confident)})"
    if kinds["not found"]:
        why = by_view[kinds["not found"][0]].partition(": ")[2]
        seen = (
            f"; {views_words(kinds['found'])} see{'s' if len(kinds['found']) == 1 else ''} it" if kinds["found"] else ""
        )
        return f"not found: by {views_words(kinds['not found'])} ({why}){seen}"
    if not kinds["found"]:
        why = by_view[kinds["withheld"][0]].partition(": ")[2] if by_view else "no measure gives a share"
        return f"withheld: {why}"
    open_views = f"; of {views_words(kinds['withheld'])} nothing can be said" if kinds["withheld"] else ""
    return f"found: the measured share grows with the planted one, by {views_words(kinds['found'])}{open_views}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
