"""One JupyterLab for all browser tests; where there is no chromium they are skipped aloud, in CI they fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.browser.lab import Lab, Notebook, find_chromium, lab


# Not for the whole session: the browser's event loop would go on under the tests that come later.
@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server and a browser."""
    missing = find_chromium()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"the panel cannot be tested: {missing}")
    if missing:
        pytest.skip(f"the panel is NOT tested in a browser: {missing}")
    with lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def opened(jupyter: Lab) -> Iterator[Callable[..., Notebook]]:
    """Opens notebooks; afterwards nothing may have asked anybody but 127.0.0.1."""
    with ExitStack() as stack:
        books: list[Notebook] = []

        def open_one(cells: list[str], *, dark: bool = False, width: int = 1280) -> Notebook:
            books.append(stack.enter_context(jupyter.open(cells, dark=dark, width=width)))
            return books[-1]

        yield open_one
        assert [] == [url for book in books for url in book.outside]


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Notebook, str], None]:
    """Takes pictures of a panel for people to look at, where GREENKERNEL_SCREENSHOTS names a folder."""
    folder = os.environ.get("GREENKERNEL_SCREENSHOTS")

    def take(book: Notebook, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            book.page.wait_for_timeout(500)
            area = book.page.locator(".jp-Notebook .jp-Cell").nth(0).locator(".jp-Cell-outputArea")
            area.screenshot(path=str(Path(folder) / f"{name}.png"))

    return take
