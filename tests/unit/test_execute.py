"""The runner's parts by themselves: restore and execute, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenkernel.cell.files import data_files
from greenkernel.errors import IntegrityError, UserError
from greenkernel.records import SourceFile
from greenkernel.runner.execute import ends_with_semicolon
from greenkernel.runner.restore import check_python, write_file
from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress

ROOT = Path(__file__).parents[2]


def _run(script: str, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


EXECUTE = """
from greenkernel.runner.execute import execute
from greenkernel.runner.restore import new_main
from greenkernel.runner.shell import cell_shell
events = []
space = new_main()
shell = cell_shell(space)
"""


def test_an_exception_that_passes_leaves_as_it_is(tmp_path: Path) -> None:
    """A private BaseException goes through the shell; stdout is the process's own again."""
    script = (
        EXECUTE
        + """
class Leave(BaseException): pass
space["Leave"] = Leave
try:
    execute("print('x')\\nraise Leave", shell, events.append, file_name="<c>", passes=Leave)
except Leave:
    print("left after", repr(events[0].text))
"""
    )
    assert "left after 'x'\n" == _run(script, tmp_path)


def test_the_shell_does_not_replace_what_the_notebook_has(tmp_path: Path) -> None:
    """A name of the notebook wins over the shell's own of that name."""
    script = (
        EXECUTE
        + 'space["Out"] = {3: 9}\nspace["exit"] = 4\n'
        + 'print(execute("Out[3] + exit", shell, events.append, file_name="c").value)'
    )
    assert "13\n" == _run(script, tmp_path)


def test_nothing_is_lost_or_mixed_with_a_lot_of_output(tmp_path: Path) -> None:
    """Python's text, threads, a child process and raw writes: every line arrives whole."""
    script = (
        EXECUTE
        + r'''
cell = r"""
import os, subprocess, sys, threading, warnings
warnings.simplefilter('ignore')
def say(n):
    for i in range(300): print(f"t{n} {i}\n", end="")
ts = [threading.Thread(target=say, args=(n,)) for n in range(3)]
[t.start() for t in ts]; [t.join() for t in ts]
subprocess.run([sys.executable, "-c", "for i in range(20000): print('child', i)"])
os.write(2, b"raw \xc3"); os.write(2, b"\xa9\n")
sys.stdout.buffer.write("büffer\n".encode())
pid = os.fork()
if pid == 0:
    print("forked"); os._exit(0)
os.waitpid(pid, 0);
"""
outcome = execute(cell, shell, events.append, file_name="c")
out = "".join(e.text for e in events if e.kind == "stdout").splitlines()
err = "".join(e.text for e in events if e.kind == "stderr")
want = {f"t{n} {i}" for n in range(3) for i in range(300)} | {f"child {i}" for i in range(20000)}
print(outcome.error and outcome.error.text, set(out) == want | {"büffer", "forked"}, len(out), repr(err))
'''
    )
    assert "None True 20902 'raw é\\n'\n" == _run(script, tmp_path)


def test_starting_the_shell_is_cheap(tmp_path: Path) -> None:
    """Import of IPython and the first cell together stay well under a second; no file is left behind."""
    script = (
        "import time\nstart = time.process_time()\n"
        + EXECUTE
        + "execute('1', shell, [].append, file_name='c')\nprint(time.process_time() - start)"
    )
    assert float(_run(script, tmp_path)) < 0.8
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("python", "quiet"),
    [
        ("x;", True),
        ("x", False),
        ("x;  # c", True),
        ("x  # ;", False),
        ("';'", False),
        ("x;\n\n", True),
        ("f(''';''')", False),
    ],
)
def test_a_trailing_semicolon_is_a_token(python: str, quiet: bool) -> None:
    """Not one in a string or a comment."""
    assert quiet is ends_with_semicolon(python)


@pytest.mark.parametrize(
    "path", ["../x.py", "/etc/x", "a/../../x", "", "C:/x", "a\\..\\x", "link/x.py", "..", "a/link2"]
)
def test_files_that_would_leave_the_folder_are_refused(path: str, tmp_path: Path) -> None:
    """Absolute paths, ``..`` and symbolic links out of the folder."""
    blobs = Blobs(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "a" / "link2").symlink_to(tmp_path / "outside" / "f")
    with pytest.raises(IntegrityError, match="would leave"):
        write_file(SourceFile(path=path, blob=blobs.put(b"x"), bytes=1), blobs, folder)
    assert [] == list((tmp_path / "outside").iterdir())


def test_another_python_is_refused_with_both_versions() -> None:
    """The minor version counts, the patch does not."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    check_python(f"{here}.99")
    with pytest.raises(UserError, match=r"Python 3\.7\.2 and this site has 3\."):
        check_python("3.7.2")


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../x", "none*.csv", "out"])
def test_data_files_stay_in_the_folder(pattern: str, tmp_path: Path) -> None:
    """Patterns that leave the folder or find nothing are refused by name."""
    (tmp_path / "home").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "home" / "out").symlink_to(tmp_path / "secret")
    blobs = Blobs(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)
    with pytest.raises(UserError, match=r"^--files: "):
        data_files([pattern], blobs, tmp_path / "home")
