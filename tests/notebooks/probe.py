"""Runs inside a kernel: describes its namespace so that two kernels can be compared, and makes a kernel fresh again.

The text of this file is executed in each kernel under test, in a namespace of its own; it must not leave a trace.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import json
import logging
import os
import re
import sys
import tempfile
import types
import warnings
from pathlib import Path
from typing import Any

_HIDDEN = re.compile(r"^(_+|_i+|_i?\d+|_h|_ih|_oh|_dh|_sh|In|Out|exit|quit|get_ipython|open)$")
_DUNDERS = ("__annotations__", "__doc__", "__file__")
_CELL = re.compile(rf"{re.escape(tempfile.gettempdir())}/ipykernel_\d+/\d+\.py")
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), range)
_LONG = 400
_DEEP = 30


def describe_all(space: dict[str, Any], expressions: list[str]) -> dict[str, Any]:
    """What the names of a notebook and some expressions are; a shared object is where it was first seen."""
    memo = _Memo(space)
    names = [n for n in sorted(space) if not _HIDDEN.match(n) and (not n.startswith("__") or n in _DUNDERS)]
    found = {name: memo.describe(space[name], name) for name in names}
    probed = {}
    for text in expressions:
        try:
            probed[text] = memo.describe(eval(text, space), f"<{text}>")
        except Exception as e:
            probed[text] = f"raises {type(e).__name__}: {e}"
    return {"names": found, "probes": probed, "error": _last_error(memo)}


class _Memo:
    """Describes values; an object that was seen before is the place where it was."""

    def __init__(self, space: dict[str, Any]) -> None:
        self._space = space
        self._seen: dict[int, str] = {}
        self._kept: list[Any] = []
        self._arrays: list[tuple[str, Any]] = []

    def describe(self, value: Any, at: str) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return _short(value)
        if kind is tuple:
            return ["tuple", *(self.describe(v, f"{at}[{i}]") for i, v in enumerate(value))]
        if isinstance(value, type | types.FunctionType | types.ModuleType) and _is_imported(value):
            return [kind.__name__, getattr(value, "__module__", ""), getattr(value, "__qualname__", value.__name__)]
        if _is_numpys_atom(value):  # never changes, as numbers of the language: which of two equal ones is no matter
            return [kind.__name__, repr(value)]
        if id(value) in self._seen:
            return f"is {self._seen[id(value)]}"
        self._seen[id(value)] = at
        self._kept.append(value)
        if at.count("[") + at.count(".") > _DEEP:
            return kind.__name__
        try:
            return self._parts(value, at)
        except Exception as e:  # an object that answers to every name, with an error of its own
            return [kind.__name__, f"cannot be described: {type(e).__name__}"]

    def _parts(self, value: Any, at: str) -> list[Any]:
        module = type(value).__module__.partition(".")[0]
        if isinstance(value, list):
            parts = [self.describe(v, f"{at}[{i}]") for i, v in enumerate(list.__iter__(value))]
            return [type(value).__name__, *_cut(parts), *self._attributes(value, at)]
        if isinstance(value, dict):
            pairs = enumerate(value.items() if isinstance(value, collections.OrderedDict) else dict.items(value))
            parts = [[self.describe(k, f"{at}.key{i}"), self.describe(v, f"{at}[{k!r:.20}]")] for i, (k, v) in pairs]
            return [type(value).__name__, *_cut(parts), *self._attributes(value, at)]
        if isinstance(value, set | frozenset):
            parts = sorted((self.describe(v, f"{at}[]") for v in value), key=json.dumps)
            return [type(value).__name__, *_cut(parts)]
        if isinstance(value, types.FunctionType):
            return self._function(value, at)
        if isinstance(value, type):
            return self._class(value, at)
        if module == "numpy" and hasattr(value, "__array_interface__") and hasattr(value, "strides"):
            return self._array(value, at)
        if module == "torch" and hasattr(value, "untyped_storage") and str(value.layout) == "torch.strided":
            return self._tensor(value, at)
        if module == "pandas" and hasattr(value, "to_dict") and hasattr(value, "index"):
            return self._table(value, at)
        if module in ("matplotlib", "threading", "_thread", "pandas", "asyncio"):
            return [type(value).__qualname__, plain(repr(value))]
        if value is sys.stdout or value is sys.stderr:  # all of the kernel hangs on them
            return ["stdout" if value is sys.stdout else "stderr"]
        return self._other(value, at)

    def _attributes(self, value: Any, at: str) -> list[Any]:
        return [self.describe(dict(vars(value)), f"{at}.__dict__")] if getattr(value, "__dict__", None) else []

    def _function(self, value: types.FunctionType, at: str) -> list[Any]:
        head = ["function", value.__module__, value.__qualname__]
        code = value.__code__
        inner = [c.cell_contents for c in value.__closure__ or () if _is_filled(c)]
        rest = (
            value.__doc__,
            value.__defaults__,
            value.__kwdefaults__,
            dict(value.__annotations__),
            dict(vars(value)),
            inner,
        )
        text = hashlib.sha1(code.co_code + repr(code.co_varnames).encode()).hexdigest()[:8]
        home = "here" if value.__globals__ is self._space else "elsewhere"
        place = (plain(code.co_filename), code.co_firstlineno)
        return [*head, home, *place, text, *(self.describe(v, f"{at}.part{i}") for i, v in enumerate(rest))]

    def _tensor(self, value: Any, at: str) -> list[Any]:
        content = bytes(value.detach().cpu().contiguous().clone().untyped_storage())
        graph = type(value.grad_fn).__name__
        about = (str(value.dtype), list(value.shape), list(value.stride()), value.requires_grad, value.is_leaf, graph)
        grad = self.describe(value.grad, f"{at}.grad") if value.is_leaf else None
        digest = hashlib.sha1(content).hexdigest()[:12]
        return [type(value).__name__, *about, digest, plain(repr(value))[:80], grad, *self._attributes(value, at)]

    def _class(self, value: type, at: str) -> list[Any]:
        head = ["class", value.__module__, value.__qualname__]
        skipped = (
            "__dict__",
            "__weakref__",
            "__module__",
            "__slotnames__",
            "__firstlineno__",
            "__static_attributes__",
            "_abc_impl",
        )
        own = sorted((k, v) for k, v in vars(value).items() if k not in skipped)
        bases = [self.describe(b, f"{at}.base") for b in value.__bases__]
        return [*head, bases, *([k, self.describe(v, f"{at}.{k}")] for k, v in own)]

    def _array(self, value: Any, at: str) -> list[Any]:
        numpy = sys.modules["numpy"]
        owner = next((place for place, other in self._arrays if numpy.may_share_memory(value, other)), "")
        self._arrays.append((at, value))
        flags = [value.flags.writeable, value.flags.f_contiguous, value.flags.c_contiguous]
        head = [type(value).__name__, str(value.dtype), list(value.shape), flags]
        if value.dtype.hasobject:
            return [*head, self.describe(value.tolist(), f"{at}.list")]
        return [*head, hashlib.sha1(value.tobytes()).hexdigest()[:12], plain(repr(value))[:80], owner]

    def _table(self, value: Any, at: str) -> list[Any]:
        pandas = sys.modules["pandas"]
        head = [
            type(value).__name__,
            list(value.shape),
            plain(repr(value.index)),
            self.describe(value.attrs, f"{at}.attrs"),
        ]
        if isinstance(value, pandas.DataFrame):
            columns = [[str(c), str(t)] for c, t in zip(value.columns, value.dtypes, strict=True)]
            return [*head, columns, value.to_csv()[:1000], hashlib.sha1(value.to_csv().encode()).hexdigest()[:12]]
        return [*head, str(value.name), str(value.dtype), plain(repr(value.tolist()))[:1000]]

    def _other(self, value: Any, at: str) -> list[Any]:
        kind = self.describe(type(value), f"type of {at}")
        made: tuple[Any, ...] = ()
        if isinstance(value, types.MethodType):
            made = (value.__func__, value.__self__)
        elif isinstance(value, staticmethod | classmethod):
            made = (value.__func__,)
        elif isinstance(value, property):
            made = (value.fget, value.fset, value.fdel)
        elif isinstance(value, functools.partial):
            made = (value.func, value.args, value.keywords)
        elif hasattr(value, "cache_info"):
            made = (value.__wrapped__, "" if _is_imported(value) else repr(value.cache_info()))
        else:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    reduced = value.__reduce_ex__(4)
            except Exception:
                return [kind, plain(repr(value))]
            if isinstance(reduced, str):
                return [kind, reduced]
            make, args, *rest = reduced
            if make is iter and args and type(args[0]) is tuple and not args[0]:
                return "an iterator that has ended"  # what it went over does not matter any more
            parts = [rest[0] if rest else None, *(list(part) if part is not None else None for part in rest[1:3])]
            made = (getattr(make, "__name__", ""), args, *parts)
        return [kind, *(self.describe(p, f"{at}.part{i}") for i, p in enumerate(made))]


def _last_error(memo: _Memo) -> Any:
    """The exception that a cell ended with, its notes and its chain."""
    error = getattr(sys, "last_value", None)
    found: list[Any] = []
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        notes = getattr(error, "__notes__", [])
        args = plain(repr(error.args))
        found.append(
            [memo.describe(type(error), "type of the error"), args, notes, error.__suppress_context__, *_lines(error)]
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def _lines(error: BaseException) -> list[Any]:
    found: list[Any] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if plain(code.co_filename) == "<cell>":
            found.append([code.co_name, trace.tb_lineno])
        if "greentrain" in code.co_consts:
            found.clear()  # the call of the magic itself
        trace = trace.tb_next
    return found[:20]


def plain(text: str) -> str:
    """Without addresses and names of places."""
    text = _CELL.sub("<cell>", text)
    text = text.replace(str(Path.cwd()), "<cwd>")
    text = re.sub(r"\b(started|stopped)( daemon)? \d{9,}", r"\1\2", text)
    text = re.sub(r"\bThread-\d+", "Thread", text)
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x", text)


def _short(value: Any) -> Any:
    text = plain(repr(value))
    text = text if len(text) <= _LONG else f"{text[:80]}... {len(text)} {hashlib.sha1(text.encode()).hexdigest()[:12]}"
    return text


def _cut(parts: list[Any]) -> list[Any]:
    if len(parts) <= _LONG:
        return parts
    digest = hashlib.sha1(json.dumps(parts).encode()).hexdigest()[:12]
    return [*parts[:10], f"{len(parts)} parts {digest}"]


def _is_imported(value: Any) -> bool:
    return isinstance(value, types.ModuleType) or value.__module__ not in ("__main__", None)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _is_numpys_atom(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic | numpy.dtype):
        return False
    return type(value).__module__.startswith("numpy") and not isinstance(value, numpy.void)


class Freshener:
    """Puts back what one case may leave in a kernel beyond its names."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._doc = shell.user_ns.get("__doc__")
        self._path = list(sys.path)
        self._environment = dict(os.environ)
        root = logging.getLogger()
        self._logging = root.level, list(root.handlers)

    def freshen(self, folder: str) -> None:
        """An empty namespace in an empty folder."""
        import random

        self._shell.run_line_magic("reset", "-f -s")
        space = self._shell.user_ns
        for name in ("_exit_code", "__annotations__", "__warningregistry__", "__file__"):
            space.pop(name, None)
        # A soft reset keeps results; a case that bound _ itself would keep IPython from binding it ever after.
        hook = self._shell.displayhook
        space["_oh"].clear()
        for name in [name for name in space if re.fullmatch(r"_\d+", name)]:
            del space[name]
        for name in ("_", "__", "___"):
            space[name] = ""
            setattr(hook, name, "")
        space["__doc__"] = self._doc
        Path(folder).mkdir(parents=True)
        os.chdir(folder)
        sys.path[:] = self._path
        os.environ.clear()
        os.environ.update(self._environment)
        for name in [name for name in sys.modules if name.startswith("beside_")]:
            del sys.modules[name]
        root = logging.getLogger()
        root.level, root.handlers[:] = self._logging
        sys.last_value = sys.last_traceback = sys.last_type = None  # type: ignore[assignment]
        random.seed(1)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(1)
        if "matplotlib.pyplot" in sys.modules:
            pyplot = sys.modules["matplotlib.pyplot"]
            pyplot.close("all")
            if hasattr(pyplot.draw_if_interactive, "called"):  # else %run of a later cell draws a new figure
                pyplot.draw_if_interactive.called = False


def report(shell: Any, file: str, expressions: list[str]) -> None:
    """Write the description of the shell's namespace into a file."""
    found = describe_all(shell.user_ns, expressions)
    Path(file).write_text(json.dumps(found), encoding="utf-8")


def end_of_output(mark: str) -> None:
    """Write a mark into both descriptors: what was written before it has been read when it arrives."""
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor in (1, 2):
        os.write(descriptor, mark.encode())
