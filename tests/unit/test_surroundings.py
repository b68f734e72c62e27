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
    ("socket", "socket.setdefaulttimeout(3)", "socket.getdefaulttimeout()", "3.0"),
    ("mpmath", "mpmath.mp.dps = 40", "mpmath.mp.dps", "40"),
    ("logging", "logging.disable(40)", "logging.root.manager.disable", "40"),
    ("jax", "jax.config.update('jax_enable_x64', True)", "jax.numpy.ones(1).dtype", "float64"),
    ("keras", "keras.config.set_floatx('float16')", "keras.config.floatx()", "float16"),
    ("keras", "keras.layers.Dense(1)", "keras.layers.Dense(1).name", "dense_1"),
    (
        "bokeh.io.state",
        "bokeh.io.state.curstate().output_notebook('jupyter')",
        "bokeh.io.state.curstate().notebook",
        "True",
    ),
]


@pytest.mark.parametrize(("library", "change", "value", "expected"), CASES, ids=[case[1] for case in CASES])
def test_in(library: str, change: str, value: str, expected: str, tmp_path: Path) -> None:
    """A setting of an earlier cell holds where the cell runs, also where the library is loaded by the cell itself."""
    pytest.importorskip(library.split()[0].rstrip(","))
    taken = run(f"import {library}\n{change}\nimport pickle\nprint(pickle.dumps(pickled(take(root))).hex())", tmp_path)
    script = (
        f"import pickle\nwanted = unpickled(pickle.loads(bytes.fromhex('{taken}')))\n"
        f"Surroundings(wanted, root).begin()\nimport {library}\nprint({value})"
    )
    assert expected == run(script, tmp_path)


@pytest.mark.parametrize(("library", "change", "value", "expected"), CASES, ids=[case[1] for case in CASES])
def test_out(library: str, change: str, value: str, expected: str, tmp_path: Path) -> None:
    """A setting that the cell changes is set at home, and nothing else but what the library does when it is loaded."""
    pytest.importorskip(library.split()[0].rstrip(","))
    script = (
        f"around = Surroundings({{}}, root)\naround.begin()\nimport {library}\n{change}\n"
        "import pickle\nprint(pickle.dumps(pickled(around.changed())).hex())"
    )
    changed = f"changed = unpickled(__import__('pickle').loads(bytes.fromhex('{run(script, tmp_path)}')))\n"
    back = f"sent = take(root)\nprint(put_back(changed, sent, take(root), root))\nimport {library}\nprint({value})"
    assert f"[]\n{expected}" == run(changed + back, tmp_path)
    by_import = run(script.replace(f"{change}\n", ""), tmp_path)
    alone = f"alone = unpickled(__import__('pickle').loads(bytes.fromhex('{by_import}')))\n"
    assert 1 == int(run(changed + alone + "print(len(set(changed) - set(alone)))", tmp_path))


def test_a_warning_is_shown_once_not_once_a_cell(tmp_path: Path) -> None:
    """What a library has said in an earlier cell it does not say again, here and there, unless filters have changed."""
    (tmp_path / "warner.py").write_text("import warnings\ndef f(n): warnings.warn(f'said {n}', stacklevel=1)\n")
    script = """
import contextlib, io, warnings
sys.path.insert(0, str(root))
def says(*numbers):
    import warner
    with contextlib.redirect_stderr(io.StringIO()) as said:
        for n in numbers: warner.f(n)
    return said.getvalue().count("UserWarning: said")
"""
    first = "print(says(1), says(1))\nimport pickle\nprint(pickle.dumps(pickled(take(root))).hex())"
    counts, taken = run(script + first, tmp_path).splitlines()
    assert "1 0" == counts
    there = (
        f"wanted = unpickled(__import__('pickle').loads(bytes.fromhex('{taken}')))\nS = Surroundings(wanted, root)\n"
    )
    begin = "S.begin()\nprint(says(1), says(2))\n"
    changed = "import pickle\nprint(pickle.dumps(pickled(S.changed())).hex())"
    counts, back = run(script + there + begin + changed, tmp_path).splitlines()
    assert "0 1" == counts
    home = f"changed = unpickled(__import__('pickle').loads(bytes.fromhex('{back}')))\nsays(1)\nsent = take(root)\n"
    home += "put_back(changed, sent, take(root), root)\nprint(says(1), says(2), says(3))\n"
    home += "warnings.simplefilter('default')\nprint(says(1))"
    assert ["0 0 1", "1"] == run(script + home, tmp_path).splitlines()


def test_looking_at_warnings_is_no_warning(tmp_path: Path) -> None:
    """Who records warnings, logs them or makes them errors sees none of ours."""
    script = """
import logging, warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    take(root)
with warnings.catch_warnings():
    warnings.simplefilter("error")
    take(root)
logging.captureWarnings(True)
take(root)
print(seen)
"""
    assert "[]" == run(script, tmp_path)


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


def test_what_greenkernel_holds_does_not_travel() -> None:
    """In a checkout of it, too, where its modules lie below the folder: what a scope there knows would be lost."""
    script = """
import greenkernel.runner.record
print([key for key in take(root).get("modules", {}) if key.startswith("greenkernel")])
"""
    assert "[]" == run(script, Path(__file__).parents[2])


def test_handlers_that_stay_are_named(tmp_path: Path) -> None:
    """Those of the notebook's own classes, and those that write into memory; the process's streams and files travel."""
    script = """
import io, logging
from greenkernel.runner import logging_setup
class Keep(logging.Handler):
    pass
log = logging.getLogger("mine")
for handler in (Keep(), logging.StreamHandler(sys.stdout), logging.FileHandler("a.log"), logging.NullHandler()):
    log.addHandler(handler)
log.addHandler(logging.StreamHandler(io.StringIO()))
print(logging_setup.left_here(root))
"""
    assert "['Keep of logger mine', 'StreamHandler of logger mine']" == run(script, tmp_path)
