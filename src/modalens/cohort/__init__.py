"""What is known of the explained patients beside the measures: who they are, how well they are predicted, and who stands out.

Pure arithmetic on an explanation: no model runs. Each question has its function.

    from modalens import cohort

    cohort.patients(explanation)      # a row a patient
    cohort.chosen(explanation)        # the patients to look at first
    cohort.flow(explanation)          # who is in the data, and with what
    cohort.performance(explanation)   # how well they are predicted
    cohort.calibration(explanation)   # whether predicted probabilities are what is observed
    cohort.subgroups(explanation)     # whether the answer differs by age, sex, site, or where the model errs
"""

from modalens.cohort.calibration import TOP, calibration
from modalens.cohort.chosen import Chosen, chosen
from modalens.cohort.flow import Flow, flow
from modalens.cohort.patients import patients
from modalens.cohort.performance import performance
from modalens.cohort.subgroups import ALPHA, Subgroups, subgroups

__all__ = [
    "ALPHA",
    "TOP",
    "Chosen",
    "Flow",
    "Subgroups",
    "calibration",
    "chosen",
    "flow",
    "patients",
    "performance",
    "subgroups",
]
