"""Study files: a YAML file that says which model, which data, which modalities and which measures; read, checked, and
turned into arguments of `explain`.

model: network.py:load            # a file or a module, and a model in it, or a function without arguments that returns one
inputs:
  image: {file: test.npz, key: image, kind: image, patch: 4}
  clinical: {file: test.csv, columns: [age, creatinine]}
background:
  image: {file: train.npz, key: image}
  clinical: {file: train.csv, columns: [age, creatinine]}
link: softmax
measures: [occlusion, shapley, intershap, fusion_gradient]
present: {image: {file: test.csv, column: has_image}}   # where patients lack a modality
encoders: {image: backbone}       # auto, graph, whole, or the submodule that encodes a modality
batch_size: {image: 64, head: 4096}
folder: results
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from modalens.datasets.files import read_csv, read_images, read_npz
from modalens.errors import InputError, listed, nearest
from modalens.measures import (
    EMAP,
    LIME,
    MMSHAP,
    SHAPE,
    FusionGradient,
    Interactions,
    InterSHAP,
    Measure,
    Occlusion,
    PartShapley,
    PerceptualScore,
    Reliance,
    Shapley,
)
from modalens.modalities import Bag, Image, Modality, Series, Tabular, Text, Vector, Volume
from modalens.studyfile.content import Content, ModalitySource, Source, StudyFile
from modalens.studyfile.importing import import_model, imported
from modalens.studyfile.places import at, composed, described

MEASURES: dict[str, type[Measure]] = {
    kind.default_name: kind
    for kind in (
        Occlusion,
        Shapley,
        InterSHAP,
        Interactions,
        Reliance,
        FusionGradient,
        EMAP,
        SHAPE,
        PerceptualScore,
        LIME,
        MMSHAP,
        PartShapley,
    )
}
KINDS: dict[str, type[Modality]] = {
    "image": Image,
    "volume": Volume,
    "text": Text,
    "tabular": Tabular,
    "series": Series,
    "vector": Vector,
    "bag": Bag,
}


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """A study file read: the arguments of `explain`, and the folder for what comes out."""

    model: Any
    inputs: dict[str, Any]
    settings: dict[str, Any]
    folder: Path
    title: str


Kind = TypeVar("Kind", bound=Content)


def checked(path: str | Path, kind: type[Kind]) -> tuple[Path, yaml.Node, Kind]:
    """A study file of a kind: its path, its lines, and what it says. Raises InputError with the file and line of what is wrong."""
    source = Path(path)
    if not source.is_file():
        raise InputError(f"there is no study file {source}.")
    try:
        text = source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is no text file, so no study file: expected YAML with keys such as model: and inputs:."
        ) from error
    root = composed(source, text)
    try:
        return source, root, kind.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise InputError(described(source, root, error.errors(), kind)) from None


def read_study(path: str | Path) -> StudyRun:
    """Read and check a study file, and everything that it names. Paths in it are relative to it.

    Raises InputError with the file and line of what is wrong: YAML that can't be read, unknown or doubled keys,
        values of the wrong kind, missing files, models that can't be imported.
    """
    source, root, content = checked(path, StudyFile)
    with at(source, root, ("model",)):
        model = import_model(content.model, source.parent)
    inputs: dict[str, Any] = {}
    modalities: dict[str, Modality] = {}
    for name, section in content.inputs.items():
        with at(source, root, ("inputs", name)):
            inputs[name] = _read(section, source.parent)
            kind = _modality(section)
            modalities |= {name: kind} if kind else {}
    background: dict[str, Any] | None = None
    for name, rows in (content.background or {}).items():
        with at(source, root, ("background", name)):
            background = (background or {}) | {name: _read(rows, source.parent)}
    for what, known in (
        ("present", tuple(inputs)),
        ("collate", tuple(inputs)),
        ("encoders", tuple(inputs)),
        ("batch_size", (*inputs, "head")),
    ):
        _require_modalities(source, root, what, getattr(content, what), known)
    settings: dict[str, Any] = {"modalities": modalities, "background": background}
    settings["present"] = None if content.present is None else {}
    for name, who in (content.present or {}).items():
        with at(source, root, ("present", name)):
            settings["present"][name] = _truths(_read(who, source.parent))
    with at(source, root, ("forward",)):
        settings["forward"] = None if content.forward is None else imported(content.forward, source.parent)
    settings["collate"] = content.collate
    if isinstance(content.collate, dict):
        settings["collate"] = {}
        for name, reference in content.collate.items():
            with at(source, root, ("collate", name)):
                settings["collate"][name] = imported(reference, source.parent)
    for what in ("labels", "groups"):
        section = getattr(content, what)
        with at(source, root, (what,)):
            settings[what] = None if section is None else _read(section, source.parent)
    with at(source, root, ("characteristics",)):
        about = content.characteristics
        settings["characteristics"] = (
            None if about is None else read_csv(source.parent / about.file, about.columns, about.patient)
        )
    with at(source, root, ("measures",)):
        chosen = [content.measures] if isinstance(content.measures, str) else content.measures
        settings["measures"] = None if chosen is None else [measure_of(one) for one in chosen]
    settings |= {
        name: getattr(content, name)
        for name in (
            "baseline",
            "link",
            "output",
            "target",
            "task",
            "units",
            "classes",
            "select",
            "batch_size",
            "encoders",
            "confidence",
            "seed",
        )
    }
    return StudyRun(
        model=model, inputs=inputs, settings=settings, folder=source.parent / content.folder, title=source.stem
    )


def _read(section: Source, folder: Path) -> Any:
    if section.file is None:
        return {name: _read(one, folder) for name, one in (section.members or {}).items()}
    path = folder / section.file
    if path.is_dir():
        return read_images(path, section.pattern, section.size)
    match path.suffix:
        case ".npz" | ".npy":
            array = read_npz(path, section.key)
            return (
                array
                if section.lengths is None
                else _by_patient(array, read_npz(path, section.lengths), section.lengths)
            )
        case ".csv":
            if section.column is not None:
                column = read_csv(path, [section.column])[section.column]
                return column.tolist() if not pd.api.types.is_numeric_dtype(column) else column.to_numpy()
            return read_csv(path, section.columns)
    raise InputError(f"{path}: expected an .npz, .npy or .csv file, or a folder of images.")


def _by_patient(rows: np.ndarray, lengths: np.ndarray, key: str) -> list[np.ndarray]:
    """Rows of all patients, one after another, as a list with each patient's own."""
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or lengths.sum() != len(rows) or (lengths < 0).any():
        raise InputError(
            f"lengths: {key!r} of shape {lengths.shape} and type {lengths.dtype} adds up to {lengths.sum()}, and there are {len(rows)} rows; "
            "give a whole number for each patient: how many rows are theirs."
        )
    return np.split(rows, np.cumsum(lengths)[:-1])


def _truths(values: Any) -> np.ndarray:
    """Whether each patient has a modality, from 0 and 1 or False and True."""
    found = np.asarray(values)
    if not np.isin(found, (0, 1)).all():
        raise InputError(f"expected 0 or 1 (False or True) for each patient, came {found.ravel()[:3].tolist()}...")
    return found.astype(bool)


def _require_modalities(source: Path, root: yaml.Node, what: str, given: Any, known: tuple[str, ...]) -> None:
    """Refuse names under this key that are no modality, where it holds names."""
    for name in given if isinstance(given, dict) else ():
        with at(source, root, (what, name)):
            if name not in known:
                raise InputError(f"{what}.{name} is not known{nearest(name, known)}: expected {listed(known)}.")


def _modality(section: ModalitySource) -> Modality | None:
    """The modality of a section; None where its kind is left to be inferred."""
    source_keys = set(Source.model_fields) | {"kind"}
    given = {
        name: value for name, value in section.model_dump().items() if name not in source_keys and value is not None
    }
    if section.kind is None:
        if given:
            raise InputError(f"{listed(given)} say how to cut, and kind= is missing: one of {listed(KINDS)}.")
        return None
    kind = KINDS[section.kind]
    allowed = set(kind.__dataclass_fields__) & (set(ModalitySource.model_fields) - source_keys)
    if set(given) - allowed:
        raise InputError(
            f"kind {section.kind!r} does not take {listed(sorted(set(given) - allowed))}; it takes {listed(sorted(allowed))}."
        )
    if "tokenizer" in given:
        given["tokenizer"] = _tokenizer(given["tokenizer"])
    return kind(**given)


def _tokenizer(folder: Path) -> Any:
    try:
        from transformers import AutoTokenizer
    except ModuleNotFoundError as error:
        raise InputError("tokenizer: needs the package transformers: pip install 'modalens[text]'.") from error
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"tokenizer: {folder} holds no tokenizer that transformers can load: {error}.") from error


def measure_of(chosen: str | Mapping[str, Mapping[str, Any]]) -> Measure:
    """The measure of this name, with settings where they are given. Raises InputError for an unknown name or setting."""
    name, options = (chosen, {}) if isinstance(chosen, str) else next(iter(chosen.items()))
    if name not in MEASURES or (not isinstance(chosen, str) and len(chosen) != 1):
        raise InputError(
            f"measures: {name!r} is not known{nearest(name, MEASURES)}: give names out of {listed(MEASURES)}, or name: {{setting: value}}."
        )
    try:
        return MEASURES[name](**options)
    except TypeError as error:
        fields = sorted(set(MEASURES[name].__dataclass_fields__))
        raise InputError(
            f"measures: {name} takes the settings {listed(fields)}, and came {listed(options)}."
        ) from error
