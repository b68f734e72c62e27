"""The same cells in two real kernels, one plain and one with ``%%greentrain``, and what differs afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PROBE = Path(__file__).with_name("probe.py")
MAGIC = "%%greentrain --auto --no-profile"
HERE = "#: green"
_TIMEOUT_S = 150
_A_SECOND_S = 1.05
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ARROW = re.compile(r"^-+> (\d+) ?(.*)$")
_CELL = re.compile(rf"{re.escape(tempfile.gettempdir())}/ipykernel_\d+/\d+\.py|<>(?=:\d)")
# Random names that libraries give to what they show.
_RANDOM_IDS = re.compile(r"\b(T|sk-container-id|sk-estimator-id|id)[-_][0-9a-f]+(-[0-9a-f]+)*|\bT_[0-9a-f]{5}\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One cell of a notebook.

    Attributes:
        shows: What it shows, in a line.
        cell: The cell that is sent; a line ``#: green`` says where the magic stands, else it is the first line.
        before: The cells before it.
        then: The cells after it, whose output is compared too.
        every: The magic stands above all of them.
        probes: Expressions whose values are compared.
        options: More options of the magic.
        files: Files beside the notebook: path and text.
        folder: A folder whose files lie beside the notebook too.
        numbers: False: figures in the output are not compared.
        clock: False: times of day in the output are not compared.
        ordered: False: several writers share the output, its lines are compared as a set.
        skips: Names that are not compared.
        fresh: The kernels are replaced afterwards.
        stumbles: A cell before ends with an error, and is meant to.
        needs: A library without which it is skipped.
        refused: The magic refuses the cell with these words, and nothing has changed.
        differs: What is not yet as in a plain cell.
    """

    shows: str
    cell: str
    before: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    every: bool = False
    probes: tuple[str, ...] = ()
    options: str = ""
    files: tuple[tuple[str, str], ...] = ()
    folder: Path | None = None
    numbers: bool = True
    clock: bool = True
    ordered: bool = True
    skips: tuple[str, ...] = ()
    fresh: bool = False
    stumbles: bool = False
    needs: str = ""
    refused: str = ""
    differs: str = ""


def code(text: str) -> str:
    """A cell's text that is indented with the table around it."""
    return textwrap.dedent(text).strip("\n")


_PENDING = (
    "sum(len(one._magics.desk.pending) for one in get_ipython().ast_transformers"
    " if hasattr(one, '_magics') and one._magics.desk is not None)"
)


@dataclass(slots=True)
class Shown:
    """What one cell has shown.

    Attributes:
        parts: Text of the streams and displays, in order; text between two displays is one entry per stream.
        error: Type and message.
        traceback: Its lines as they are shown.
        ours: What the magic itself has said.
    """

    parts: list[Any] = field(default_factory=list)
    error: list[Any] = field(default_factory=list)
    traceback: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)


class Kernel:
    """A Jupyter kernel of its own.

    Args:
        folder: Where it works.
        environment: Added to this process's.
        first: Run once at the start.
        patience_s: What it is sent is done by then.
    """

    def __init__(self, folder: Path, environment: dict[str, str], first: str, patience_s: float = _TIMEOUT_S) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._patience_s = patience_s
        self._manager = KernelManager(kernel_name="python3")
        env = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), **environment}
        # In a test's process a kernel does not watch its descriptors.
        for name in ("MPLBACKEND", "PYTEST_CURRENT_TEST"):
            env.pop(name, None)
        self._manager.start_kernel(cwd=str(folder), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._client: BlockingKernelClient = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_TIMEOUT_S)
        self.hidden(
            "get_ipython()._probe = {'__name__': 'probe'}\n"
            f"exec(compile(open({str(PROBE)!r}).read(), {str(PROBE)!r}, 'exec'), get_ipython()._probe)\n{first}"
            "get_ipython()._fresh = get_ipython()._probe['Freshener'](get_ipython())"
        )

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def send(self, code: str, *, hidden: bool = False, person: bool = False) -> str:
        """Begin to run code; `take` has what it shows."""
        return str(self._client.execute(code, silent=hidden, store_history=not hidden, allow_stdin=person))

    def take(self, request: str) -> list[dict[str, Any]]:
        """The messages of a request, until it is done."""
        return list(self._until_idle(request))

    def later(self, request: str) -> list[dict[str, Any]]:
        """What a request still shows that has left a run pending, until that has ended."""
        found: list[dict[str, Any]] = []
        until = time.monotonic() + self._patience_s
        while time.monotonic() < until:
            asked = str(self._client.execute("", silent=True, user_expressions={"left": _PENDING}, allow_stdin=False))
            found += [m for m in self._until_idle(asked, also=request) if m["parent_header"]["msg_id"] == request]
            reply = self._client.get_shell_msg(timeout=_TIMEOUT_S)
            while reply["parent_header"]["msg_id"] != asked:
                reply = self._client.get_shell_msg(timeout=_TIMEOUT_S)
            if reply["content"]["user_expressions"]["left"]["data"]["text/plain"] == "0":
                return found
            time.sleep(0.1)
        raise TimeoutError(f"no run has ended within {self._patience_s:.0f} s")

    def hidden(self, code: str) -> list[dict[str, Any]]:
        """Run code that is no cell of the notebook."""
        found = self.take(self.send(code, hidden=True))
        errors = [m["content"] for m in found if m["msg_type"] == "error"]
        if errors:
            raise RuntimeError("\n".join(errors[0]["traceback"]))
        return found

    def rest(self) -> list[dict[str, Any]]:
        """What other threads and processes have written by now, late."""
        mark = f"--{uuid.uuid4().hex}--"
        found = self.take(self.send(f"get_ipython()._probe['end_of_output']({mark!r})", hidden=True))
        while sum(mark in m["content"]["text"] for m in found if m["msg_type"] == "stream") < 2:
            found.append(self._client.get_iopub_msg(timeout=_TIMEOUT_S))
        for message in found:
            if message["msg_type"] == "stream":
                message["content"]["text"] = message["content"]["text"].replace(mark, "")
        return found

    def freshen(self, folder: Path) -> None:
        """Empty the namespace and go to an empty folder."""
        self.hidden(f"get_ipython()._fresh.freshen({str(folder)!r})")

    def report(self, expressions: tuple[str, ...]) -> dict[str, Any]:
        """The description of the namespace."""
        file = self._folder / "report.json"
        self.hidden(f"get_ipython()._probe['report'](get_ipython(), {str(file)!r}, {list(expressions)!r})")
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def _until_idle(self, request: str, *, also: str = "") -> Iterator[dict[str, Any]]:
        until = time.monotonic() + self._patience_s
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(0.01, until - time.monotonic()))
            except Empty:
                raise TimeoutError(f"not done within {self._patience_s:.0f} s") from None
            kind = message["msg_type"]
            mine = message["parent_header"].get("msg_id") == request
            if mine and kind == "status" and message["content"]["execution_state"] == "idle":
                return
            mine = mine or message["parent_header"].get("msg_id") == also
            if kind == "stream" or (mine and kind not in ("execute_input", "status")):
                yield message


class Pair:
    """Two kernels in step: a plain one and one with the magic.

    Args:
        folder: Where everything of theirs lives.
        sites: The text of the sites file.
        patience_s: A cell is done by then.
        only_plain: Both kernels are plain: what differs then varies by itself.
        leaves: Cells return at once, as where a person can click, and what their runs show comes afterwards.
    """

    def __init__(
        self,
        folder: Path,
        sites: str,
        *,
        patience_s: float = _TIMEOUT_S,
        only_plain: bool = False,
        leaves: bool = False,
    ) -> None:
        self._folder = folder
        self._leaves = leaves
        self._patience_s = patience_s
        self._only_plain = only_plain
        self._home = folder / "home"
        self._home.mkdir(parents=True)
        (self._home / "sites.toml").write_text(sites)
        self._kernels: tuple[Kernel, Kernel] | None = None
        self._started = 0
        self._cases = 0

    @property
    def home(self) -> Path:
        """The home of the magic's runs."""
        return self._home

    def close(self) -> None:
        """End both."""
        for kernel in self._kernels or ():
            kernel.close()
        self._kernels = None

    def differences(self, case: Case) -> list[str]:
        """Run a case in both kernels; a sentence for everything that is not the same."""
        if self._kernels is None:
            self._kernels = self._start()
        self._cases += 1
        try:
            return self._compared(case, *self._kernels)
        except BaseException:
            self.close()
            raise
        finally:
            if case.fresh:
                self.close()

    def _start(self) -> tuple[Kernel, Kernel]:
        self._started += 1
        home = {"GREENKERNEL_HOME": str(self._home)}
        plain = Kernel(self._folder / f"plain-{self._started}", {}, "", self._patience_s)
        load = "" if self._only_plain else "get_ipython().run_line_magic('load_ext', 'greenkernel')\n"
        magic = Kernel(self._folder / f"magic-{self._started}", home, load, self._patience_s)
        return plain, magic

    def _compared(self, case: Case, plain: Kernel, magic: Kernel) -> list[str]:
        seen = []
        places = {plain: self._folder / "p" / f"{self._cases:04}", magic: self._folder / "m" / f"{self._cases:04}"}
        for kernel, place in places.items():
            kernel.freshen(place)
            for path, text in case.files:
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_text(text)
            if case.folder is not None:
                shutil.copytree(case.folder, place, symlinks=True, dirs_exist_ok=True)
        cells = {plain: (*case.before, _without(case), *case.then)}
        cells[magic] = cells[plain] if self._only_plain else _marked(case)
        shown: dict[Kernel, list[Shown]] = {plain: [], magic: []}
        for index in range(len(cells[plain])):
            requests: dict[Kernel, str] = {}
            for kernel in () if self._only_plain else places:
                requests[kernel] = kernel.send(cells[kernel][index], person=self._leaves and kernel is magic)
            for kernel in places:
                if self._only_plain:  # at another time: what tells the time differs
                    time.sleep(_A_SECOND_S)
                messages = kernel.take(requests.get(kernel) or kernel.send(cells[kernel][index]))
                if self._leaves and kernel is magic:
                    messages += kernel.later(requests[kernel])
                if not case.ordered:
                    messages += kernel.rest()
                shown[kernel].append(_shown(messages, case, places[kernel]))
        for kernel in places:
            seen.append((shown[kernel], {**kernel.report(case.probes), "files": _files(places[kernel])}))
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
        return _differences(case, seen[0], seen[1])


def _files(place: Path) -> dict[str, str]:
    """What lies in a folder, by content; caches of bytecode are nobody's business."""
    found = {}
    for path in sorted(place.rglob("*")):
        inside = path.relative_to(place)
        if "__pycache__" not in inside.parts and path.is_file():
            found[inside.as_posix()] = hashlib.sha1(path.read_bytes()).hexdigest()[:12]
    return found


def _without(case: Case) -> str:
    return "\n".join(line for line in case.cell.split("\n") if line != HERE) if HERE in case.cell else case.cell


def _marked(case: Case) -> tuple[str, ...]:
    """The cells of a notebook, with the magic."""
    line = f"{MAGIC} {case.options}".rstrip()
    if case.every:
        return tuple(f"{line}\n{text}" for text in (*case.before, case.cell, *case.then))
    here = case.cell.replace(HERE, line) if HERE in case.cell else f"{line}\n{case.cell}"
    return (*case.before, here, *case.then)


def _shown(messages: list[dict[str, Any]], case: Case, place: Path) -> Shown:
    """What a cell has shown, as a notebook would keep it."""
    shown = Shown()
    streams: dict[str, str] = {}
    handles: dict[str, int] = {}

    def text_ends(*, all_shown: bool = False) -> None:
        if not case.ordered and not all_shown:  # what other writers say comes before or after a display
            return
        for name in sorted(streams):
            if text := _text(streams[name], case, place):
                shown.parts.append([name, text])
        streams.clear()

    for message in messages:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            if content["text"]:
                streams[content["name"]] = streams.get(content["name"], "") + content["text"]
        elif kind == "error":
            text_ends()
            shown.error = _error(content, shown, case, place)
        elif kind == "clear_output":
            text_ends()
            shown.parts.append(["clear_output", content["wait"]])
        elif kind.startswith("comm_"):  # what widgets tell their front end
            continue
        elif content["metadata"].get("greenkernel"):
            shown.ours.append(content["data"]["text/plain"])
        else:
            text_ends()
            handle = content.get("transient", {}).get("display_id")
            number = None if handle is None else handles.setdefault(handle, len(handles))
            data = {mime: _data(mime, value, case, place) for mime, value in sorted(content["data"].items())}
            shown.parts.append([kind, data, content["metadata"], number, content.get("execution_count")])
    text_ends(all_shown=True)
    return shown


def _error(content: dict[str, Any], shown: Shown, case: Case, place: Path) -> list[Any]:
    shown.traceback = [_COLOURS.sub("", line) for text in content["traceback"] for line in text.splitlines()]
    return [content["ename"], _text(content["evalue"], case, place)]


def _data(mime: str, value: Any, case: Case, place: Path) -> Any:
    if mime == "image/png" and isinstance(value, str):
        return f"picture {hashlib.sha1(value.encode()).hexdigest()[:12]}"
    return _text(value, case, place) if isinstance(value, str) else value


def _text(text: str, case: Case, place: Path) -> str:
    text = _CELL.sub("<cell>", text)
    text = _RANDOM_IDS.sub("<id>", text.replace(str(place), "<cwd>"))
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x", text)
    if not case.clock:
        text = re.sub(r"\b\d\d:\d\d:\d\d\b", "<time>", text)
    if not case.numbers:
        text = re.sub(r"(\d+(\.\d+)?(e[-+]?\d+)?|\s*(±|[nmμµu]?s\b|min\b)\s*|[█▏▎▍▌▋▊▉ ])+", "#", text)
    if not case.ordered:
        text = "\n".join(sorted(text.splitlines()))
    return text


def _differences(case: Case, one: tuple[list[Shown], Any], two: tuple[list[Shown], Any]) -> list[str]:
    (plain, plain_report), (magic, magic_report) = one, two
    found = []
    at = len(case.before)
    for index, (a, b) in enumerate(zip(plain, magic, strict=True)):
        which = "the cell" if index == at else f"cell {index - at:+}"
        if case.refused and index == at:
            if case.refused not in " ".join(map(str, b.error)):
                found.append(f"the cell is not refused: {b}")
            continue
        if a.parts != b.parts:
            found.append(f"{which} shows\n  plain {_cut(a.parts)}\n  magic {_cut(b.parts)}")
        if a.error != b.error:
            found.append(f"{which} ends with\n  plain {a.error}\n  magic {b.error}")
        if index < at and a.error and not case.stumbles and not case.every:
            raise RuntimeError(f"{which} does not run: {a.error}")
    if not case.refused:
        for what in ("names", "probes", "files"):
            found += _by_key(what, plain_report[what], magic_report[what], case.skips)
        if plain_report["error"] != magic_report["error"]:
            found.append(f"the exception\n  plain {plain_report['error']}\n  magic {magic_report['error']}")
    if any(_ARROW.match(line) for line in plain[at].traceback):
        found += _traceback_faults(case, magic[at], magic_report["error"])
    found += [
        f"the traceback shows {line}" for line in magic[at].traceback if "/greenkernel/" in line.partition(" in ")[0]
    ]
    said = [text for shown in magic for text in shown.ours if "did not come back" in text or "is a new object" in text]
    return [*found, *(f"  (said: {text})" for text in said)] if found else []


def _traceback_faults(case: Case, shown: Shown, chain: list[Any]) -> list[str]:
    """IPython marks other lines of a plain chain than those that raised; here the exception itself is the measure."""
    marked = {found.groups() for line in shown.traceback if (found := _ARROW.match(line))}
    sources = [text.replace("\r", "").split("\n") for text in (*case.before, _without(case))]
    found = []
    for name, line in [frame for link in chain for frame in link[4:]] if shown.error and not case.refused else []:
        lines = {source[line - 1].strip() for source in sources if line <= len(source)}
        if not any(int(number) == line and text.strip() in lines for number, text in marked):
            found.append(f"line {line} of {name} is not marked in the traceback")
    return list(dict.fromkeys(found))


def _by_key(what: str, plain: dict[str, Any], magic: dict[str, Any], skips: tuple[str, ...]) -> list[str]:
    found = []
    for key in sorted({*plain, *magic} - set(skips)):
        if plain.get(key) != magic.get(key):
            a, b = (json.dumps(side.get(key, "not bound"), ensure_ascii=False) for side in (plain, magic))
            found.append(f"{what}: {key}\n  plain {_cut(a)}\n  magic {_cut(b)}")
    return found


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 1500 else f"{text[:700]} ... {text[-700:]}"
