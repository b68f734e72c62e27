"""The kinds of process-wide settings that are followed, in the order in which they are put."""

from greenkernel.runner.setting_kinds import assigned, counters, interpreter, libraries, options, shell, shown
from greenkernel.runner.setting_kinds.kind import Kind

KINDS: tuple[Kind, ...] = (
    *interpreter.KINDS,
    *shell.KINDS,
    *libraries.KINDS,
    *counters.KINDS,
    *options.KINDS,
    *assigned.KINDS,
    *shell.FIGURES,
    interpreter.WARNINGS,
    *shown.KINDS,  # under the filters as they are then
)

__all__ = ["KINDS", "Kind"]
