"""What a study file can say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

Rows = Annotated[int, Field(ge=1, strict=True)]
"""Rows a call."""


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Source(_Checked):
    """Where samples are: an array of an .npz or .npy file, columns of a .csv file, or a folder of images; or the
    `members` of a modality that has several arrays.

    `lengths` is the array of the same file that says how many rows of the array each patient has, where they differ.
    """

    members: dict[str, Source] | None = None
    file: Path | None = Field(default=None, validate_default=True)
    key: str | None = None
    lengths: str | None = None
    column: str | None = None
    columns: list[str] | None = None
    pattern: str = "*.png"
    size: int | tuple[int, int] | None = None

    @field_validator("file")
    @classmethod
    def _or_members(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is None and info.data.get("members") is None:
            raise PydanticKnownError("missing")
        return file


class ModalitySource(Source):
    """A modality: where its samples are, what kind it is, how it is cut."""

    kind: Literal["image", "volume", "text", "tabular", "series", "vector", "bag"] | None = None
    parts: int | None = None
    patch: int | tuple[int, int] | None = None
    block: int | tuple[int, int, int] | None = None
    channels: Literal["first", "last"] | None = None
    window: int | None = None
    by: str | None = None
    region: float | None = None
    names: tuple[str, ...] | None = None
    groups: dict[str, list[str | int]] | None = None
    unit: Literal["word", "sentence", "token"] | None = None
    tokenizer: Path | None = None


class CharacteristicsSource(_Checked):
    """Columns of a .csv file that say what is known of the patients, and which of its columns names them (`patient`)."""

    file: Path
    columns: list[str] | None = None
    patient: str | None = None


class Content(_Checked):
    """What a kind of study file can say."""

    @classmethod
    def section(cls, path: tuple[Any, ...]) -> type[BaseModel]:
        """What may stand at this place of the file."""
        return cls if len(path) == 1 else Source


class StudyFile(Content):
    """All that a study file can say; everything but the model and the inputs has the default of `explain`."""

    model: str
    inputs: dict[str, ModalitySource]
    background: dict[str, Source] | None = None
    labels: Source | None = None
    groups: Source | None = None
    characteristics: CharacteristicsSource | None = None
    present: dict[str, Source] | None = None
    forward: str | None = None
    collate: Literal["patient"] | dict[str, str] | None = None
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

    @classmethod
    def section(cls, path: tuple[Any, ...]) -> type[BaseModel]:
        if path[0] == "characteristics" and len(path) > 1:
            return CharacteristicsSource
        return ModalitySource if len(path) == 3 and path[0] == "inputs" else super().section(path)


class RecordsSource(_Checked):
    """Phrases with their images and regions: a file of a published format, the folder of its pictures, and `options` of its
    reader.
    """

    file: Path
    images: Path | None = None
    options: dict[str, Any] = {}


class AuditFile(Content):
    """All that a study file of an audit can say; everything but the model and the records has the default of `audit`."""

    model: str
    records: RecordsSource
    training: RecordsSource | None = None
    network: str | None = None
    resize: Rows | tuple[Rows, Rows] | None = None
    crop: tuple[Rows, Rows] | None = None
    perturbations: list[str] | None = None
    language: str = "en"
    scores: list[str] | None = None
    interpolation: Literal["bilinear", "cells"] = "bilinear"
    longest: Rows | None = 256
    batch_size: Rows = 32
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = 0
    folder: Path = Path("modalens-audit")

    @classmethod
    def section(cls, path: tuple[Any, ...]) -> type[BaseModel]:
        return cls if len(path) == 1 else RecordsSource
