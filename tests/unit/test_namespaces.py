"""A process in namespaces of its own, as root and as a plain user: it gains no right and nobody else sees a thing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has namespaces")]

_USERS = [0, 12345] if os.getuid() == 0 else [os.getuid()]

_LEAVE = """
import ctypes, fcntl, os, pathlib, socket, struct, sys
"x".encode("idna")
from greenkernel import namespaces, osfacts
folder, user, server = pathlib.Path(sys.argv[1]), int(sys.argv[2]), ("127.0.0.1", int(sys.argv[3]))
if user:  # everything is imported: this user may not be allowed to read the libraries
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    osfacts._prctl(4, 1)  # as a process that was started by this user
namespaces.prepare_to_leave_network()
left = namespaces.leave_network()
(folder / "mine").touch()
owner = os.stat(folder / "mine")
reached = socket.socket().connect_ex(server) == 0
own = socket.create_server(("127.0.0.1", 0))
talked = socket.socket().connect_ex(own.getsockname()) == 0
rights = bool(user) and namespaces._has_capability(21)
print(left, reached, talked, (os.getuid(), os.getgid(), owner.st_uid, owner.st_gid), rights)
"""


@pytest.mark.parametrize("user", _USERS)
def test_a_process_leaves_the_network(user: int) -> None:
    """It has its own loopback only, its files belong to the same user, and it has no rights that it had not."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        Path(folder).chmod(0o777)
        words = [folder, str(user), str(server.getsockname()[1])]
        run = subprocess.run([sys.executable, "-c", _LEAVE, *words], capture_output=True, text=True, check=True)
    if run.stdout.startswith("False"):
        pytest.skip("this system has no network namespaces for us")
    group = user if user != os.getuid() else os.getgid()
    assert f"True False True {(user, group, user, group)} False" == run.stdout.strip()


_BIND = """
import ctypes, os, pathlib, sys
from greenkernel import namespaces, osfacts
folder, user, fails = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "fails"
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    osfacts._prctl(4, 1)
for name in ("here", "there"):
    (folder / name).mkdir()
(folder / "here" / "x").write_text("seen")
pairs = [(folder / "here", folder / "there")] + [(folder / "nowhere", folder / "here")] * fails
bound = namespaces.bind(pairs)
print(bound, (folder / "there" / "x").exists(), os.readlink("/proc/self/ns/user") == sys.argv[4], os.getuid() == user)
"""


@pytest.mark.parametrize("outcome", ["works", "fails"])
@pytest.mark.parametrize("user", _USERS)
def test_a_folder_is_bound_for_one_process(user: int, outcome: str) -> None:
    """Nobody else sees it; where one of several cannot be bound, the process is in no other namespace than before."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        words = [folder, str(user), outcome, str(Path("/proc/self/ns/user").readlink())]
        run = subprocess.run([sys.executable, "-c", _BIND, *words], capture_output=True, text=True, check=True)
        assert not (Path(folder) / "there" / "x").exists()
    if outcome == "fails":
        assert "False False True True" == run.stdout.strip()
    elif run.stdout.startswith("False"):
        pytest.skip("this system lets nobody have mounts of his own")
    else:
        assert f"True True {user == 0} True" == run.stdout.strip()
