"""The papers' experiments, run again, with our numbers beside theirs: `reproduce(name, quick=False)`."""

from __future__ import annotations

from importlib import import_module

from modalens.errors import choice
from modalens.reproductions.result import Number, Reproduction, Section

PAPERS = {
    "intershap": "Wenderoth et al., Measuring Cross-Modal Interactions in Multimodal Models, AAAI 2025",
    "fusion-gradient": "Azmat and Alessio, Feature Importance Estimation Using Gradient Based Method, IEEE NSS/MIC 2022",
    "alignment": "McInerney et al., That's the Wrong Lung!, EMNLP 2022",
    "occlusion": "Gapp et al., What are You Looking at? Modality Contribution, Int J CARS 2025",
}
"""The papers that are reproduced, by name."""

__all__ = ["PAPERS", "Number", "Reproduction", "Section", "reproduce"]


def reproduce(name: str, *, quick: bool = False, progress: bool | None = None) -> Reproduction:
    """One paper's experiments: `quick` is a small version that takes a minute or two and says so; the full one takes
    from minutes to half an hour.
    """
    choice("reproduce", name, PAPERS)
    module = import_module(f"modalens.reproductions.{name.replace('-', '_')}")
    found: Reproduction = module.run(quick=quick, progress=progress)
    return found
