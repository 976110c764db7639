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
encoders: {image: backbone}       # auto, graph, whole, or the submodule that encodes a modality
batch_size: {image: 64, head: 4096}
folder: results
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modalens.datasets.files import read_csv, read_images, read_npz
from modalens.errors import InputError, listed, nearest
from modalens.measures import FusionGradient, Interactions, InterSHAP, Measure, Occlusion, Reliance, Shapley
from modalens.modalities import Image, Modality, Series, Tabular, Text, Vector, Volume

MEASURES: dict[str, type[Measure]] = {
    kind.default_name: kind for kind in (Occlusion, Shapley, InterSHAP, Interactions, Reliance, FusionGradient)
}
KINDS: dict[str, type[Modality]] = {
    "image": Image,
    "volume": Volume,
    "text": Text,
    "tabular": Tabular,
    "series": Series,
    "vector": Vector,
}


Rows = Annotated[int, Field(ge=1, strict=True)]
"""Rows a call."""


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Source(_Checked):
    """Where samples are: an array of an .npz or .npy file, columns of a .csv file, or a folder of images."""

    file: Path
    key: str | None = None
    column: str | None = None
    columns: list[str] | None = None
    pattern: str = "*.png"
    size: int | tuple[int, int] | None = None


class ModalitySource(Source):
    """A modality: where its samples are, what kind it is, how it is cut."""

    kind: Literal["image", "volume", "text", "tabular", "series", "vector"] | None = None
    parts: int | None = None
    patch: int | tuple[int, int] | None = None
    block: int | tuple[int, int, int] | None = None
    channels: Literal["first", "last"] | None = None
    window: int | None = None
    by: Literal["window", "channel"] | None = None
    names: tuple[str, ...] | None = None
    groups: dict[str, list[str | int]] | None = None
    unit: Literal["word", "sentence", "token"] | None = None
    tokenizer: Path | None = None


class StudyFile(_Checked):
    """All that a study file can say; everything but the model and the inputs has the default of `explain`."""

    model: str
    inputs: dict[str, ModalitySource]
    background: dict[str, Source] | None = None
    labels: Source | None = None
    groups: Source | None = None
    measures: str | list[str | dict[str, dict[str, Any]]] | None = None
    baseline: str | dict[str, str] | None = None
    link: Literal["softmax", "sigmoid", "identity"] | None = None
    output: Literal["probability", "logit", "log-hazard", "raw"] = "probability"
    target: str | int = "predicted"
    task: Literal["classification", "multilabel", "regression", "survival"] | None = None
    units: str | None = None
    classes: list[str] | None = None
    select: str | int | None = None
    batch_size: Rows | dict[str, Rows] | None = None
    encoders: Literal["auto", "graph", "whole"] | dict[str, str] = "auto"
    confidence: float | None = Field(default=0.95, gt=0, lt=1)
    seed: int = 0
    folder: Path = Path("modalens-results")


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """A study file read: the arguments of `explain`, and the folder for what comes out."""

    model: Any
    inputs: dict[str, Any]
    settings: dict[str, Any]
    folder: Path
    title: str


def read_study(path: str | Path) -> StudyRun:
    """Read and check a study file, and everything that it names. Paths in it are relative to it.

    Raises InputError with the file and line of what is wrong: YAML that can't be read, unknown or doubled keys,
        values of the wrong kind, missing files, models that can't be imported.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"there is no study file {source}.")
    text = source.read_text(encoding="utf-8")
    root = _composed(source, text)
    try:
        content = StudyFile.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise InputError(_described(source, root, error.errors())) from None
    with _at(source, root, ("model",)):
        model = import_model(content.model, source.parent)
    inputs: dict[str, Any] = {}
    modalities: dict[str, Modality] = {}
    for name, section in content.inputs.items():
        with _at(source, root, ("inputs", name)):
            inputs[name] = _read(section, source.parent)
            kind = _modality(section)
            modalities |= {name: kind} if kind else {}
    background: dict[str, Any] | None = None
    for name, rows in (content.background or {}).items():
        with _at(source, root, ("background", name)):
            background = (background or {}) | {name: _read(rows, source.parent)}
    for what, known in (("encoders", tuple(inputs)), ("batch_size", (*inputs, "head"))):
        _require_modalities(source, root, what, getattr(content, what), known)
    settings: dict[str, Any] = {"modalities": modalities, "background": background}
    for what in ("labels", "groups"):
        section = getattr(content, what)
        with _at(source, root, (what,)):
            settings[what] = None if section is None else _read(section, source.parent)
    with _at(source, root, ("measures",)):
        chosen = [content.measures] if isinstance(content.measures, str) else content.measures
        settings["measures"] = None if chosen is None else [_measure(one) for one in chosen]
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


def import_model(reference: str, folder: Path) -> Any:
    """The model that `file.py:name` or `package.module:name` refers to; a function without arguments is called for it.

    Raises InputError for a missing file, module or name, and for an error while importing.
    """
    where, _, name = reference.rpartition(":")
    if not where or not name:
        raise InputError(f"model: {reference!r} is no reference; write file.py:name or package.module:name.")
    module = _imported_file(folder / where) if where.endswith(".py") else _imported_module(where, folder)
    if not hasattr(module, name):
        raise InputError(
            f"model: {where} has no {name!r}{nearest(name, [one for one in vars(module) if not one.startswith('_')])}."
        )
    found = getattr(module, name)
    code = getattr(found, "__code__", None)
    return (
        found()
        if code is not None and code.co_argcount + code.co_kwonlyargcount == 0 and not code.co_flags & 0x08
        else found
    )


def _imported_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"model: there is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _imported_module(name: str, folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"model: the module {name!r} can't be imported ({error}); give a file, such as model.py:{'load'}, or install it."
        ) from error
    finally:
        sys.path.remove(str(folder))


def _read(section: Source, folder: Path) -> Any:
    path = folder / section.file
    if path.is_dir():
        return read_images(path, section.pattern, section.size)
    match path.suffix:
        case ".npz" | ".npy":
            return read_npz(path, section.key)
        case ".csv":
            if section.column is not None:
                column = read_csv(path, [section.column])[section.column]
                return column.tolist() if not pd.api.types.is_numeric_dtype(column) else column.to_numpy()
            return read_csv(path, section.columns)
    raise InputError(f"{path}: expected an .npz, .npy or .csv file, or a folder of images.")


def _require_modalities(source: Path, root: yaml.Node, what: str, given: Any, known: tuple[str, ...]) -> None:
    """Refuse names under this key that are no modality, where it holds names."""
    for name in given if isinstance(given, dict) else ():
        with _at(source, root, (what, name)):
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
    allowed = set(kind.__dataclass_fields__) - {"container"}
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


def _measure(chosen: str | Mapping[str, Mapping[str, Any]]) -> Measure:
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


# Lines: where in the file something stands ------------------------------------------------------------------------------------------


def _composed(source: Path, text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            f"{source}{f', line {mark.line + 1}' if mark else ''}: no valid YAML: {getattr(error, 'problem', error)}."
        ) from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError(
            f"{source}: expected keys such as model: and inputs:, came {'nothing' if root is None else 'something else'}."
        )
    for node in _mappings(root):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise InputError(
                    f"{source}, line {key.start_mark.line + 1}: {key.value!r} stands twice; every name once."
                )
            seen.add(key.value)
    return root


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _place(root: yaml.Node, path: tuple[Any, ...]) -> tuple[int, tuple[str, ...]]:
    """The line of the deepest place on this path that the file has, and the path so far. Steps that the file does not
    have are passed over: what a value might have been (int, dict), or a missing key.
    """
    node, line, there = root, root.start_mark.line, []
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                continue
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            continue
        there.append(str(step))
    return line + 1, tuple(there)


def _described(source: Path, root: yaml.Node, errors: Sequence[Any]) -> str:
    """All that is wrong, a line each; where a value may be of several kinds, what each of them expects."""
    told: dict[str, list[str]] = {}
    places = [_place(root, tuple(error["loc"])) for error in errors]
    for error, (line, there) in zip(errors, places, strict=True):
        inside = [deeper for _, deeper in places if len(deeper) > len(there) and deeper[: len(there)] == there]
        if inside and error["type"] != "missing":
            continue  # the value may be of another kind too, and is but for something inside it
        path = tuple(error["loc"])
        where = ".".join(there)
        if error["type"] == "extra_forbidden":
            known = _section(path).model_fields
            place, says = where, f"unknown key{nearest(str(path[-1]), known)}; known are {listed(known)}"
        elif error["type"] == "missing":
            place, says = ".".join(map(str, path)), "is missing"
        else:
            expected = error["msg"].removeprefix("Input should be ").split(", unable")[0]
            place, says = where, f"came {error['input']!r:.60}, expected {expected}"
        told.setdefault(f"{source}, line {line}: {place}", []).append(says)
    return "\n".join(
        f"{place}: {says[0]}{''.join(f' or {_last(one)}' for one in says[1:])}." for place, says in told.items()
    )


def _last(says: str) -> str:
    return says.rpartition("expected ")[2]


def _section(path: tuple[Any, ...]) -> type[BaseModel]:
    """What may stand at this depth of a study file."""
    if len(path) == 3 and path[0] == "inputs":
        return ModalitySource
    return StudyFile if len(path) == 1 else Source


class _at:
    """Errors inside are told with the file and the line of this place."""

    def __init__(self, source: Path, root: yaml.Node, path: tuple[Any, ...]) -> None:
        self.place = f"{source}, line {_place(root, path)[0]}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.place}: {error}") from error
