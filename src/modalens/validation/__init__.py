"""Can the measure itself be trusted? Problems whose answer is known, scores against it, and a leaderboard of measures."""

from modalens.validation.agreement import agreement
from modalens.validation.curves import Curves, modality_curves
from modalens.validation.faithfulness import deletion, faithful_scores, game
from modalens.validation.known import KnownProblem
from modalens.validation.leaderboard import Leaderboard
from modalens.validation.learning import Learned, learn
from modalens.validation.manifold import off_manifold
from modalens.validation.pid import PID, pid
from modalens.validation.problems import problem, problems
from modalens.validation.randomisation import Randomised, randomised
from modalens.validation.rankings import above_chance, rbo, rbo_chance, tau, top_one
from modalens.validation.run import LITTLE, QUICK, SUITE, quick_leaderboard, validate
from modalens.validation.truths import ESTIMANDS, Truth

__all__ = [
    "ESTIMANDS",
    "LITTLE",
    "PID",
    "QUICK",
    "SUITE",
    "Curves",
    "KnownProblem",
    "Leaderboard",
    "Learned",
    "Randomised",
    "Truth",
    "above_chance",
    "agreement",
    "deletion",
    "faithful_scores",
    "game",
    "learn",
    "modality_curves",
    "off_manifold",
    "pid",
    "problem",
    "problems",
    "quick_leaderboard",
    "randomised",
    "rbo",
    "rbo_chance",
    "tau",
    "top_one",
    "validate",
]
