"""Build the Kubernetes program, the pause program and the S3 server with Go, once per recipe."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.clusters.layout import cache_folder
from tests.clusters.shell import run

SOURCES = Path(__file__).resolve().parent / "control_plane"
KUBERNETES_VERSION = "v1.34.4"
S3_SERVER = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
# Nodes report v0.0.0-master without the stamp.
_FLAGS = ("-trimpath", "-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}")


def content_key(parts: Iterable[bytes]) -> str:
    """Sixteen hexadecimal digits that change with any of the parts or their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The cache's file of that name, made where it is missing.

    Args:
        name: File name; it holds the key of the recipe.
        make: Writes the file to the path it is given, which is then renamed.
    """
    target = cache_folder() / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{name}.new")
        make(aside)
        aside.replace(target)
    return target


def kubernetes() -> Path:
    """The one program with every component of Kubernetes (about 7 minutes on two cores)."""
    recipe = [(SOURCES / name).read_bytes() for name in ("go.mod", "go.sum", "main.go")]
    return cached(f"kubernetes-{content_key([*recipe, ' '.join(_FLAGS).encode()])}", lambda to: _build(".", to))


def pause() -> Path:
    """The program that holds a pod's namespaces open."""
    key = content_key([(SOURCES / "pause" / "main.go").read_bytes()])
    return cached(f"pause-{key}", lambda to: _build("./pause", to))


def s3_server() -> Path:
    """The S3 server (about 2 minutes on two cores)."""

    def install(to: Path) -> None:
        with tempfile.TemporaryDirectory(dir=to.parent) as folder:
            _go("install", S3_SERVER, env=_go_environment() | {"GOBIN": folder})
            Path(folder, "versitygw").replace(to)

    return cached(f"versitygw-{content_key([S3_SERVER.encode()])}", install)


def _build(package: str, to: Path) -> None:
    # Folders that are no git checkout, or another user's, must build as well.
    _go("build", "-buildvcs=false", *_FLAGS, "-o", str(to), package, env=_go_environment(), cwd=SOURCES)


def _go(*words: str, env: dict[str, str], cwd: Path | None = None) -> None:
    # Beside the tests that need no cluster, some of which lose patience; so it may take long.
    run("nice", "-n", "3", "go", *words, cwd=cwd, env=env, timeout_s=2700)


def _go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0"}
