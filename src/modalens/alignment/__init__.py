"""Does the highlighted region show what the sentence says, and does the text matter at all? See `ml.audit`."""

from __future__ import annotations

from modalens.alignment.annotators import Annotations, read_annotations
from modalens.alignment.attainable import attainable
from modalens.alignment.attention import Attention, local_attention, phrase_map
from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.laterality import Laterality, mirror, swap_laterality
from modalens.alignment.perturbations import (
    RandomBoxes,
    RandomSentence,
    Shuffle,
    SwapLaterality,
    Template,
    TemplateOtherFinding,
)
from modalens.alignment.phantom import Phantom
from modalens.alignment.priors import CentrePrior, MeanBox, Uniform
from modalens.alignment.records import Record
from modalens.alignment.regions import Crop, Flip, Pad, Polygons, Resize, RunLengths, letterbox
from modalens.alignment.result import Audit
from modalens.alignment.run import audit
from modalens.alignment.scores import (
    auroc,
    average_precision,
    contrast_to_noise,
    divergence,
    entropy,
    pointing_game,
    side_mass,
    top_share,
    wrong_lung,
)
from modalens.alignment.sources import Given, Occluded, PatchText
from modalens.alignment.subsets import subsets

__all__ = [
    "Annotations",
    "Attention",
    "Audit",
    "CentrePrior",
    "Crop",
    "Flip",
    "Given",
    "HeatMap",
    "Laterality",
    "MeanBox",
    "Occluded",
    "Pad",
    "PatchText",
    "Phantom",
    "Polygons",
    "RandomBoxes",
    "RandomSentence",
    "Record",
    "Resize",
    "RunLengths",
    "Shuffle",
    "SwapLaterality",
    "Template",
    "TemplateOtherFinding",
    "Uniform",
    "attainable",
    "audit",
    "auroc",
    "average_precision",
    "contrast_to_noise",
    "divergence",
    "entropy",
    "letterbox",
    "local_attention",
    "mirror",
    "phrase_map",
    "pointing_game",
    "read_annotations",
    "side_mass",
    "subsets",
    "swap_laterality",
    "top_share",
    "wrong_lung",
]
