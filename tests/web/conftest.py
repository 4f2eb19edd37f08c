"""The page in a browser without a network.

GRAVES_LM_PAGE names a page that is built already; else `graves-lm page` builds one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graves_lm.trained.checkpoint import PRETRAINED


@pytest.fixture(scope="session")
def page_file(tmp_path_factory) -> Path:
    if "GRAVES_LM_PAGE" in os.environ:
        return Path(os.environ["GRAVES_LM_PAGE"])
    if not (PRETRAINED / "synthesis.safetensors").is_file():
        pytest.skip("the package has no weights")
    path = tmp_path_factory.mktemp("page") / "page.html"
    subprocess.run([sys.executable, "-m", "graves_lm", "page", f"output={path}"], check=True)
    return path


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, page_file):
    """Opens the page; at the end nothing may have gone wrong in it, nor been asked of a network."""
    contexts, troubles = [], []

    def opened(view="", **settings):
        context = browser.new_context(
            offline=True, accept_downloads=True, **{"viewport": {"width": 1280, "height": 800}, **settings}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on("request", lambda of: troubles.append(of.url) if of.url.startswith("http") else None)
        page.goto(page_file.as_uri() + view)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles
