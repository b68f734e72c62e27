"""The cell's text -> Python, line for line; IPython's own transformations without a shell."""

from __future__ import annotations

import ast
import linecache

from greenkernel.errors import UserError


class NothingToRunError(UserError):
    """A cell of comments and empty lines."""


def to_python(cell: str, file_name: str, *, whole: bool = False) -> str:
    """Turn magics and shell lines into calls; every line stays where it was.

    Args:
        cell: The raw text.
        file_name: The cell's name, for messages.
        whole: It is compiled as a whole, as a file is; the statements of a cell are, one by one, when their turn comes.

    Raises:
        NothingToRunError: There is no statement in it.
        UserError: The text is not Python; the message has the line.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    class KeepsLines(TransformerManager):  # type: ignore[misc]
        """A statement that takes fewer lines afterwards is followed by empty ones."""

        def do_one_token_transform(self, lines: list[str]) -> tuple[bool, list[str]]:
            changed, new = super().do_one_token_transform(lines)
            lost = len(lines) - len(new)
            if changed and lost > 0:
                at = next((i for i, (a, b) in enumerate(zip(lines, new, strict=False)) if a != b), len(new) - 1)
                new = [*new[: at + 1], *["\n"] * lost, *new[at + 1 :]]
            return changed, new

    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    leading = len(text) - len(text.lstrip())
    above = text[:leading].count("\n")
    try:
        python: str = "\n" * above + KeepsLines().transform_cell(text[text.rfind("\n", 0, leading) + 1 :])
        tree = ast.parse(python, file_name)
        if whole:
            compile(python, file_name, "exec", dont_inherit=True)
    except SyntaxError as e:
        raise _as_user_error(e, text, file_name) from e
    except ValueError as e:  # a null byte
        raise UserError(f"the cell is not Python: {e}", where=file_name, what_to_do="Mend it and run it again") from e
    if not tree.body:
        raise NothingToRunError("the cell has nothing to run", what_to_do="Write some code below the first line")
    return python


def remember_lines(cell: str, file_name: str) -> None:
    """Let tracebacks show the cell's own lines under its name."""
    lines = cell.replace("\r\n", "\n").splitlines(keepends=True)
    linecache.cache[file_name] = (len(cell), None, lines, file_name)


def _as_user_error(error: SyntaxError, text: str, file_name: str) -> UserError:
    line = error.lineno or 1
    lines = text.splitlines()
    shown = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    quoted = f": {shown[:80]!r}" if shown else ""
    return UserError(
        f"line {line} is not Python, {error.msg}{quoted}", where=file_name, what_to_do="Mend it and run it again"
    )
