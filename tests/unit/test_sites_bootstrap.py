"""A pod's first program and its bundle, run as a pod runs it: a bare interpreter, a folder, and a server of bytes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import greenkernel
from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.records import Package
from greenkernel.run.bundle import build_bundle, runner_packages, zip_package
from greenkernel.run.wheels import Collected, collect_wheels
from greenkernel.site.kubernetes.manifests import bootstrap_text
from greenkernel.store.objects import ObjectStore, StoreAddress

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="pods have glibc")

# Stands for the runner: says what it was started with.
RUNNER = """
import json, os, sys
import demo_pure, demo_data
print(json.dumps([demo_pure.VALUE, demo_data.VALUE, sorted(set(os.environ) & {"GREENKERNEL_BUNDLE"}), sys.argv[0]]))
"""


def zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


SOURCE = zipped(
    {"greenkernel/__init__.py": "", "greenkernel/runner/__init__.py": "", "greenkernel/runner/__main__.py": RUNNER}
)
PURE = zipped({"demo_pure.py": "VALUE = 1", "demo_pure-1.0.data/scripts/evil": "no"})
DATA = zipped({"demo_data-1.0.data/purelib/demo_data/__init__.py": "VALUE = 2", "demo_data-1.0.dist-info/METADATA": ""})


class Server(ThreadingHTTPServer):
    """Gives bytes by path; ``troubles`` are statuses that it answers with first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.troubles: list[int] = []
        self.asked: list[str] = []

    def add(self, name: str, data: bytes) -> dict[str, Any]:
        self.files[f"/{name}"] = data
        return {"url": f"http://127.0.0.1:{self.server_port}/{name}", "sha256": hashlib.sha256(data).hexdigest()}


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status = self.server.troubles.pop(0) if self.server.troubles else 200
        body = self.server.files[self.path] if status == 200 else b"trouble"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def a_bundle(server: Server, *, python: str = HERE, machine: str | None = None, **more: dict[str, Any]) -> str:
    """The setting of a pod whose bundle has the runner's stand-in, two packages, and more."""
    files = [
        {"kind": "source", "name": "greenkernel", "version": "source", **server.add("source", SOURCE)},
        {"kind": "wheel", "name": "demo-pure", "version": "1.0", **server.add("pure", PURE)},
        {"kind": "wheel", "name": "demo-data", "version": "1.0", **server.add("data", DATA)},
        *({"kind": "wheel", "name": name, "version": "1.0"} | entry for name, entry in more.items()),
    ]
    index = {"python": python, "machine": machine or platform.machine(), "files": files}
    return json.dumps(server.add("index", json.dumps(index).encode()))


def boot(folder: Path, bundle: str | None) -> subprocess.CompletedProcess[str]:
    """Run the bootstrap as a container does."""
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    if bundle is not None:
        environment["GREENKERNEL_BUNDLE"] = bundle
    command = [sys.executable, "-S", "-c", bootstrap_text()]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@on_glibc
def test_it_installs_what_is_missing_and_becomes_the_runner(server: Server, tmp_path: Path) -> None:
    """Both layouts of wheels can be imported, scripts are left out, and the bundle's address is not passed on."""
    done = boot(tmp_path, a_bundle(server))
    assert 0 == done.returncode, done.stderr
    value, data, leaked, program = json.loads(done.stdout)
    assert (1, 2, []) == (value, data, leaked)
    assert program.endswith("greenkernel/runner/__main__.py")
    assert "installed demo-data 1.0, demo-pure 1.0, greenkernel source in" in done.stderr
    assert [] == [path for path in tmp_path.rglob("*") if path.name == "evil"]


@on_glibc
def test_what_the_image_has_is_not_fetched(server: Server, tmp_path: Path) -> None:
    """What is there in its version costs no download and needs no wheel, unless its version does not tell its code."""
    present = tmp_path / "present"
    for name in ("there", "own", "rare"):
        info = present / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entries = {"there": server.add("there", PURE), "own": {"kind": "own", **server.add("own", PURE)}}
    bundle = a_bundle(server, **entries, rare={"kind": "lacking", "why": "No index."}, json={"kind": "module"})
    environment = {"HOME": str(tmp_path), "GREENKERNEL_BUNDLE": bundle, "PYTHONPATH": str(present)}
    command = [sys.executable, "-S", "-c", bootstrap_text()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert ("/there" in server.asked, "/own" in server.asked) == (False, True)
    assert 0 == boot(tmp_path, a_bundle(server, there=server.add("there", PURE))).returncode
    assert "/there" in server.asked


@on_glibc
def test_a_store_that_stumbles_is_asked_again(server: Server, tmp_path: Path) -> None:
    """Two errors of the server in a row are waited out."""
    bundle = a_bundle(server)
    server.troubles = [503, 500]
    done = boot(tmp_path, bundle)
    assert 0 == done.returncode, done.stderr


@on_glibc
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": "3.7"}, f"this image has Python {HERE}, the notebook has 3.7: use an image with Python 3.7"),
        ({"machine": "vax"}, "packages come for vax only"),
        ({"evil": {"data": zipped({"../../evil.py": "x"})}}, "wants to write outside its folder"),
        ({"cut": {"data": PURE, "sha256": "0" * 64}}, "cut or were changed"),
        ({"late": {"data": PURE, "status": 403}}, "it has run out"),
        ({"none": {"kind": "lacking", "why": "No index."}}, "this image lacks none 1.0: No index."),
        (
            {"nobody": {"kind": "module", "why": "It has no package."}},
            "this image lacks nobody 1.0: It has no package.",
        ),
    ],
)
def test_it_refuses_in_one_sentence(server: Server, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """What no other try will mend ends with exit code 78 and one line."""
    entries: dict[str, Any] = {}
    for name, value in change.items():
        if isinstance(value, dict) and "kind" in value:
            entries[name] = value
        elif isinstance(value, dict):
            made = server.add(name, value["data"])
            entries[name] = {**made, "sha256": value.get("sha256", made["sha256"])}
            server.files[f"/{name}"] = value["data"]
        else:
            entries[name] = value
    bundle = a_bundle(server, **entries)
    if change.get("late"):
        server.files.pop("/late")
        server.troubles = [403]  # the first request, which is the index's
    done = boot(tmp_path, bundle)
    assert 78 == done.returncode
    assert said in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())
    assert not (tmp_path.parent / "evil.py").exists()


def test_without_a_bundle_it_says_so(tmp_path: Path) -> None:
    """A pod that lacks the setting names it."""
    done = boot(tmp_path, None)
    assert (78, True) == (done.returncode, "GREENKERNEL_BUNDLE" in done.stderr)


# --- the bundle ---


def a_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(zipped(files))


def test_wheels_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call brings all; afterwards the cache answers, also for another spelling of a name, with no index at all."""
    index = tmp_path / "index"
    a_wheel(index, "demo_one", "1.0")
    a_wheel(index, "demo_two", "2.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    packages = [Package(name="demo-one", version="1.0"), Package(name="Demo.Two", version="2.0")]
    found = collect_wheels(packages, tmp_path / "cache", python="3.11")
    assert ([*packages], ()) == ([wheel.package for wheel in found.wheels], found.lacking)
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert found == collect_wheels(packages, tmp_path / "cache", python="3.11")


def test_a_package_without_a_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, version and what to do; what could be fetched is not lost."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    a_wheel(tmp_path, "demo_one", "1.0")
    packages = [Package(name="demo-none", version="9.9"), Package(name="demo-one", version="1.0")]
    found = collect_wheels(packages, tmp_path / "cache", python="3.11")
    assert ["demo-one"] == [wheel.package.name for wheel in found.wheels]
    assert [
        "demo-none 9.9 has no wheel for Linux on x86_64 and Python 3.11 in the indexes that pip uses. "
        "Take a version that has one, name the index it came from as PIP_EXTRA_INDEX_URL, "
        "or set the site's image to one in which it is installed."
    ] == [str(one) for one in found.lacking]


def test_an_index_that_does_not_answer_is_asked_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is refused is not taken for a package that does not exist."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    with pytest.raises(TemporaryError, match="pip could not fetch the packages"):
        collect_wheels([Package(name="demo-one", version="1.0")], tmp_path / "cache", python="3.11")


def test_the_source_is_the_same_bytes_each_time() -> None:
    """So it is sent once; it has the runner and everything that the runner imports of ours."""
    package = Path(greenkernel.__file__).parent
    assert zip_package(package) == zip_package(package)
    names = set(zipfile.ZipFile(io.BytesIO(zip_package(package))).namelist())
    assert {"greenkernel/__init__.py", "greenkernel/runner/__main__.py", "greenkernel/store/runs.py"} <= names


def test_what_the_runner_needs_is_closed() -> None:
    """Every requirement of a package is there too, or not installed here, or left out on purpose."""
    found = {package.name: package.version for package in runner_packages()}
    assert {"blake3", "cloudpickle", "ipython", "joblib", "msgspec", "obstore", "traitlets"} <= set(found)
    assert found["joblib"] == importlib.metadata.version("joblib")
    assert "jedi" not in found


def test_a_store_without_urls_cannot_serve_pods(tmp_path: Path) -> None:
    """A folder gives no address to read by: said at once, not in the pod."""
    objects = ObjectStore(StoreAddress(url=(tmp_path / "store").as_uri()))
    with pytest.raises(PermanentError, match="gives no URLs"):
        build_bundle(objects, Collected(wheels=()), python=HERE, valid_s=60)
