"""Pinned packages -> wheels for pods: from the cache, out of the home's own installation, or from pip's indexes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from greenkernel.cell.origin import record_hash
from greenkernel.errors import TemporaryError, UserError
from greenkernel.records import Package
from greenkernel.run.repack import metadata_only, repacked

MACHINE = "x86_64"
# Below the home.
WHEELS = "wheels"
# Systems with a C library of 2018 or later; pip wants each older tag by name. Indexes of one's own have the last one.
_PLATFORMS = (
    *(f"manylinux_2_{minor}_{MACHINE}" for minor in range(28, 4, -1)),
    *(f"manylinux{tag}_{MACHINE}" for tag in ("2014", "2010", "1")),
    f"linux_{MACHINE}",
)
_PIP_S = 600
_NO_WHEEL = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)==([^\s]+)")
# Not 403: some stores answer so for a name that they do not have.
_REFUSED = re.compile(r"\b401 (Client )?Error")
_NOT_TRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|problem confirming the ssl certificate", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"connection ?(error|refused|broken|reset|aborted)|timed out|temporary failure|Retrying \(|\b5\d\d Server Error",
    re.IGNORECASE,
)
_USER_OF_URL = re.compile(r"(?<=://)[^\s/@]+@")
_QUERY_OF_URL = re.compile(r"(://[^\s?#]+)[?#][^\s)'\"]*")
_OR_IMAGE = "or set the site's image to one in which it is installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A package that no wheel can be had of, why, and what to do about it."""

    package: Package
    why: str
    what_to_do: str

    def __str__(self) -> str:
        return str(UserError(self.why, what_to_do=self.what_to_do))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A package and its wheel in the cache."""

    package: Package
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A wheel for each package, and the packages that have none."""

    wheels: tuple[Wheel, ...]
    lacking: tuple[Lacking, ...] = ()


def collect_wheels(packages: Sequence[Package], cache: Path, *, python: str) -> Collected:
    """A wheel for each package, from the cache, the home's installation, or by one call of pip.

    What an index cannot know by its version is packed from what is installed here, if it is pure Python; so is the
    rest where no index has it. Of an editable install the source travels with the cell, here it is only named.

    Raises:
        UserError: There is no pip.
        TemporaryError: The package index did not answer.
    """
    found = _all_cached(packages, cache, python)
    found |= _packed([p for p in packages if p.origin != "index" and p not in found], cache, python)
    rest = [p for p in packages if p not in found]
    said = _from_index([p for p in rest if p.indexed], cache, python)
    found |= _all_cached(rest, cache, python)
    found |= _packed([p for p in rest if p.origin == "index" and p not in found], cache, python)
    lacking = [_lacking(p, said.get(canonicalize_name(p.name), ""), python) for p in packages if p not in found]
    return Collected(wheels=tuple(Wheel(package=p, path=path) for p, path in found.items()), lacking=tuple(lacking))


def _all_cached(packages: Iterable[Package], cache: Path, python: str) -> dict[Package, Path]:
    return {package: wheel for package in packages if (wheel := _cached(cache, package, python)) is not None}


def _packed(packages: Iterable[Package], cache: Path, python: str) -> dict[Package, Path]:
    """Wheels made of what is installed here, in the cache."""
    found: dict[Package, Path] = {}
    for package in packages:
        made = _pack(package)
        if made is not None:
            name, data = made
            folder = cache / _key(package, python)
            folder.mkdir(parents=True, exist_ok=True)
            aside = folder / f"{name}.{os.getpid()}"
            aside.write_bytes(data)
            found[package] = aside.replace(folder / name)
    return found


def _pack(package: Package) -> tuple[str, bytes] | None:
    distribution = _installed(package)
    if distribution is None:
        return None
    return metadata_only(distribution) if package.origin == "editable" else repacked(distribution)


def _installed(package: Package) -> metadata.Distribution | None:
    """The installation that was pinned, None where another one has taken its place meanwhile."""
    if not package.place:
        return None
    same = metadata.distributions(name=package.name, path=[package.place])
    return next((one for one in same if one.version == package.version and _is_same(one, package)), None)


def _is_same(distribution: metadata.Distribution, package: Package) -> bool:
    return not package.installed or record_hash(distribution) == package.installed


def _from_index(packages: Iterable[Package], cache: Path, python: str) -> dict[str, str]:
    """Fetch into the cache; what pip says of each package that cannot be had, by canonical name."""
    left = {canonicalize_name(package.name): package for package in packages}
    said: dict[str, str] = {}
    while left:
        done = _pip(left.values(), cache, python)
        if done.returncode == 0:
            break
        # Pip gives up at the first that it does not find: the others are asked for again without it.
        missing = _NO_WHEEL.search(done.stderr)
        package = left.pop(canonicalize_name(missing[1]), None) if missing is not None else None
        if package is None:
            raise _explained(done.stderr)
        said[canonicalize_name(package.name)] = _why_missing(package, cache, python)
    return said


def _why_missing(package: Package, cache: Path, python: str) -> str:
    """What pip says of a package that it has not found; that an index did not answer it only says when asked for more.

    Raises:
        TemporaryError: An index did not answer, so it may have the package.
    """
    done = _pip([package], cache, python, "-vv")
    said = f"{done.stdout}\n{done.stderr}"
    if _UNREACHABLE.search(said) and not _REFUSED.search(said) and not _NOT_TRUSTED.search(said):
        raise _explained(done.stderr)
    return said


def _pip(
    packages: Collection[Package], cache: Path, python: str, loudness: str = "--quiet"
) -> subprocess.CompletedProcess[str]:
    """One call for all: it shares connections, and every package is pinned, so nothing is resolved.

    Where the indexes are, and what opens them, pip knows from its own configuration and environment.
    """
    cache.mkdir(parents=True, exist_ok=True)
    platforms = [argument for platform in _PLATFORMS for argument in ("--platform", platform)]
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", loudness]
        command += ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        command += [*platforms, "--dest", aside, *(f"{package.name}=={package.version}" for package in packages)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_S, check=False)
        except subprocess.TimeoutExpired as e:
            raise TemporaryError(f"the package index was not done after {_PIP_S // 60} minutes", delay_s=30.0) from e
        for wheel in Path(aside).glob("*.whl"):
            name, version = wheel.name.split("-")[:2]
            folder = cache / _key(Package(name=name, version=version), python)
            folder.mkdir(exist_ok=True)
            wheel.replace(folder / wheel.name)
    return done


def _explained(said: str) -> UserError | TemporaryError:
    if "No module named pip" in said:
        return UserError(
            "the notebook's Python has no pip, which fetches packages for Kubernetes sites",
            what_to_do="Install it, for example with: python -m ensurepip",
        )
    said = without_secrets(said)
    lines = [line for line in said.strip().splitlines() if line.startswith("ERROR")] or said.strip().splitlines()
    return TemporaryError(f"pip could not fetch the packages: {(lines or ['no reason given'])[-1][:300]}", delay_s=10.0)


def without_secrets(said: str) -> str:
    """What pip says, without users, passwords and tokens of its addresses."""
    return _QUERY_OF_URL.sub(r"\1", _USER_OF_URL.sub("", said))


def _lacking(package: Package, said: str, python: str) -> Lacking:
    """Why there is no wheel, by what was tried; ``said`` is pip's, empty where no index was asked."""
    name = f"{package.name} {package.version}"
    here = f"Linux on {MACHINE} and Python {python}"
    if package.origin == "unknown":
        why = f"the module {package.name} belongs to no installed package, so what to install elsewhere is not known"
        return Lacking(package=package, why=why, what_to_do=f"Install it as a package, {_OR_IMAGE}")
    if _REFUSED.search(said):
        why = f"a package index refuses pip's user or password, and {name} is in no other one"
        return Lacking(package=package, why=why, what_to_do="Correct them where pip has them from")
    if _NOT_TRUSTED.search(said):
        why = f"pip does not trust the certificate of a package index, and {name} is in no other one"
        return Lacking(package=package, why=why, what_to_do="Name its authority as PIP_CERT")
    if package.origin not in ("index", "conda") and _installed(package) is None:
        why = f"{name} is not installed here any more as it was when the cell was sent"
        return Lacking(package=package, why=why, what_to_do="Send the cell again")
    if package.origin in ("vcs", "local", "archive"):
        why = f"{name} is compiled and comes from {package.source}, and no index has that build for {here}"
        return Lacking(
            package=package, why=why, what_to_do=f"Put a wheel of it into an index that pip uses, {_OR_IMAGE}"
        )
    if "+" in package.version:
        why = f"{name} is in none of the package indexes that pip uses"
        return Lacking(
            package=package, why=why, what_to_do=f"Set PIP_EXTRA_INDEX_URL to the index it came from, {_OR_IMAGE}"
        )
    conda = ", as conda has installed it," if package.origin == "conda" else ""
    why = f"{name}{conda} has no wheel for {here} in the indexes that pip uses"
    todo = f"Take a version that has one, name the index it came from as PIP_EXTRA_INDEX_URL, {_OR_IMAGE}"
    return Lacking(package=package, why=why, what_to_do=todo)


def _cached(cache: Path, package: Package, python: str) -> Path | None:
    """The packed wheel goes first; one of an index only counts where an index has the same code."""
    # What an editable install says of itself may change with its source.
    keys = [_key(package, python)] if package.origin != "editable" else []
    if package.indexed:
        keys.append(_key(Package(name=package.name, version=package.version), python))
    found = next((wheel for key in keys for wheel in sorted((cache / key).glob("*.whl"))), None)
    if found is not None:
        os.utime(found.parent)
    return found


def unused_wheels(cache: Path, before: datetime) -> list[Path]:
    """The folders of the cache that no run has needed since then."""
    folders = [path for path in cache.iterdir() if path.is_dir()] if cache.is_dir() else []
    return [path for path in folders if path.stat().st_mtime < before.timestamp()]


def _key(package: Package, python: str) -> str:
    """The name of a package's folder in the cache."""
    try:
        version = str(Version(package.version))
    except InvalidVersion:
        version = package.version
    kind = "" if package.origin == "index" else f"-{package.origin}-{package.installed}"
    return f"{canonicalize_name(package.name)}-{version}-{python}{kind}"
