"""Narrowing leaves those who meet what is asked, and counts those of whom it is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from modalens.app.narrowing import FROM, NOT_KNOWN, ONLY, TO, Narrowing, narrowing_of, options_of, range_of, texts
from modalens.cohort.divisions import exact
from modalens.spreadsheet import as_csv, unguarded

TABLE = pd.DataFrame(
    {
        "patient": ["P0", "P1", "P2", "P3"],
        "correct": [True, False, True, False],
        "site": ["A", None, "B", "A"],
        "age": [30.0, 40.0, np.nan, 60.0],
    }
)


def test_all_that_is_asked_must_be_met() -> None:
    assert Narrowing(only={"correct": ("right",)}).of(TABLE).table.index.to_list() == [0, 2]
    assert Narrowing(only={"correct": ("right",)}, least={"age": 30}).of(TABLE).table.index.to_list() == [0]
    assert Narrowing(least={"age": 40}, most={"age": 60}).of(TABLE).table.index.to_list() == [1, 3]
    assert Narrowing(only={"weight": ("A",)}, least={"weight": 1.0}).of(TABLE).table.index.to_list() == [0, 1, 2, 3]


def test_nobody_is_dropped_in_silence() -> None:
    assert Narrowing(only={"site": ("A",)}, most={"age": 50}).of(TABLE).unknown == {"site": 1, "age": 1}
    asked = Narrowing(only={"site": (NOT_KNOWN, "B")}).of(TABLE)
    assert (asked.table.index.to_list(), asked.unknown) == ([1, 2], {})
    assert not Narrowing().of(TABLE).unknown


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(np.nan)), min_size=1, max_size=30),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
)
def test_a_range_is_that_of_a_plain_loop_and_the_rest_is_counted(
    values: list[float | None], low: float, high: float
) -> None:
    column = pd.DataFrame({"x": pd.array(values, dtype=float)})
    found = Narrowing(least={"x": low}, most={"x": high}).of(column)
    known = [value for value in values if value is not None and not np.isnan(value)]
    assert found.table["x"].to_list() == [value for value in known if low <= value <= high]
    assert found.unknown.get("x", 0) == len(values) - len(known)


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=20))
def test_the_whole_range_leaves_everybody(values: list[float]) -> None:
    found = range_of(pd.Series(values))
    if found is None:
        assert min(values) == max(values)
        return
    low, high, step = found
    assert low <= min(values)
    assert max(values) <= high
    assert (high - low) / step < 520


@given(st.lists(st.sampled_from(["A", "<b>", "a=b&c"]), min_size=1, max_size=3, unique=True), st.floats(-5, 5))
def test_an_address_says_what_is_asked(wanted: list[str], bound: float) -> None:
    found = narrowing_of(
        {f"{ONLY}only.site": wanted, f"{FROM}age": [repr(bound)], f"{TO}age": ["no number"], "patient": ["3"]}
    )
    assert found == Narrowing(only={"only.site": tuple(wanted)}, least={"age": bound}, most={})
    assert not narrowing_of({f"{FROM}age": ["nan"], f"{TO}age": ["inf"]}).words()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_in_words_is_the_bound(bound: float) -> None:
    asked = narrowing_of({f"{FROM}x": [exact(bound)], f"{TO}x": [exact(bound)]})
    assert asked == Narrowing(least={"x": bound}, most={"x": bound})
    assert asked.words() == [f"x: from {exact(bound)} to {exact(bound)}"]


SIDEBAR = """
import pandas as pd
from modalens.app import filters

filters.sidebar(pd.DataFrame({"visit": [20231101.0, 20231103.0, 20231115.0, 20231120.0]}))
"""


def test_a_slider_asks_for_the_bound_that_it_shows() -> None:
    page = AppTest.from_string(SIDEBAR, default_timeout=60).run()
    page.slider[0].set_range(20231103.0, 20231115.0).run()
    asked = narrowing_of({name: [str(value)] for name, value in page.query_params.items()})
    assert asked == Narrowing(least={"visit": 20231103.0}, most={"visit": 20231115.0})
    assert page.slider[0].value == (20231103.0, 20231115.0)
    assert asked.words() == ["visit: from 20231103 to 20231115"]


def test_texts_are_words_and_too_many_are_not_chosen_from() -> None:
    assert texts(TABLE["correct"]).to_list() == ["right", "wrong", "right", "wrong"]
    assert texts(TABLE["correct"].rename("smoker")).to_list() == ["yes", "no", "yes", "no"]
    assert options_of(TABLE["site"]) == ["A", "B", NOT_KNOWN]
    assert options_of(pd.Series(map(str, range(51)))) is None
    assert options_of(pd.Series(["A", "A"])) is None


@given(st.text(max_size=8))
def test_a_table_taken_home_holds_no_formula(text: str) -> None:
    cell = as_csv(pd.DataFrame({"x": [text], "y": [-1.5]})).partition("\n")[2].removeprefix('"')
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
    assert as_csv(pd.DataFrame({"=x": [-1.5]})) == "'=x\n-1.5\n"
    guarded = as_csv(pd.DataFrame({"x": [f"={text}"]}))
    assert guarded.startswith(("x\n'=", "x\n\"'="))
    assert unguarded("'=1") == "=1"
