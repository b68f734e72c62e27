"""Where an installed distribution came from: an index, version control, a folder, an archive, or conda."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from greenkernel.cell.files import is_local
from greenkernel.records import Origin, Package


def package_of(distribution: metadata.Distribution) -> Package:
    """A distribution, pinned, with its origin as its installer has left it (PEP 610, PEP 376, ``conda-meta``)."""
    name, version = canonicalize_name(distribution.metadata["Name"]), distribution.version
    place = Path(str(distribution.locate_file("")))
    origin, source, released = _origin(distribution, place, version)
    return Package(
        name=name,
        version=version,
        origin=origin,
        source=source,
        place=str(place),
        # What an index has is known by its version; of all else two installations may differ and have the same one.
        installed="" if origin in ("index", "editable") else record_hash(distribution),
        # No public index has versions with a local label: what answers to one is the index it came from.
        indexed=origin in ("index", "conda") or released or (origin != "editable" and "+" in version),
    )


def record_hash(distribution: metadata.Distribution) -> str:
    """Tells one installation from another; empty where its installer kept no list of files."""
    record = distribution.read_text("RECORD")
    return hashlib.sha256(record.encode()).hexdigest()[:16] if record else ""


def without_credentials(url: str) -> str:
    """An address without user, password, query and fragment, any of which may be a secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _origin(distribution: metadata.Distribution, place: Path, version: str) -> tuple[Origin, str, bool]:
    """The kind, where from, and whether it was installed from the release's own tag."""
    direct = _direct_url(distribution)
    url = without_credentials(str(direct.get("url", "")))
    if direct.get("dir_info", {}).get("editable") or (distribution.read_text("METADATA") is None and is_local(place)):
        return "editable", url or str(place), False  # `setup.py develop` leaves an egg-info beside the source
    if "vcs_info" in direct:
        info = direct["vcs_info"]
        released = info.get("requested_revision", "") in (version, f"v{version}")
        return "vcs", f"{info.get('vcs', 'vcs')}+{url}@{info.get('commit_id', '')[:12]}", released
    if "dir_info" in direct or url.startswith("file:"):
        return "local", url, False
    if url:
        return "archive", url, False
    return ("conda" if _is_conda(distribution, place, version) else "index"), "", False


def _direct_url(distribution: metadata.Distribution) -> dict[str, Any]:
    try:
        found = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:  # no installer writes such a file; then nothing is known
        return {}
    return found if isinstance(found, dict) else {}


def _is_conda(distribution: metadata.Distribution, place: Path, version: str) -> bool:
    installer = (distribution.read_text("INSTALLER") or "").strip()
    if installer:
        return installer == "conda"
    names = {distribution.metadata["Name"].lower(), canonicalize_name(distribution.metadata["Name"])}
    folders = [parent / "conda-meta" for parent in place.parents]
    return any(next(folder.glob(f"{name}-{version}-*.json"), None) for folder in folders for name in names)
