"""The pickler and unpickler of payloads: cloudpickle, except where a notebook's objects need more.

What the notebook defined (``__main__``) is written by value. Its functions are written without their globals, which
travel by name: after reading, their globals *are* the namespace that they were read into, here and there.
"""

from __future__ import annotations

import contextlib
import copy
import enum
import functools
import io
import pickle
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import cloudpickle

from greenkernel.store import (
    aliases,
    artists,
    caches,
    closed,
    compiled,
    generators,
    graphs,
    handlers,
    holo,
    idle,
    instances,
    lookers,
    numpys,
    singletons,
    temporary,
    tensors,
)
from greenkernel.store.arrays import (
    Known,
    Shared,
    Whole,
    is_owner,
    is_plain_array,
    over_buffer,
    owner_of,
    part_of,
    spread,
    whole,
)
from greenkernel.store.classes import skeleton
from greenkernel.store.frames import is_block, is_manager, managed, of_block, parted
from greenkernel.store.imports import imported
from greenkernel.store.nans import Nans
from greenkernel.store.refused import RefusedError
from greenkernel.store.returned import name_key

_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(...), range)
# Their objects can be pickled for a child process and mean nothing elsewhere.
_OF_THIS_MACHINE = ("multiprocessing.connection", "multiprocessing.synchronize", "multiprocessing.queues")
_GPU_FLAGS = ("is_cuda", "is_mps", "is_xpu")
# The key of what members of an Enum have, beside the Enum's attributes.
_MEMBERS = "greenkernel members"
_CONTAINERS = (list, dict, set, bytearray, tuple)
_LONGEST_CHAIN = 50
_inner: Any = cloudpickle.cloudpickle
_READ = compile("__load()", "<read>", "eval")
# What newer cloudpickles write instead of the name of a code's file.
_NO_FILE = "<dynamic-code>"


class Here:
    """Stands for the namespace that a payload is read into."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Here, ()


def shipped(name: str) -> object:
    """Stands for the object that once travelled under ``name``; readers put their own in its place."""
    raise pickle.UnpicklingError(f"{name} is only known to the notebook that sent it")


class Writer(cloudpickle.Pickler):  # type: ignore[misc]  # has no types
    """Writes one value after another into one stream, so that what they share is written once.

    Args:
        file: Where the pickle goes.
        buffer_callback: As in `pickle.Pickler`.
        namespace: The notebook's namespace; functions with these globals are written without them.
        references: ``id`` of objects that the reader has already, and their names.
        steady: Arrays among them that are there as they are here, or will be, by ``id`` of the owner of their memory:
            new views of it are views of such an array there. And by the address of their memory, for tensors, whether
            arrays or tensors. And random generators, by ``id`` of what they draw from.
        proves: Refuse classes that a reader could not make, for all that comes after them would be lost.
        returns: What nobody holds any more is written so that a new one is made.
        shared: Memory that several arrays share.
        stable: Leave out what changes without the value changing (for digests).
    """

    def __init__(
        self,
        file: Any,
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None,
        *,
        namespace: Mapping[str, object] | None,
        references: Mapping[int, str] | None = None,
        steady: Mapping[int, Known] | None = None,
        proves: bool = False,
        returns: bool = False,
        shared: Shared | None = None,
        stable: bool = False,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._namespace = namespace
        self._references = references or {}
        self._steady = steady or {}
        self._proves = proves
        self._returns = returns
        self._shared = shared
        self._stable = stable
        self._here = Here()
        # A variable that several functions share is one cell; its stand-in is filled once all of them are made.
        self._cells: dict[int, tuple[types.CellType, types.CellType]] = {}
        self._arrays: list[Any] = []
        self._over_buffers: list[Any] = []
        # Names of objects that were referred to, and the objects.
        self.used: set[str] = set()
        self.referred: dict[str, object] = {}
        # Arrays that share memory with others and must not there, by ``id``.
        self._alone: dict[int, Any] = {}
        # Buffers that their reader copies, by ``id``.
        self.copied: dict[int, pickle.PickleBuffer] = {}
        self.modules: set[str] = set()
        self.files: set[str] = set()
        self.needed: dict[str, str] = {}
        self.nans = Nans()
        # Exceptions that others hang on, by ``id``: how far down the chain, and whether they can travel.
        self._followed: dict[int, tuple[int, bool, BaseException]] = {}
        self._memories = tensors.Memories()
        self._one_of_a_kind = aliases.OneOfAKind(_can_be_copied, self.modules)

    def reducer_override(self, obj: Any) -> Any:
        """Called by pickle for everything but atoms and exact containers."""
        kind = type(obj)
        if (found := singletons.reduced(obj, kind)) is not None:
            return found
        known = self._references.get(id(obj))
        if known is not None:
            self._refer(known, obj)
            return shipped, (known,)
        if kind is types.FunctionType:
            return self._function(obj)
        if kind is types.CodeType and not self._stable:
            return self._code(obj)
        if kind is caches.KIND and self._is_ours(obj.__wrapped__):
            self._need(obj.__name__, obj, obj.__name__)
            return caches.reduced(obj)
        if kind is Whole or is_plain_array(obj):
            return self._array(obj)
        if kind is tensors.Became:
            return self._memories.reduced(obj.tensor)
        if tensors.is_plain(obj):
            return self._tensor(obj)
        if is_block(obj):
            return self._block(obj)
        if is_manager(obj):
            return managed(obj) or NotImplemented
        if isinstance(obj, type):
            return self._class(obj)
        return self._rare(obj, kind) or self._other(obj, kind)

    def _rare(self, obj: Any, kind: type) -> tuple[Any, ...] | None:
        """What libraries make that loses something in pickling."""
        if kind is memoryview:
            return over_buffer(obj)
        if kind.__module__.startswith("numpy.random") and (known := self._steady.get(id(obj))) is not None:
            return getattr, (known[0], "bit_generator")
        if self._returns and (again := numpys.mapped(obj, kind)) is not None:
            return again
        for rare in (
            self._one_of_a_kind,
            compiled,
            numpys,
            closed,
            artists,
            graphs,
            holo,
            handlers,
            lookers,
            instances,
        ):
            found: tuple[Any, ...] | None = rare.reduced(obj, kind)
            if found is not None:
                return found
        return None

    def _other(self, obj: Any, kind: type) -> Any:
        if kind is typing.NewType and obj.__module__ == "__main__":
            self._need(obj.__name__, obj, obj.__name__)
            return _new_type, (obj.__name__, obj.__supertype__)
        if kind is functools.cached_property:  # some Pythons keep a lock in it
            return functools.cached_property, (obj.func,), {"attrname": obj.attrname, "__doc__": obj.__doc__}
        if kind is types.ClassMethodDescriptorType:
            return _unbound, (obj.__objclass__, obj.__name__)
        if isinstance(obj, BaseException):
            return self._error(obj, kind)
        if (again := self._there_and_back(obj, kind)) is not None:
            return again
        if kind.__module__ in _OF_THIS_MACHINE or on_gpu(obj):
            raise RefusedError(obj)
        if isinstance(obj, types.ModuleType):
            self.modules.add(obj.__name__)
        elif isinstance(obj, io.IOBase):
            return _stream(obj)
        elif kind is types.BuiltinFunctionType or kind.__name__ == "_ArrayFunctionDispatcher":
            self.modules.add(obj.__module__ or "")
            if self._is_replaced(obj):
                return _original, (obj.__module__, obj.__name__)
        elif obj is sys.stdout or obj is sys.stderr:
            return getattr, (sys, "stdout" if obj is sys.stdout else "stderr")
        return super().reducer_override(obj)

    def _error(self, error: BaseException, kind: type[BaseException]) -> Any:
        """With what it hangs on, as far as that can travel: an exception is worth more than its chain."""
        attributes = _needs_help(error, kind)
        if attributes is not None:
            reduced: Any = (_made_error, (kind, error.args), attributes)
        else:
            reduced = super().reducer_override(error)
        chain = error.__cause__, error.__context__, error.__suppress_context__
        if chain == (None, None, False):
            return reduced
        parts: Any = error.__reduce_ex__(5) if reduced is NotImplemented else reduced
        make, args, *state = parts
        if len(state) > 1:  # its class has its own way
            return reduced
        cause, context, suppressed = chain
        below = self._followed[id(error)][0] + 1 if id(error) in self._followed else 1
        there = tuple(one if one is not None and self._may_follow(one, below) else None for one in (cause, context))
        return make, args, (state[0] if state else None, *there, suppressed), None, None, _set_chain

    def _may_follow(self, error: BaseException, depth: int) -> bool:
        """True where one that another hangs on can travel; each is tried once, and no chain is followed for ever."""
        if id(error) not in self._followed:
            self._followed[id(error)] = depth, False, error
            trial = Writer(io.BytesIO(), None, namespace=self._namespace, returns=self._returns)
            trial._followed = self._followed
            with contextlib.suppress(Exception):  # a reducer of any library may raise anything
                if depth <= _LONGEST_CHAIN:
                    trial.dump(error)
                    self._followed[id(error)] = depth, True, error
        return self._followed[id(error)][1]

    def _there_and_back(self, obj: Any, kind: type) -> tuple[Any, ...] | None:
        """What goes home otherwise than it leaves."""
        again = generators.reduced(obj, kind, returns=self._returns)
        if again is None:
            again = temporary.reduced(obj, kind, returns=self._returns)
        if again is None:
            again = lookers.weakly(obj, kind, returns=self._returns)
        return idle.reduced(obj, kind) if again is None and self._returns else again

    def _is_replaced(self, obj: Any) -> bool:
        """True for a function of a library in whose place the notebook has put one of its own."""
        now = getattr(sys.modules.get(obj.__module__ or ""), obj.__name__, obj)
        return now is not obj and isinstance(now, types.FunctionType) and self._is_ours(now)

    def _function(self, function: types.FunctionType) -> Any:
        if is_single_dispatch(function):
            return self._single_dispatch(function)
        if (alias := aliases.reduced(function)) is not None:
            self.modules.add(alias[1][0])
            return alias
        reduced = super().reducer_override(function)
        if reduced is NotImplemented:
            self.modules.add(function.__module__ or "")
            return reduced
        make, args, (attributes, slots), *rest = reduced
        if function.__closure__:
            args = (*args[:4], tuple(self._cell(cell) for cell in function.__closure__))
        if self._stable:
            slots["_cloudpickle_submodules"] = []
        if self._is_ours(function):
            for name in slots["__globals__"]:
                self.needed.setdefault(name, function.__qualname__)
            slots["__globals__"] = {}
            args = (args[0], self._here, *args[2:])
        return make, args, (attributes, slots), *rest

    def _single_dispatch(self, function: Any) -> Any:
        """It holds weak references; its table is all that matters."""
        self._need(function.__name__, function, function.__name__)
        first, *others = function.registry.items()
        attributes = {name: value for name, value in vars(function).items() if name not in _SINGLE_DISPATCH_HAS}
        return _single_dispatch, (first[1], others, attributes)

    def _cell(self, cell: types.CellType) -> types.CellType:
        return self._cells.setdefault(id(cell), (types.CellType(), cell))[0]

    def _code(self, code: types.CodeType) -> Any:
        """Tracebacks show lines by the file's name."""
        self.files.add(code.co_filename)
        make, args = self.dispatch_table[types.CodeType](code)
        return make, tuple(code.co_filename if arg == _NO_FILE else arg for arg in args)

    def _class(self, cls: type) -> Any:
        if _is_named_tuple(cls) and cls.__module__ == "__main__":
            return self._named_tuple(cls)
        if (alias := aliases.reduced(cls)) is not None:
            self.modules.add(alias[1][0])
            return alias
        reduced = super().reducer_override(cls)
        if reduced is NotImplemented:
            self.modules.add(cls.__module__)
        elif len(reduced) > 2:
            self._need(cls.__qualname__, cls, cls.__qualname__)
            if isinstance(cls, enum.EnumMeta):
                members: Any = cls.__members__
                reduced[2][0][_MEMBERS] = {name: _put_by_init(member) for name, member in members.items()}
            else:
                reduced[2][0].update(_said_again(cls, reduced[2][0]))
            # Pickling an instance leaves this on the class.
            reduced[2][0].pop("__slotnames__", None)
            if reduced[0] is _inner._make_skeleton_class:
                if isinstance(vars(cls).get("__slots__"), str | tuple | list):
                    reduced[1][3]["__slots__"] = vars(cls)["__slots__"]
                if self._proves:
                    _prove(cls, *reduced[1][:4])
        return reduced

    def _named_tuple(self, cls: Any) -> Any:
        """``class Point(NamedTuple)`` is no class statement that could be repeated from its parts."""
        self._need(cls.__qualname__, cls, cls.__qualname__)
        fields = [(name, cls.__annotations__.get(name, Any)) for name in cls._fields]
        named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
        more = {
            name: value for name, value in vars(cls).items() if name not in _NAMED_TUPLE_HAS and name not in cls._fields
        }
        tracker = _inner._get_or_create_tracker_id(cls)
        args = (cls.__name__, fields, dict(cls._field_defaults), tracker)
        return _named_tuple, args, ({**more, **named}, {}), None, None, _inner._class_setstate

    def _block(self, block: Any) -> Any:
        make, args = parted(block)
        self._alone[id(args[0])] = args[0]
        return make, args

    def _array(self, array: Any) -> Any:
        if isinstance(array, Whole):
            array = array.array
            return self._owned(array if array.flags.forc else array.copy(order="K"))
        if id(array) in self._alone:
            return of_block, self._owned(array if array.flags.forc else array.copy(order="K"))
        base = owner_of(array)
        if base is not array and id(base) in self._steady:
            return part_of(array, self._steady[id(base)])
        if tensors.is_plain(base.base) and not self._memories.has(array):
            known = self._steady.get(tensors.place_of(base.base))
            if known is not None and tensors.is_plain(known[0]):
                return tensors.array_of(array, base.base, known)
        if self._shared is not None and (view := self._shared.reduced(array)) is not None:
            return view
        if (found := over_buffer(array)) is not None:
            self._over_buffers.append(array)
            return found
        self._arrays.append(array)
        return self._owned(array) if is_owner(array) else spread(array) or NotImplemented

    def _tensor(self, tensor: Any) -> Any:
        known = self._steady.get(tensors.place_of(tensor))
        if known is None or is_plain_array(known[0]):
            return self._memories.reduced(tensor, over=None if known is None else known[0])
        return tensors.part_of(tensor, known)

    def _owned(self, array: Any) -> Any:
        buffer, reduced = whole(array)
        self.copied[id(buffer)] = buffer
        return reduced

    def sharing(self) -> list[Any]:
        """Arrays that may share memory with others, as no object says that they do.

        Those over a buffer of the language's share it by that object, unless a tensor looks there, too.
        """
        return [*self._arrays, *(self._over_buffers if self._memories else ())]

    def _refer(self, name: str, obj: object) -> None:
        self.used.add(name)
        self.referred[name] = obj

    def _is_ours(self, function: Any) -> bool:
        return self._namespace is not None and getattr(function, "__globals__", None) is self._namespace

    def _need(self, name: str, value: object, by: str) -> None:
        if self._namespace is not None and self._namespace.get(name) is value:
            self.needed.setdefault(name, by)


class ReferringWriter(Writer):
    """Refers to what pickle never asks a reducer about: exact lists, dicts, sets and tuples, and each NaN.

    A NaN equals nothing, so containers find it by what it is: ``np.nan in values``. Slower per object.
    """

    def persistent_id(self, obj: Any) -> str | int | None:
        """The name of an object that the reader has already, or the number of a NaN."""
        kind = type(obj)
        if kind is float and obj != obj:
            return self.nans.number(obj)
        known = self._references.get(id(obj)) if kind in _CONTAINERS else None
        if known is not None:
            self._refer(known, obj)
        return known


class Reader(pickle.Unpickler):
    """Reads what `Writer` wrote.

    Args:
        file: The pickle.
        buffers: As in `pickle.Unpickler`.
        namespace: What the globals of the notebook's functions shall be.
        refer: Finds the object that once travelled under a name.
        track: Remember new classes, so that the next reader finds these and makes no others.
    """

    def __init__(
        self,
        file: Any,
        buffers: Iterable[Any],
        namespace: dict[str, Any],
        refer: Callable[[str], object] = shipped,
        *,
        track: bool = True,
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._namespace = namespace
        self._read: dict[str, Any] = {}
        self._refer = refer
        self._nans = Nans()
        self._track = track
        self._known_classes: set[type] = set()
        # What a base class has put into a class that was made without its attributes.
        self._not_theirs: dict[type, set[str]] = {}
        inner = _inner.__name__
        self._own: dict[tuple[str, str], Any] = {
            (inner, "_make_function"): self._make_function,
            (inner, "_function_setstate"): _set_function_state,
            (inner, "_make_skeleton_class"): self._make_class,
            (inner, "_make_skeleton_enum"): self._make_enum,
            (inner, "_class_setstate"): self._set_class_state,
            (__name__, "_named_tuple"): self._named_tuple,
            (__name__, "shipped"): refer,
        }

    def load(self) -> Any:
        """The next value.

        statsmodels evaluates a model's formula while it is read, among the names of who reads it: the notebook's.
        """
        space = self._namespace
        if "__builtins__" not in space:
            space = {**space, "__builtins__": __builtins__}
        value = eval(_READ, space, {**self._read, "__load": super().load})
        if type(value) is tuple and len(value) == 2 and isinstance(value[0], str):
            name = value[0].removeprefix(name_key(""))
            if name.isidentifier():
                self._read[name] = value[1]
        return value

    def find_class(self, module: str, name: str) -> Any:
        """A global of the pickle; some are replaced by what belongs to this reader."""
        if (own := self._own.get((module, name))) is not None:
            return own
        imported(module)
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> object:
        """An object that the writer knew this side has, or a NaN."""
        return self._nans.numbered(pid) if isinstance(pid, int) else self._refer(pid)

    def close(self) -> None:
        """Let go of everything that was read, without waiting for the garbage collector."""
        self._own.clear()
        self._read.clear()
        self.memo = {}

    def _make_function(self, code: Any, base: Any, name: Any, defaults: Any, closure: Any) -> types.FunctionType:
        if isinstance(base, Here) or base.get("__name__") == "__main__":
            base = self._namespace
        base.setdefault("__builtins__", __builtins__)
        return types.FunctionType(code, base, name, defaults, closure)

    def _make_class(self, kind: Any, name: Any, bases: Any, given: Any, tracker: Any, _extra: Any) -> type:
        given = {sys.intern(key): value for key, value in given.items()}
        made = self._class(
            tracker, lambda known: _inner._lookup_class_or_track(known, skeleton(kind, name, bases, given))
        )
        self._not_theirs[made] = {
            name for name, value in vars(made).items() if name not in given and _is_put(name, value)
        }
        return made

    def _make_enum(
        self, bases: Any, name: Any, qualname: Any, members: Any, module: Any, tracker: Any, extra: Any
    ) -> type:
        made = _inner._make_skeleton_enum
        return self._class(tracker, lambda known: made(bases, name, qualname, members, module, known, extra))

    def _named_tuple(self, name: str, fields: list[Any], defaults: dict[str, Any], tracker: Any) -> type:
        return self._class(
            tracker, lambda known: _inner._lookup_class_or_track(known, _named_tuple(name, fields, defaults))
        )

    def _class(self, tracker: Any, make: Callable[[Any], type]) -> type:
        """The class that this process has under a tracker's id, else a new one.

        A known one keeps its attributes: its methods belong to the namespace that they were made in.
        """
        known = _inner._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
        if known is not None:
            self._known_classes.add(known)
            return cast("type", known)
        return make(tracker if self._track else None)

    def _set_class_state(self, cls: type, state: Any) -> Any:
        if cls in self._known_classes:
            return cls
        for name, attributes in state[0].pop(_MEMBERS, {}).items():
            vars(cls.__members__[name]).update(attributes)  # type: ignore[attr-defined]  # an Enum has it
        for name in self._not_theirs.pop(cls, set()) - set(state[0]):
            delattr(cls, name)
        return _inner._class_setstate(cls, state)


def _prove(cls: type, kind: Any, name: str, bases: tuple[Any, ...], given: Mapping[str, Any]) -> None:
    try:
        skeleton(kind, name, bases, given)
    # A metaclass may raise anything where a class has no attributes yet.
    except Exception as e:
        raise RefusedError(cls, f"it cannot be made again without its text: {type(e).__name__}: {e}") from e


def _can_be_copied(value: object) -> bool:
    """False for what is a namespace of its own, too: its classes and methods would be those of another one."""
    file = io.BytesIO()
    try:
        if any(isinstance(one, type) for one in vars(value).values()):
            return False
        Writer(file, None, namespace=None).dump(value)
        copy = Reader(io.BytesIO(file.getvalue()), (), {}, track=False).load()
    # A reducer of any library may raise anything.
    except Exception:
        return False
    return type(copy) is type(value)


def _said_again(cls: type, written: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that are the same object in a base, which cloudpickle takes for inherited."""
    return {
        name: value
        for name, value in vars(cls).items()
        if name not in written and name not in _MADE_WITH_A_CLASS and _is_of_a_base(cls, name, value)
    }


def _is_of_a_base(cls: type, name: str, value: object) -> bool:
    return any(name in vars(base) and vars(base)[name] is value for base in cls.__bases__)


def _put_by_init(member: Any) -> dict[str, Any]:
    """What an Enum's own ``__init__`` or ``__new__`` has put into a member."""
    return {name: value for name, value in vars(member).items() if not (name.startswith("_") and name.endswith("_"))}


def _is_put(name: str, value: object) -> bool:
    """False for what every class has, and for its slots."""
    return not name.startswith("_") and not isinstance(value, types.MemberDescriptorType)


def has_no_copies(value: object) -> bool:
    """True for what an installed library has one of and nobody can make another of."""
    return aliases.OneOfAKind(_can_be_copied, set()).place_of(value) is not None


def is_atom(value: object) -> bool:
    """True where identity does not matter and nothing inside can change."""
    return type(value) in _ATOMS


def on_gpu(value: object) -> bool:
    """True for a tensor of torch or an array of cupy in a GPU's memory, which no site has. Imports neither library."""
    kind = type(value)
    library = str(kind.__module__).partition(".")[0]
    if library == "torch" and not kind.__name__.endswith("Storage"):  # which warns whoever looks at it
        return any(getattr(value, flag, False) is True for flag in _GPU_FLAGS)
    return library == "cupy" and kind.__name__ == "ndarray"


def _set_function_state(function: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """As cloudpickle does it, except that globals which are there already win over those that came along."""
    attributes, slots = state
    function.__dict__.update(attributes)
    for name, value in slots.pop("__globals__").items():
        function.__globals__.setdefault(name, value)
    slots.pop("_cloudpickle_submodules", None)
    for mine, theirs in zip(function.__closure__ or (), slots.pop("__closure__") or (), strict=True):
        try:
            mine.cell_contents = theirs.cell_contents
        except ValueError:  # the cell is empty
            continue
    for name, value in slots.items():
        setattr(function, name, value)


_MADE_WITH_A_CLASS = frozenset(
    {"__dict__", "__weakref__", "__slots__", "__slotnames__", "_abc_impl", "__annotate_func__"}
)

# What every class of named tuples has by itself.
_NAMED_TUPLE_HAS = frozenset(vars(typing.NamedTuple("Empty", []))) | {
    "__orig_bases__",
    "__annotations__",
    "__match_args__",
}


def _is_named_tuple(cls: Any) -> bool:
    return typing.NamedTuple in getattr(cls, "__orig_bases__", ()) and tuple in cls.__bases__


def _named_tuple(name: str, fields: list[Any], defaults: dict[str, Any], _tracker: object = None) -> type:
    make: Any = typing.NamedTuple
    made = make(name, fields)
    made.__new__.__defaults__ = tuple(defaults.values()) or None
    made._field_defaults = defaults
    made.__orig_bases__ = (typing.NamedTuple,)
    return cast("type", made)


def _needs_help(error: BaseException, kind: type[BaseException]) -> dict[str, Any] | None:
    """The attributes of an exception that pickle could not make again, or that would say something else then.

    Pickle makes most by calling them with what they keep in ``args``, which may not fit. Some leave out what cannot
    travel, such as urllib3's their connection, and so lose the text that they have made of it.
    """
    if all(getattr(kind, name) is getattr(BaseException, name) for name in ("__reduce__", "__reduce_ex__")):
        return dict(vars(error)) if isinstance(kind.__init__, types.FunctionType) else None
    try:
        again = copy.copy(error)
        differs = str(again) != str(error) and str(_made_error(kind, error.args)) == str(error)
    except Exception:  # these are their own methods
        return None
    return dict(vars(again)) if differs else None


def _made_error(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    made = BaseException.__new__(kind)
    made.args = args
    return made


def _set_chain(error: BaseException, state: tuple[Any, BaseException | None, BaseException | None, bool]) -> None:
    attributes, cause, context, suppressed = state
    if attributes:
        error.__setstate__(attributes)
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed


def _unbound(owner: type, name: str) -> Any:
    """``vars(dict)["fromkeys"]``; ``dict.fromkeys`` is something else."""
    return vars(owner)[name]


def _new_type(name: str, supertype: Any) -> Any:
    made: Any = cast("Any", typing.NewType)(name, supertype)
    made.__module__ = "__main__"
    return made


def _original(module: str, name: str) -> Any:
    """A function of a library; where the notebook's own shall stand in its place, that is put there later."""
    return getattr(imported(module), name)


_SINGLE_DISPATCH_HAS = ("registry", "dispatch", "register", "_clear_cache")


def is_single_dispatch(function: Any) -> bool:
    """True for what ``functools.singledispatch`` has made."""
    code: types.CodeType = function.__code__
    return code.co_qualname == "singledispatch.<locals>.wrapper" and code.co_filename == functools.__file__


def _single_dispatch(function: Any, others: list[tuple[type, Any]], attributes: Mapping[str, Any]) -> Any:
    made = functools.singledispatch(function)
    for kind, implementation in others:
        made.register(kind, implementation)
    vars(made).update(attributes)
    return made


def _stream(stream: Any) -> Any:
    if stream is sys.stdout or stream is sys.stderr:
        return getattr, (sys, "stdout" if stream is sys.stdout else "stderr")
    # The cell's own, which it may have handed on, when it has ended.
    if (name := getattr(stream, "name", None)) in ("<stdout>", "<stderr>"):
        return getattr, (sys, name.strip("<>"))
    if isinstance(stream, io.BytesIO | io.StringIO):
        return NotImplemented
    raise RefusedError(stream)
