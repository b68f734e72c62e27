"""The chart as a widget. Importing altair takes a second or two, so this is imported when needed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import altair

# Bundling takes two seconds, and five where the machine is busy.
_PATIENCE_S = 60.0


class Chart(altair.JupyterChart):  # type: ignore[misc]  # altair has no types for it
    """A chart whose data are replaced in place; it is built again only where its frame has changed.

    A view that is made later (a page that is loaded again) reads ``spec``, which therefore always has the newest data;
    telling the views that exist of it would build them again, so that is not sent.
    """

    def __init__(self, script: str) -> None:
        super().__init__(None, embed_options={"renderer": "svg", "actions": False}, _esm=script)
        self._quiet = False

    def show(self, spec: dict[str, Any]) -> None:
        """Show ``spec``, with as little as possible sent."""
        old: dict[str, Any] | None = self.spec  # type: ignore[has-type]  # altair has no types for it
        if old is None or _frame(old) != _frame(spec):
            self.spec = spec
            return
        changed = [name for name, rows in spec["datasets"].items() if rows != old["datasets"][name]]
        if not changed:
            return
        self._quiet = True
        try:
            self.spec = spec
        finally:
            self._quiet = False
        updates = [{"namespace": "data", "name": n, "scope": [], "value": spec["datasets"][n]} for n in changed]
        self._py_to_js_updates = updates

    def _should_send_property(self, key: str, value: Any) -> bool:
        if key == "spec" and self._quiet:
            return False
        return bool(super()._should_send_property(key, value))


def make_chart(scripts: Path) -> Any:
    """A chart that needs no network; None where this installation cannot draw one.

    Args:
        scripts: The folder in which its script is looked for, and into which it is put.
    """
    try:
        return Chart(_script(scripts))
    except (ImportError, ValueError, OSError, RuntimeError, subprocess.SubprocessError):
        return None


def _script(folder: Path) -> str:
    """Vega and what drives it in one script, made once per version.

    In a process of its own: bundling holds the interpreter's lock, and the kernel would answer nothing meanwhile.
    """
    path = folder / f"chart-{altair.__version__}-{metadata.version('vl-convert-python')}.js"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", __name__, str(path)]  # the notebook's folder may have an altair.py
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True)
    return path.read_text(encoding="utf-8")


def _frame(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "datasets"}


def _make_script(path: Path) -> None:
    altair.JupyterChart.enable_offline()
    aside = path.with_suffix(f".{os.getpid()}")
    aside.write_text(str(altair.JupyterChart._esm), encoding="utf-8")
    aside.replace(path)


if __name__ == "__main__":
    _make_script(Path(sys.argv[1]))
