"""The files of the folder, opened once for all visitors, and again when they change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import streamlit as st

from modalens import cohort
from modalens.alignment import Audit
from modalens.errors import InputError
from modalens.explanation import Explanation, load
from modalens.validation.leaderboard import Leaderboard


def changed(path: Path) -> int:
    """The time of a file, by which what was read of it is kept. Raises InputError where the file is gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(
            f"{path} can't be read any more: {error.strerror}. Bring it back, or start the app again on what is there now."
        ) from error


def explanation(path: Path) -> Explanation:
    """An explanation; its samples stay in the file until a patient is looked at."""
    return _explanation(path, changed(path))


def provenance(path: Path) -> Mapping[str, Any]:
    """How an explanation came about, without opening the rest of it."""
    return _provenance(path, changed(path))


def patients(path: Path) -> pd.DataFrame:
    """The explained patients, a row each: see `modalens.cohort.patients`. Not to be changed: all visitors share it."""
    return _patients(path, changed(path))


def chosen(path: Path) -> tuple[cohort.Chosen, ...]:
    """The patients to look at first."""
    return _chosen(path, changed(path))


def audit(path: Path) -> Audit:
    """An audit, with its pictures where they were saved."""
    return _audit(path, changed(path))


def leaderboard(path: Path) -> Leaderboard:
    """A leaderboard."""
    return _leaderboard(path, changed(path))


@st.cache_resource(max_entries=8, show_spinner="Opening…")
def _explanation(path: Path, changed: int) -> Explanation:
    return load(path, lazy=True)


@st.cache_resource(max_entries=64, show_spinner=False)
def _provenance(path: Path, changed: int) -> Mapping[str, Any]:
    with h5py.File(path, "r") as file:
        found: Mapping[str, Any] = json.loads(file.attrs["provenance"])
        return found


@st.cache_resource(max_entries=8, show_spinner="Reading patients…")
def _patients(path: Path, changed: int) -> pd.DataFrame:
    return cohort.patients(_explanation(path, changed))


@st.cache_resource(max_entries=8, show_spinner="Choosing patients…")
def _chosen(path: Path, changed: int) -> tuple[cohort.Chosen, ...]:
    return cohort.chosen(_explanation(path, changed))


@st.cache_resource(max_entries=8, show_spinner="Opening…")
def _audit(path: Path, changed: int) -> Audit:
    return Audit.load(path)


@st.cache_resource(max_entries=8, show_spinner="Opening…")
def _leaderboard(path: Path, changed: int) -> Leaderboard:
    return Leaderboard.load(path)
