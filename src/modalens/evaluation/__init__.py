"""The only code that runs a model on masked inputs: what stands in, the merged plan, and its execution."""

from modalens.evaluation.checks import check_rows
from modalens.evaluation.plan import Evaluation, Plan, merge
from modalens.evaluation.run import run
from modalens.evaluation.standins import StandIns
from modalens.evaluation.table import Table

__all__ = ["Evaluation", "Plan", "StandIns", "Table", "check_rows", "merge", "run"]
