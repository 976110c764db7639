"""The files of the folder, opened once for all visitors, and again when they change."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from modalens.alignment import Audit
from modalens.explanation import Explanation, load
from modalens.validation.leaderboard import Leaderboard


def explanation(path: Path) -> Explanation:
    """An explanation; its samples stay in the file until a patient is looked at."""
    return _explanation(path, path.stat().st_mtime_ns)


def audit(path: Path) -> Audit:
    """An audit, with its pictures where they were saved."""
    return _audit(path, path.stat().st_mtime_ns)


def leaderboard(path: Path) -> Leaderboard:
    """A leaderboard."""
    return _leaderboard(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=8, show_spinner="Opening…")
def _explanation(path: Path, changed: int) -> Explanation:
    return load(path, lazy=True)


@st.cache_resource(max_entries=8, show_spinner="Opening…")
def _audit(path: Path, changed: int) -> Audit:
    return Audit.load(path)


@st.cache_resource(max_entries=8, show_spinner="Opening…")
def _leaderboard(path: Path, changed: int) -> Leaderboard:
    return Leaderboard.load(path)
