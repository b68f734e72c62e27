"""Source and namespace -> Capture: all that the cell needs elsewhere, in the store, with a manifest that says so."""

from __future__ import annotations

import ast
import linecache
import os
import platform
import re
import sys
import types
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

from greenkernel.cell import submodules
from greenkernel.cell.environment import modules_of, packages_needed
from greenkernel.cell.files import DATA_MAX_BYTES, LocalModules, data_files, edited, local_modules, stored
from greenkernel.cell.held import held_elsewhere, parts_held_elsewhere
from greenkernel.cell.keeps import keeps
from greenkernel.cell.named_files import every_file, find_named, folders_below, texts_of
from greenkernel.cell.names import Names, analyse, is_shells
from greenkernel.cell.order import bound_first
from greenkernel.cell.strings import magic_of_ours
from greenkernel.cell.submitted import remember
from greenkernel.cell.surroundings import store_settings, taken_here, thread_counts, variables, variables_set_here
from greenkernel.cell.transform import remember_lines, to_python
from greenkernel.errors import UserError
from greenkernel.records import Capture, Item, Package, Payload, Request, SourceFile
from greenkernel.runner import logging_setup, patches, record_dice
from greenkernel.runner.owned import owners
from greenkernel.runner.patches import is_place
from greenkernel.store.attributes import attribute_of
from greenkernel.store.blobs import Blobs
from greenkernel.store.payloads import CannotTravelError, Dumped, dump

_SECRET_NAME = re.compile(r"(?i)(api_?key|token|passw(or)?d|secret|credential|private_?key|access_?key)")
# Libraries look for these where they are imported.
_UNNAMED = ("matplotlibrc",)
# Larger values travel only where the cell's text names them.
_UNSEEN_MAX_BYTES = 64 * 2**20
_OF_MODULE = "a module that the cell uses has it"
_SECRET_VALUE = re.compile(
    r"^(sk-|ghp_|gho_|github_pat_|AKIA|xox[abp]-|hf_|eyJ|-----BEGIN |[a-z+]+://[^/@\s]*:[^/@\s]+@)"
)


def capture(request: Request, namespace: Mapping[str, object], blobs: Blobs, folder: Path) -> Capture:
    """Take the values as they are now, and everything else that the cell needs.

    Args:
        request: The cell and its options.
        namespace: The notebook's names.
        blobs: Where everything goes.
        folder: The notebook's folder.

    Raises:
        UserError: The cell has nothing to run, is not Python, or something that it reads cannot travel.
    """
    held = held_elsewhere(namespace)  # before anything here holds them too
    python = to_python(request.source, request.file_name)
    remember_lines(request.source, request.file_name)
    if magic := magic_of_ours(ast.parse(python)):
        raise UserError(
            f"{magic} stands in a cell that is sent away, and is not there where it runs",
            what_to_do="Take it out, or run it in a cell of its own",
        )
    names = analyse(python, namespace)
    if names.asks:
        raise UserError(
            f"{names.asks} asks for input(), and nobody can answer where it runs",
            what_to_do="Ask before, in a cell or script of its own, and use the answer here",
        )
    _check_out(request.out, names, python, namespace)
    env = {**thread_counts(), **_environment(request.env)}
    secret = [name for name in variables_set_here() if name not in env and looks_secret(name, os.environ.get(name))]
    settings = taken_here(folder, {*secret, *env})
    objects = {name: namespace[name] for name in names.reads}
    patched = patches.find(namespace)
    shared = _shared(objects, namespace, folder.resolve())
    dumped, unseen = _dumped(names, objects, patched, shared, bound_first(python), namespace, blobs)
    sent = {name: namespace[name] for name in dumped.sizes if name in namespace}
    inside = submodules.used(python, objects)
    local, packages = _code(_modules(names, dumped, objects) | {*inside}, folder)
    files, not_sent = _files(request, names, local, sent.values(), blobs, folder)
    not_sent += [f"{name} stays here, it looks like a secret; --env {name} sends it" for name in secret]
    not_sent += [f"{name} stays here: {why}" for name, why in unseen.items()]
    left_here = logging_setup.left_here(folder.resolve())
    not_sent += [f"the handler {handler} stays here: what the cell logs does not reach it" for handler in left_here]
    not_sent += [
        f"the module {name} was edited since it was imported here: there it is as it is edited"
        for name in edited(local.sources.values())
    ]
    captured = Capture(
        transformed=python,
        reads=tuple(sorted(sent)),
        binds=tuple(sorted({*names.binds, *names.deletes})),
        items=(*_manifest(names, dumped, {**sent, **patched}, files, shared), *variables(settings)),
        payload=dumped.payload,
        files=files,
        packages=packages,
        python_version=platform.python_version(),
        env=env,
        dice=_dice(blobs, with_numpy=any(package.name == "numpy" for package in packages)),
        surroundings=store_settings(settings, blobs),
        not_sent=tuple(not_sent),
        sources={name: "".join(linecache.getlines(name)) for name in dumped.files if _is_cells(name)},
        folders=tuple(folders_below(folder)),
        front_end=_front_end(),
        owned=owners(sent, folder.resolve()),
        held=(*(name for name in sent if name in held), *parts_held_elsewhere(dumped.inner)),
        keeps=keeps(python, namespace),
        submodules=inside,
    )
    remember(dumped.payload, sent, dumped.inner)
    return captured


def _check_out(out: tuple[str, ...], names: Names, python: str, namespace: Mapping[str, object]) -> None:
    """A name that is certain never to come back is said before the run."""
    if names.computed or "import *" in python or "get_ipython" in python:
        return
    unknown = [name for name in out if name not in namespace and name not in names.binds]
    if unknown:
        raise UserError(
            f"the cell never binds {', '.join(unknown)}",
            where="--out",
            what_to_do=f"It binds {', '.join(names.binds) or 'no name'}",
        )


def _front_end() -> Literal["", "terminal", "kernel"]:
    """Without an import of IPython: where it is not loaded, there is no shell of it."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    shell = get_ipython()
    if shell is None:
        return ""
    return "kernel" if hasattr(shell, "kernel") else "terminal"


def _is_cells(file: str) -> bool:
    """True for the code of a notebook's cell: it is in no file, or in one that the kernel only names."""
    return file in linecache.cache and not Path(file).exists()


def _dumped(
    names: Names,
    objects: Mapping[str, object],
    patched: Mapping[str, object],
    shared: Mapping[str, object],
    rebound: frozenset[str],
    namespace: Mapping[str, object],
    blobs: Blobs,
) -> tuple[Dumped, dict[str, str]]:
    """What the cell reads, and what libraries were given.

    Where the cell may read what its text does not tell, also all else that is small and can travel.

    Returns:
        The payload, and names that were left out with the reasons.
    """
    read = dict(objects)
    more = {**shared, **(_others(objects, namespace) if names.computed else {}), **patched}
    left_out: dict[str, str] = {}
    first: dict[str, object] = {}
    while True:
        try:
            return dump({**first, **read, **more}, blobs, namespace, follow=True, proves=True), left_out
        except CannotTravelError as e:
            missed = _missed(e)
            if missed in namespace and missed not in first:
                first[missed] = namespace[missed]  # a formula inside of an object names it
                continue
            if e.name in read and e.name in rebound:
                del read[e.name]  # the cell makes another one before it reads it
                continue
            unseen = next((name for name in (e.name, e.needed_by) if name in more), None)
            if unseen is not None and e.name not in read:
                dropped = [unseen]
            elif e.name not in read and patched.keys() & more.keys():
                dropped = [name for name in more if name in patched]  # one may use it; what they use is not the cell's
            else:
                raise
            for name in dropped:
                del more[name]
                if name in patched:
                    used = "a library was given it"
                else:
                    used = _OF_MODULE if name in shared else f"the cell uses {names.computed}"
                left_out[name] = f"{used}, but it cannot travel"


def _missed(error: BaseException | None) -> str:
    """The name that was not there when something was rebuilt; empty where it was not for one."""
    while error is not None:
        if isinstance(error, NameError):
            return str(error.name)
        error = error.__cause__
    return ""


def _shared(objects: Mapping[str, object], namespace: Mapping[str, object], root: Path) -> dict[str, object]:
    """Names whose objects a local module has, too, that the cell uses: it may change them there."""
    modules = {value.__name__ for value in objects.values() if isinstance(value, types.ModuleType)}
    if not modules:
        return {}
    owned = owners(_shown(objects, namespace), root)
    return {
        name: namespace[name]
        for name, places in owned.items()
        if modules & {place.partition(":")[0] for place in places} and _bytes_of(namespace[name]) <= _UNSEEN_MAX_BYTES
    }


def _shown(objects: Mapping[str, object], namespace: Mapping[str, object]) -> dict[str, object]:
    """Other names of the notebook's."""
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in objects and not is_shells(name, namespace) and name != "Out"
    }


def _others(objects: Mapping[str, object], namespace: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in _shown(objects, namespace).items() if _bytes_of(value) <= _UNSEEN_MAX_BYTES}


def _bytes_of(value: object) -> int:
    size = attribute_of(value, "nbytes", 0)
    return size if isinstance(size, int) else 0


def _code(modules: set[str], folder: Path) -> tuple[LocalModules, tuple[Package, ...]]:
    """Local sources and packages; each may need others of both kinds."""
    while True:
        local = local_modules(modules, folder)
        packages = packages_needed(local.imported)
        more = modules_of(packages) - local.imported
        if not more:
            return local, packages
        modules = local.imported | more


def _files(
    request: Request,
    names: Names,
    local: LocalModules,
    values: Iterable[object],
    blobs: Blobs,
    folder: Path,
) -> tuple[tuple[SourceFile, ...], list[str]]:
    """Local modules, files of ``--files``, and files that the cell and those modules name in their texts."""
    asked = (*stored(local.sources, blobs, "module"), *data_files(request.files, blobs, folder))
    logs = logging_setup.files(folder.resolve())
    named, notes = find_named([*_UNNAMED, *names.texts, *local.texts, *texts_of(values), *logs], folder, DATA_MAX_BYTES)
    if names.lists or local.lists:
        listed, more = every_file(folder)
        named, notes = {**listed, **named}, [*notes, *more]
    there = {file.path for file in asked}
    found = {path: place for path, place in named.items() if path not in there and path != request.script}
    return (*asked, *stored(found, blobs)), notes


def _dice(blobs: Blobs, *, with_numpy: bool) -> Payload:
    """The random generators' state, so that each epoch draws what the one before has drawn, and home goes on there."""
    if with_numpy:
        record_dice.load_numpy()
    return dump({"dice": record_dice.take()}, blobs, {}).payload


def _environment(names: Iterable[str]) -> dict[str, str]:
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UserError(
            f"{', '.join(missing)} is not set here", where="--env", what_to_do="Set it, or leave the option out"
        )
    return {name: os.environ[name] for name in names}


def _modules(names: Names, dumped: Dumped, objects: Mapping[str, object]) -> set[str]:
    referred = {value.__name__ for value in objects.values() if isinstance(value, types.ModuleType)}
    # Every site has what of GreenKernel a cell can use.
    return {name for name in {*names.imports, *dumped.modules} | referred if name.partition(".")[0] != "greenkernel"}


def _manifest(
    names: Names,
    dumped: Dumped,
    values: Mapping[str, object],
    files: Iterable[SourceFile],
    shared: Collection[str],
) -> tuple[Item, ...]:
    items = [
        Item(
            name=name,
            kind=kind_of(values[name]),
            bytes=size,
            why=_OF_MODULE if name in shared else _why(name, names, dumped),
            secret_like=looks_secret(name, values[name]),
        )
        for name, size in dumped.sizes.items()
    ]
    for file in files:
        why = "named by the cell or --files" if file.kind == "data" else "imported by the cell, not installed"
        items.append(Item(name=file.path, kind="file", bytes=file.bytes, why=why, secret_like=looks_secret(file.path)))
    return tuple(sorted(items, key=lambda item: (-item.bytes, item.name)))


def _why(name: str, names: Names, dumped: Dumped) -> str:
    if is_place(name):
        return "given to a library"
    reader = names.why.get(name) or dumped.needed.get(name, "")
    return f"read by {reader}" if reader else "part of another value"


def kind_of(value: object) -> str:
    """What an object is, in a word or two; arrays and frames with their shape."""
    if isinstance(value, types.ModuleType):
        return "module"
    if isinstance(value, type):
        return "class"
    if isinstance(value, types.FunctionType | types.MethodType):
        return "function"
    name = type(value).__name__
    shape = attribute_of(value, "shape")
    if isinstance(shape, tuple) and shape and all(isinstance(n, int) for n in shape):
        return f"{name} {' x '.join(str(n) for n in shape)}"
    if isinstance(value, list | tuple | dict | set | frozenset):
        return f"{name} of {len(value)}"
    return name


def looks_secret(name: str, value: object = None) -> bool:
    """True where a name or a text looks like something that should not leave the notebook unnoticed."""
    parts = value.values() if isinstance(value, dict) else (value,)
    inner = value.keys() if isinstance(value, dict) else ()
    keys = (name, *(key for key in list(inner)[:200] if isinstance(key, str)))
    texts = (text for text in list(parts)[:200] if isinstance(text, str))
    return any(_SECRET_NAME.search(key) for key in keys) or any(_SECRET_VALUE.match(text) for text in texts)
