"""An audit in sentences: do the highlights follow the text, do they show the region, and which remedy helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modalens.alignment.result import OTHER_FINDING, RANDOM, SWAP
from modalens.summary.wording import NOT_DEFINED, in_words, quote, rounded_percent

if TYPE_CHECKING:
    from modalens.alignment.result import Audit

FOLLOWS = 0.5
"""The flip rate from which on highlights count as following the text, with the whole interval above it: a convention. A map
that ignores the text has 0, one drawn at random .25."""

EVEN = 0.95
"""A map's entropy, as a share of the highest, above which it is called nearly even."""

STILL = 0.02
"""Nats by which a map must move on average, when the sentence is replaced, to be called moved by the text."""

LEFT_RIGHT = f"{quote('left')} and {quote('right')}"


def findings(audit: Audit) -> list[str]:
    """All sentences, the most important first."""
    said = [_sides(audit), _region(audit), _text(audit), _weights(audit), _opt_out(audit), _left_out(audit)]
    return [one for one in said if one]


def follows(audit: Audit) -> bool | None:
    """Whether the highlights follow left and right: True or False where the interval of the flip rate says so, else None. Where
    no image shows the same in both lungs, by the rate of the wrong lung before and after the swap.
    """
    rate = audit.interval.flip_rate.values
    if not np.isnan(rate).any():
        return True if rate[0] > FOLLOWS else False if rate[1] < FOLLOWS else None
    return None


def _sides(audit: Audit) -> str:
    if SWAP not in audit.conditions:
        return "Whether the highlights follow left and right was not asked: the swap is not among the perturbations."
    count = int(audit.data.flipped.notnull().sum())
    if not count:
        return _one_sided(audit)
    rate = _with_interval(float(audit.flip_rate), audit.interval.flip_rate.values)
    measured = f"in images with the same finding in both lungs they are in the lung that is named, and go to the other one when left and right are exchanged, in {rate} of {count} sentences"
    verdict = follows(audit)
    if verdict:
        return f"The highlights follow {LEFT_RIGHT}: {measured}."
    if verdict is None and np.isnan(audit.interval.flip_rate.values).any():
        return f"Too few patients have the same finding in both lungs to say whether the highlights follow {LEFT_RIGHT}: {measured}."
    how = "do not follow" if verdict is False else "follow only in part"
    return f"The highlights {how} {LEFT_RIGHT}: {measured}. {_remedy(audit)}"


def _one_sided(audit: Audit) -> str:
    """Without findings in both lungs: a weaker answer, since the swapped sentence is false there."""
    count = int((audit.data.member.sel(subset="one lung") & audit.data.divergence.sel(condition=SWAP).notnull()).sum())
    if not count:
        return f"Nothing says whether the highlights follow {LEFT_RIGHT}: no sentence with a mirror has a region on one side ({_reasons(audit, SWAP) or 'no region on one side'})."
    moved = float(audit.moved.sel(condition=SWAP))
    wrong = _with_interval(float(audit.wrong_lung.isel(condition=0)), audit.interval.wrong.isel(every_condition=0).values)
    weaker = f"no image shows the same finding in both lungs, so this is the weaker test: {count} one-sided sentences, wrong lung in {wrong}"
    if moved < STILL:
        return f"The highlights do not follow {LEFT_RIGHT}: they hardly move when the two are exchanged ({moved:.3f} nats; {weaker}). {_remedy(audit)}"
    after = float(audit.wrong_lung.sel(condition=SWAP))
    return f"Whether the highlights follow {LEFT_RIGHT} can't be settled here: they move by {moved:.3f} nats when the two are exchanged, to the other lung in {rounded_percent(after)} ({weaker})."


def _remedy(audit: Audit) -> str:
    """What helps against the failure that is seen; each was measured by `modalens reproduce alignment`."""
    even = float(audit._means.evenness)
    other = float(audit.moved.sel(condition=RANDOM)) if RANDOM in audit.conditions else np.nan
    if even > EVEN:
        return (
            f"The maps are nearly even (entropy {rounded_percent(even)} of the highest), as the published double softmax makes them: read them out by a single softmax over regions "
            "(local_attention without compat, the model trained with it), give the image encoder positions, then see this line again."
        )
    if other < STILL:
        return "The text hardly matters at all: train on sentences that speak of findings (AbnormalOnly), and with left/right hard negatives (HardNegatives)."
    return "The text matters, its side does not: train with left/right hard negatives (HardNegatives), with positions in the image encoder; a few boxes alone raise the scores and leave this as it is."


def _region(audit: Audit) -> str:
    """Do the highlights show the region better than maps that know nothing?"""
    scores = audit.scores.sel(subset="all", score="auroc")
    beaten = audit.baselines.sel(subset="all", score="auroc")
    if np.isnan(float(scores)):
        return "No score against the regions is defined; the table of what is left out says why."
    best = str(beaten.baseline.values[int(np.nanargmax(beaten.values))])
    gain = float(scores - beaten.sel(baseline=best))
    bounds = audit.interval.gains.sel(subset="all", score="auroc", baseline=best).values
    low, high = bounds
    verb = "better than" if low > 0 else "worse than" if high < 0 else "no better than"
    interval = "" if np.isnan(bounds).any() else f" ({_signed(low)} to {_signed(high)})"
    said = f"They show the annotated region {verb} the best map that ignores the text ({best}): AUROC {float(scores):.2f} beside {float(beaten.sel(baseline=best)):.2f}, {_signed(gain)}{interval}."
    return said if np.isfinite(bounds).all() else said.replace(f" {verb} ", " beside that of ", 1).replace("They show the annotated region beside that of", "Too few patients for an interval. They show the annotated region, beside", 1)


def _text(audit: Audit) -> str:
    """Does another sentence move the map?"""
    if RANDOM not in audit.conditions or np.isnan(float(audit.moved.sel(condition=RANDOM))):
        return ""
    moved = float(audit.moved.sel(condition=RANDOM))
    delta = float(audit.deltas.sel(condition=RANDOM, subset="all", score="auroc"))
    possible = float(audit.attainable_deltas.sel(condition=RANDOM, subset="all", score="auroc"))
    how = "hardly move" if moved < STILL else "move"
    return f"With another patient's sentence the maps {how} ({moved:.3f} nats), and AUROC changes by {_signed(delta)}; a map that follows the text would change by {_signed(possible)}."


def _weights(audit: Audit) -> str:
    """Is the agreement due to what the model has learned?"""
    found = audit.randomised
    if found is None:
        return "Random weights were not tried, since no torch module is seen in the model: give network=. Agreement with boxes is plausibility; without that check it is no sign of faithfulness."
    trained, drawn = float(found.sel(score="auroc")[0]), float(found.sel(score="auroc")[-1])
    interval = audit.interval.randomised.sel(score="auroc")[:, -1].values if "randomised" in audit.interval else np.full(2, np.nan)
    stays = trained <= interval[1] if np.isfinite(interval).all() else trained <= drawn
    meaning = "so the agreement is not due to what the model learned" if stays else "so the agreement is due to what it learned"
    return f"With all weights drawn anew AUROC is {drawn:.2f} instead of {trained:.2f} (on {audit.settings['randomised']} sentences), {meaning}."


def _opt_out(audit: Audit) -> str:
    rate = audit.opt_out_auroc
    if np.isnan(rate):
        return ""
    return f"The mass that attends to nothing tells sentences of a finding that is not there from true ones with AUROC {rate:.2f} (.5 is chance)."


def _left_out(audit: Audit) -> str:
    """What was left out of the swap, and why."""
    if SWAP not in audit.conditions:
        return ""
    why = audit.left_out(SWAP)
    if not why:
        return ""
    return f"Left out of the swap: {sum(why.values())} of {audit.counted()} sentences ({_reasons(audit, SWAP)})."


def _reasons(audit: Audit, condition: str) -> str:
    why = audit.left_out(condition)
    shown = [f"{count}: {reason}" for reason, count in list(why.items())[:3]]
    rest = sum(list(why.values())[3:])
    return "; ".join([*shown, *([f"{rest}: other reasons"] if rest else [])])


def _with_interval(value: float, bounds: np.ndarray) -> str:
    if np.isnan(value):
        return NOT_DEFINED
    low, high = bounds
    interval = "" if np.isnan(bounds).any() else f" ({100 * low:.0f} to {100 * high:.0f})"
    return f"{rounded_percent(value)}{interval}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
