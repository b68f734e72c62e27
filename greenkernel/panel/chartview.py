"""The chart as a widget. Importing altair and bundling Vega take a second or two, so this is imported when needed."""

from __future__ import annotations

from typing import Any

import altair


class Chart(altair.JupyterChart):  # type: ignore[misc]  # altair has no types for it
    """A chart whose data are replaced in place; it is built again only where its frame has changed.

    A view that is made later (a page that is loaded again) reads ``spec``, which therefore always has the newest data;
    telling the views that exist of it would build them again, so that is not sent.
    """

    def __init__(self) -> None:
        super().__init__(None, embed_options={"renderer": "svg", "actions": False})
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


def make_chart() -> Any:
    """A chart that needs no network; None where this installation cannot draw one."""
    try:
        altair.JupyterChart.enable_offline()
        return Chart()
    except (ImportError, ValueError, OSError, RuntimeError):
        return None


def _frame(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "datasets"}
