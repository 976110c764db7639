"""The only code that runs a model on masked inputs: what stands in, the merged plan, and its execution."""

from modalens.evaluation.plan import Evaluation, Plan, merge
from modalens.evaluation.run import Table, check_rows, run, run_present, store
from modalens.evaluation.standins import StandIns

__all__ = ["Evaluation", "Plan", "StandIns", "Table", "check_rows", "merge", "run", "run_present", "store"]
