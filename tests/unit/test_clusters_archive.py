"""Layers and archives of the test clusters' images."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from tests.clusters.archive import Image, file_digest, write_archive, write_layer


def _tree(root: Path) -> Path:
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "module.py").write_text("answer = 42\n")
    (root / "usr" / "python").symlink_to("python3")
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("root:x:0:0\n")
    return root


def test_equal_folders_give_equal_layers(tmp_path: Path) -> None:
    """A layer's bytes depend on content alone: not on times, so a rebuilt one is found in the cache of a site."""
    layers = []
    for name in ("first", "second"):
        root = _tree(tmp_path / name)
        layers.append(tmp_path / f"{name}.tar")
        write_layer(layers[-1], root)
        (tmp_path / "second").mkdir(exist_ok=True)
        (tmp_path / "second").touch()
    assert file_digest(layers[0]) == file_digest(layers[1])


def test_layer_holds_only_the_named_parts(tmp_path: Path) -> None:
    """A layer of one folder holds it and the folders above it, and nothing beside it."""
    write_layer(tmp_path / "layer.tar", _tree(tmp_path / "root"), ("usr/lib",))
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert ["usr", "usr/lib", "usr/lib/module.py"] == layer.getnames()


def test_layer_keeps_links(tmp_path: Path) -> None:
    """A symbolic link stays one, for the programs' names are links."""
    write_layer(tmp_path / "layer.tar", _tree(tmp_path / "root"))
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert "python3" == layer.getmember("./usr/python").linkname


def test_archive_names_every_image_and_shares_layers(tmp_path: Path) -> None:
    """Two images on one base hold that layer once, and every digest in the archive is that of its bytes."""
    base, top = tmp_path / "base.tar", tmp_path / "top.tar"
    root = _tree(tmp_path / "root")
    write_layer(base, root, ("etc",))
    write_layer(top, root, ("usr/lib",))
    small = Image(name="localhost/small:1", layers=(base,), user="1:1", env={"HOME": "/tmp"})
    large = Image(name="localhost/large:1", layers=(base, top), user="1:1", entrypoint=("/run",))
    write_archive(tmp_path / "images.tar", (small, large))

    with tarfile.open(tmp_path / "images.tar") as archive:
        content = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    entries = json.loads(content.pop("manifest.json"))
    assert [["localhost/small:1"], ["localhost/large:1"]] == [entry["RepoTags"] for entry in entries]
    assert 4 == len(content)
    assert entries[0]["Layers"] == entries[1]["Layers"][:1]
    assert all(hashlib.sha256(data).hexdigest() == name.partition(".")[0] for name, data in content.items())
    config = json.loads(content[entries[1]["Config"]])
    assert [f"sha256:{file_digest(base)}", f"sha256:{file_digest(top)}"] == config["rootfs"]["diff_ids"]
    assert ("1:1", ["/run"]) == (config["config"]["User"], config["config"]["Entrypoint"])
    assert ["HOME=/tmp"] == json.loads(content[entries[0]["Config"]])["config"]["Env"]
