"""Can the measure itself be trusted? Problems whose answer is known, and scores of rankings against it."""

from modalens.validation.problems import KnownProblem, problem, problems
from modalens.validation.rankings import above_chance, rbo, rbo_chance, tau, top_one
from modalens.validation.truths import ESTIMANDS, Truth

__all__ = [
    "ESTIMANDS",
    "KnownProblem",
    "Truth",
    "above_chance",
    "problem",
    "problems",
    "rbo",
    "rbo_chance",
    "tau",
    "top_one",
]
