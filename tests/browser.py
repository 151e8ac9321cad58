"""A page in a real headless Chromium, and what must not happen on it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextmanager
def launch() -> Iterator["playwright.Browser"]:
    """A browser; skips the test where there is none."""
    if BROWSER is None:
        pytest.skip("no chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


class OpenPage:
    """A page, with everything that must not happen on it: errors, and requests for anything but itself."""

    def __init__(self, browser: "playwright.Browser", path: Path, *, width: int = 1280) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.wrong: list[str] = []
        self.page.on("console", lambda line: self.wrong.append(f"{line.type}: {line.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._requested(request.url, path.as_uri()))
        self.page.goto(path.as_uri())

    def _requested(self, address: str, own: str) -> None:
        if not address.startswith(("data:", own)):
            self.wrong.append(address)

    def focused(self) -> str:
        """The text of what has the focus."""
        return str(self.page.evaluate("document.activeElement.textContent"))

    def close(self) -> None:
        """Close the page, on which nothing must have gone wrong."""
        assert self.wrong == []
        self.page.close()
