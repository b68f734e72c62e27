"""A folder seen at another path, by one process alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from greenkernel.mounts import may_cover, mounted_below

_LOOK = """
import json, os, sys
from pathlib import Path
from greenkernel.mounts import mounted_below, show_at
folder, place, kept = map(Path, sys.argv[1:4])
shown = show_at(folder, place, [kept])
os.chdir(place)
Path('written').write_text('by the child')
found = sorted(str(path.relative_to(place)) for path in place.rglob('*') if path.is_file())
print(json.dumps([shown, os.getcwd(), found, sorted(map(str, mounted_below(place)))]))
"""


def _look(folder: Path, place: Path, kept: Path) -> list[object]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", _LOOK, str(folder), str(place), str(kept)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: list[object] = json.loads(done.stdout)
    return found


def _notebook(tmp_path: Path) -> tuple[Path, Path, Path]:
    place, folder = tmp_path / "études de José", tmp_path / "job" / "work"
    kept = place / ".venv"
    for made in (place, folder, kept):
        made.mkdir(parents=True)
    (place / "secret.txt").write_text("of the notebook")
    (kept / "needed.py").write_text("")
    (folder / "data.csv").write_text("sent")
    return place, folder, kept


def test_a_process_sees_its_folder_there_and_nobody_else_does(tmp_path: Path) -> None:
    """What was there is hidden but for what is kept; what the process writes is in its own folder."""
    place, folder, kept = _notebook(tmp_path)
    shown, where, found, mounted = _look(folder, place, kept)
    if not shown:
        pytest.skip("this system lets nobody have mounts of his own")
    assert (str(place), [".venv/needed.py", "data.csv", "written"], [str(kept)]) == (where, found, mounted)
    assert (folder / "written").exists()
    assert not (place / "written").exists()
    assert (place / "secret.txt").exists()
    assert frozenset() == mounted_below(place)


@pytest.mark.parametrize("what", ["the place itself is needed", "the place is not there", "the user's home"])
def test_everything_stays_as_it_is_where_it_would_hide_too_much(tmp_path: Path, what: str) -> None:
    """Nothing is covered, which is said, and the process goes on."""
    place, folder, kept = _notebook(tmp_path)
    kept = place if what == "the place itself is needed" else kept
    if what == "the user's home":
        place = Path.home()
    elif what == "the place is not there":
        place = tmp_path / "nowhere"
    code = "import sys; from pathlib import Path; from greenkernel.mounts import show_at; "
    code += "print(show_at(Path(sys.argv[1]), Path(sys.argv[2]), [Path(sys.argv[3])]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, str(folder), str(place), str(kept)]
    assert "False\n" == subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("place", "may"),
    [("/home/ada/study", True), ("/srv/data", True), ("/home", False), ("/", False), ("/usr/local/study", False)],
)
def test_a_system_is_not_covered(place: str, may: bool) -> None:
    """Folders of the system, and those that hold many others, stay as they are."""
    assert may is may_cover(PurePosixPath(place))
