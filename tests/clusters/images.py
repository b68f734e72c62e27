"""The three images of the test sites: pause, plain Python 3.11, and the same with scikit-learn."""

from __future__ import annotations

import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.clusters import build
from tests.clusters.archive import Image, write_archive, write_layer
from tests.clusters.layout import PAUSE_IMAGE, PYTHON_IMAGE, SCIENCE_IMAGE, cache_folder
from tests.clusters.shell import run

# Raised by hand when the code below changes what it makes.
RECIPE = "1"
USER = "65532:65532"
_SUITE = "bookworm"
_PACKAGES = "python3,ca-certificates"
_SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages"
_SCIENCE = ("scikit-learn", "pandas", "joblib", "numpy", "scipy")
# bookworm has glibc 2.36: wheels for it and for anything older.
_GLIBC = ("_2_34", "_2_31", "_2_28", "_2_27", "_2_26", "_2_24", "_2_17", "2014")
_TRIMMED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")
_EMPTIED = ("var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log", "tmp")
_UNTESTED = ("pandas/tests", "sklearn/**/tests", "scipy/**/tests", "joblib/test")
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp", "PYTHONUNBUFFERED": "1"}


def science_requirements() -> tuple[str, ...]:
    """The packages of the science image, at the versions that are installed here."""
    return tuple(f"{name}=={version(name)}" for name in _SCIENCE)


def archive() -> Path:
    """One archive with the three images, from the cache where their recipe is unchanged."""
    requirements = science_requirements()
    program, python, science = build.pause(), _python_layer(), _science_layer(requirements)
    names = [path.name.encode() for path in (program, python, science)]
    images = (
        Image(name=PAUSE_IMAGE, layers=(_pause_layer(program),), user="65535:65535", entrypoint=("/pause",)),
        Image(name=PYTHON_IMAGE, layers=(python,), user=USER, env=_ENVIRONMENT),
        Image(name=SCIENCE_IMAGE, layers=(python, science), user=USER, env=_ENVIRONMENT),
    )
    key = build.content_key([RECIPE.encode(), *names])
    return build.cached(f"images-{key}.tar", lambda to: write_archive(to, images))


def _pause_layer(program: Path) -> Path:
    def make(to: Path) -> None:
        with _scratch() as root:
            shutil.copy(program, root / "pause")
            (root / "pause").chmod(0o755)
            write_layer(to, root, ("pause",))

    return build.cached(f"layer-{program.name}.tar", make)


def _python_layer() -> Path:
    def make(to: Path) -> None:
        with _scratch() as root:
            run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root))
            _trim(root)
            (root / "usr/bin/python").symlink_to("python3")
            with (root / "etc/passwd").open("a") as accounts:
                accounts.write(f"runner:x:{USER}:runner:/tmp:/bin/sh\n")
            write_layer(to, root)

    key = build.content_key([RECIPE.encode(), _SUITE.encode(), _PACKAGES.encode(), platform.machine().encode()])
    return build.cached(f"layer-python-{key}.tar", make)


def _trim(root: Path) -> None:
    for name in _TRIMMED:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in _EMPTIED:
        for path in (root / name).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _science_layer(requirements: tuple[str, ...]) -> Path:
    def make(to: Path) -> None:
        with _scratch() as root:
            with tarfile.open(_python_layer()) as base:
                base.extractall(root, filter="fully_trusted")
            _install(root / _SITE_PACKAGES, requirements)
            run("chroot", str(root), "python3", "-m", "compileall", "-q", "-j2", f"/{_SITE_PACKAGES}")
            write_layer(to, root, (_SITE_PACKAGES,))

    key = build.content_key([_python_layer().name.encode(), RECIPE.encode(), *(row.encode() for row in requirements)])
    return build.cached(f"layer-science-{key}.tar", make)


def _install(target: Path, requirements: tuple[str, ...]) -> None:
    platforms = [f"--platform=manylinux{glibc}_{platform.machine()}" for glibc in _GLIBC]
    options = ("--only-binary=:all:", "--python-version=3.11", "--no-compile", "--quiet", f"--target={target}")
    run(sys.executable, "-m", "pip", "install", *options, *platforms, *requirements)
    for pattern in _UNTESTED:
        for folder in sorted(target.glob(pattern)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    # Next to the cache, for /tmp may be mounted without devices and too small.
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".root-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        yield root
