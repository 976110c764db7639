"""Study files of an audit: which model, which phrases and regions, what is changed and what is scored.

model: network.py:heat_maps       # (images, phrases) -> a heat map for each pair; or a function without arguments that returns one
network: network.py:network       # the torch module in it, to be tried with random weights
records: {file: test.jsonl, images: pictures}    # MS-CXR, Chest ImaGenome, CheXlocalize, VinDr-CXR, PadChest-GR, NIH boxes, COCO, JSONL
training: {file: train.jsonl, images: pictures}  # for the mean-box baseline
resize: 256                       # the shorter side, or [height, width]; regions follow
crop: [224, 224]                  # from the middle
perturbations: [swap left/right, random sentence]
language: en
folder: results
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalens.alignment.laterality import laterality_of
from modalens.alignment.perturbations import perturbation_of, standard
from modalens.alignment.readers import read_records
from modalens.alignment.records import Record
from modalens.alignment.regions import Crop, Resize, Step
from modalens.alignment.scoring import scores_of
from modalens.alignment.sources import Highlighter, highlighter_of
from modalens.errors import InputError
from modalens.findings import Findings
from modalens.studyfile import checked
from modalens.studyfile.content import AuditFile, RecordsSource
from modalens.studyfile.importing import import_model
from modalens.studyfile.places import at


@dataclass(frozen=True, kw_only=True)
class AuditRun:
    """A study file read: the arguments of `audit`, and the folder for what comes out."""

    model: Any
    records: list[Record]
    settings: dict[str, Any]
    folder: Path


def read_audit(path: str | Path) -> AuditRun:
    """Read and check a study file of an audit, and everything that it names. Paths in it are relative to it.

    Raises InputError with the file and line of what is wrong.
    """
    source, root, content = checked(path, AuditFile)
    files: dict[Path, Any] = {}
    with at(source, root, ("model",)):
        model = import_model(content.model, source.parent, files)
    with at(source, root, ("network",)):
        network = None if content.network is None else import_model(content.network, source.parent, files)
    steps = _steps(content)
    with at(source, root, ("records",)):
        records = _read(content.records, source.parent, steps)
    with at(source, root, ("training",)):
        training = None if content.training is None else _read(content.training, source.parent, steps)
    with at(source, root, ("crop",)):
        for record in [*records, *(training or [])] if content.crop is not None else []:
            _ = record.size
    with at(source, root, ("scores",)):
        scores_of(content.scores)
    with at(source, root, ("language",)):
        laterality_of(content.language)
    with at(source, root, ("perturbations",)):
        perturbations = (
            standard(content.language)
            if content.perturbations is None
            else tuple(perturbation_of(one, content.language) for one in content.perturbations)
        )
    settings: dict[str, Any] = {"network": network, "training": training, "perturbations": perturbations}
    settings |= {
        name: getattr(content, name)
        for name in ("scores", "interpolation", "longest", "batch_size", "confidence", "seed")
    }
    return AuditRun(model=model, records=records, settings=settings, folder=source.parent / content.folder)


def models_of(studies: Sequence[Path], found: Findings) -> dict[str, Highlighter]:
    """The models of study files, by the names of their audits in a folder.

    Raises InputError for a study whose audit is not there.
    """
    models: dict[str, Highlighter] = {}
    for study in studies:
        run = read_audit(study)
        names = [name for name, path in found.audits.items() if path.parent.resolve() == run.folder.resolve()]
        if not names:
            raise InputError(
                f"{study} writes its audit to {run.folder}, and there is none in {found.folder}; run modalens audit {study} first, and open a folder that holds {run.folder}."
            )
        models |= dict.fromkeys(names, highlighter_of(run.model))
    return models


def _steps(content: AuditFile) -> list[Step]:
    """What is done to every image before the model sees it."""
    steps: list[Step] = []
    if content.resize is not None:
        steps.append(Resize(to=content.resize))
    if content.crop is not None:
        steps.append(Crop(height=content.crop[0], width=content.crop[1]))
    return steps


def _read(section: RecordsSource, folder: Path, steps: list[Step]) -> list[Record]:
    images = None if section.images is None else folder / section.images
    try:
        records = read_records(folder / section.file, images, **section.options)
    except TypeError as error:
        raise InputError(f"options: {error}.") from error
    return [record.through(*steps) for record in records]
