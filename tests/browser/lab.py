"""A JupyterLab of our own on 127.0.0.1, driven through Debian's chromium."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parents[2]


class Lab:
    """A running server; ``open`` gives a page with a notebook of these cells."""

    def __init__(self, folder: Path, browser: Browser, url: str, token: str) -> None:
        self.folder, self.browser, self.url, self.token = folder, browser, url, token
        self._names = 0

    @contextlib.contextmanager
    def open(self, cells: list[str], *, dark: bool = False, width: int = 1280) -> Iterator[Notebook]:
        """A page with a new notebook of these cells, its kernel started."""
        self._names += 1
        path = self.folder / f"nb{self._names}.ipynb"
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, path)
        set_theme(self.folder, dark=dark)
        page = self.browser.new_page(viewport={"width": width, "height": 900})
        outside: list[str] = []
        page.on("request", lambda request: _note(request.url, outside))
        page.on("websocket", lambda ws: _note(ws.url, outside))
        try:
            page.goto(f"{self.url}/lab/tree/{path.name}?token={self.token}&reset")
            notebook = Notebook(page, path, outside)
            notebook.ready()
            yield notebook
        finally:
            page.close()


class Notebook:
    """One notebook in the browser."""

    def __init__(self, page: Page, path: Path, outside: list[str]) -> None:
        self.page, self.path, self.outside = page, path, outside

    def ready(self) -> None:
        """Wait for the notebook and its kernel; a question about kernels is answered with its default."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            dialog = self.page.locator(".jp-Dialog .jp-mod-accept")
            if dialog.count():
                dialog.first.click()
            if self.page.evaluate(_KERNEL_STATUS) == "idle":
                return
            self.page.wait_for_timeout(200)
        raise TimeoutError("the notebook's kernel did not start")

    def run(self, cell: int, *, wait: bool = True) -> None:
        """Run one cell; without waiting it may go on for as long as it likes."""
        before = self.count(cell)
        self.page.evaluate(_RUN_CELL, cell)
        if wait:
            self.until(lambda: self.count(cell) not in (None, before) and self.status() == "idle")

    def call(self, code: str) -> str:
        """Run code in the kernel without a cell; what it printed."""
        return str(self.page.evaluate(_CALL, code))

    def command(self, name: str) -> None:
        """One of JupyterLab's own commands; it is not waited for."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)

    def status(self) -> str:
        """The kernel's status."""
        return str(self.page.evaluate(_KERNEL_STATUS))

    def count(self, cell: int) -> int | None:
        """The execution count of a cell."""
        return self.page.evaluate(_COUNT, cell)

    def output(self, cell: int) -> str:
        """What is shown under a cell, as text."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea").inner_text()

    def until(self, done: Any, *, timeout_s: float = 30.0) -> None:
        """Wait until something is so in the page."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("the page did not come to what was waited for")
            self.page.wait_for_timeout(100)

    def saved(self) -> Any:
        """The notebook file after saving."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
        return nbformat.read(self.path, as_version=4)


_CALL = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, store_history: false, allow_stdin: false});
  let text = '';
  future.onIOPub = m => { text += m.content.text ?? (m.content.ename ? m.content.ename + m.content.evalue : ''); };
  await future.done;
  return text;
}"""
_PANEL = "const nb = window.jupyterapp.shell.currentWidget;"
_KERNEL_STATUS = "() => { " + _PANEL + " return nb?.sessionContext?.session?.kernel?.status ?? 'none'; }"
_COUNT = "n => { " + _PANEL + " return nb.content.widgets[n].model.executionCount; }"
_RUN_CELL = (
    "n => { " + _PANEL + " nb.content.activeCellIndex = n; nb.content.deselectAll();"
    " window.jupyterapp.commands.execute('notebook:run-cell'); }"
)


def _note(url: str, outside: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        outside.append(url)


def set_theme(folder: Path, *, dark: bool) -> None:
    """JupyterLab's settings of the user: the theme, and no news from the network."""
    there = folder / "settings" / "@jupyterlab" / "apputils-extension"
    there.mkdir(parents=True, exist_ok=True)
    theme = {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}
    (there / "themes.jupyterlab-settings").write_text(json.dumps(theme))
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (there / "notification.jupyterlab-settings").write_text(json.dumps(quiet))


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Server and browser, both gone afterwards."""
    token, port = secrets.token_hex(16), _free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    set_theme(folder, dark=False)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api/status?token={token}", server, folder / "server.log")
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
            try:
                yield Lab(folder, browser, url, token)
            finally:
                browser.close()
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def find_chromium() -> str | None:
    """None where chromium is there, else why not; on Debian it is installed where that is allowed."""
    debian = Path("/etc/debian_version").exists() and os.geteuid() == 0
    if not CHROMIUM.exists() and debian and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], capture_output=True, timeout=600, check=False)
    return None if CHROMIUM.exists() else f"there is no {CHROMIUM}; install it with: apt-get install chromium"


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
