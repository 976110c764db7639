"""What stands side by side where the window is wide enough, and one below the other where it is not."""

from __future__ import annotations

from typing import Any

import streamlit as st

WIDTH = 445
"""Pixels of each: two of them fit beside the menu in a window of 1,400."""


def beside(count: int) -> list[Any]:
    """Containers side by side."""
    with st.container(horizontal=True, gap="medium"):
        return [st.container(width=WIDTH) for _ in range(count)]
