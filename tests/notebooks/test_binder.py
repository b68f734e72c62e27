"""What Binder builds: exactly the packages that it lists, in a fresh environment, as a user without rights."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from greenkernel.clock import RealClock, wait_until
from tests.flows.conftest import end_controllers
from tests.notebooks.test_notebooks import NOTEBOOKS, smaller

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FIRST_PANEL_S = 60.0
# Runs a notebook as JupyterLab's "Run all" would, and says when the first display of ours was there.
RUN = """
import json, sys, time
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
began, first = time.monotonic(), []
class Client(NotebookClient):
    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "display_data" and msg["content"]["metadata"].get("greenkernel"):
            first.append(time.monotonic() - began)
        return super().process_message(msg, cell, cell_index)
Client(notebook, timeout=400, kernel_name="python3").execute()
print(json.dumps({"first_s": first[0], "cells": len(notebook.cells)}))
"""


def everybodys_python(place: Path) -> Path:
    """This Python, or a copy of it where other users may not run it."""
    base = Path(sys.base_prefix).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if all(folder.stat().st_mode & 0o005 == 0o005 for folder in (base, *base.parents)):
        return base / "bin" / name
    left_out = shutil.ignore_patterns("__pycache__", "site-packages", "test", "tests", "*.a")
    shutil.copytree(base, place / "python", ignore=left_out, symlinks=True)
    return place / "python" / "bin" / name


def opens_on(environment: Path, folder: Path, told: dict[str, str]) -> str:
    """Where JupyterLab sends who comes to it."""
    command = [environment / "bin" / "jupyter", "lab", "--allow-root", "--no-browser"]
    command += ["--IdentityProvider.token=", "--ServerApp.sock=" + str(folder / "lab.sock")]
    with subprocess.Popen(command, cwd=folder, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as lab:
        try:
            assert wait_until(RealClock(), (folder / "lab.sock").exists, timeout_s=60)
            asked = HTTPConnection("localhost")
            asked.sock = socket.socket(socket.AF_UNIX)
            asked.sock.connect(str(folder / "lab.sock"))
            asked.request("GET", "/")
            return asked.getresponse().headers["Location"].partition("?")[0]
        finally:
            lab.kill()


def test_binder() -> None:
    """The lists of binder/ are enough; one core, 2 GB and a user without rights run both notebooks to their end."""
    if os.getuid() != 0 or not shutil.which("prlimit") or not shutil.which("setpriv"):
        pytest.skip("needs root, to become a user without rights")
    user, place = 65534, Path(tempfile.mkdtemp(prefix="greenkernel-binder-"))
    place.chmod(0o755)  # pytest's own folders are closed to other users
    shutil.copytree(NOTEBOOKS, place / "notebooks")
    environment = place / "venv"
    subprocess.run([everybodys_python(place), "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--requirement"]
    subprocess.run([*pip, ROOT / "binder" / "requirements.txt"], cwd=ROOT, check=True, timeout=600)
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    subprocess.run([ROOT / "binder" / "postBuild"], check=True, env={"PATH": path})
    home = place / "home"
    home.mkdir()
    for name in ("01_first_light", "02_choose_a_site"):
        smaller(place / "notebooks" / f"{name}.ipynb")
    subprocess.run(["chown", "-R", str(user), place], check=True)
    limits = ["prlimit", f"--data={2 * 2**30}", "--", "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    told = {"HOME": str(home), "PATH": path, "GREENKERNEL_HOME": str(home / "gk")}
    try:
        assert "/lab/tree/notebooks/01_first_light.ipynb" == opens_on(environment, place, told)
        for name in ("01_first_light", "02_choose_a_site"):
            command = ["taskset", "-c", "0", *limits, environment / "bin" / "python", "-c", RUN, f"{name}.ipynb"]
            began = time.monotonic()
            done = subprocess.run(
                command, cwd=place / "notebooks", env=told, capture_output=True, text=True, timeout=600, check=False
            )
            assert 0 == done.returncode, f"{name} after {time.monotonic() - began:.0f} s: {done.stderr[-3000:]}"
            assert '"first_s": ' in done.stdout
            assert float(done.stdout.split('"first_s": ')[1].split(",")[0]) < FIRST_PANEL_S
    finally:
        end_controllers(home / "gk")
        shutil.rmtree(place, ignore_errors=True)
