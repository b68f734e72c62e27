"""What a pod's image lacks: the runner's source and pinned wheels, once in the store, readable by plain HTTP GET."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

import greenkernel
from greenkernel.cell.origin import package_of
from greenkernel.records import Package
from greenkernel.run.keeping import BUNDLE_KEPT
from greenkernel.run.wheels import MACHINE, Collected, Lacking, Wheel
from greenkernel.store.objects import ObjectStore

_AT_ONCE = 8
_EPOCH = (1980, 1, 1, 0, 0, 0)
# What the runner imports, besides the standard library.
_RUNNER_NEEDS = ("blake3", "cloudpickle", "ipython", "joblib", "matplotlib-inline", "msgspec", "obstore")
# IPython completes names with it, which nobody asks of a runner, and it has 5,600 files.
_NOT_NEEDED = frozenset({"jedi"})


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
        name = canonicalize_name(waiting.pop())
        if name in found or name in _NOT_NEEDED:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # needed on other systems or Pythons only
        found[name] = package_of(distribution)
        needs = [need for need in distribution.requires or () if "extra ==" not in need]
        waiting += [re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0] for need in needs]
    return [found[name] for name in sorted(found)]


def wanted_packages(packages: Iterable[Package]) -> list[Package]:
    """What a plain image may lack: the runner's packages and the cell's, whose pins go before the runner's."""
    return list({canonicalize_name(package.name): package for package in (*runner_packages(), *packages)}.values())


def build_bundle(objects: ObjectStore, collected: Collected, *, python: str, valid_s: float) -> BundleRef:
    """Put everything that a plain image may lack into the store; what is there already is not sent again.

    Packages without a wheel are listed as well: a site's own image may have them, and the pod says so where it lacks
    them.

    Args:
        objects: The store, one that gives out URLs.
        collected: The wheels of `wanted_packages`.
        python: The notebook's Python, such as ``3.11``.
        valid_s: How long the URLs can be read.

    Raises:
        TemporaryError: The store did not answer.
        PermanentError: The store gives no URLs.
    """
    source = zip_package(Path(greenkernel.__file__).parent)
    listed = [{"kind": "source", "name": "greenkernel", "version": "source", **_upload(objects, source, valid_s)}]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        listed += pool.map(lambda wheel: _wheel_entry(objects, wheel, valid_s), collected.wheels)
    listed += [_lacking_entry(one) for one in collected.lacking]
    index = json.dumps({"python": python, "machine": MACHINE, "files": listed}, sort_keys=True).encode()
    name, sha256 = _put(objects, index, ".json")
    return BundleRef(url=objects.presign(name, valid_s=valid_s), sha256=sha256)


def zip_package(package: Path) -> bytes:
    """A package's modules as a zip that is the same, byte for byte, as long as they are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*.py")):
            name = (Path(package.name) / path.relative_to(package)).as_posix()
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _wheel_entry(objects: ObjectStore, wheel: Wheel, valid_s: float) -> dict[str, Any]:
    package = wheel.package
    # An image's package of the same version is the same code only where an index knows that code by its version.
    described = {"kind": "wheel" if package.indexed else "own", "name": package.name, "version": package.version}
    return {**described, **_upload(objects, wheel.path.read_bytes(), valid_s)}


def _lacking_entry(lacking: Lacking) -> dict[str, Any]:
    package = lacking.package
    kind = "module" if package.origin == "unknown" else "lacking"
    return {"kind": kind, "name": package.name, "version": package.version, "why": str(lacking)}


def _upload(objects: ObjectStore, data: bytes, valid_s: float) -> dict[str, Any]:
    name, sha256 = _put(objects, data, ".zip")
    return {"url": objects.presign(name, valid_s=valid_s), "sha256": sha256, "bytes": len(data)}


def _put(objects: ObjectStore, data: bytes, suffix: str) -> tuple[str, str]:
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"bundles/{sha256}{suffix}"
    info = objects.info(name)
    # Old ones are written again, so that what a bundle of today names is young and stays.
    if info is None or info.bytes != len(data) or info.modified_at < datetime.now(UTC) - BUNDLE_KEPT / 3:
        objects.put(name, data)
    return name, sha256
