"""The kinds of process-wide settings that are followed, in the order in which they are put."""

from greenkernel.runner.setting_kinds import interpreter, libraries, shell
from greenkernel.runner.setting_kinds.kind import Kind

KINDS: tuple[Kind, ...] = (
    *interpreter.KINDS,
    *shell.KINDS,
    *libraries.KINDS,
    *shell.FIGURES,
    interpreter.WARNINGS,
)

__all__ = ["KINDS", "Kind"]
