"""Names that magics and shell lines read: they stand inside strings, as ``{x}`` and ``$x``, or as Python."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator

_DOLLAR = re.compile(r"\$\$?([^\W\d]\w*)")
_AT = re.compile(r"@([^\W\d]\w*)")
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")
_SPACES = frozenset({"globals", "locals", "vars"})
_LISTING = frozenset({"who", "whos", "who_ls", "run", "macro"})
# Of doctest, unittest and frames.
_LOOKING_THROUGH_MAIN = frozenset({"testmod", "loadTestsFromModule", "f_globals"})
# Their argument, or what they run, is Python, or a name of which they tell.
_PYTHON_LINE = {"time", "timeit", "prun", "memit", "mprun", "lprun"}
_ABOUT_LINE = {"pinfo", "pinfo2", "pdef", "pdoc", "psource", "pfile"}
_PYTHON_CELL = {"time", "timeit", "prun", "capture", "python"}
_MAGICS = {"run_line_magic": "%", "run_cell_magic": "%%"}
_OURS = ("greentrain", "greensites", "greenruns", "greenreport")


def python_in_magics(tree: ast.AST) -> Iterator[str]:
    """The Python inside the magics of a transformed cell, piece by piece.

    Args:
        tree: The transformed cell.
    """
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_shell(node.func.value)):
            continue
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        method = node.func.attr
        if method in ("system", "getoutput") and texts:
            yield from _expanded(texts[0])
        elif method == "run_line_magic" and len(texts) == 2:
            yield from _expanded(texts[1])
            if texts[0] in _PYTHON_LINE | _ABOUT_LINE:
                yield from _statements(texts[1])
        elif method == "run_cell_magic" and len(texts) == 3:
            yield from _expanded(texts[1])
            if texts[0] in _PYTHON_CELL:
                yield from _statements(texts[2])
                yield from _statements(texts[1])


def magic_of_ours(tree: ast.AST) -> str:
    """The first of GreenKernel's own magics in a cell, as it is written; empty where there is none.

    Args:
        tree: The transformed cell.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=shell, attr=method), args=[ast.Constant(value=str(name)), *_]):
                if method in _MAGICS and name in _OURS and _is_shell(shell):
                    return _MAGICS[method] + name
    return ""


def names_in_texts(tree: ast.AST) -> Iterator[str]:
    """Names that a cell reaches through text.

    Such as ``df.query("a > @k")``, ``ols("y ~ log(x)", data)``, ``eval("x + 1")`` and ``globals()["x"]``.

    Args:
        tree: The transformed cell.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _AT.findall(node.value)
            if "~" in node.value:  # a formula of patsy: it is evaluated where it is written
                yield from _NAME.findall(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            texts = [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from (name for text in texts for name in _names_of(text))
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
            space, key = node.value.func, node.slice
            if isinstance(space, ast.Name) and space.id in _SPACES and isinstance(key, ast.Constant):
                yield from [key.value] if isinstance(key.value, str) else []


def computes_names(tree: ast.AST) -> str:
    """How a cell may reach names that its text does not tell (``eval``, ``globals()``, ``%who``); empty: it does not.

    Args:
        tree: The transformed cell.
    """
    subscripts = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    literal = {id(node.value) for node in subscripts if isinstance(node.slice, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            first = node.args[0] if node.args else None
            if name in ("eval", "exec") and not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                return name
            if (name in _SPACES and not node.args and id(node) not in literal) or (name == "dir" and not node.args):
                return f"{name}()"
        elif isinstance(node, ast.Attribute) and node.attr == "user_ns":
            return "user_ns"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run_line_magic":
            magic = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
            if magic in _LISTING:
                return f"%{magic}"
        elif isinstance(node, ast.Import | ast.ImportFrom | ast.Subscript) and _means_main(node):
            return "__main__"
        elif isinstance(node, ast.Attribute) and node.attr in _LOOKING_THROUGH_MAIN:
            return node.attr
        elif isinstance(node, ast.Attribute) and node.attr == "main" and ast.unparse(node.value) == "unittest":
            return "unittest.main"
    return ""


def _means_main(node: ast.Import | ast.ImportFrom | ast.Subscript) -> bool:
    """True where the notebook's own module is had: ``import __main__``, ``sys.modules[__name__]``."""
    if isinstance(node, ast.Subscript):
        of_modules = isinstance(node.value, ast.Attribute) and node.value.attr == "modules"
        return of_modules and ast.unparse(node.slice) in ("__name__", "'__main__'")
    if isinstance(node, ast.ImportFrom):
        return node.module == "__main__"
    return any(alias.name == "__main__" for alias in node.names)


def _names_of(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text.strip())
    except SyntaxError:
        return
    yield from (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def _is_shell(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def _expanded(text: str) -> Iterator[str]:
    yield from _DOLLAR.findall(text)
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field]
    except ValueError:
        return
    for field in fields:
        yield from _statements(field)


def _statements(text: str) -> Iterator[str]:
    """``text`` as Python; options before the code (``-n 1``) are passed over."""
    words = text.split(" ")
    for start in range(len(words)):
        if start and not words[start - 1].startswith("-") and not words[start - 1].lstrip("-").isalnum():
            return
        piece = " ".join(words[start:]).strip()
        try:
            ast.parse(piece)
        except SyntaxError:
            continue
        yield piece
        return
