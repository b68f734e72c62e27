"""Write container images as docker archives, which containerd imports without a registry."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image of an archive.

    Attributes:
        name: Its name with tag.
        layers: Tar files, the lowest first.
        user: The numeric `UID:GID` that its processes run as.
        entrypoint: The program that it starts, empty for none.
        env: Its environment.
    """

    name: str
    layers: tuple[Path, ...]
    user: str
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def image_config(image: Image, layer_digests: Sequence[str]) -> bytes:
    """The image's configuration.

    Args:
        image: The image.
        layer_digests: SHA-256 of its layers, in order.
    """
    content = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "User": image.user,
            "Env": [f"{key}={value}" for key, value in image.env.items()],
            "Entrypoint": list(image.entrypoint),
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layer_digests]},
    }
    return json.dumps(content, sort_keys=True).encode()


def write_archive(target: Path, images: Sequence[Image]) -> None:
    """Write one archive with all images; a layer that several share is written once."""
    digests = {layer: file_digest(layer) for image in images for layer in image.layers}
    entries = []
    with tarfile.open(target, "w") as archive:
        for layer, digest in digests.items():
            archive.add(layer, f"{digest}.tar", filter=_plain)
        for image in images:
            config = image_config(image, [digests[layer] for layer in image.layers])
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add_bytes(archive, config_name, config)
            layers = [f"{digests[layer]}.tar" for layer in image.layers]
            entries.append({"Config": config_name, "RepoTags": [image.name], "Layers": layers})
        _add_bytes(archive, "manifest.json", json.dumps(entries).encode())


def write_layer(target: Path, root: Path, inside: Sequence[str] = (".",)) -> None:
    """Write folders below a root as one layer; times are zero so that equal content gives equal bytes.

    Args:
        target: The tar file.
        root: The folder that becomes `/`.
        inside: The paths below it to take, with the folders that they lie in.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        for part in inside:
            for parent in reversed(Path(part).parents[:-1]):
                layer.add(root / parent, str(parent), recursive=False, filter=_timeless)
            layer.add(root / part, part, filter=_timeless)


def _timeless(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # Device nodes are the runtime's to make.
    if member.isdev() or (member.issym() and member.name.startswith("./dev/")):
        return None
    member.mtime = 0
    member.uname = member.gname = ""
    return member


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime, member.mode = 0, 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
