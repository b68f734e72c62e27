"""What a cell reads, binds, deletes and imports, read off its text; and what the functions it uses read in turn."""

from __future__ import annotations

import ast
import builtins
import contextlib
import dis
import functools
import re
import symtable
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from greenkernel.cell.named_files import texts_in
from greenkernel.cell.strings import computes_names, names_in_texts, python_in_magics
from greenkernel.store.attributes import attribute_of
from greenkernel.store.returned import OF_THE_INTERPRETER

_PASSWORD = "getpass"
# What looks at files whose names need not stand in the cell: listing, asking for them, running other programs.
_LISTING = frozenset(
    {
        *(
            "listdir",
            "scandir",
            "walk",
            "fwalk",
            "iterdir",
            "rglob",
            "make_archive",
            "copytree",
            "with_suffix",
            "with_name",
        ),
        *("exists", "isfile", "isdir", "is_file", "is_dir", "getsize", "getmtime", "stat", "lstat", "lexists"),
        *("run_cell_magic", "system", "getoutput", "Popen", "check_output", "check_call", "Memory"),
    }
)
_HERE = ("./", "./*")
_LISTING_SHELL = re.compile(r"\s*(ls|find|tree|du)\b")
_GLOBAL_OPS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"})
_SHELL_NAMES = frozenset({"get_ipython", "exit", "quit", "display", "In", "_ih", "_dh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of a cell, each group sorted.

    Attributes:
        reads: Names of the namespace that the cell or what it uses reads.
        binds: Names that it, or a notebook function that it uses, may bind, imports included.
        deletes: Names that it deletes.
        imports: Top-level modules that it, or a notebook function that it uses, imports by a statement.
        why: For each name read: by whom.
        texts: What stands in texts of the cell and of the notebook's functions that it uses.
        asks: Who asks for input, empty where nobody does.
        lists: True where it lists folders.
        computed: How the cell reaches names that its text does not tell, such as ``eval``; empty where it does not.
    """

    reads: tuple[str, ...]
    binds: tuple[str, ...]
    deletes: tuple[str, ...]
    imports: tuple[str, ...]
    why: Mapping[str, str] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    computed: str = ""
    asks: str = ""
    lists: bool = False


def analyse(python: str, namespace: Mapping[str, object]) -> Names:
    """Read a transformed cell.

    Names that the namespace lacks
    are left out: the cell raises ``NameError`` for them there as here.

    Args:
        python: The cell as Python.
        namespace: The notebook's names.
    """
    tree = ast.parse(python)
    parts = [python, *python_in_magics(tree)]
    read: dict[str, str] = dict.fromkeys(names_in_texts(tree), "a text in the cell")
    bound: set[str] = set()
    deleted: set[str] = set()
    imports: set[str] = set()
    asks = ""
    for part in parts:
        seen = _Text.of(part)
        asks = "the cell" if "input" in seen.reads else asks
        read.update(dict.fromkeys(seen.reads, "the cell"))
        bound |= seen.binds
        deleted |= seen.deletes
        imports |= seen.imports
    why, more_imports, codes = _followed(read, namespace)
    bound |= set().union(*(_bound_by(code) for code in codes))
    asking = next((code.co_qualname for code in codes if _asks(code, namespace)), "")
    if any(isinstance(node, ast.Call) and _asks_for_password(node.func, namespace) for node in ast.walk(tree)):
        asks = "the cell"
    return Names(
        reads=tuple(sorted(why)),
        binds=tuple(sorted(bound)),
        deletes=tuple(sorted(deleted)),
        imports=tuple(sorted(imports | more_imports)),
        why=why,
        texts=frozenset(texts_in(tree)).union(*(_texts_of(code) for code in codes)),
        asks="" if "input" in namespace or "input" in bound else asks or asking,
        computed=computes_names(tree),
        lists=lists_folders(tree, codes),
    )


def _asks_for_password(function: ast.expr, namespace: Mapping[str, object]) -> bool:
    """True for ``getpass.getpass`` and for a name of it; the module's other functions ask nobody."""
    if isinstance(function, ast.Attribute):
        return function.attr == _PASSWORD
    value = namespace.get(function.id) if isinstance(function, ast.Name) else None
    of_the_cell = isinstance(function, ast.Name) and function.id == _PASSWORD and value is None
    return of_the_cell or attribute_of(value, "__module__") == _PASSWORD


def _asks(code: types.CodeType, namespace: Mapping[str, object]) -> bool:
    used = _used_by(code)[0]
    named = any(attribute_of(namespace.get(name), "__module__") == _PASSWORD for name in used)
    taken = {str(one.argval) for one in dis.get_instructions(code) if one.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    return "input" in used or named or _PASSWORD in taken


def lists_folders(tree: ast.AST, codes: Iterable[types.CodeType] = ()) -> bool:
    """True where folders are listed, by a function or by the shell, or the notebook's own is named.

    Args:
        tree: A piece of Python.
        codes: Functions that it uses.
    """
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    called |= set().union(*(_attributes_of(code) for code in codes))
    return bool(called & _LISTING) or any(text in _HERE or _LISTING_SHELL.match(text) for text in texts_in(tree))


def _attributes_of(code: types.CodeType) -> set[str]:
    inside = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*(_attributes_of(const) for const in inside))


@dataclass(slots=True)
class _Text:
    """Global names in a piece of Python."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, python: str) -> _Text:
        """Read a piece of Python as a module."""
        seen = cls()
        tree = ast.parse(python)
        for table in _tables(tree, python):
            seen._scopes(table)
        for node in ast.walk(tree):
            seen._node(node)
        return seen

    def _scopes(self, table: symtable.SymbolTable) -> None:
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if not (top or symbol.is_global()):
                continue
            name = symbol.get_name()
            if symbol.is_referenced():
                self.reads.add(name)
            if symbol.is_assigned() or symbol.is_imported() or (top and symbol.is_namespace()):
                self.binds.add(name)
        for child in table.get_children():
            self._scopes(child)

    def _node(self, node: ast.AST) -> None:
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self.reads.add(node.target.id)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Del):
                        self.reads.add(name.id)
                        self.deletes.add(name.id)
        elif isinstance(node, ast.Import):
            self.imports |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            self.imports.add(node.module.partition(".")[0])


def _tables(tree: ast.Module, python: str) -> Iterator[symtable.SymbolTable]:
    """The scopes of a text; statement by statement where it compiles only so, as the shell compiles it."""
    try:
        yield symtable.symtable(_with_scopes(tree, python), "<cell>", "exec")
    except SyntaxError:
        for node in tree.body:
            with contextlib.suppress(SyntaxError):  # it raises the same where it runs
                text = ast.unparse(node)
                yield symtable.symtable(_with_scopes(ast.parse(text), text), "<cell>", "exec")


def _with_scopes(tree: ast.Module, python: str) -> str:
    """The text with generators for comprehensions, whose variables newer Pythons list among those around them."""
    comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp)
    if not any(isinstance(node, comprehensions) for node in ast.walk(tree)):
        return python

    class Generators(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            self.generic_visit(node)
            if isinstance(node, ast.ListComp | ast.SetComp):
                return ast.GeneratorExp(node.elt, node.generators)
            if isinstance(node, ast.DictComp):
                return ast.GeneratorExp(ast.Tuple([node.key, node.value], ast.Load()), node.generators)
            return node

    return ast.unparse(Generators().visit(ast.parse(python)))


def _followed(
    read: Mapping[str, str], namespace: Mapping[str, object]
) -> tuple[dict[str, str], set[str], list[types.CodeType]]:
    """Names read and imports, through the functions and classes of the notebook that they lead to, and their code."""
    why: dict[str, str] = {}
    imports: set[str] = set()
    codes: list[types.CodeType] = []
    queue = deque(read.items())
    while queue:
        name, reader = queue.popleft()
        if name in why or not _is_captured(name, namespace):
            continue
        why[name] = reader
        for code, label in _codes(namespace[name], set()):
            used, imported = _used_by(code)
            imports |= imported
            codes.append(code)
            queue.extend((other, label or name) for other in used)
        queue.extend((other, name) for other in _class_names(namespace[name], namespace))
    return why, imports, codes


def _texts_of(code: types.CodeType) -> Iterator[str]:
    for const in code.co_consts:
        if isinstance(const, str):
            yield const
        elif isinstance(const, types.CodeType):
            yield from _texts_of(const)


def is_shells(name: str, namespace: Mapping[str, object]) -> bool:
    """True for what the site's own shell brings; not for what the notebook calls alike."""
    if name not in _SHELL_NAMES:
        return False
    value = namespace[name]
    if name == "In":
        return value is namespace.get("_ih")
    module = getattr(value, "__module__", None) or type(value).__module__
    return name in ("_ih", "_dh") or str(module).startswith(("IPython.", "ipykernel."))


def _is_captured(name: str, namespace: Mapping[str, object]) -> bool:
    if name not in namespace or is_shells(name, namespace) or name in (*OF_THE_INTERPRETER, "__annotations__"):
        return False
    value = namespace[name]
    # IPython puts a warning ``open`` of its own into the namespace; the site's shell does the same.
    if not hasattr(builtins, name) or not isinstance(value, types.FunctionType | types.MethodType):
        return True
    function = value.__func__ if isinstance(value, types.MethodType) else value
    return not str(attribute_of(function, "__globals__", {}).get("__name__")).startswith("IPython.")


def _wrapped(value: object) -> object:
    attributes = attribute_of(value, "__dict__")
    return attributes.get("__wrapped__") if isinstance(attributes, dict) else None


def _codes(value: object, seen: set[int]) -> Iterator[tuple[types.CodeType, str]]:
    """The code of the notebook's functions inside a function, class, method, wrapper or instance."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, types.FunctionType) and _is_notebooks(value):
        yield value.__code__, value.__qualname__
    for part in _parts(value):
        yield from _codes(part, seen)


def _parts(value: object) -> tuple[object, ...]:
    """Where the code of a callable, a class or an instance may be."""
    if isinstance(value, types.FunctionType):
        inner = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return (*inner, *(value.__defaults__ or ()), vars(value).get("__wrapped__"))
    if isinstance(value, type):
        return (*value.__bases__, *vars(value).values()) if _is_notebooks(value) else ()
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        return (value.__func__,)
    if isinstance(value, property):
        return value.fget, value.fset, value.fdel
    if isinstance(value, functools.partial):
        return (value.func, *value.args)
    return (_wrapped(value), type(value) if _is_notebooks(type(value)) else None)


def _class_names(value: object, namespace: Mapping[str, object]) -> list[str]:
    """Names of the notebook's classes that an object or a class is made of: pickling needs them by name."""
    kind = value if isinstance(value, type) else type(value)
    mine = [k for k in kind.__mro__ if _is_notebooks(k)]
    return [k.__name__ for k in mine if namespace.get(k.__name__) is k]


def _used_by(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Global names and imported modules of a code object and those inside it."""
    names: set[str] = set()
    imports: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBAL_OPS:
            names.add(str(instruction.argval))
        elif instruction.opname == "IMPORT_NAME":
            imports.add(str(instruction.argval).partition(".")[0])
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            inner, imported = _used_by(const)
            names |= inner
            imports |= imported
    return names, imports - {""}


def _bound_by(code: types.CodeType) -> set[str]:
    """Names that a function binds or deletes by a ``global`` statement, and those inside it."""
    ops = ("STORE_GLOBAL", "DELETE_GLOBAL")
    own = {str(one.argval) for one in dis.get_instructions(code) if one.opname in ops}
    return own.union(*(_bound_by(const) for const in code.co_consts if isinstance(const, types.CodeType)))


def _is_notebooks(value: object) -> bool:
    return attribute_of(value, "__module__") in ("__main__", None)


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
