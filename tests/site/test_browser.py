"""The rendered site in a real browser: whole, quiet, readable at two widths, and searchable."""

import functools
import http.server
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from stage import ROOT

SCREENSHOTS = ROOT / "_build" / "screenshots"
WIDTHS = (390, 1400)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SHOWN = (
    "index",
    "README",
    "benchmarks/RESULTS",
    "docs/how-to/cloud-free-composite",
    "docs/reference/api/geotoolz.indices",
    "notebooks/05_patching_grids",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# rules about what a page shows; the theme's own landmarks are its authors' business
RULES = ["color-contrast", "image-alt", "link-name", "document-title", "html-has-lang", "list"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def address(rendered):
    handler = functools.partial(_Silent, directory=str(rendered))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(address):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    page = browser.new_page(
        viewport={"width": 1400, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page.troubles = []
    page.on("console", lambda m: m.type == "error" and page.troubles.append(m.text))
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    # A request that the browser drops because the next page is already asked for did not fail.
    page.on(
        "requestfailed",
        lambda request: (
            "ERR_ABORTED" not in (request.failure or "")
            and page.troubles.append(f"failed: {request.url}")
        ),
    )
    page.on(
        "request",
        lambda request: (
            urlsplit(request.url).hostname not in ("127.0.0.1", None)
            and page.troubles.append(f"another host: {request.url}")
        ),
    )
    yield page
    page.close()


def addresses(rendered: Path) -> list[str]:
    """Every page to read; of the many alike API pages every sixteenth."""
    found = sorted(str(path.relative_to(rendered)) for path in rendered.rglob("*.html"))
    found = [name for name in found if not name.startswith(("_static", "_downloads"))]
    reference = [name for name in found if "/api/" in name]
    return [name for name in found if name not in reference] + reference[::16]


def test_every_page_is_whole_and_quiet(rendered, address, page):
    wrong = {}
    for name in addresses(rendered):
        page.troubles.clear()
        page.goto(f"{address}/{name}", wait_until="load")
        page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        broken = page.evaluate(
            "Promise.all([...document.images].map(i => i.decode().then(() => null, () => i.src)))"
            ".then(found => found.filter(Boolean))"
        )
        if page.troubles or broken:
            wrong[name] = [*page.troubles, *broken]
    assert wrong == {}


def test_no_page_scrolls_sideways(rendered, address, page):
    wrong = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for name in addresses(rendered):
            page.goto(f"{address}/{name}", wait_until="load")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                wrong.append(f"{name} is {wide} pixels wide at {width}")
    assert wrong == []


def test_contrast_and_alternative_texts(rendered, address, page):
    from axe_core_python.sync_playwright import Axe

    wrong = {}
    for name in addresses(rendered):
        page.goto(f"{address}/{name}", wait_until="load")
        result = Axe().run(page, options={"runOnly": {"type": "rule", "values": RULES}})
        for violation in result["violations"]:
            for node in violation["nodes"][:3]:
                wrong.setdefault(name, []).append(f"{violation['id']}: {node['html'][:120]}")
    assert wrong == {}


def test_navigation_leads_from_page_to_page(address, page):
    page.goto(f"{address}/README.html")
    page.locator(".bd-sidebar-primary a", has_text="The four axes of patching").click()
    page.wait_for_url("**/four-axes.html")
    assert page.locator(".bd-article h1").inner_text().startswith("The four axes")
    page.locator("a.right-next").click()
    page.wait_for_load_state("load")
    assert "four-axes" not in page.url


@pytest.mark.parametrize("name", ["MaskFromSCL", "write_cog"])
def test_search_puts_the_public_name_first(address, page, name):
    page.goto(f"{address}/search.html?q={name}")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    first = page.locator("#search-results li").first
    assert f"geotoolz.{name}" in first.inner_text()
    assert f"#geotoolz.{name}" in first.locator("a").first.get_attribute("href")


def test_a_phone_shows_names_whole_and_pages_short(rendered, address, page):
    """No word of a table is broken, a wide table scrolls in its box, pages have an end."""
    page.set_viewport_size({"width": 390, "height": 900})
    tall = {}
    for name in addresses(rendered):
        page.goto(f"{address}/{name}", wait_until="load")
        broken = page.evaluate(
            "[...document.querySelectorAll('.bd-article td .pre, .bd-article th .pre')]"
            ".filter(e => e.getClientRects().length > 1).map(e => e.textContent)"
        )
        assert broken == [], name
        tall[name] = page.evaluate("document.documentElement.scrollHeight")
    assert tall["README.html"] < 20_000
    assert tall["benchmarks/RESULTS.html"] < 45_000
    page.goto(f"{address}/README.html", wait_until="load")
    wide = page.evaluate(
        "[...document.querySelectorAll('.pst-scrollable-table-container')]"
        ".some(e => e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX == 'auto')"
    )
    assert wide


def test_headings_get_smaller_in_their_order(address, page):
    page.goto(f"{address}/notebooks/05_patching_grids.html", wait_until="load")
    sizes = page.evaluate(
        "['h1', 'h2', 'h3'].map(h => parseFloat(getComputedStyle("
        "document.querySelector('.bd-article ' + h)).fontSize))"
    )
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


def test_what_is_copied_is_code_without_prompts(address, page):
    page.goto(f"{address}/docs/reference/api/geotoolz.indices.html", wait_until="load")
    button = page.locator("div.highlight-pycon button.copybtn").first
    button.wait_for(state="attached")
    button.click(force=True)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("NormalizedDifference(0, 1)(")
    assert ">>>" not in copied


def test_screenshots_are_kept(rendered, address, page):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1200})
        for name in SHOWN:
            page.goto(f"{address}/{name}.html", wait_until="load")
            kept = SCREENSHOTS / f"{Path(name).name}-{width}.png"
            page.screenshot(path=kept)
            assert kept.stat().st_size > 10_000
