"""Files of a cell: found by its texts, listed with what they were, and put back at once, hostile lists refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from greenkernel.cell.files_back import put_files
from greenkernel.cell.named_files import every_file, find_named, folders_below, texts_in, texts_of
from greenkernel.errors import IntegrityError, UserError
from greenkernel.records import FileChange, SourceFile
from greenkernel.runner.files import FilesBefore, flush, write_file
from greenkernel.store.blobs import Blobs
from greenkernel.store.hashing import KEY_BYTES
from greenkernel.store.objects import ObjectStore, StoreAddress

RUN = "0101000000-aaaaaa"


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    place = tmp_path / "store"
    place.mkdir()
    return Blobs(ObjectStore(StoreAddress(url=f"file://{place}")), b"k" * KEY_BYTES)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "notebook"
    (place / "data").mkdir(parents=True)
    for name in ("data/a.csv", "data/b.csv", "part-1.npy", "part-2.npy", "notes.txt"):
        (place / name).write_text(name)
    (tmp_path / "outside.txt").write_text("outside")
    return place


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("read('notes.txt')", {"notes.txt"}),
        ("read('./notes.txt')", {"notes.txt"}),
        ("read('data/' + name)", {"data/a.csv", "data/b.csv"}),
        ("Path('data') / name", {"data/a.csv", "data/b.csv"}),
        ("read(f'part-{n}.npy')", {"part-1.npy", "part-2.npy"}),
        ("glob('data/*.csv')", {"data/a.csv", "data/b.csv"}),
        ("run('python notes.txt --x')", {"notes.txt"}),
        ("run(f'{python} data/a.csv')", {"data/a.csv"}),
        ("print('no file, only words')", set()),
        ("read('missing.csv')", set()),
        ("read('.')", set()),
        ("read('*')", set()),
        ("x = 'a\\nb'", set()),
    ],
)
def test_texts_name_files(cell: str, found: set[str], home: Path) -> None:
    """A literal path, a folder, a pattern and an f-string name files; other texts name nothing."""
    import ast

    assert found == set(find_named(texts_in(ast.parse(cell)), home, 10**9)[0])


def test_values_name_files_too(home: Path) -> None:
    """A path in a captured variable, or in a list of them, travels as if the cell had named it."""
    values = [Path("notes.txt"), ["part-1.npy"], {"x": "data/a.csv"}, 3]
    assert {"notes.txt", "part-1.npy", "data/a.csv"} == set(find_named(texts_of(values), home, 10**9)[0])


def test_a_cache_of_joblib_travels(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole: what a function has remembered is not computed again."""
    monkeypatch.chdir(home)
    memory = joblib.Memory("cache", verbose=0)
    remembers = memory.cache(len)
    remembers("abc")
    for value in (memory, remembers):
        found = find_named(texts_of([value]), home, 10**9)[0]
        assert {"output.pkl", "metadata.json"} <= {Path(name).name for name in found}


@pytest.mark.parametrize(
    "made",
    [
        lambda names: np.array(names),
        lambda names: np.array(names, dtype=object),
        lambda names: pd.Series(names, index=[0.5, 1.5, 2.5]),
        lambda names: pd.Index(names),
        lambda names: pd.DataFrame({"n": [1, 2, 3], "icon": names, "kind": pd.Categorical(names)}),
    ],
)
def test_columns_of_tables_name_files(made: Callable[[list[str]], object], home: Path) -> None:
    """Files that stand in a column travel; words that are no path are not looked for."""
    (home / "word").write_text("a file that a word happens to be called")
    names = ["notes.txt", "data/a.csv", "word"]
    assert {"notes.txt", "data/a.csv"} == set(find_named(texts_of([made(names)]), home, 10**9)[0])


def test_what_does_not_travel_is_said(home: Path) -> None:
    """A file outside of the folder and one that is too big are named."""
    _, notes = find_named(["../outside.txt"], home, 10**9)
    assert "lies outside" in notes[0]
    kept, notes = find_named(["notes.txt", "data/a.csv"], home, 12)
    assert 1 == len(kept)
    assert "too big" in notes[0]


def test_files_that_are_left_open_have_what_was_written(tmp_path: Path) -> None:
    """A name's and those of a list; closed ones and what only reads are no trouble."""
    paths = [tmp_path / name for name in "abc"]
    files = [path.open("w") for path in paths]
    for file in files:
        file.write("text")
    files[2].close()
    with paths[2].open() as reader:
        flush({"one": files[0], "more": [files[1], files[2], 5], "reader": reader, "n": 3})
        assert ["text"] * 3 == [path.read_text() for path in paths]
    for file in files:
        file.close()


def changes_of(work: Path, blobs: Blobs, sent: tuple[SourceFile, ...]) -> FilesBefore:
    for file in sent:
        write_file(file, blobs, work)
    return FilesBefore(work, sent)


def test_there_and_back(tmp_path: Path, home: Path, blobs: Blobs) -> None:
    """Created, changed, appended and deleted files and new folders are at home as the cell left them."""
    sent = tuple(
        SourceFile(path=name, blob=blobs.put((home / name).read_bytes()), bytes=1)
        for name in ("notes.txt", "part-1.npy", "data/a.csv")
    )
    work = tmp_path / "work"
    work.mkdir()
    before = changes_of(work, blobs, sent)
    (work / "new" / "deep").mkdir(parents=True)
    (work / "new" / "deep" / "file.bin").write_bytes(b"\0" * 100)
    (work / "empty").mkdir()
    with (work / "notes.txt").open("a") as file:
        file.write(" and more")
    (work / "part-1.npy").unlink()
    os.utime(work / "data" / "a.csv", ns=(1, 1))
    (work / "__pycache__").mkdir()
    changes, left_out = before.changes(blobs)
    assert {} == left_out
    assert {"new", "new/deep", "new/deep/file.bin", "empty", "notes.txt", "part-1.npy"} == {c.path for c in changes}
    assert [] == put_files(changes, blobs, home, RUN)
    assert "notes.txt and more" == (home / "notes.txt").read_text()
    assert 100 == len((home / "new" / "deep" / "file.bin").read_bytes())
    assert (home / "empty").is_dir()
    assert not (home / "part-1.npy").exists()
    assert [] == put_files(changes, blobs, home, RUN)
    assert [] == [path for path in home.iterdir() if "greenkernel" in path.name]


@pytest.mark.parametrize(
    ("change", "here", "kept", "said"),
    [
        (("file", b"theirs", b"sent"), b"mine", b"mine", "changed here too"),
        (("file", b"theirs", None), b"mine", b"mine", "had not been sent"),
        (("file", b"theirs", b"sent"), b"theirs", b"theirs", None),
        (("file", b"theirs", b"sent"), b"sent", b"theirs", None),
        (("file", b"theirs", b"sent"), None, None, "changed here too"),
        (("deleted", None, b"sent"), b"mine", b"mine", "still here"),
        (("deleted", None, b"sent"), b"sent", None, None),
    ],
)
def test_conflicts_are_kept_beside(
    change: tuple[str, bytes | None, bytes | None],
    here: bytes | None,
    kept: bytes | None,
    said: str | None,
    home: Path,
    blobs: Blobs,
) -> None:
    """What was changed at both ends stays as it is here; the cell's goes beside it under the run's name."""
    kind, theirs, base = change
    target = home / "x.txt"
    if here is not None:
        target.write_bytes(here)
    made = FileChange(
        path="x.txt",
        kind=kind,  # type: ignore[arg-type]
        blob=blobs.put(theirs) if theirs is not None else None,
        base=blobs.address(base) if base is not None else None,
    )
    messages = put_files([made], blobs, home, RUN)
    assert (said is None) == (messages == [])
    assert all(said is not None and said in message for message in messages)
    assert kept == (target.read_bytes() if target.exists() else None)
    if said in ("changed here too", "had not been sent"):
        assert b"theirs" == (home / f"x.txt.{RUN}").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/x",
        "a/../../x",
        "",
        "C:/x",
        "a\\..\\x",
        "a\0b",
        "..",
        "a/../..",
        "x" * 5000,
    ],
)
def test_hostile_lists_touch_nothing(path: str, home: Path, blobs: Blobs, tmp_path: Path) -> None:
    """A path that leaves the folder, by whatever way, is refused before any file of the list is written."""
    (home / "link").symlink_to(tmp_path)
    (home / "linked.txt").symlink_to(tmp_path / "outside.txt")
    good = FileChange(path="good.txt", kind="file", blob=blobs.put(b"good"))
    bad = FileChange(path=path, kind="file", blob=blobs.put(b"bad"))
    with pytest.raises((IntegrityError, UserError)):
        put_files([good, bad], blobs, home, RUN)
    assert not (home / "good.txt").exists()
    assert "outside" == (tmp_path / "outside.txt").read_text()


@pytest.mark.parametrize("path", ["link/x.txt", "linked.txt", "round/x.txt"])
def test_what_a_link_leads_out_is_kept_here(path: str, home: Path, blobs: Blobs, tmp_path: Path) -> None:
    """A link of the folder to elsewhere is not followed: that file alone is kept in the folder, and it is said."""
    (home / "link").symlink_to(tmp_path)
    (home / "linked.txt").symlink_to(tmp_path / "outside.txt")
    (home / "round").symlink_to("round")
    good = FileChange(path="good.txt", kind="file", blob=blobs.put(b"good"))
    theirs = FileChange(path=path, kind="file", blob=blobs.put(b"theirs"), base=blobs.address(b"outside"))
    (said,) = put_files([good, theirs], blobs, home, RUN)
    assert "a link leads to it out of" in said
    assert b"theirs" == (home / f"{Path(path).name}.{RUN}").read_bytes()
    assert (home / "good.txt").exists()
    assert "outside" == (tmp_path / "outside.txt").read_text()
    assert not (tmp_path / "x.txt").exists()


def test_a_link_inside_is_written_through(home: Path, blobs: Blobs) -> None:
    """As by a plain cell: what the link leads to changes, also below a link to a folder."""
    (home / "l.txt").symlink_to("notes.txt")
    (home / "sub").symlink_to("data")
    changes = [
        FileChange(path="l.txt", kind="file", blob=blobs.put(b"more"), base=blobs.address(b"notes.txt")),
        FileChange(path="sub/n.txt", kind="file", blob=blobs.put(b"new")),
    ]
    assert [] == put_files(changes, blobs, home, RUN)
    assert (home / "l.txt").is_symlink()
    assert "more" == (home / "notes.txt").read_text()
    assert "new" == (home / "data" / "n.txt").read_text()


def test_named_links_travel(home: Path, tmp_path: Path) -> None:
    """A link to data elsewhere is named by the cell as if the data were there."""
    (home / "linked.txt").symlink_to(tmp_path / "outside.txt")
    (home / "far").symlink_to(home / "data")
    assert {"linked.txt", "far/a.csv"} == set(find_named(["linked.txt", "far/a.csv", "../outside.txt"], home, 10**9)[0])


def test_changed_bytes_touch_nothing(home: Path, blobs: Blobs, tmp_path: Path) -> None:
    """Contents that are not what was sent are refused before any file is written."""
    good = FileChange(path="good.txt", kind="file", blob=blobs.put(b"good"))
    bad = FileChange(path="bad.txt", kind="file", blob=blobs.put(b"bad"))
    (tmp_path / "store" / "blobs" / str(bad.blob)).write_bytes(b"changed")
    with pytest.raises(IntegrityError):
        put_files([good, bad], blobs, home, RUN)
    assert not (home / "good.txt").exists()


def test_a_file_keeps_its_rights(home: Path, blobs: Blobs) -> None:
    """New content comes into a file that may be executed, and it still may."""
    target = home / "tool.sh"
    target.write_bytes(b"old")
    target.chmod(0o750)
    change = FileChange(path="tool.sh", kind="file", blob=blobs.put(b"new"), base=blobs.address(b"old"))
    assert [] == put_files([change], blobs, home, RUN)
    assert (b"new", 0o750) == (target.read_bytes(), target.stat().st_mode & 0o777)


def test_folders_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest first; hidden ones, environments and caches are not, nor what is in a user's home itself."""
    for name in ("b/deep/er", "a", ".git/objects", "env/lib", "__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert ["a", "b", "b/deep", "b/deep/er"] == folders_below(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [] == folders_below(tmp_path)
    (tmp_path / "letter.txt").touch()
    found, notes = every_file(tmp_path)
    assert {} == found
    assert "is no project" in notes[0]


def test_a_folder_that_is_too_much_to_list(tmp_path: Path) -> None:
    """All files, hidden ones excepted; none of them, and a sentence, where they are too many."""
    (tmp_path / "sub").mkdir()
    for name in ("x.txt", "sub/y.txt", ".secret"):
        (tmp_path / name).touch()
    assert ({"sub/y.txt": tmp_path / "sub/y.txt", "x.txt": tmp_path / "x.txt"}, []) == every_file(tmp_path)
    for number in range(2001):
        (tmp_path / f"{number}.dat").touch()
    found, notes = every_file(tmp_path)
    assert {} == found
    assert "more than 2000 files" in notes[0]


def test_links_and_rights_of_new_files(tmp_path: Path, home: Path, blobs: Blobs) -> None:
    """Links inside of the folder come back as links, also where there was one, and a script can be run."""
    work = tmp_path / "work"
    work.mkdir()
    before = changes_of(work, blobs, ())
    (work / "runs").mkdir()
    (work / "runs" / "2.bin").write_bytes(b"2")
    (work / "runs" / "latest").symlink_to("2.bin")
    (work / "current").symlink_to("runs")
    (work / "runs" / "up").symlink_to("../tool.sh")
    (work / "tool.sh").write_text("#!/bin/sh\n")
    (work / "tool.sh").chmod(0o755)
    for name, outside in (("out", "../outside.txt"), ("abs", "/etc/passwd"), ("round", "runs/../../outside.txt")):
        (work / name).symlink_to(outside)
    changes, _ = before.changes(blobs)
    assert {"runs", "runs/2.bin", "runs/latest", "current", "runs/up", "tool.sh"} == {c.path for c in changes}
    (home / "current").symlink_to("data")
    for _ in range(2):
        assert [] == put_files(changes, blobs, home, RUN)
        assert b"2" == (home / "current" / "latest").read_bytes()
        assert "runs" == str((home / "current").readlink())
        assert os.access(home / "runs" / "up", os.X_OK)


def test_a_link_does_not_replace_a_file_that_was_changed(home: Path, blobs: Blobs) -> None:
    """The file stays, the link is beside it; a file that is as it was sent becomes the link."""
    link = FileChange(path="notes.txt", kind="link", link="data", base=blobs.address(b"sent"))
    assert "changed here too" in put_files([link], blobs, home, RUN)[0]
    assert "notes.txt" == (home / "notes.txt").read_text()
    (home / "notes.txt").write_bytes(b"sent")
    assert [] == put_files([link], blobs, home, RUN)
    assert "data" == str((home / "notes.txt").readlink())


@pytest.mark.parametrize(
    "links",
    [
        {"l": ".."},
        {"l": "/etc"},
        {"l": ""},
        {"l": "a\0b"},
        {"data/l": "../.."},
        {"l": "data/../.."},
        {"a/b/d": "../..", "a/b/d/l": "../../.."},
        {"../l": "data"},
        {"": "data"},
    ],
)
def test_hostile_links_touch_nothing(links: dict[str, str], home: Path, blobs: Blobs) -> None:
    """A link that leads out of the folder, by itself or through another one, is refused before anything is written."""
    good = FileChange(path="good.txt", kind="file", blob=blobs.put(b"good"))
    bad = [FileChange(path=path, kind="link", link=link) for path, link in links.items()]
    with pytest.raises((IntegrityError, UserError)):
        put_files([good, *bad], blobs, home, RUN)
    assert not (home / "good.txt").exists()


def test_nothing_is_written_through_a_link_of_the_list(home: Path, blobs: Blobs) -> None:
    """Not even where the link stays inside: what is below it may not."""
    changes = [
        FileChange(path="l", kind="link", link="data"),
        FileChange(path="l/x.txt", kind="file", blob=blobs.put(b"x")),
    ]
    with pytest.raises(IntegrityError, match="through a link"):
        put_files(changes, blobs, home, RUN)
