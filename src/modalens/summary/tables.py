"""The tables of an explanation as plain data, by topic; `summary` sets them in a terminal, `report` on a page."""

from __future__ import annotations

from modalens.explanation import Explanation
from modalens.summary.availability import who_has_what
from modalens.summary.cells import Table
from modalens.summary.contribution import by_baseline, by_output, contribution, in_units, parts
from modalens.summary.gradients import by_start, features, gradients
from modalens.summary.interaction import interaction, orders, pair_table, sets
from modalens.summary.others import others, reliance
from modalens.summary.scores import additive, cooperation, perceptual

__all__ = ["Table", "by_topic", "content"]


def content(explanation: Explanation) -> list[Table]:
    """All tables that the explanation has numbers for, in the order in which they are read."""
    return [table for topic in by_topic(explanation).values() for table in topic]


def by_topic(explanation: Explanation) -> dict[str, list[Table]]:
    """The tables by what they are about: contribution, gradients, interaction, reliance, what the score rests on, and other measures."""
    topics = {
        "contribution": (contribution, by_output, who_has_what, in_units, by_baseline, parts),
        "gradients": (gradients, features, by_start),
        "interaction": (interaction, orders, pair_table, sets),
        "reliance": (reliance,),
        "score": (additive, cooperation, perceptual),
        "other": (others,),
    }
    return {topic: [table for maker in makers for table in maker(explanation)] for topic, makers in topics.items()}
