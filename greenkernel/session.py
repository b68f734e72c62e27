"""The Python API: everything the magic and the command line do is one call here."""

from __future__ import annotations

import builtins
import functools
import inspect
import json
import keyword
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from greenkernel.cell.capture import capture
from greenkernel.cell.transform import to_python
from greenkernel.controller import agree_on_sites, ensure_controller
from greenkernel.errors import UserError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.model.room import no_room, too_much
from greenkernel.options import Wanted, due_at, resolve
from greenkernel.records import (
    Plan,
    Prediction,
    Profile,
    Request,
    RunState,
    plain,
)
from greenkernel.run.journal import Entry
from greenkernel.store.blobs import Blobs
from greenkernel.store.runs import Submission

_MOST_OF_NAME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInfo:
    """A site as `sites` lists it."""

    name: str
    kind: str
    zone: str
    reachable: bool
    cores_max: int
    detail: str
    intensity_g_per_kwh: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a cell would take, site by site, and the plan that would be followed."""

    predictions: tuple[Prediction, ...]
    profile: Profile
    plan: Plan | None
    impossible: str | None

    def to_json(self) -> str:
        """As JSON, named as in the receipt."""
        return json.dumps(plain(self), indent=2)


def train(
    source: str | Callable[..., Any],
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    namespace: dict[str, Any] | None = None,
    auto: bool = True,
    wait: bool = False,
    home: Home | None = None,
    file_name: str = "<cell>",
    script: str | None = None,
    folder: Path | str | None = None,
    taking: Callable[[int], None] = lambda size: None,
    **options: Any,
) -> Run:
    """Profile, predict, plan, ship and follow a cell or a function.

    Args:
        source: The cell's text, or a function that is called there.
        args: Positional arguments of a function.
        kwargs: Keyword arguments of a function.
        namespace: The names that the text may read; they are captured as they are now and are not changed.
        auto: Take the recommended site; else the run waits for `Run.choose`.
        wait: Return when the run has ended.
        home: The home; by default the one of ``GREENKERNEL_HOME``.
        file_name: The name of the source in tracebacks.
        script: The source is a Python file of this name, which it finds as ``__file__``.
        folder: Where local modules and files are looked for; the working folder by default.
        taking: Called with the bytes of each part of the values, before it is written into the store.
        **options: The long names of the magic's options: ``due="18:00"``, ``goal="co2"``, ``site=["a"]``, ...

    Raises:
        UserError: The source or an option cannot be used; nothing was shipped.
    """
    home = home or Home.open()
    if not isinstance(home, Home):
        raise UserError(f"home is a {type(home).__name__}", what_to_do="Name its folder by GREENKERNEL_HOME")
    names = _as_namespace(namespace)
    text, scope = _as_cell(source, args, kwargs, names)
    folder = Path(folder or Path.cwd()).resolve()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", where="folder")
    wanted = resolve(options)
    request = _request(text, wanted, home, auto=auto, file_name=file_name, script=script, folder=folder)
    if callable(source) and not options.get("name"):
        request = replace(request, name=getattr(source, "__name__", request.name))
    to_python(text, file_name, whole=script is not None)
    home.check_signals()
    agree_on_sites(home)
    run = f"{request.created_at:%m%d%H%M%S}-{secrets.token_hex(3)}"
    with home.sending():
        # Blobs that are there already can be relied on, for nobody removes any now.
        blobs = Blobs(home.objects, home.settings.key, guarded=True, told=taking)
        captured = capture(request, scope, blobs, folder)
        if why := no_room(captured, request.memory_bytes):
            raise UserError(why, where="--memory", what_to_do="Give it more, or load less of that inside the cell")
        if why := too_much(captured, request.size_bytes):
            raise UserError(why, where=str(home.settings.user_path), what_to_do="Set run_size there, or send less")
        home.run_store(run).submit(Submission(request=request, capture=captured))
    home.journal.add(
        Entry(id=run, name=request.name, created_at=request.created_at, open=True, state=RunState.PROFILING, detail="")
    )
    ensure_controller(home.settings.home, home.settings.sites_path)
    started = Run(home, run, names)
    return started.wait() if wait else started


def predict(source: str | Callable[..., Any], **options: Any) -> Forecast:
    """What a cell or a function would take on each site; nothing is shipped. Arguments as for `train`.

    Raises:
        UserError: The source or an option cannot be used.
    """
    run = train(source, wait=True, **{**options, "dry_run": True})
    advice = run.advice
    if advice is None:
        raise UserError(run.detail or "no prediction could be made")
    return Forecast(
        predictions=advice.predictions, profile=advice.profile, plan=advice.plan, impossible=advice.impossible
    )


def runs(home: Home | None = None) -> list[Run]:
    """Every run of the home, newest first."""
    home = home or Home.open()
    home.sync_journal()
    return [Run(home, entry.id) for entry in home.journal.entries()]


def attach(run: str, *, namespace: dict[str, Any] | None = None, home: Home | None = None) -> Run:
    """Take a run back, after a kernel restart for example. The beginning of its id will do.

    Raises:
        UserError: There is no such run, or there are several.
    """
    home = home or Home.open()
    home.sync_journal()
    found = [entry.id for entry in home.journal.entries() if (run and entry.id.startswith(run)) or entry.name == run]
    if len(found) != 1:
        some = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        what = f"there is no run {run!r}" if not found else f"{run!r} may be any of {some}"
        raise UserError(what, what_to_do="List them with `greenkernel runs` or `%greenruns`")
    return Run(home, found[0], _as_namespace(namespace))


def sites(home: Home | None = None) -> list[SiteInfo]:
    """The sites, what each can give now, and how green it is."""
    home = home or Home.open()
    offers = home.offers()
    found = []
    for name, config in home.settings.sites.sites.items():
        offer = offers[name]
        intensity, source = home.intensity_now(name)
        found.append(
            SiteInfo(
                name=name,
                kind=config.kind,
                zone=config.zone,
                reachable=offer.reachable,
                cores_max=offer.cores_max,
                detail=offer.why_not or offer.detail,
                intensity_g_per_kwh=intensity,
                source=source,
            )
        )
    return found


def _as_namespace(given: dict[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise UserError(
            f"namespace is a {type(given).__name__}", what_to_do="Give a dict of names and values, such as globals()"
        )
    return given if given is not None else {}


def _as_cell(
    source: str | Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None, namespace: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    if not isinstance(args, list | tuple):
        raise UserError(f"args is a {type(args).__name__}", what_to_do="Give a list or a tuple of arguments")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise UserError(f"kwargs is a {type(kwargs).__name__}", what_to_do="Give a dict of names and arguments")
    if isinstance(source, str):
        if args or kwargs:
            raise UserError("args and kwargs go with a function", what_to_do="Put the values into namespace")
        return source, namespace
    if not callable(source):
        raise UserError(f"{type(source).__name__} can be neither run nor called", what_to_do="Give text or a function")
    inner = inspect.unwrap(source)
    scope = {**getattr(inner, "__globals__", {}), **namespace}
    # Names that nobody uses, and that tell in tracebacks, in errors and in `Run.names` what is meant.
    name = getattr(source, "__name__", "")
    stem = name if name.isidentifier() and not keyword.iskeyword(name) else "function"
    held = {"": source, "_args": tuple(args), "_kwargs": dict(kwargs or {})}
    called, given, named = (_unused(stem + end, scope, value) for end, value in held.items())
    scope |= {called: source, given: held["_args"], named: held["_kwargs"]}
    waits = "await " if inspect.iscoroutinefunction(inner) else ""
    return f"{waits}{called}(*{given}, **{named})", scope


def _unused(name: str, scope: Mapping[str, Any], value: Any) -> str:
    """The name, or one like it where that is another's."""
    while scope.get(name, value) is not value or (hasattr(builtins, name) and name not in scope):
        name += "_"
    return name


def _request(
    text: str, wanted: Wanted, home: Home, *, auto: bool, file_name: str, script: str | None, folder: Path
) -> Request:
    now = home.clock.now()
    known = home.settings.sites.sites
    for site in wanted.site:
        if site not in known:
            raise UserError(f"there is no site {site!r}", where="--site", what_to_do=f"Use one of {', '.join(known)}")
    least, most = wanted.cores or (None, None)
    return Request(
        source=text,
        name=wanted.name or _name_of(text),
        created_at=now,
        due_at=due_at(wanted.due, now=now, zone=home.settings.timezone),
        goal=wanted.goal or "co2",  # type: ignore[arg-type]  # the table has checked it
        sites=wanted.site,
        cores_min=least,
        cores_max=most,
        memory_bytes=wanted.memory,
        size_bytes=home.settings.run_bytes,
        rows=wanted.rows,
        knobs=wanted.knob,
        profile=not wanted.no_profile,
        files=wanted.files,
        env=wanted.env,
        move=wanted.move or "auto",  # type: ignore[arg-type]  # the table has checked it
        auto=auto,
        dry_run=wanted.dry_run,
        out=wanted.out,
        file_name=file_name,
        script=script,
        folder=str(folder),
        owner=home.owner,
        logical_cores=os.cpu_count() or 1,
        hash_seed=seed if (seed := os.environ.get("PYTHONHASHSEED", "")).isdigit() else "",
    )


def _name_of(text: str) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    telling = [line for line in lines if not line.startswith(("import ", "from ", "%", "@"))] or lines or ["cell"]
    return telling[0] if len(telling[0]) <= _MOST_OF_NAME else f"{telling[0][: _MOST_OF_NAME - 1].rstrip()}…"


def task(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Make a function that returns a `Run` when it is called: ``@task`` or ``@task(due="+3h")``.

    Args:
        function: The function, where it is decorated without options.
        **options: As for `train`, which each call goes through.
    """

    def decorated(called: Callable[..., Any]) -> Callable[..., Run]:
        @functools.wraps(called)
        def send(*args: Any, **kwargs: Any) -> Run:
            return train(called, args=args, kwargs=kwargs, **options)

        return send

    return decorated if function is None else decorated(function)
