"""An audit in sentences: do the highlights follow the text, do they show the region, and which remedy helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modalens.alignment.laterality import NO_SIDE
from modalens.alignment.result import AS_IT_IS, RANDOM, SWAP
from modalens.summary.wording import NOT_DEFINED, capital, quote, rounded_percent

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
    said = [
        _sides(audit),
        _region(audit),
        _text(audit),
        _weights(audit),
        _opt_out(audit),
        _constant(audit),
        _left_out(audit),
    ]
    return [one for one in said if one]


def follows(audit: Audit) -> bool | None:
    """Whether the highlights follow left and right: True or False where the interval of the flip rate says so, else None."""
    rate = audit.interval.flip_rate.values
    return True if rate[0] > FOLLOWS else False if rate[1] < FOLLOWS else None


def opposite(audit: Audit) -> bool:
    """Whether the highlights lie in the lung that is *not* named, before the swap and after it: a mirrored image, or the sides
    of the image taken for those of the patient.
    """
    before, after = (audit.interval.wrong.sel(every_condition=condition).values for condition in (AS_IT_IS, SWAP))
    return bool(before[0] > 0.5 and after[1] < 0.5)


def _sides(audit: Audit) -> str:
    if SWAP not in audit.conditions:
        return "Whether the highlights follow left and right was not asked: the swap is not among the perturbations."
    count = int(audit.data.flipped.notnull().sum())
    if not count:
        return _one_sided(audit)
    rate = _with_interval(float(audit.flip_rate), audit.interval.flip_rate.values)
    measured = f"in images with the same finding in both lungs they are in the lung that is named, and go to the other one when the two are exchanged, in {rate} of {_sentences(count)}"
    verdict = follows(audit)
    if verdict:
        return f"The highlights follow {LEFT_RIGHT}: {measured}."
    if np.isnan(audit.interval.flip_rate.values).any():
        return f"Too few patients have the same finding in both lungs to say whether the highlights follow {LEFT_RIGHT}: {measured}."
    if verdict is None and audit.interval.flip_rate.values[1] >= 1:
        return f"Whether the highlights follow {LEFT_RIGHT} can't be settled with so few patients: {measured}."
    how = "do not follow" if verdict is False else "follow only in part"
    return f"The highlights {how} {LEFT_RIGHT}: {measured}. {_remedy(audit)}"


def _one_sided(audit: Audit) -> str:
    """Without findings in both lungs: a weaker answer, since the swapped sentence is false there."""
    count = int((audit.data.member.sel(subset="one lung") & audit.data.divergence.sel(condition=SWAP).notnull()).sum())
    if not count:
        why = _reasons(audit, SWAP)
        return f"Nothing says whether the highlights follow {LEFT_RIGHT}: no sentence with a mirror has a region on one side{f' ({why})' if why else ''}."
    moved = float(audit.moved.sel(condition=SWAP))
    before, after = (
        _with_interval(
            float(audit.wrong_lung.sel(condition=condition)), audit.interval.wrong.sel(every_condition=condition).values
        )
        for condition in (AS_IT_IS, SWAP)
    )
    labelled = bool((audit.data.labels != "").any())
    none = (
        "no image shows the same finding in both lungs"
        if labelled
        else "no record has labels=, by which the same finding in both lungs of an image would be known"
    )
    measured = (
        f"{none}, so this is the weaker test, on {_sentences(count)} of one lung: "
        f"the maps move by {moved:.3f} nats when the two are exchanged; they are in the wrong lung in {before}, and after the exchange in {after}"
    )
    if np.isnan(audit.interval.moved.sel(condition=SWAP).values).any():
        return (
            f"Too few patients have a region in one lung to say whether the highlights follow {LEFT_RIGHT}: {measured}."
        )
    if moved < STILL or opposite(audit):
        return f"The highlights do not follow {LEFT_RIGHT}: {measured}. {_remedy(audit)}"
    return f"Whether the highlights follow {LEFT_RIGHT} can't be settled here: {measured}."


def _remedy(audit: Audit) -> str:
    """What helps against the failure that is seen; those of training were measured by `modalens reproduce alignment`."""
    if opposite(audit):
        return "They lie in the lung that is not named: the patient's right is the left of the image, so see whether images, regions or sides are mirrored, in training or here."
    even = float(audit.evenness)
    if even > EVEN:
        return (
            f"The maps are nearly even (entropy {100 * even:.1f} % of the highest), as the published double softmax makes them: read them out by a single softmax over regions "
            "(local_attention without compat, the model trained with it), give the image encoder positions, and where reports seldom name the side "
            "train with left/right hard negatives (HardNegatives)."
        )
    other = float(audit.moved.sel(condition=RANDOM)) if RANDOM in audit.conditions else np.nan
    if other < STILL:
        return "The text hardly matters at all: train on sentences that speak of findings (AbnormalOnly), and with left/right hard negatives (HardNegatives)."
    side = "does not" if follows(audit) is False else "too little"
    seen = "" if np.isnan(other) else f"The text matters, its side {side}: "
    return capital(
        f"{seen}train with left/right hard negatives (HardNegatives), with positions in the image encoder; a few boxes alone raise the scores and leave this as it is."
    )


def _region(audit: Audit) -> str:
    """Do the highlights show the region better than maps that know nothing?"""
    at = {"subset": "all", "score": "auroc"}
    reached, beaten = float(audit.scores.sel(at)), audit.baselines.sel(at)
    if np.isnan(reached):
        return "No score against the regions is defined; the table of what is not counted says why."
    best = str(beaten.baseline.values[int(np.nanargmax(beaten.values))])
    low, high = audit.interval.gains.sel(at | {"baseline": best}).values
    than = f"the best map that ignores the text ({best})"
    gained = float(audit.gains.sel(at | {"baseline": best}))
    measured = f"AUROC {reached:.2f} beside {float(beaten.sel(baseline=best)):.2f}, {_signed(gained)}"
    if np.isnan([low, high]).any():
        return f"Too few patients have a region to say whether the highlights show it better than {than}: {measured}."
    how = "better than" if low > 0 else "worse than" if high < 0 else "no better than"
    return f"The highlights show the annotated region {how} {than}: {measured} ({_signed(low)} to {_signed(high)})."


def _text(audit: Audit) -> str:
    """Does another sentence move the map?"""
    if RANDOM not in audit.conditions or np.isnan(float(audit.moved.sel(condition=RANDOM))):
        return ""
    moved = float(audit.moved.sel(condition=RANDOM))
    how = "hardly move" if moved < STILL else "move"
    said = f"With another patient's sentence the maps {how} ({moved:.3f} nats)"
    at = {"condition": RANDOM, "subset": "all", "score": "auroc"}
    delta, possible = float(audit.deltas.sel(at)), float(audit.attainable_deltas.sel(at))
    if np.isnan([delta, possible]).any():
        return f"{said}."
    return f"{said}, and AUROC changes by {_signed(delta)}; that of a map that follows the text would change by {_signed(possible)}."


def _weights(audit: Audit) -> str:
    """Is the agreement due to what the model has learned?"""
    found = audit.randomised
    if found is None:
        return (
            "Random weights were not tried, since no torch module with weights is seen in the model: give network=. "
            "Agreement with boxes is plausibility; without that check it is no sign of faithfulness."
        )
    trained, drawn = (float(found.sel(score="auroc")[level]) for level in (0, -1))
    if np.isnan([trained, drawn]).any():
        return ""
    if _untouched(audit):
        return "With all weights drawn anew every score stays as it is: either the maps owe nothing to the weights, or network= is not the module that the model runs."
    lost = audit.interval.lost.sel(score="auroc", level=found.level[-1], bound="lower") > 0
    if trained <= drawn:
        meaning = "so the agreement is not due to what the model learned"
    elif lost and _beats_baselines(audit):
        meaning = "so the agreement is due to what it learned"
    elif lost:
        meaning = "but there is no agreement beyond that of maps that ignore the text, of which one could ask where it comes from"
    else:  # or too few patients for an interval
        meaning = "which does not settle whether the agreement is due to what the model learned"
    return f"With all weights drawn anew AUROC is {drawn:.2f} instead of {trained:.2f} (on {_sentences(audit.settings['randomised'])}), {meaning}."


def _beats_baselines(audit: Audit) -> bool:
    """Whether the highlights show the region better than every map that ignores the text."""
    return bool((audit.interval.gains.sel(subset="all", score="auroc", bound="lower") > 0).all())


def _untouched(audit: Audit) -> bool:
    """Whether no score of any record changed when all weights were drawn anew."""
    drawn = audit.data.randomised_value.isel(level=-1).values
    trained = audit.data.value.sel(condition=AS_IT_IS).values
    asked = ~np.isnan(drawn).all(axis=0)
    return np.array_equal(drawn[:, asked], trained[:, asked], equal_nan=True)


def _opt_out(audit: Audit) -> str:
    rate = audit.opt_out_auroc
    if np.isnan(rate):
        return ""
    return f"The mass that attends to nothing tells sentences of a finding that is not there from true ones with AUROC {rate:.2f} (.5 is chance)."


def _constant(audit: Audit) -> str:
    """How many maps rank nothing."""
    count = int((audit.data.constant & audit.data.member.sel(subset="all")).sum())
    if not count:
        return ""
    verb = "is the same everywhere: it ranks" if count == 1 else "are the same everywhere: they rank"
    return f"{count} of {audit.counted()} maps {verb} no pixel above another, which counts as an AUROC of .5."


def _left_out(audit: Audit) -> str:
    """What was left out of the swap, and why."""
    if SWAP not in audit.conditions:
        return ""
    why = audit.left_out(SWAP)
    if not why:
        return ""
    silent = sum(count for reason, count in why.items() if NO_SIDE in reason)
    hint = " Are they in another language? Then SwapLaterality(language=...)." if 2 * silent > audit.counted() else ""
    return (
        f"Left out of the swap: {sum(why.values())} of {_sentences(audit.counted())} ({_reasons(audit, SWAP)}).{hint}"
    )


def _reasons(audit: Audit, condition: str) -> str:
    why = audit.left_out(condition)
    shown = [f"{count}: {reason}" for reason, count in list(why.items())[:3]]
    rest = sum(list(why.values())[3:])
    return "; ".join([*shown, *([f"{rest}: other reasons"] if rest else [])])


def _sentences(count: int) -> str:
    return f"{count} sentence{'' if count == 1 else 's'}"


def _with_interval(value: float, bounds: np.ndarray) -> str:
    if np.isnan(value):
        return NOT_DEFINED
    low, high = bounds
    interval = "" if np.isnan(bounds).any() else f" ({100 * low:.0f} to {100 * high:.0f})"
    return f"{rounded_percent(value)}{interval}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
