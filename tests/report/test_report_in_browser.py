"""The report in a real browser without a network: it loads and runs nothing, can be read on a phone, used with a keyboard and printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modalens as ml
from browsing import ARTEFACTS, kept
from explained import lesion

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evil = "<script>document.title = 'owned'</script><img src=https://example.org/x onerror=\"document.title='owned'\">"
    return ml.load(lesion().save(tmp_path_factory.mktemp("page") / "found.nc", inputs=True)).report(
        tmp_path_factory.mktemp("page") / "report.html", preface=evil, notes=[evil]
    )


def opened(chromium: Any, file: Path, width: int) -> tuple[Any, list[str], list[str]]:
    """The page at this width, what was asked for, and what the console said."""
    context = chromium.new_context(offline=True, viewport={"width": width, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.resolve().as_uri())
    return page, asked, said


@pytest.mark.parametrize("width", [1200, 400])
def test_it_loads_and_runs_nothing_and_fits(chromium: Any, report_file: Path, width: int) -> None:
    page, asked, said = opened(chromium, report_file, width)
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    assert said == []
    assert page.title() == "What “model” looks at"
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    kept(page, f"report-{width}", full_page=True)
    page.context.close()


def test_a_keyboard_skips_to_the_content_and_the_focus_is_seen(chromium: Any, report_file: Path) -> None:
    page, _, _ = opened(chromium, report_file, 1200)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    names = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => one.innerText)")
    assert "What this cannot show" in names
    page.context.close()


def test_it_prints_on_paper(chromium: Any, report_file: Path) -> None:
    """No figure is higher or wider than the page, and rows of tables stay whole."""
    page, _, _ = opened(chromium, report_file, 1200)
    printed = page.pdf(format="A4", prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    (ARTEFACTS / "report.pdf").write_bytes(printed)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 672, "height": 1000})
    sizes = page.evaluate(
        "[...document.images].map(one => [one.getBoundingClientRect().width, one.getBoundingClientRect().height])"
    )
    assert sizes
    assert all(width <= 672 and height <= 1000 for width, height in sizes)
    kept_whole = page.evaluate(
        "[...document.querySelectorAll('figure, tr')].every(one => getComputedStyle(one).breakInside === 'avoid')"
    )
    assert kept_whole
    assert page.evaluate("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"
    assert page.evaluate("getComputedStyle(document.querySelector('.skip')).display") == "none"
    page.context.close()
