"""The command line, as a user types it: what goes to which stream, exit statuses, and the sentences for mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenkernel.home import Home
from tests.flows.conftest import eventually


def greenkernel(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenkernel.cli", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def script(folder: Path, text: str) -> str:
    (folder / "cell.py").write_text(text)
    return "cell.py"


def test_train_runs_a_file_as_one_cell(home: Home, tmp_path: Path) -> None:
    """The file's output is all of stdout; our words are on stderr; the receipt is where it was asked for."""
    file = script(tmp_path, "import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = 1\n")
    done = greenkernel("train", file, "--no-profile", "--json", "receipt.json", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert "out\n" == done.stdout
    assert "err\n" in done.stderr
    assert "nobody can choose here: the recommended site is taken" in done.stderr
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert ("done", 1) == (receipt["state"], receipt["schema"])
    assert {"from", "to", "site", "cores"} == set(receipt["plan"][0])


def test_a_failing_file(home: Home, tmp_path: Path) -> None:
    """The exit status is not 0, and the traceback is the file's own."""
    done = greenkernel("train", script(tmp_path, "x = 1\n1 / 0\n"), "--no-profile", cwd=tmp_path)
    assert 1 == done.returncode
    assert "ZeroDivisionError" in done.stderr
    assert "line 2" in done.stderr


SDK = """
import greenkernel
n, secrets = 5, ["mine"]
held = [1]
def push():
    held.append(2)
    return len(held)
@greenkernel.task(no_profile=True)
def job(k):
    return k + push()
if __name__ == "__main__":
    for n_there in (1, 2):
        print(greenkernel.train("out = n", namespace={"n": n_there}, no_profile=True, wait=True).names)
    print(greenkernel.train("out = 'secrets' in globals()", no_profile=True, wait=True).names)
    print(greenkernel.train("out = push()", namespace={"push": push}, no_profile=True, wait=True).names)
    print(job(1).wait().loaded().value, n, held)
"""


def test_names_of_a_script_are_its_own(home: Home, tmp_path: Path) -> None:
    """A cell has the names that it was given, and of the script's those that its functions use."""
    (tmp_path / "sdk.py").write_text(SDK)
    done = subprocess.run(
        [sys.executable, "sdk.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr
    expected = ["{'out': 1}", "{'out': 2}", "{'out': False}", "{'held': [1, 2], 'out': 2}", "3 5 [1]"]
    assert expected == done.stdout.splitlines()


def test_exit_ends_a_script(home: Home, tmp_path: Path) -> None:
    """As it does when Python runs it; what comes after it is not done."""
    file = script(tmp_path, "print('before')\nexit()\nprint('after')\n")
    done = greenkernel("train", file, "--no-profile", cwd=tmp_path)
    assert (0, "before\n") == (done.returncode, done.stdout), done.stderr


def test_lists_and_reports(home: Home, tmp_path: Path) -> None:
    """Runs, sites and receipts are listed as text and as JSON."""
    greenkernel("train", script(tmp_path, "x = 1"), "--no-profile", "--name", "tiny", cwd=tmp_path)
    listed = json.loads(greenkernel("runs", "list", "--json", cwd=tmp_path).stdout)
    assert [("tiny", "done")] == [(run["name"], run["state"]) for run in listed]
    assert "tiny" in greenkernel("runs", cwd=tmp_path).stdout
    assert {"near", "far"} == {s["name"] for s in json.loads(greenkernel("sites", "--json", cwd=tmp_path).stdout)}
    assert "done" == json.loads(greenkernel("report", "--json", cwd=tmp_path).stdout)["state"]
    assert "tiny" in greenkernel("runs", "show", listed[0]["id"], cwd=tmp_path).stdout


def test_predict_ships_nothing(home: Home, tmp_path: Path) -> None:
    """Both sites are predicted, and no job was made."""
    done = greenkernel("predict", script(tmp_path, "x = 1"), "--no-profile", "--json", "p.json", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert {"near", "far"} == {p["site"] for p in json.loads((tmp_path / "p.json").read_text())["predictions"]}
    assert not list((home.settings.home / "sites").glob("*/gk-*"))


@pytest.mark.parametrize(
    ("expected", "words", "text"),
    [
        ("--deu is not an option. Did you mean --due", ["--deu", "1"], "x = 1"),
        ("--epochs is not an option. Known are --auto", ["--epochs", "5"], "x = 1"),
        ("FILE.py --due 18:00 -- WORDS", ["--epochs", "5"], "x = 1"),
        ("extra is not an option. What is for the Python file itself stands behind --", ["extra"], "x = 1"),
        ("has passed", ["--due", "2020-01-01"], "x = 1"),
        ("there is no site 'nowhere'", ["--site", "nowhere"], "x = 1"),
        ("not built yet", ["--where", "a > 1"], "x = 1"),
        ("/tmp is a folder. Name a file for the receipt", ["--json", "/tmp"], "x = 1"),
        ("lies in a folder that is not there", ["--json", "nowhere/r.json"], "x = 1"),
        ("nothing to run", [], "# only a comment\n"),
        ("line 2", [], "x = 1\ny = (\n"),
        ("is no number of cores", ["--cores", "none"], "x = 1"),
        ("SURELY_NOT_SET is not set", ["--env", "SURELY_NOT_SET"], "x = 1"),
        ("there is no file", ["--sites", "missing.toml"], "x = 1"),
        ("none.csv", ["--sites", "traceless.toml"], "x = 1"),
        ("too far away", ["--due", "+99999999999h"], "x = 1"),
        ("too far away", ["--due", "9999-12-31T23:59:59Z"], "x = 1"),
    ],
)
def test_mistakes_get_plain_sentences(expected: str, words: list[str], text: str, home: Home, tmp_path: Path) -> None:
    """A mistake is answered in one or two sentences on stderr, with exit status 2 and without a traceback of ours."""
    (tmp_path / "traceless.toml").write_text('[sites.a]\nkind = "embedded"\ntrace = "none.csv"\n')
    done = greenkernel("train", script(tmp_path, text), *words, cwd=tmp_path)
    assert 2 == done.returncode, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert "" == done.stdout


def test_cancelled_resumed_purged(home: Home, tmp_path: Path) -> None:
    """What a resume refuses is one sentence; a purged run is not known any more."""
    assert 0 == greenkernel("train", script(tmp_path, "x = 1"), "--no-profile", cwd=tmp_path).returncode
    refused = greenkernel("runs", "resume", "cell.py", cwd=tmp_path)
    assert 2 == refused.returncode
    assert refused.stderr.strip().endswith("is done. To run its cell once more, submit it again.")
    purged = greenkernel("runs", "cancel", "cell.py", "--purge", cwd=tmp_path)
    assert "logs, records and payload are removed" in purged.stdout, purged.stderr
    assert "there is no run" in greenkernel("runs", "show", "cell.py", cwd=tmp_path).stderr


def test_what_a_home_takes_and_what_goes(home: Home, tmp_path: Path) -> None:
    """Sizes and limits are shown; a dry run lists what would go and leaves it; then it goes, and its blobs later."""
    (home.settings.home / "settings.toml").write_text('run_size = "1GiB"\n')
    text = "print('x')\nopen('out.txt', 'w').write('y' * 9000)"
    assert 0 == greenkernel("train", script(tmp_path, text), "--no-profile", cwd=tmp_path).returncode
    eventually(lambda: not home.journal.entries(only_open=True))
    shown = greenkernel("runs", "usage", cwd=tmp_path).stdout
    limits = ("7 days after the end (keep_days)", "at most 1 GiB of a run (run_size)", "at most 100 GiB (store_size)")
    for part in ("runs: 1, 0 of them open", *limits, "settings.toml"):
        assert part in shown
    before = json.loads(greenkernel("runs", "usage", "--json", cwd=tmp_path).stdout)
    assert (1, 0) == (before["runs"], before["unused_bytes"])
    assert before["blobs_bytes"] > 9000
    assert "0 runs (0 B)" in greenkernel("runs", "prune", "--dry-run", cwd=tmp_path).stdout
    would = greenkernel("runs", "prune", "--days", "0", "--dry-run", cwd=tmp_path).stdout.splitlines()
    assert home.journal.entries()[0].id in would[2]
    assert "cell.py" in would[2]
    assert would[-1].endswith("would be removed")
    gone = greenkernel("runs", "prune", "--days", "0", cwd=tmp_path)
    assert would[-1].replace("would be removed", "removed") == gone.stdout.strip(), gone.stderr
    after = json.loads(greenkernel("runs", "usage", "--json", cwd=tmp_path).stdout)
    assert (0, 0) == (after["runs"], after["runs_bytes"])
    assert before["blobs_bytes"] == after["unused_bytes"]


@pytest.mark.parametrize("days", ["-1", "abc", "nan", "1e9", ""])
def test_days_that_are_none(days: str, home: Home, tmp_path: Path) -> None:
    """Said in a sentence; nothing is removed."""
    done = greenkernel("runs", "prune", "--days", days, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert f"--days: {days!r} is no number of days. Write 7 or 0.5" in done.stderr


def test_more_than_a_run_may_take(home: Home, tmp_path: Path) -> None:
    """Refused with the largest thing, before anything runs; a size that is none is said with its file."""
    (home.settings.home / "settings.toml").write_text('run_size = "1kB"\n')
    (tmp_path / "big.csv").write_text("x" * 2000)
    done = greenkernel("train", script(tmp_path, "print(open('big.csv').read())"), cwd=tmp_path)
    assert 2 == done.returncode
    assert "a run may take 1000 B (run_size); the largest is big.csv" in done.stderr
    assert "settings.toml" in done.stderr
    (home.settings.home / "settings.toml").write_text('run_size = "much"\n')
    done = greenkernel("train", script(tmp_path, "x = 1"), cwd=tmp_path)
    assert 2 == done.returncode
    assert "run_size: 'much' is no size" in done.stderr


def test_a_file_that_is_not_there(home: Home, tmp_path: Path) -> None:
    """A wrong file name is said as such."""
    done = greenkernel("train", "none.py", cwd=tmp_path)
    assert 2 == done.returncode
    assert "none.py cannot be read" in done.stderr


def test_a_typo_in_the_sites_file(home: Home, tmp_path: Path) -> None:
    """The line, the key and the nearest right key are named."""
    (tmp_path / "bad.toml").write_text('[sites.a]\nkind = "embedded"\nmax_core = 2\n')
    done = greenkernel("sites", "--sites", "bad.toml", cwd=tmp_path)
    assert 2 == done.returncode
    assert "line 3" in done.stderr
    assert "max_cores" in done.stderr


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ('[sites.k]\nkind = "kubernetes"\nzone = "X"\n', "is a folder of this machine. Set store = "),
        (
            'store = "s3://b"\n[sites.e]\nkind = "embedded"\nzone = "X"\n',
            "embedded sites are processes of the notebook's machine, and there is no other site. Add a cluster there",
        ),
    ],
    ids=["store", "site"],
)
def test_what_cannot_stay(sites: str, said: str, home: Home, tmp_path: Path) -> None:
    """A controller for other machines needs a store and sites that these have too."""
    (tmp_path / "k.toml").write_text(sites)
    done = greenkernel("controller", "--stay", "--sites", "k.toml", cwd=tmp_path)
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert said in done.stderr


def test_no_kubeconfig(home: Home, tmp_path: Path) -> None:
    """A Kubernetes site without a kubeconfig cannot take the run, and says why."""
    text = 'store = "file:///tmp/none"\n[sites.k]\nkind = "kubernetes"\nkubeconfig = "/nowhere/config"\nzone = "X"\n'
    (tmp_path / "k.toml").write_text(text)
    listed = greenkernel("sites", "--sites", "k.toml", "--json", cwd=tmp_path)
    assert 0 == listed.returncode, listed.stderr
    assert not json.loads(listed.stdout)[0]["reachable"]
    assert "/nowhere/config" in listed.stdout


def test_words_behind_two_dashes_are_the_scripts(home: Home, tmp_path: Path) -> None:
    """The file finds them in ``sys.argv``; options of GreenKernel's stand before them."""
    text = (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--n', type=int)\n"
        "parser.add_argument('rest', nargs='*')\nprint(parser.parse_args())\n"
    )
    done = greenkernel("train", script(tmp_path, text), "--no-profile", "--", "--n", "5", "a", cwd=tmp_path)
    assert "Namespace(n=5, rest=['a'])\n" == done.stdout, done.stderr


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "import sys\nprint('in')\nsys.exit()"),
        (0, "import sys\nprint('in')\nsys.exit(0)"),
        (3, "import sys\nprint('in')\nsys.exit(3)"),
        (255, "import sys\nprint('in')\nsys.exit(-1)"),
        (0, "import sys\nfrom pathlib import Path\nassert Path(__file__).name == 'cell.py'\n"
            "assert [Path(__file__)] == [Path(word).resolve() for word in sys.argv]\nprint('in')"),
        (0, "\ufeffprint('in')"),
    ],
)  # fmt: skip
def test_a_script_is_what_it_is_in_plain_python(code: int, text: str, home: Home, tmp_path: Path) -> None:
    """It may end itself with a number of its own, knows its file, and may begin with a byte order mark."""
    done = greenkernel("train", script(tmp_path, text), "--no-profile", cwd=tmp_path)
    assert code == done.returncode, done.stderr
    assert "in\n" == done.stdout


def test_a_script_ends_itself_with_a_sentence(home: Home, tmp_path: Path) -> None:
    """It is the last line on stderr, without a traceback."""
    done = greenkernel("train", script(tmp_path, "import sys\nsys.exit('no data')"), "--no-profile", cwd=tmp_path)
    assert (1, "no data") == (done.returncode, done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr


def test_what_does_not_come_back_is_said(home: Home, tmp_path: Path) -> None:
    """Files that it writes come back; a generator stays and is named; a file that is only here has a hint."""
    text = "numbers = (n for n in range(3))\nnext(numbers)\nopen('out.txt', 'w').write('x')"
    done = greenkernel("train", script(tmp_path, text), "--no-profile", cwd=tmp_path)
    assert 0 == done.returncode
    assert "x" == (tmp_path / "out.txt").read_text()
    assert "numbers did not come back" in done.stderr
    (tmp_path / "data.csv").write_text("1")
    for name, hinted in (("data", True), ("nowhere", False)):
        failed = greenkernel("train", script(tmp_path, f"open('{name}' + '.csv')"), "--no-profile", cwd=tmp_path)
        assert (1, hinted) == (failed.returncode, "--files GLOB" in failed.stderr), failed.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_the_scripts_own(method: str, home: Home, tmp_path: Path) -> None:
    """A pool that ends its workers does not end the run, and workers find the script's functions."""
    text = (
        "import multiprocessing as mp\ndef square(x):\n    return x * x\nif __name__ == '__main__':\n"
        f"    for _ in range(6):\n        with mp.get_context('{method}').Pool(2) as pool:\n"
        "            got = pool.map(square, range(4))\n    print(got)\n"
    )
    done = greenkernel("train", script(tmp_path, text), "--no-profile", "--name", method, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert "[0, 1, 4, 9]\n" == done.stdout
    assert 1 == len(json.loads(greenkernel("report", method, "--json", cwd=tmp_path).stdout)["stays"])


def test_no_profile_and_a_due_date(home: Home, tmp_path: Path) -> None:
    """Of a cell of which nothing is known no due date is promised, which is said; it begins at once all the same."""
    done = greenkernel("train", script(tmp_path, "print('in')"), "--no-profile", "--due", "+2min", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert "no due date can be promised" in done.stderr
    assert "due" in done.stderr
    assert "met" in done.stderr


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("greenkernel tr", "train"),
        ("greenkernel train --du", "--due"),
        ("greenkernel runs rel", "relocate"),
        ("greenkernel runs cancel --p", "--purge"),
    ],
)
def test_the_shell_completes(line: str, offered: str, tmp_path: Path) -> None:
    """What argcomplete asks for is answered from the parser's own table."""
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    told = {**os.environ, **asked, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    command = [sys.executable, "-m", "greenkernel.cli"]
    subprocess.run(command, env=told, capture_output=True, timeout=60, check=False)
    assert offered in answer.read_text().replace("\x0b", " ").split()
