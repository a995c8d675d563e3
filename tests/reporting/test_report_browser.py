"""A browser shows and prints a report without any request, and axe finds nothing wrong."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.edits import Target
from app.reporting import make_report, write_report
from app.video import Media
from testmedia.clip import Clip
from tests.reporting.reports import HIDDEN, opened, two_people

NOTE = "<script>document.title = 'run'</script> asked on Monday"


@pytest.fixture(scope="module")
def report(clip: Callable[[str], Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    calm = clip("calm")
    editor = opened(two_people(calm), folder)
    editor.edit("note", Target("card", HIDDEN), NOTE, "Ann")
    editor.edit("split", Target("track", 0), {"frame": 30}, "Ann")
    editor.undo("Bob")
    for number in (0, 1):
        editor.edit("decide", Target("track", number), "keep", "Ann")
    write_report(make_report(editor, Media(calm.path), Settings()), folder / "report.html")
    return folder / "report.html"


def opened_page(browser: Any, report: Path, **options: Any) -> tuple[Any, list[str]]:
    """Open the report; return the page, and all that it asks for or complains about."""
    noticed: list[str] = []
    page = browser.new_page(**options)
    page.on("request", lambda request: noticed.append(request.url))
    page.on("console", lambda message: noticed.append(message.text))
    page.on("pageerror", lambda error: noticed.append(str(error)))
    page.goto(report.as_uri())
    return page, [one for one in noticed if not one.startswith("data:image/jpeg")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
def test_it_loads_nothing_and_axe_finds_nothing(
    scheme: str, width: int, browser: Any, report: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    size = {"width": width, "height": 800}
    page, noticed = opened_page(browser, report, viewport=size, color_scheme=scheme)
    assert noticed == [report.as_uri()]
    assert page.title() == "Hidden faces: calm.mp4"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
    assert page.evaluate(shown)
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 10
    assert [one["id"] for one in found["violations"]] == []
    page.close()


def test_it_prints_with_everything_that_an_auditor_needs(
    browser: Any, report: Path, clip: Callable[[str], Clip]
) -> None:
    page, noticed = opened_page(browser, report, color_scheme="dark")
    page.emulate_media(media="print")
    text = " ".join(page.inner_text("body").split())
    digest = hashlib.sha256(clip("calm").path.read_bytes()).hexdigest()
    for part in (digest, "b" * 64, HIDDEN, "Person 1", "0:00.0 to 0:02.0", "visible", NOTE):
        assert part in text, part
    assert "Review required" in text
    assert not page.is_visible("nav")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (ink, paper) == ("rgb(27, 31, 36)", "rgb(255, 255, 255)")
    printed = page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert b"/MediaBox [0 0 59" in printed
    assert noticed == [report.as_uri()]
    page.close()
