"""Settings: what is read, the key of a home, and how mistakes in files are shown."""

import stat
import threading
from pathlib import Path

import pytest

from greenkernel.errors import UserError
from greenkernel.settings import Settings, default_sites_path

GOOD = '[sites.a]\nkind = "embedded"\n'


def sites(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_embedded_sites_by_default(tmp_path: Path) -> None:
    """Without any file there are three embedded sites, and runs live in a folder of the home."""
    settings = Settings(tmp_path / "home")
    assert default_sites_path() == settings.sites_path
    assert 3 == len(settings.sites.sites)
    assert (tmp_path / "home" / "store").as_uri() == settings.store.url


def test_own_sites_file_of_the_home(tmp_path: Path) -> None:
    """``sites.toml`` of the home folder goes before the default; its first site is home."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "sites.toml").write_text(GOOD)
    assert "a" == Settings(home).home_site


def test_key_is_private_and_stays(tmp_path: Path) -> None:
    """The key has 32 bytes, only its owner may read it, and it is made once."""
    home = tmp_path / "home"
    first = Settings(home, sites(tmp_path, GOOD)).key
    assert 32 == len(first)
    assert first == Settings(home, sites(tmp_path, GOOD)).key
    assert 0o600 == stat.S_IMODE((home / "keys" / "store.key").stat().st_mode)


def test_two_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    """Kernels that start at the same moment in a new home get the same key."""
    path = sites(tmp_path, GOOD)
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(Settings(tmp_path / "h", path).key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(keys)
    assert 1 == len(set(keys))


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("line 3: 'zome' is not a setting. Did you mean 'zone'?", GOOD + 'zome = "DE"\n'),
        ("line 2", '[sites.a]\nkind = "cloud"\n'),
        ("Use one of embedded, kubernetes", '[sites.a]\nkind = "embeded"\n'),
        ("Name a site: [sites.near]", ""),
        ("The name of a site has letters", '[sites."a b"]\nkind = "embedded"\n'),
        ("line 3: pue: Expected `float`, got `str`", GOOD + 'pue = "much"\n'),
        ("line 3: pue: Expected `float` >= 1", GOOD + "pue = -1\n"),
        ("line 3: max_cores: Expected `int` >= 1", GOOD + "max_cores = 0\n"),
        ("matching regex", '[sites."a b/../c"]\nkind = "embedded"\n'),
        ("not TOML", "[sites.a\n"),
        ("no site is described", "[sites]\n"),
        ("home = 'b' names no site", 'home = "b"\n' + GOOD),
    ],
)
def test_mistakes_are_shown_with_their_line(expected: str, text: str, tmp_path: Path) -> None:
    """A typo in a sites file is answered with file, line, key and the nearest right key."""
    with pytest.raises(UserError) as caught:
        Settings(tmp_path / "home", sites(tmp_path, text))
    assert expected in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_missing_sites_file(tmp_path: Path) -> None:
    """A sites file that is named but does not exist is not replaced by a default."""
    with pytest.raises(UserError, match="there is no file"):
        Settings(tmp_path / "home", tmp_path / "none.toml")


def test_unknown_timezone(tmp_path: Path) -> None:
    """A zone that does not exist is said when it is used."""
    (tmp_path / "settings.toml").write_text('timezone = "Mars/Base"\n')
    with pytest.raises(UserError, match="Mars/Base"):
        _ = Settings(tmp_path, sites(tmp_path, GOOD)).timezone


def test_damaged_key(tmp_path: Path) -> None:
    """A key of the wrong length is refused instead of being replaced, for it opens all runs of the home."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "store.key").write_bytes(b"short")
    with pytest.raises(UserError, match="damaged"):
        Settings(tmp_path, sites(tmp_path, GOOD))


def test_a_lost_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    """A home that has had runs does not get another key, with which none of them could be read."""
    path = sites(tmp_path, GOOD)
    Settings(tmp_path / "home", path)
    (tmp_path / "home" / "keys" / "store.key").unlink()
    (tmp_path / "home" / "journal.sqlite").touch()
    with pytest.raises(UserError, match="Restore it from a backup"):
        Settings(tmp_path / "home", path)
