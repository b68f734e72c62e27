"""A person at a real terminal: what Ctrl-C asks, what each answer does, and what is proposed there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from greenkernel import attach
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.records import Proposal, RunState
from tests.flows.conftest import eventually

pexpect = pytest.importorskip("pexpect")

QUESTION = r"stop waiting only \(the run goes on\), cancel the run, or go on waiting\? \[w/c/g\]"
LONG = "import time\nprint('begun', flush=True)\nfor _ in range(600):\n    time.sleep(0.1)\n"
TRAIN = [sys.executable, "-m", "greenkernel.cli", "train", "cell.py", "--no-profile"]
MAGIC = "get_ipython().run_cell_magic('greentrain', '--no-profile', open('cell.py').read())"


class Terminal:
    """A command in a pseudo-terminal."""

    def __init__(self, command: list[str], folder: Path) -> None:
        (folder / "cell.py").write_text(LONG)
        self.child = pexpect.spawn(command[0], command[1:], cwd=str(folder), encoding="utf-8", timeout=60)

    def sees(self, pattern: str) -> str:
        self.child.expect(pattern)
        return str(self.child.match.group())

    def ended(self) -> int | None:
        self.child.expect(pexpect.EOF)
        self.child.close()
        status: int | None = self.child.exitstatus
        return status


@pytest.fixture
def terminal(home: Home, tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(TRAIN, tmp_path)
    yield made
    made.child.close(force=True)


def only_run(home: Home) -> Run:
    (entry,) = home.journal.entries()
    return attach(entry.id, home=home)


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("w\r", 130, "goes on"),
        ("anything else\r", 130, "goes on"),
        ("\x03", 130, "goes on"),
        ("\x04", 130, "goes on"),
        ("c\r", 1, "is cancelled; nothing of it is left running"),
    ],
    ids=["w", "unclear", "a second Ctrl-C", "end of file", "c"],
)
def test_what_is_meant(answer: str, status: int, said: str, terminal: Terminal, home: Home) -> None:
    """Only a clear answer cancels; everything else ends the waiting, and the run goes on."""
    terminal.sees("begun")
    terminal.child.sendintr()
    terminal.sees(QUESTION)
    terminal.child.send(answer)
    terminal.sees(said)
    assert status == terminal.ended()
    assert (RunState.CANCELLED if answer == "c\r" else RunState.RUNNING) == only_run(home).state


def test_going_on_may_be_asked_again(terminal: Terminal, home: Home) -> None:
    """After g it waits as before, and the next Ctrl-C asks again."""
    terminal.sees("begun")
    for answer, said in (("g\r", "waiting for run"), ("c\r", "is cancelled")):
        terminal.child.sendintr()
        terminal.sees(QUESTION)
        terminal.child.send(answer)
        terminal.sees(said)
    assert 1 == terminal.ended()


def test_without_a_terminal_nothing_is_asked(home: Home, tmp_path: Path) -> None:
    """Where stdin is no terminal an interrupt ends the waiting at once."""
    (tmp_path / "cell.py").write_text(LONG)
    pipe = subprocess.PIPE
    with subprocess.Popen(TRAIN, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        assert "begun\n" == child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, words = child.communicate(timeout=60)
    assert 130 == child.returncode
    assert "goes on" in words
    assert "[w/c/g]" not in words
    assert RunState.RUNNING == only_run(home).state


def test_in_plain_ipython(home: Home, tmp_path: Path) -> None:
    """The shell asks too, and after a cancel its names are as they were."""
    shell = Terminal([sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"], tmp_path)
    shell.sees("In .1.: ")
    shell.child.sendline("%load_ext greenkernel")
    shell.sees("In .2.: ")
    shell.child.sendline(MAGIC)
    shell.sees("begun")
    shell.child.sendintr()
    shell.sees(QUESTION)
    shell.child.send("c\r")
    shell.sees("was cancelled; nothing was changed here")
    shell.sees("In .3.: ")
    shell.child.close(force=True)
    assert RunState.CANCELLED == only_run(home).state


def test_a_proposed_move_is_one_line(home: Home, tmp_path: Path) -> None:
    """It has the figure, what happens without an answer, and the command that moves the run."""
    terminal = Terminal([*TRAIN, "--move", "ask"], tmp_path)
    terminal.sees("begun")
    run, now = only_run(home), home.clock.now()
    until = now + timedelta(minutes=5)
    proposal = Proposal(number=1, epoch=1, site="far", saving_g=2.0, reason="", asked_at=now, until=until)
    home.run_store(run.id).put_proposal(proposal)
    line = terminal.sees(r"moving to far now[^\n]*")
    assert "would save 2.0 g CO2e; without an answer by" in line
    assert f"to move it: greenkernel runs relocate {run.id} far" in line
    run.stay()
    eventually(lambda: any("as was answered" in text for _, text in run.journal()))
    terminal.sees("stays on near, as was answered")
    terminal.child.close(force=True)
