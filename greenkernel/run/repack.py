"""An installed distribution back into a wheel, the same bytes each time: what no index can give travels from home."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata

_EPOCH = (1980, 1, 1, 0, 0, 0)
# Of this installation, not of the distribution; the address may even hold a secret.
_OF_INSTALLATION = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"})
_COMPILED = (".so", ".pyd", ".dylib", ".dll")
_MADE_HERE = "Wheel-Version: 1.0\nGenerator: greenkernel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def repacked(distribution: metadata.Distribution) -> tuple[str, bytes] | None:
    """File name and bytes of a wheel with all that the distribution has below its import folder.

    None where that would not be the same elsewhere: it is compiled, its installer kept no list of files, or some of
    them are gone. Scripts and headers are outside of that folder; no import needs them.
    """
    wheel = HeaderParser().parsestr(distribution.read_text("WHEEL") or "")
    listed = distribution.files
    if not _is_pure(wheel) or not listed:
        return None
    files: dict[str, bytes] = {}
    for file in listed:
        parts = file.parts
        outside = file.is_absolute() or ".." in parts
        of_installation = parts[0].endswith(".dist-info") and file.name in _OF_INSTALLATION
        if outside or of_installation or file.suffix == ".pyc":
            continue
        try:
            files[file.as_posix()] = file.read_binary()
        except OSError:
            return None
        if file.suffix in _COMPILED:
            return None
    return _file_name(distribution, _tag(wheel)), _wheel(files)


def metadata_only(distribution: metadata.Distribution) -> tuple[str, bytes]:
    """A wheel that holds no module: of a distribution whose source travels, so that it finds its own version there."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    texts = {"METADATA": text, "WHEEL": _MADE_HERE, "entry_points.txt": distribution.read_text("entry_points.txt")}
    folder = f"{'-'.join(_name_and_version(distribution))}.dist-info"
    files = {f"{folder}/{name}": text.encode() for name, text in texts.items() if text}
    return _file_name(distribution, "py3-none-any"), _wheel(files)


def _is_pure(wheel: Message) -> bool:
    """Some wheels with programs in them call themselves pure: their tags name a platform all the same."""
    tags = wheel.get_all("Tag") or []
    pure = str(wheel.get("Root-Is-Purelib", "")).lower() == "true"
    return pure and bool(tags) and all(tag.endswith("-any") for tag in tags)


def _tag(wheel: Message) -> str:
    """The tags, compressed as in a wheel's file name."""
    columns = zip(*(tag.split("-") for tag in wheel.get_all("Tag") or []), strict=True)
    return "-".join(".".join(dict.fromkeys(column)) for column in columns)


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    name = re.sub(r"[-_.]+", "_", distribution.name).lower()
    return name, distribution.version.replace("-", "_")


def _file_name(distribution: metadata.Distribution, tag: str) -> str:
    return f"{'-'.join(_name_and_version(distribution))}-{tag}.whl"


def _wheel(files: Mapping[str, bytes]) -> bytes:
    """A zip of the files, with a RECORD of what is in it as its last member."""
    info = next(name.partition("/")[0] for name in files if name.partition("/")[0].endswith(".dist-info"))
    ordered = sorted(files.items(), key=lambda item: (item[0].startswith(f"{info}/"), item[0]))
    record = f"{info}/RECORD"
    listing = io.StringIO()
    rows = csv.writer(listing, lineterminator="\n")
    rows.writerows([(name, f"sha256={_digest(data)}", len(data)) for name, data in ordered])
    rows.writerow((record, "", ""))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*ordered, (record, listing.getvalue().encode())]:
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
