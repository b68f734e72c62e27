"""Real packages for tests: wheels, projects that pip builds without any tool, and an index with a password."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

MINOR = f"cp3{sys.version_info.minor}"
PODS_TAG = f"{MINOR}-{MINOR}-linux_x86_64"
USER, PASSWORD = "reader", "s3cret-word"

# A build backend that is a part of its project, so that building one asks no index for a tool.
BACKEND = '''
import json, pathlib, zipfile

HERE = pathlib.Path(__file__).parent
NAME, VERSION, TAG = json.loads((HERE / "about.json").read_text())
INFO = f"{NAME}-{VERSION}.dist-info"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, {f"{NAME}/__init__.py": (HERE / "src" / "__init__.py").read_text()})


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """With a finder, as setuptools does it for a folder that is called otherwise than the package."""
    finder = f"""
import importlib.util, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {NAME!r}:
            place = {str(HERE / "src")!r}
            file = place + "/__init__.py"
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=[place])
def install():
    sys.meta_path.append(Finder)
"""
    pth = f"import __editable___{NAME}_finder; __editable___{NAME}_finder.install()"
    return _wheel(wheel_directory, {f"__editable___{NAME}_finder.py": finder, f"__editable__.{NAME}.pth": pth})


def _wheel(folder, files):
    name = f"{NAME}-{VERSION}-{TAG}.whl"
    pure = "true" if TAG.endswith("-any") else "false"
    files[f"{INFO}/METADATA"] = f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n"
    files[f"{INFO}/WHEEL"] = f"Wheel-Version: 1.0\\nRoot-Is-Purelib: {pure}\\nTag: {TAG}\\n"
    files[f"{INFO}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{INFO}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
'''


def local_tag() -> str:
    """A tag that pip takes here for something compiled."""
    from packaging.tags import sys_tags

    return str(next(iter(sys_tags())))


def a_project(folder: Path, name: str, version: str, *, pure: bool = True) -> Path:
    """A source tree that pip can build; its package knows where it is from."""
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "__init__.py").write_text(f"FROM = {folder.name!r}\n")
    (folder / "backend.py").write_text(BACKEND)
    (folder / "about.json").write_text(json.dumps([name, version, "py3-none-any" if pure else local_tag()]))
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    return folder


def a_repository(folder: Path, *, tag: str | None = None) -> str:
    """Make a folder a repository with one commit; gives the commit."""
    git = ["git", "-C", str(folder), "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "First"], *([["tag", tag]] if tag else [])):
        subprocess.run([*git, *words], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def wheel_files(name: str, version: str, tag: str) -> dict[str, str]:
    """The members of a small wheel."""
    info = f"{name}-{version}.dist-info"
    pure = "true" if tag.endswith("-any") else "false"
    files = {
        f"{name}/__init__.py": "FROM = 'index'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    return {**files, f"{info}/RECORD": record}


def a_wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any") -> Path:
    """A wheel as an index has it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in wheel_files(name, version, tag).items():
            archive.writestr(member, text)
    return path


def put_installed(folder: Path, files: Mapping[str, str]) -> None:
    """Files where an installer would have put them."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def a_certificate(folder: Path) -> Path:
    """A key and the certificate of 127.0.0.1, which nobody has signed, in one file."""
    path = folder / "index.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=index", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return path


class Index(ThreadingHTTPServer):
    """A package index (PEP 503) of a folder of wheels, for who knows the password; with a certificate if given one."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path: str, password: str = PASSWORD) -> str:
        return f"{self.scheme}://{USER}:{password}@127.0.0.1:{self.server_port}/{path}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        parts = unquote(self.path.partition("?")[0]).strip("/").split("/")
        if self.headers.get("Authorization") != f"Basic {known}":
            return self._answer(401, b"")
        if parts[0] == "simple":
            names = sorted(path.name for path in self.server.folder.glob("*.whl"))
            mine = [name for name in names if name.split("-")[0].replace("_", "-") == parts[1]]
            links = [f'<a href="/files/{name.replace("+", "%2B")}">{name}</a>' for name in mine]
            return self._answer(200 if mine else 404, "\n".join(links).encode())
        file = self.server.folder / parts[-1]
        return self._answer(200, file.read_bytes()) if file.is_file() else self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
        self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
