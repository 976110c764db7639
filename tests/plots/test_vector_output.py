"""Every figure is saved as vectors, with its words as words, in the order in which they are drawn, whatever they are."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pictured import PICTURES, figure_of, tables

import modalens as ml
from explained import pair
from modalens import plots

PAGES = ("patient", "overview", "audit_page", "leaderboard", "planting", "usefulness")
"""They are put together from others."""

LONG = "a_name_that_goes_on_" * 12
ODD = {
    "formula": "cost $5 $x_{",
    "script": "<script>alert('&')</script>",
    "long": LONG,
    "letters": "Ψυχή сердце 心 قلب",
}


def as_svg(figure: Figure) -> ElementTree.Element:
    """The picture with its text as text, read back."""
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg")
    return ElementTree.fromstring(drawn.getvalue())


def words_of(svg: ElementTree.Element) -> list[str]:
    return ["".join(one.itertext()) for one in svg.iter("{http://www.w3.org/2000/svg}text")]


def as_pdf(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    with mpl.rc_context({"pdf.fonttype": 3}):
        figure.savefig(drawn, format="pdf")
    return drawn.getvalue()


def letters_of(pdf: bytes) -> str:
    """All strings that the pages show, in order; kerning cuts words into pieces."""
    streams = [zlib.decompress(one) for one in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)]
    pages = b"\n".join(one for one in streams if b" Tf" in one).decode("latin-1")
    shown = re.findall(r"(\[.*?\]\s*TJ|\((?:\\.|[^\\)])*\)\s*Tj)", pages, re.DOTALL)
    pieces = ["".join(re.findall(r"\(((?:\\.|[^\\)])*)\)", one)) for one in shown]
    return re.sub(r"\\(.)", r"\1", "|".join(pieces))


@pytest.mark.parametrize("name", [name for name in PICTURES if name not in PAGES])
def test_every_figure_is_saved_as_vectors(name: str) -> None:
    figure = figure_of(name)
    svg = as_svg(figure)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    said = " ".join(words_of(svg))
    assert titles
    for title in titles:
        assert title.split("\n")[0] in said
    assert as_pdf(figure).startswith(b"%PDF")


def test_words_are_kept_in_their_order() -> None:
    ax = plots.contributions_by_output(tables())
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == ["basal", "luminal", "normal"]
    drawn = words_of(as_svg(figure))
    assert [one for one in drawn if one in rows] == rows
    assert drawn.index(ax.get_xlabel()) < drawn.index("basal")
    printed = letters_of(as_pdf(figure))
    places = [printed.index(word) for word in [*rows, ax.get_title(loc="left"), *tables().modalities]]
    assert places == sorted(places)


def oddly_named() -> ml.Explanation:
    """Columns, outputs and patients with odd names."""
    random = np.random.default_rng(0)
    names = list(ODD.values())
    inputs = {"a": pd.DataFrame(random.normal(size=(4, 4)), columns=names), "b": random.normal(size=(4, 4))}
    found = ml.explain(
        lambda a, b: a.to_numpy() * b,
        inputs,
        measures=[ml.Occlusion(), ml.Interactions()],
        baseline="zeros",
        output="raw",
        task="regression",
        classes=names,
        progress=False,
    )
    return replace(found, characteristics=pd.DataFrame({"age": np.arange(4.0)}, index=names))


@pytest.mark.filterwarnings("ignore:.*Glyph.*missing from font", "ignore:Matplotlib currently does not support")
def test_odd_names_are_taken_as_they_are() -> None:
    explanation = oddly_named()
    drawn = {
        "all": [plots.contributions_by_output(explanation), plots.part_contributions(explanation, "a")],
        **{kind: [plots.waterfall(explanation, output=name)] for kind, name in ODD.items()},
    }
    figures = [(kind, ax.get_figure(root=True)) for kind, axes in drawn.items() for ax in axes]
    figures += [(kind, plots.patient(explanation, list(ODD).index(kind))) for kind in ("script", "long")]
    for kind, figure in figures:
        assert isinstance(figure, Figure)
        svg = as_svg(figure)
        assert not [one for one in svg.iter() if one.tag.endswith("script")]
        assert as_pdf(figure).startswith(b"%PDF")
        assert max(figure.get_size_inches()) < 20
        said = "".join(words_of(svg)).replace(" ", "").replace("\n", "")
        for name in ODD.values() if kind == "all" else [ODD[kind]]:
            assert name.replace(" ", "")[:9] in said


def test_names_that_are_nothing_are_no_harm() -> None:
    explanation = pair(measures=[ml.Occlusion()])
    for name in ("", " ", "\n"):
        odd = replace(explanation, characteristics=pd.DataFrame({"age": np.arange(12)}, index=[name] * 12))
        assert as_pdf(plots.patient(odd, 1)).startswith(b"%PDF")
