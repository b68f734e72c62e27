"""The text of the demo notebook's two cells, and the namespace that the first of them leaves behind."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from greenkernel.demo.ecg import EcgRecords

_MARK = "# %%\n"


def _cell_of(script: str) -> str:
    text = (files("greenkernel.demo") / script).read_text(encoding="utf-8")
    return text.split(_MARK, maxsplit=1)[1]


SETUP: Final[str] = _cell_of("ecg_setup.py")
"""The setup cell: helper functions, and the sizes `trees`, `fold_trees`, `window_s` and `hop_s`."""

CELL: Final[str] = _cell_of("ecg_forest.py")
"""The training cell: reads `signals`, `labels`, `sampling_hz` and what SETUP binds."""


def setup_namespace(records: EcgRecords) -> dict[str, object]:
    """Run the setup cell as a notebook would, and add the data.

    Args:
        records: The ECG records; their signals, labels and sampling frequency are put in as they are.

    Returns:
        A namespace in which CELL can be executed, with `__name__` equal to `"__main__"`. Entries such as `trees`
        may be overwritten before that to make the cell smaller.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    # Without dont_inherit the cell would be compiled under this module's future imports.
    exec(compile(SETUP, "<demo setup cell>", "exec", dont_inherit=True), namespace)
    namespace |= {"signals": records.signals, "labels": records.labels, "sampling_hz": records.sampling_hz}
    return namespace
