"""Process-wide settings: taken, put where a library is loaded later too, and back only where nobody changed them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import sys
from pathlib import Path
from greenkernel.runner.surroundings import *
root = Path.cwd()
"""


def run(script: str, folder: Path) -> str:
    """Settings are the process's own: each case gets one."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


# Library, a setting that differs from the default, and an expression for it.
CASES = [
    ("numpy as np", "np.set_printoptions(precision=3)", "np.get_printoptions()['precision']", "3"),
    ("numpy as np", "np.seterr(divide='raise')", "np.geterr()['divide']", "raise"),
    ("pandas as pd", "pd.set_option('display.max_rows', 7)", "pd.get_option('display.max_rows')", "7"),
    ("sklearn", "sklearn.set_config(display='text')", "sklearn.get_config()['display']", "text"),
    ("matplotlib as m", "m.rcParams['lines.linewidth'] = 9", "m.rcParams['lines.linewidth']", "9.0"),
    ("warnings", "warnings.filterwarnings('error', 'xyz')", "warnings.filters[0][0]", "error"),
    ("decimal", "decimal.getcontext().prec = 7", "decimal.getcontext().prec", "7"),
    ("sys", "sys.setrecursionlimit(4321)", "sys.getrecursionlimit()", "4321"),
    ("os", "os.environ['MODE'] = 'fast'", "os.environ.get('MODE')", "fast"),
    ("time, os", "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.tzname[0]", "JST"),
    ("logging", "logging.basicConfig(level=10, format='%(message)s')", "logging.getLogger().level", "10"),
    ("logging", "logging.getLogger('a.b').setLevel(30)", "logging.getLogger('a.b').level", "30"),
    ("logging", "logging.disable(40)", "logging.root.manager.disable", "40"),
]


@pytest.mark.parametrize(("library", "change", "value", "expected"), CASES, ids=[case[1] for case in CASES])
def test_in(library: str, change: str, value: str, expected: str, tmp_path: Path) -> None:
    """A setting of an earlier cell holds where the cell runs, also where the library is loaded by the cell itself."""
    taken = run(f"import {library}\n{change}\nimport pickle\nprint(pickle.dumps(pickled(take(root))).hex())", tmp_path)
    script = (
        f"import pickle\nwanted = unpickled(pickle.loads(bytes.fromhex('{taken}')))\n"
        f"Surroundings(wanted, root).begin()\nimport {library}\nprint({value})"
    )
    assert expected == run(script, tmp_path)


@pytest.mark.parametrize(("library", "change", "value", "expected"), CASES, ids=[case[1] for case in CASES])
def test_out(library: str, change: str, value: str, expected: str, tmp_path: Path) -> None:
    """A setting that the cell changes is set at home, and nothing else but what the library does when it is loaded."""
    script = (
        f"around = Surroundings({{}}, root)\naround.begin()\nimport {library}\n{change}\n"
        "import pickle\nprint(pickle.dumps(pickled(around.changed())).hex())"
    )
    changed = f"changed = unpickled(__import__('pickle').loads(bytes.fromhex('{run(script, tmp_path)}')))\n"
    back = f"sent = take(root)\nprint(put_back(changed, sent, take(root), root))\nimport {library}\nprint({value})"
    assert f"[]\n{expected}" == run(changed + back, tmp_path)
    assert 1 == int(run(changed + "print(len(set(changed) - {'warnings', 'environment'} or changed))", tmp_path))


def test_both_changed(tmp_path: Path) -> None:
    """Home's own change stays and is named; a setting of another key is set all the same."""
    script = """
import os
changed = {"environment": {"A": "cell", "B": "cell"}}
sent = {"environment": {}}
os.environ["A"] = "home"
print(put_back(changed, sent, {"environment": {"A": "home"}}, root), os.environ["A"], os.environ["B"])
"""
    said = run(script, tmp_path)
    assert "environment variables (A) stay as they are here" in said
    assert said.endswith("home cell")


def test_what_cannot_travel_costs_itself(tmp_path: Path) -> None:
    """A value that cannot be pickled, or whose library is missing, leaves the others alone."""
    script = """
import threading
sent = pickled({"environment": {"GOOD": "1", "BAD": threading.Lock()}})
sent["environment"]["WORSE"] = b"not a pickle"
print(unpickled(sent))
"""
    assert "{'environment': {'GOOD': '1'}}" == run(script, tmp_path)


def test_paths_below_the_folder_move_with_it(tmp_path: Path) -> None:
    """Entries of sys.path and the working folder are relative to the notebook's folder; others are as they are."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    script = """
import os
around = Surroundings({}, root)
around.begin()
sys.path.insert(0, str(root / "lib"))
sys.path.append("/opt/far")
os.chdir("sub")
changed = around.changed()
print(changed)
other = root / "elsewhere"
os.chdir(other)
print(put_back(changed, take(other), take(other), other))
print(sys.path[0] == str(other / "lib"), sys.path[-1], os.getcwd() == str(other / "sub"))
"""
    lines = run(script, tmp_path).splitlines()
    assert "./lib" in lines[0]
    assert "True /opt/far True" == lines[-1]


def test_a_loader_is_as_it_was(tmp_path: Path) -> None:
    """Watching an import leaves nothing of ours on the module: data files beside it are found."""
    script = """
from greenkernel.runner.import_watch import when_imported
seen = []
when_imported("json", lambda: seen.append(1)) if "json" not in sys.modules else None
when_imported("certifi_or_wave", lambda: seen.append(2))
when_imported("wave", lambda: seen.append(3))
import wave
print(seen[-1], type(wave.__loader__).__name__, wave.__spec__.loader is wave.__loader__)
"""
    assert "3 SourceFileLoader True" == run(script, tmp_path)
