"""Packages of every origin, each really installed, and a real index with a password: what travels, what is refused."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

import pytest

import greenkernel
from greenkernel.advice import Stages
from greenkernel.cell.capture import looks_secret
from greenkernel.cell.environment import packages_needed
from greenkernel.cell.origin import without_credentials
from greenkernel.clock import RealClock
from greenkernel.errors import TemporaryError
from greenkernel.records import Capture, Offer, Package, Payload, Request
from greenkernel.run.bundle import build_bundle, runner_packages
from greenkernel.run.repack import repacked
from greenkernel.run.wheels import collect_wheels, without_secrets
from greenkernel.runner.bootstrap import BUNDLE
from greenkernel.settings import Settings
from greenkernel.site.kubernetes.manifests import bootstrap_text
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import Advice, RunStore, Submission
from tests.unit.packagekit import (
    PASSWORD,
    PODS_TAG,
    Index,
    a_certificate,
    a_project,
    a_repository,
    a_wheel,
    local_tag,
    put_installed,
    wheel_files,
)

pytestmark = pytest.mark.xdist_group("packages")  # one set of built packages for all

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LINUX = f"Linux on x86_64 and Python {PYTHON}"
IMAGE = "or set the site's image to one in which it is installed."


@dataclass(frozen=True)
class Place:
    """Where packages are installed, and the index that has some of them."""

    folder: Path
    index: Index
    commits: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("packages")
    wheels = root / "wheels"
    for name, version in (("vcs_release", "1.0"), ("conda_built", "1.0"), ("cuda_known", "2.3.0+cu123")):
        a_wheel(wheels, name, version, PODS_TAG)
    a_wheel(wheels, "index_known", "1.0", PODS_TAG)
    a_wheel(wheels, "vcs_built", "1.0", PODS_TAG)  # of the same version, and not what was installed
    a_wheel(wheels, "sent_pure", "1.0")
    index = Index(wheels)
    projects = {
        name: a_project(root / name, name, "1.0", pure=name.endswith("_pure"))
        for name in ("vcs_pure", "vcs_built", "vcs_release", "folder_pure", "folder_built")
    }
    commits = {name: a_repository(path, tag="v1.0") for name, path in projects.items() if name.startswith("vcs")}
    asked = [f"git+{projects[name].as_uri()}" for name in ("vcs_pure", "vcs_built")]
    asked += [
        f"git+{projects['vcs_release'].as_uri()}@v1.0",
        str(projects["folder_pure"]),
        str(projects["folder_built"]),
    ]
    asked.append(index.url("files/sent_pure-1.0-py3-none-any.whl"))
    folder = root / "lib" / "python" / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--target", str(folder)]
    subprocess.run([*pip, *asked], check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    for name in ("conda_pure", "conda_built", "conda_rare"):
        tag = "py3-none-any" if name == "conda_pure" else local_tag()
        installer = {} if name == "conda_rare" else {f"{name}-1.0.dist-info/INSTALLER": "conda\n"}
        put_installed(folder, {**wheel_files(name, "1.0", tag), **installer})
    put_installed(root / "conda-meta", {"conda-rare-1.0-py_0.json": "{}"})
    for name, version in (("cuda_known", "2.3.0+cu123"), ("cuda_rare", "2.3.0+cu123"), ("index_known", "1.0")):
        put_installed(folder, wheel_files(name, version, local_tag()))
    put_installed(folder, wheel_files("index_rare", "1.0", local_tag()))
    put_installed(folder, wheel_files("index_pure", "1.0", "py3-none-any"))
    put_installed(folder, {"nobodys.py": ""})
    yield Place(folder, index, commits)
    index.close()


@pytest.fixture
def here(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The packages can be imported, and pip is configured with the index and its password."""
    configure_pip(tmp_path, monkeypatch, place.index.url("simple"))
    monkeypatch.syspath_prepend(place.folder)
    return place


def configure_pip(folder: Path, monkeypatch: pytest.MonkeyPatch, index_url: str) -> None:
    # The last two go before what pip is told of certificates.
    for name in (*[name for name in os.environ if name.startswith("PIP_")], "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    (folder / "pip.conf").write_text(f"[global]\nindex-url = {index_url}\nretries = 0\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "pip.conf"))


def what_travels(module: str, cache: Path) -> tuple[Package, str]:
    """The package behind a module, and what its wheel says of itself, or why there is none."""
    (package,) = packages_needed([module])
    collected = collect_wheels([package], cache, python=PYTHON)
    if collected.lacking:
        return package, str(collected.lacking[0])
    with zipfile.ZipFile(collected.wheels[0].path) as archive:
        return package, archive.read(f"{module}/__init__.py").decode().strip()


@pytest.mark.parametrize(
    ("module", "origin", "travels"),
    [
        ("index_known", "index", "FROM = 'index'"),
        ("vcs_pure", "vcs", "FROM = 'vcs_pure'"),
        ("vcs_release", "vcs", "FROM = 'index'"),
        ("folder_pure", "local", "FROM = 'folder_pure'"),
        ("sent_pure", "archive", "FROM = 'index'"),
        ("conda_pure", "conda", "FROM = 'index'"),
        ("conda_built", "conda", "FROM = 'index'"),
        ("cuda_known", "index", "FROM = 'index'"),
        ("index_pure", "index", "FROM = 'index'"),
    ],
)
def test_every_origin_travels(module: str, origin: str, travels: str, here: Place, tmp_path: Path) -> None:
    """Pure code from home or from the index under its pin, a release's commit and a CUDA build from the index."""
    package, found = what_travels(module, tmp_path / "cache")
    assert (origin, travels) == (package.origin, found)
    assert PASSWORD not in repr(package)


@pytest.mark.parametrize(
    ("module", "origin", "said"),
    [
        (
            "vcs_built",
            "vcs",
            "vcs-built 1.0 is compiled and comes from git+{source}@{commit}, and no index has that build for {linux}. "
            "Put a wheel of it into an index that pip uses, {image}",
        ),
        (
            "folder_built",
            "local",
            "folder-built 1.0 is compiled and comes from {source}, and no index has that build for {linux}. "
            "Put a wheel of it into an index that pip uses, {image}",
        ),
        (
            "conda_rare",
            "conda",
            "conda-rare 1.0, as conda has installed it, has no wheel for {linux} in the indexes that pip uses. "
            "Take a version that has one, name the index it came from as PIP_EXTRA_INDEX_URL, {image}",
        ),
        (
            "cuda_rare",
            "index",
            "cuda-rare 2.3.0+cu123 is in none of the package indexes that pip uses. "
            "Set PIP_EXTRA_INDEX_URL to the index it came from, {image}",
        ),
        (
            "index_rare",
            "index",
            "index-rare 1.0 has no wheel for {linux} in the indexes that pip uses. "
            "Take a version that has one, name the index it came from as PIP_EXTRA_INDEX_URL, {image}",
        ),
        (
            "nobodys",
            "unknown",
            "the module nobodys belongs to no installed package, so what to install elsewhere is not known. "
            "Install it as a package, {image}",
        ),
    ],
)
def test_what_cannot_be_had_is_named(module: str, origin: str, said: str, here: Place, tmp_path: Path) -> None:
    """One sentence with name, version and reason, and one with what to do."""
    source = (here.folder.parents[2] / module).as_uri()
    commit = here.commits.get(module, "")[:12]
    package, found = what_travels(module, tmp_path / "cache")
    assert (origin, said.format(source=source, commit=commit, linux=LINUX, image=IMAGE)) == (package.origin, found)


def test_an_index_by_environment(here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PIP_EXTRA_INDEX_URL with a password is used, as the sentence above says."""
    configure_pip(tmp_path, monkeypatch, (tmp_path / "empty").as_uri())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", here.index.url("simple"))
    assert "FROM = 'index'" == what_travels("cuda_known", tmp_path / "cache")[1]


@pytest.mark.parametrize(
    ("module", "user", "travels"),
    [
        (
            "index_known",
            "reader:wr0ng-word@",
            "a package index refuses pip's user or password, and index-known 1.0 is in no other one. "
            "Correct them where pip has them from.",
        ),
        (
            "index_known",
            "",
            "a package index refuses pip's user or password, and index-known 1.0 is in no other one. "
            "Correct them where pip has them from.",
        ),
        ("index_pure", "reader:wr0ng-word@", "FROM = 'index'"),
    ],
)
def test_a_wrong_password(
    module: str, user: str, travels: str, here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said without being shown; pure code travels all the same."""
    configure_pip(tmp_path, monkeypatch, here.index.url("simple").replace(f"reader:{PASSWORD}@", user))
    found = what_travels(module, tmp_path / "cache")
    assert travels == found[1]
    assert "wr0ng-word" not in repr(found)


@pytest.mark.parametrize("trusted", [True, False])
def test_an_authority_of_ones_own(trusted: bool, here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose certificate pip is told of is used; of one that it does not trust it is said."""
    certificate = a_certificate(tmp_path)
    index = Index(here.index.folder, certificate)
    configure_pip(tmp_path, monkeypatch, index.url("simple"))
    if trusted:
        monkeypatch.setenv("PIP_CERT", str(certificate))
    found = what_travels("index_known", tmp_path / "cache")[1]
    index.close()
    refused = (
        "pip does not trust the certificate of a package index, and index-known 1.0 is in no other one. "
        "Name its authority as PIP_CERT."
    )
    assert ("FROM = 'index'" if trusted else refused) == found


def test_a_silent_index_keeps_its_password(here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of an index that is away has neither user nor password."""
    configure_pip(tmp_path, monkeypatch, "http://reader:s3cret-word@127.0.0.1:9/simple")
    with pytest.raises(TemporaryError, match="pip could not fetch the packages") as found:
        what_travels("index_known", tmp_path / "cache")
    assert PASSWORD not in str(found.value)


@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        ("https://me:word@host/simple?token=1#x", "https://host/simple"),
        ("ssh://git@host/repo.git", "ssh://host/repo.git"),
        ("file:///home/me/repo", "file:///home/me/repo"),
        ("no address", "no address"),
    ],
)
def test_addresses_lose_what_is_secret(shown: str, kept: str) -> None:
    """In records, and in the middle of what pip says."""
    assert kept == without_credentials(shown)
    assert f"ERROR: see {kept} there" == without_secrets(f"ERROR: see {shown} there")


def test_an_address_with_a_password_is_a_secret() -> None:
    """A variable that the notebook sets for pip stays here, unless it has no password."""
    assert looks_secret("PIP_EXTRA_INDEX_URL", "https://me:word@host/simple")
    assert not looks_secret("PIP_EXTRA_INDEX_URL", "https://host/simple")


def test_a_packed_wheel_is_a_wheel(here: Place, tmp_path: Path) -> None:
    """The same bytes each time, pip installs it, and nothing of this installation is in it."""
    distribution = metadata.distribution("vcs_pure")
    made = repacked(distribution)
    assert made is not None
    assert made == repacked(distribution)
    (tmp_path / made[0]).write_bytes(made[1])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(tmp_path / "there")]
    subprocess.run([*pip, str(tmp_path / made[0])], check=True)
    (there,) = metadata.distributions(name="vcs_pure", path=[str(tmp_path / "there")])
    assert ("1.0", "FROM = 'vcs_pure'\n") == (there.version, (tmp_path / "there/vcs_pure/__init__.py").read_text())
    with zipfile.ZipFile(tmp_path / made[0]) as archive:
        assert {"direct_url.json", "INSTALLER"}.isdisjoint(name.rpartition("/")[2] for name in archive.namelist())


def test_another_installation_does_not_take_its_place(here: Place, tmp_path: Path) -> None:
    """What was installed over it meanwhile has the same version and is not sent."""
    (package,) = packages_needed(["vcs_pure"])
    collected = collect_wheels([replace(package, installed="0" * 16)], tmp_path / "cache", python=PYTHON)
    assert ["vcs-pure 1.0 is not installed here any more as it was when the cell was sent. Send the cell again."] == [
        str(one) for one in collected.lacking
    ]


class ServedStore(ObjectStore):
    """A folder whose files a server of this machine gives out."""

    def __init__(self, folder: Path) -> None:
        super().__init__(StoreAddress(url=folder.as_uri()))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def presign(self, name: str, *, valid_s: float) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="pods have glibc")
@pytest.mark.parametrize(
    ("modules", "has", "said"),
    [
        (["vcs_pure"], [], "installed greenkernel source, vcs-pure 1.0 in"),
        (["vcs_pure"], ["vcs_pure-1.0"], "installed greenkernel source, vcs-pure 1.0 in"),
        (["conda_pure"], ["conda_pure-1.0"], "installed greenkernel source in"),
        (["cuda_rare"], [], "this image lacks cuda-rare 2.3.0+cu123: cuda-rare 2.3.0+cu123 is in none of the package"),
        (["cuda_rare"], ["cuda_rare-2.3.0+cu123"], "installed greenkernel source in"),
        (["nobodys"], [], "this image lacks nobodys: the module nobodys belongs to no installed package"),
    ],
)
def test_what_an_image_lacks(modules: list[str], has: list[str], said: str, here: Place, tmp_path: Path) -> None:
    """Only what the image has not, or may have otherwise, is brought; a package without a wheel must be in it."""
    collected = collect_wheels(packages_needed(modules), tmp_path / "cache", python=PYTHON)
    store = ServedStore(tmp_path / "store")
    bundle = build_bundle(store, collected, python=PYTHON, valid_s=60)
    for name in has:
        package, version = name.split("-")
        put_installed(tmp_path / "image", wheel_files(package, version, "py3-none-any"))
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "image"), BUNDLE: bundle.to_json()}
    done = subprocess.run(
        [sys.executable, "-S", "-c", bootstrap_text()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    store.server.shutdown()
    store.server.server_close()
    assert said in done.stderr.splitlines()[0]


CAPTURE = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from greenkernel.cell.capture import capture
from greenkernel.records import Request
from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress

blobs = Blobs(ObjectStore(StoreAddress(url=Path("store").absolute().as_uri())), bytes(32))
request = Request(source="import {module}", name="x", created_at=datetime.now(UTC))
found = capture(request, {{}}, blobs, Path.cwd())
print(json.dumps([{{file.path: bytes(blobs.get(file.blob)).decode() for file in found.files}},
                  [[p.name, p.origin, p.place] for p in found.packages]]))
"""


@pytest.mark.parametrize("kind", ["finder", "pth"])
@pytest.mark.parametrize("by", ["import", "package"])
def test_editable_installs_travel_as_source(kind: str, by: str, tmp_path: Path) -> None:
    """With what their sources import, also where another package needs them; the index is not asked for them.

    Their wheel has only their metadata, so that they find their own version there.
    """
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    (folder,) = environment.glob("lib/python*/site-packages")
    project = a_project(tmp_path / "checkout", "mine", "1.0")
    if kind == "finder":
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--editable", str(project)], check=True)
    else:  # as `setup.py develop` leaves it
        (project / "src").rename(project / "mine")
        put_installed(project / "mine.egg-info", {"PKG-INFO": "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n"})
        put_installed(project / "mine.egg-info", {"top_level.txt": "mine\n"})
        put_installed(folder, {"easy-install.pth": f"{project}\n", "mine.egg-link": f"{project}\n.\n"})
    (source,) = project.glob("*/__init__.py")
    source.write_text("import helped\nFROM = 'source'\n")
    put_installed(folder, wheel_files("helped", "1.0", "py3-none-any"))
    other = wheel_files("other", "1.0", "py3-none-any")
    other["other-1.0.dist-info/METADATA"] += "Requires-Dist: mine\n"
    put_installed(folder, other)
    repository = Path(greenkernel.__file__).parents[1]
    paths = [str(repository), *(path for path in sys.path if path.endswith("site-packages"))]
    module = "mine" if by == "import" else "other"
    done = subprocess.run(
        [str(python), "-c", CAPTURE.format(module=module)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    files, packages = json.loads(done.stdout)
    assert {"mine/__init__.py": "import helped\nFROM = 'source'\n"} == {
        path: text for path, text in files.items() if path.endswith("__init__.py")
    }
    origins = {name: origin for name, origin, _ in packages}
    assert {"helped": "index", "mine": "editable"} == {name: origins[name] for name in ("helped", "mine")}
    mine = next(Package(name=n, version="1.0", origin="editable", place=p) for n, _, p in packages if n == "mine")
    collected = collect_wheels([replace(mine, indexed=False)], tmp_path / "cache", python=PYTHON)
    with zipfile.ZipFile(collected.wheels[0].path) as archive:
        assert ["METADATA", "RECORD", "WHEEL"] == sorted(name.rpartition("/")[2] for name in archive.namelist())


SITES = """
home = "here"
[sites.here]
kind = "embedded"
zone = "A"
intensity_g_per_kwh = 100
[sites.plain]
kind = "kubernetes"
zone = "B"
intensity_g_per_kwh = 50
[sites.own]
kind = "kubernetes"
zone = "C"
intensity_g_per_kwh = 50
image = "ours:1"
"""
RARE = "cuda-rare 2.3.0+cu123 is in none of the package indexes that pip uses."


@pytest.mark.parametrize(
    ("module", "index", "asked", "cannot", "impossible"),
    [
        ("cuda_known", "up", (), {"plain": None, "own": None}, None),
        ("cuda_rare", "up", (), {"plain": RARE, "own": None}, None),
        ("cuda_rare", "up", ("plain",), {"plain": RARE}, f"plain: {RARE}"),
        ("index_rare", "away", (), {"plain": "pip could not fetch", "own": "pip could not fetch"}, None),
    ],
)
def test_sites_that_cannot_have_a_package(
    module: str,
    index: str,
    asked: tuple[str, ...],
    cannot: dict[str, str | None],
    impossible: str | None,
    here: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain images cannot, with the reason; embedded sites and images of one's own can; without any the run cannot."""
    for package in runner_packages():
        a_wheel(here.index.folder, package.name.replace("-", "_"), package.version)
    if index == "away":
        configure_pip(tmp_path, monkeypatch, "http://127.0.0.1:9/simple")
    advice = advised(module, asked, tmp_path)
    found = {p.site: p.why_not for p in advice.predictions if not asked or p.site in asked}
    assert asked or found.pop("here") is None
    assert found.keys() == cannot.keys()
    assert all(said is None if cannot[site] is None else cannot[site] in said for site, said in found.items())
    assert (advice.plan is None) == (impossible is not None)
    if impossible is not None:
        assert str(advice.impossible).startswith("no site can run this cell")
        assert impossible in str(advice.impossible)


def advised(module: str, sites: tuple[str, ...], folder: Path) -> Advice:
    """The advice of a dry run, with sites that would have anything else."""
    (folder / "sites.toml").write_text(SITES)
    settings = Settings(folder / "home", folder / "sites.toml")
    objects = ObjectStore(settings.store)
    store = RunStore(objects, settings.key, "run1")
    names = settings.sites.sites
    request = Request(
        source="1", name="x", created_at=datetime.now(UTC), sites=sites, profile=False, dry_run=True, folder=str(folder)
    )
    captured = Capture(
        transformed="1", reads=(), binds=(), items=(), payload=Payload(head=""), packages=packages_needed([module])
    )
    offers = {name: Offer(site=name, reachable=True, cores_max=1) for name in names}
    stages = Stages(settings, objects, lambda: dict(offers), RealClock())
    return stages.advise(store, Submission(request=request, capture=captured), lambda said: None, lambda: None)
