"""What a user or an operator sets: the home folder, its key, ``settings.toml`` and ``sites.toml``."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import threading
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from greenkernel.errors import UserError
from greenkernel.store.hashing import KEY_BYTES
from greenkernel.store.objects import StoreAddress
from greenkernel.units import parse_bytes

HOME = "GREENKERNEL_HOME"
SITES = "GREENKERNEL_SITES"
SITES_FILE = "sites.toml"
USER_FILE = "settings.toml"
JOURNAL_FILE = "journal.sqlite"

MOST_DAYS = 36500
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[sites.NAME]`` table. Powers are of one core; every default is shown where it is used."""

    kind: Literal["embedded", "kubernetes"]
    zone: str = ""
    pue: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    max_cores: Annotated[int, msgspec.Meta(ge=1)] | None = None
    memory: str | None = None
    """Most memory of one job, such as ``4GiB``; None: the machine's (embedded) or not known."""
    speed: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Embedded only: share of full speed that the site emulates, in (0, 1]."""
    idle_w_per_core: NotNegative | None = None
    busy_w_per_core: NotNegative | None = None
    price_per_kwh: NotNegative = 0.0
    price_per_core_h: NotNegative = 0.0
    currency: str = "EUR"
    embodied_g_per_core_h: NotNegative | None = None
    trace: str | None = None
    """CSV with ``datetime,zone,intensity_g_per_kwh`` (UTC), relative to the file that names it."""
    intensity_g_per_kwh: NotNegative | None = None
    lost_every_h: Positive = 2.0
    """How often, in the mean, a job's process is taken away unasked (spot nodes: often); what is computed is saved
    the oftener."""
    startup_s: NotNegative | None = None
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = "default"
    image: str | None = None
    labels: dict[str, str] = {}


class ClockConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[clock]``: a simulated grid that starts at ``grid_start`` with each run's first plan."""

    grid_start: str
    factor: Positive = 1.0


class SitesFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of ``sites.toml``."""

    sites: dict[Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")], SiteConfig]
    store: str | None = None
    store_options: dict[str, str] = {}
    home: str | None = None
    """The site that stands for "here" in comparisons; None: the first one of the file."""
    clock: ClockConfig | None = None


class UserSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``settings.toml`` of the home folder. ``greenkernel runs usage`` shows the limits."""

    timezone: str | None = None
    """IANA zone of due dates such as ``18:00``; None: the machine's."""
    keep_days: Annotated[float, msgspec.Meta(gt=0, le=MOST_DAYS)] = 7
    """Days after its end that a run's logs, records and payload stay."""
    run_size: str = "20GiB"
    """Most that travels of one run, and most that its records and snapshots take besides."""
    store_size: str = "100GiB"
    """Most that all runs of the home take in the store; beyond it the oldest that have ended go before their time."""


class Settings:
    """Everything set, read once.

    Args:
        home: The home folder; None: ``GREENKERNEL_HOME``, else the user's data folder.
        sites_file: The sites; None: ``GREENKERNEL_SITES``, else ``sites.toml`` of the home folder, else embedded ones.

    Raises:
        UserError: A file is missing or has a mistake, with its line and the nearest right key.
    """

    def __init__(self, home: Path | None = None, sites_file: Path | None = None) -> None:
        self.home = (home or _default_home()).expanduser().absolute()
        _make_private(self.home)
        self.user = _read(self.user_path, UserSettings) or UserSettings()
        self.sites_path = _sites_path(self.home, sites_file)
        found = _read(self.sites_path, SitesFile)
        if found is None:
            raise UserError(f"there is no file {self.sites_path}", what_to_do="Name an existing sites file")
        if not found.sites:
            raise UserError("no site is described", where=str(self.sites_path), what_to_do="Add a [sites.NAME] table")
        self.sites = found
        self.home_site = found.home or next(iter(found.sites))
        if self.home_site not in found.sites:
            raise UserError(
                f"home = {self.home_site!r} names no site",
                where=str(self.sites_path),
                what_to_do=f"Use one of {', '.join(found.sites)}",
            )
        self.key = _key(self.home)

    @property
    def timezone(self) -> ZoneInfo | None:
        """The zone of due dates, None for the machine's.

        Raises:
            UserError: The name is not an IANA zone.
        """
        if self.user.timezone is None:
            return None
        try:
            return ZoneInfo(self.user.timezone)
        except (ZoneInfoNotFoundError, ValueError) as e:
            raise UserError(
                f"timezone = {self.user.timezone!r} is not known",
                where=str(self.user_path),
                what_to_do='Use a name such as "Europe/Berlin"',
            ) from e

    @property
    def run_bytes(self) -> int:
        """Most bytes of one run: of what travels, and of its records and snapshots.

        Raises:
            UserError: It is no size.
        """
        return self._size("run_size", self.user.run_size)

    @property
    def store_bytes(self) -> int:
        """Most bytes of all runs of the home in the store.

        Raises:
            UserError: It is no size.
        """
        return self._size("store_size", self.user.store_size)

    @property
    def user_path(self) -> Path:
        """``settings.toml`` of the home folder, whether it is there or not."""
        return self.home / USER_FILE

    def _size(self, key: str, text: str) -> int:
        try:
            return parse_bytes(text)
        except UserError as e:
            raise UserError(f"{key}: {e.what}", where=str(self.user_path), what_to_do=e.what_to_do) from e

    @property
    def store(self) -> StoreAddress:
        """The store that runs live in: the sites file's, else a folder of the home."""
        if self.sites.store is None:
            return StoreAddress(url=(self.home / "store").as_uri())
        return StoreAddress(url=self.sites.store, options=self.sites.store_options)

    def trace_path(self, site: SiteConfig) -> Path | None:
        """The site's trace file, resolved against the sites file's folder."""
        return None if site.trace is None else self.sites_path.parent / Path(site.trace).expanduser()


def default_sites_path() -> Path:
    """The three embedded sites that come with the package."""
    return Path(str(resources.files("greenkernel.demo") / "sites.toml"))


def _default_home() -> Path:
    set_home = os.environ.get(HOME)
    if set_home:
        return Path(set_home)
    import platformdirs

    return Path(platformdirs.user_data_dir("greenkernel"))


def _sites_path(home: Path, named: Path | None) -> Path:
    if named is not None:
        return named.expanduser().absolute()
    if os.environ.get(SITES):
        return Path(os.environ[SITES]).expanduser().absolute()
    own = home / SITES_FILE
    return own if own.exists() else default_sites_path()


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise UserError(
            f"the folder {folder} cannot be made ({e.strerror})", what_to_do=f"Set {HOME} to a folder of your own"
        ) from e


def _key(home: Path) -> bytes:
    path = home / "keys" / "store.key"
    try:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        # Written aside and linked, so that two first starts at once agree on one key.
        aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists() and (home / JOURNAL_FILE).exists():
            raise UserError(
                f"the key {path} is gone, and without it no run of this home can be read",
                what_to_do=f"Restore it from a backup, or remove {home / JOURNAL_FILE} to begin with a new one",
            )
        if not path.exists():
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
                os.link(aside, path)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        key = path.read_bytes()
    except OSError as e:
        raise UserError(
            f"the key {path} cannot be read or made ({e.strerror})",
            what_to_do=f"See to it that {home} can be written and that its disk has room",
        ) from e
    if len(key) != KEY_BYTES:
        raise UserError(
            f"the key {path} is damaged", what_to_do="Restore it from a backup; without it no run can be read"
        )
    return key


T = TypeVar("T", bound=msgspec.Struct)

# As in store/codec.py: no thread may meet a type that another one is just describing to msgspec.
_reading = threading.Lock()


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as e:
        raise UserError(f"the file is no UTF-8 ({e})", where=str(path), what_to_do="Save it as UTF-8") from e
    except OSError as e:
        raise UserError(f"the file cannot be read ({e})", where=str(path)) from e
    try:
        with _reading:
            return msgspec.toml.decode(text, type=kind)
    except msgspec.ValidationError as e:
        raise _explained(e, path, text) from e
    except msgspec.DecodeError as e:
        raise UserError(f"this is not TOML: {e}", where=str(path), what_to_do="Mend that line") from e


def _explained(error: msgspec.ValidationError, path: Path, text: str) -> UserError:
    """A mistake in a file, with its line and the nearest right key."""
    message = str(error)
    keys = re.findall(r"`([^`]*)`", message)
    at = re.search(r" - at `\$\.?([^`]*)`", message)
    table = at.group(1) if at else ""
    unknown = re.match(r"Object contains unknown field `([^`]*)`", message)
    key = unknown.group(1) if unknown else table.rsplit(".", 1)[-1]
    where = f"{path}, line {_line_of(key, text)}" if key and _line_of(key, text) else str(path)
    if not unknown:
        plain = re.sub(r" - at `[^`]*`$", "", message)
        return UserError(f"{key or 'the file'}: {plain}", where=where, what_to_do=_advice(key, message))
    known = [field.name for struct in (SiteConfig, ClockConfig, SitesFile, UserSettings) for field in _fields(struct)]
    near = difflib.get_close_matches(keys[0], known, n=1)
    return UserError(
        f"{key!r} is not a setting",
        where=where,
        what_to_do=f"Did you mean {near[0]!r}?" if near else f"Settings are: {', '.join(sorted(set(known)))}",
    )


def _advice(key: str, message: str) -> str:
    if message.startswith("Invalid enum value"):
        values = [get_args(field.type) for struct in (SiteConfig, ClockConfig) for field in _fields(struct)
                  if field.name == key]  # fmt: skip
        return f"Use one of {', '.join(map(str, values[0]))}" if values and values[0] else "Correct this value"
    if "missing required field `sites`" in message:
        return 'Name a site: [sites.near] and, below it, kind = "embedded"'
    if "at `key` in `$.sites`" in message:
        return "The name of a site has letters, digits, dots, underscores and hyphens, 63 at most"
    return "Correct this value"


def _fields(struct: type[msgspec.Struct]) -> tuple[Any, ...]:
    return msgspec.structs.fields(struct)


def _line_of(key: str, text: str) -> int | None:
    pattern = re.compile(rf"^\s*(\[.*\b)?[\"']?{re.escape(key)}[\"']?\s*(=|\]|\.)")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return number
    return None
