"""What a pod's image lacks: the runner's source and pinned wheels, once in the store, readable by plain HTTP GET."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import greenkernel
from greenkernel.errors import TemporaryError, UserError
from greenkernel.records import Package
from greenkernel.store.objects import ObjectStore

MACHINE = "x86_64"
# Systems with a C library of 2018 or later; pip wants each older tag by name.
_PLATFORMS = (
    *(f"manylinux_2_{minor}_{MACHINE}" for minor in range(28, 4, -1)),
    *(f"manylinux{tag}_{MACHINE}" for tag in ("2014", "2010", "1")),
)
_AT_ONCE = 8
_PIP_S = 600
_EPOCH = (1980, 1, 1, 0, 0, 0)
# What the runner imports, besides the standard library.
_RUNNER_NEEDS = ("blake3", "cloudpickle", "ipython", "joblib", "matplotlib-inline", "msgspec", "obstore")
# IPython completes names with it, which nobody asks of a runner, and it has 5,600 files.
_NOT_NEEDED = frozenset({"jedi"})
_NO_WHEEL = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)==([^\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRef:
    """Where a pod finds its bundle's index, and what it must be. The URL lets anybody read it: it is a secret."""

    url: str
    sha256: str

    def to_json(self) -> str:
        """As the runner's bootstrap reads it from its environment."""
        return json.dumps({"url": self.url, "sha256": self.sha256})


def runner_packages() -> list[Package]:
    """What the runner needs, with all that this needs in turn, as installed here."""
    found: dict[str, Package] = {}
    waiting = list(_RUNNER_NEEDS)
    while waiting:
        name = waiting.pop()
        if normal(name) in found or normal(name) in _NOT_NEEDED:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # needed on other systems or Pythons only
        found[normal(name)] = Package(name=normal(name), version=distribution.version)
        needs = [need for need in distribution.requires or () if "extra ==" not in need]
        waiting += [re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0] for need in needs]
    return [found[name] for name in sorted(found)]


def build_bundle(
    objects: ObjectStore,
    packages: Sequence[Package],
    runner: Sequence[Package],
    cache: Path,
    *,
    python: str,
    valid_s: float,
) -> BundleRef:
    """Put everything that a plain image may lack into the store; what is there already is not sent again.

    Args:
        objects: The store, one that gives out URLs.
        packages: What the cell needs, pinned.
        runner: What the runner needs (`runner_packages`); the cell's pins go before these.
        cache: Folder for wheels, by name and version.
        python: The notebook's Python, such as ``3.11``.
        valid_s: How long the URLs can be read.

    Raises:
        UserError: A package has no wheel for the pods.
        TemporaryError: The package index or the store did not answer.
        PermanentError: The store gives no URLs.
    """
    wanted = {normal(package.name): package for package in (*runner, *packages)}
    wheels = collect_wheels(list(wanted.values()), cache, python=python)
    source = zip_package(Path(greenkernel.__file__).parent)
    files = [("source", Package(name="greenkernel", version="source"), source)]
    files += [("wheel", wanted[name], path.read_bytes()) for name, path in wheels.items()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        listed = list(pool.map(lambda file: _upload(objects, *file, valid_s=valid_s), files))
    index = json.dumps({"python": python, "machine": MACHINE, "files": listed}, sort_keys=True).encode()
    name, sha256 = _put(objects, index, ".json")
    return BundleRef(url=objects.presign(name, valid_s=valid_s), sha256=sha256)


def collect_wheels(packages: Sequence[Package], cache: Path, *, python: str) -> dict[str, Path]:
    """A wheel for each package, from the cache or by one call of pip; keys are normalised names.

    Raises:
        UserError: A package has no wheel for Linux and this Python.
        TemporaryError: The package index did not answer.
    """
    found = {normal(p.name): wheel for p in packages if (wheel := _cached(cache, p, python)) is not None}
    lacking = [package for package in packages if normal(package.name) not in found]
    if lacking:
        _download(lacking, cache, python)
        for package in lacking:
            wheel = _cached(cache, package, python)
            if wheel is None:
                raise _no_wheel(package.name, package.version, python)
            found[normal(package.name)] = wheel
    return found


def zip_package(package: Path) -> bytes:
    """A package's modules as a zip that is the same, byte for byte, as long as they are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*.py")):
            name = (Path(package.name) / path.relative_to(package)).as_posix()
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _download(packages: Iterable[Package], cache: Path, python: str) -> None:
    """One call of pip for all: it shares connections, and every package is pinned, so nothing is resolved."""
    cache.mkdir(parents=True, exist_ok=True)
    platforms = [argument for platform in _PLATFORMS for argument in ("--platform", platform)]
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--quiet"]
        command += ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        command += [*platforms, "--dest", aside, *(f"{package.name}=={package.version}" for package in packages)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_S, check=False)
        except subprocess.TimeoutExpired as e:
            raise TemporaryError(f"the package index was not done after {_PIP_S // 60} minutes", delay_s=30.0) from e
        for wheel in Path(aside).glob("*.whl"):
            name, version = wheel.name.split("-")[:2]
            folder = cache / _key(name, version, python)
            folder.mkdir(exist_ok=True)
            wheel.replace(folder / wheel.name)
    if done.returncode != 0:
        raise _explained(done.stderr, python)


def _explained(said: str, python: str) -> UserError | TemporaryError:
    lacking = _NO_WHEEL.search(said)
    unreachable = re.search(r"connection|timed out|network|temporary failure|retrying", said, re.IGNORECASE)
    if lacking is not None and unreachable is None:
        return _no_wheel(lacking[1], lacking[2], python)
    lines = [line for line in said.strip().splitlines() if line.startswith("ERROR")] or said.strip().splitlines()
    return TemporaryError(f"pip could not fetch the packages: {(lines or ['no reason given'])[-1][:300]}", delay_s=10.0)


def _no_wheel(name: str, version: str, python: str) -> UserError:
    return UserError(
        f"{name} {version} has no wheel for Linux on {MACHINE} and Python {python}",
        what_to_do="Take a version that has one, or set the site's image to one in which it is installed",
    )


def _cached(cache: Path, package: Package, python: str) -> Path | None:
    return next(iter(sorted((cache / _key(package.name, package.version, python)).glob("*.whl"))), None)


def _key(name: str, version: str, python: str) -> str:
    return f"{normal(name)}-{version}-{python}"


def _upload(objects: ObjectStore, kind: str, package: Package, data: bytes, *, valid_s: float) -> Mapping[str, Any]:
    name, sha256 = _put(objects, data, ".zip")
    url = objects.presign(name, valid_s=valid_s)
    described = {"kind": kind, "name": package.name, "version": package.version}
    return {**described, "url": url, "sha256": sha256, "bytes": len(data)}


def _put(objects: ObjectStore, data: bytes, suffix: str) -> tuple[str, str]:
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"bundles/{sha256}{suffix}"
    if objects.size(name) != len(data):
        objects.put(name, data)
    return name, sha256
