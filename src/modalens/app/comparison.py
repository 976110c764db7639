"""The page."""

from __future__ import annotations

import streamlit as st


def page() -> None:
    """To be written."""
    st.title("comparison")
