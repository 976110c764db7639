"""Figures on a page: drawn once by an explanation's file, its time and what is asked, and kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import matplotlib as mpl
import streamlit as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens import plots
from modalens.app import opened

drawing = Lock()
"""One visitor's figure at a time: matplotlib's settings are those of the whole process."""


def figure_of(path: Path, figure: str, alt: str, **settings: Any) -> None:
    """A figure of `modalens.plots` of the explanation in a file, across its column. alt: what it shows, for those who can't see it."""
    picture(_of_explanation(path, opened.changed(path), figure, settings), alt)


def picture(svg: str, alt: str) -> None:
    """A drawing across its column. As an image it can't run or load anything."""
    st.image(svg, alt=alt, width="stretch")


def svg_of(draw: Callable[[], Figure | Axes]) -> str:
    """What is drawn, as an image that is sharp at every size."""
    image = io.StringIO()
    with drawing, mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "modalens"}):
        drawn = draw()
        figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
        assert isinstance(figure, Figure)
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    return image.getvalue()


@st.cache_data(max_entries=256, show_spinner="Drawing…")
def _of_explanation(path: Path, changed: int, figure: str, settings: Mapping[str, Any]) -> str:
    return svg_of(partial(getattr(plots, figure), opened.explanation(path), **settings))
