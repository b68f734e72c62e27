"""An IPython shell without a kernel, a history or a profile: what a cell needs of IPython where it runs."""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from greenkernel.runner.patches import register_magics
from greenkernel.store.runs import LogEvent

INLINE_FIGURES = "module://matplotlib_inline.backend_inline"
_KNOWN_AS = {"kernel": "ZMQInteractiveShell", "terminal": "TerminalInteractiveShell"}


def cell_shell(namespace: dict[str, Any], front_end: str = "") -> Any:
    """The process's shell, working in ``namespace``, its ``user_ns``.

    It is there before the notebook's values are: libraries look for one when they are loaded. The names that it brings
    along (``In``, ``Out``, ``open``, ``exit``...) are kept in ``brought`` until the cell begins.

    Args:
        namespace: The notebook's namespace.
        front_end: As in `Capture`: what libraries take the shell for, by its name and by whether it has a kernel.

    Returns:
        The shell. What is displayed goes to its ``emit``, which is to be set.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    InteractiveShell.clear_instance()
    kept = dict(namespace)
    main = sys.modules["__main__"]
    given = {"user_module": main} if main.__dict__ is namespace else {"user_ns": namespace}
    kind = _kind(front_end)
    with tempfile.TemporaryDirectory() as folder:
        kind.profile_dir = SimpleNamespace(location=folder)
        shell = kind.instance(config=config, **given)
    kind.profile_dir = None
    shell.front_end = front_end
    shell.brought = {name: namespace.pop(name) for name in namespace.keys() - kept.keys()}
    namespace.update(kept)
    register_magics()
    if front_end == "kernel":
        shell.builtin_trap.auto_builtins["input"] = _nobody_answers
        sys.breakpointhook = _nobody_debugs
    return shell


def _kind(front_end: str) -> Any:
    """The class of the shell, which IPython's own is loaded for."""
    import traitlets
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    class Publisher(DisplayPublisher):  # type: ignore[misc]
        """Displays become events."""

        def publish(
            self,
            data: dict[str, Any],
            metadata: dict[str, Any] | None = None,
            *,
            transient: dict[str, Any] | None = None,
            update: bool = False,
            **_: Any,
        ) -> None:
            self.shell.emit(
                LogEvent(
                    at=datetime.now(UTC),
                    kind="update_display" if update else "display",
                    data=as_json(data),
                    metadata=as_json(metadata or {}),
                    display_id=(transient or {}).get("display_id"),
                )
            )

        def clear_output(self, wait: bool = False) -> None:
            self.shell.emit(LogEvent(at=datetime.now(UTC), kind="clear_output", wait=wait))

    class Shell(InteractiveShell):  # type: ignore[misc]
        """Without files of its own."""

        emit: Callable[[LogEvent], None] = staticmethod(_to_nobody)

        def init_ipython_dir(self, ipython_dir: Any) -> None:
            self.ipython_dir = ""

        def init_profile_dir(self, profile_dir: Any) -> None:
            return

        @property
        def db(self) -> dict[str, Any]:
            """What ``%cd`` and others keep in the profile's folder."""
            return self.__dict__.setdefault("_kept", {})  # type: ignore[no-any-return]

        @db.setter
        def db(self, _files: Any) -> None:
            """Older versions of IPython make files for it while they start."""

        def enable_gui(self, gui: str | None = None) -> None:
            """There is no screen; ``%matplotlib inline`` asks all the same."""

        def ask_exit(self) -> None:
            """``exit()``: there is no kernel that it could end, but the cell, or the script."""
            raise SystemExit

        def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
            """An error that does not end the cell, such as that of a ``__repr__``."""
            data = {"ename": etype.__name__, "evalue": str(evalue), "traceback": list(stb)}
            self.emit(LogEvent(at=datetime.now(UTC), kind="error", data=data))

        def init_display_pub(self) -> None:
            self.display_pub = Publisher(parent=self, shell=self)
            self.configurables.append(self.display_pub)

    members = {"kernel": traitlets.Any(SimpleNamespace(comm_manager=_NoComms()))} if front_end == "kernel" else {}
    return type(_KNOWN_AS.get(front_end, "InteractiveShell"), (Shell,), members)


def _to_nobody(_event: LogEvent) -> None:
    """Where nothing is shown yet."""


class _NoComms:
    """As in a kernel whose front end opens none: libraries say what they would answer to."""

    def __init__(self) -> None:
        self.targets: dict[str, Any] = {}
        self.comms: dict[str, Any] = {}

    def register_target(self, target_name: str, f: Any) -> None:
        self.targets[target_name] = f

    def unregister_target(self, target_name: str, f: Any) -> Any:
        return self.targets.pop(target_name)

    def register_comm(self, comm: Any) -> str:
        self.comms[comm.comm_id] = comm
        return str(comm.comm_id)

    def unregister_comm(self, comm: Any) -> None:
        self.comms.pop(comm.comm_id, None)

    def get_comm(self, comm_id: str) -> Any:
        return self.comms.get(comm_id)


def _nobody_debugs(*_: Any, **__: Any) -> None:
    """As in a kernel that no debugger is attached to."""


def _nobody_answers(_prompt: str = "") -> str:
    """As in a kernel that may not ask: cells that call ``input`` themselves are refused before, libraries may."""
    from IPython.core.error import StdinNotImplementedError

    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


def as_json(bundle: dict[str, Any]) -> dict[str, Any]:
    """A MIME bundle that can be written as JSON: bytes as base64, what is not JSON as its text."""

    def other(value: Any) -> Any:
        return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else str(value)

    loaded: dict[str, Any] = json.loads(json.dumps(bundle, default=other))
    return loaded


def inline_figures(shell: Any) -> None:
    """Figures show at the end of the cell, also where matplotlib was imported before there was a shell."""
    if "matplotlib.figure" in sys.modules:  # figures of earlier cells are shown as pictures too
        with contextlib.suppress(ImportError):
            backend = importlib.import_module("matplotlib_inline.backend_inline")
            backend.configure_inline_support(shell, INLINE_FIGURES)
