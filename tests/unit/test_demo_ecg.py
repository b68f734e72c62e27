import hashlib
import pickle
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from greenkernel.demo import CELL, SETUP, EcgRecords, load_records, setup_namespace
from greenkernel.demo.ecg import FOLDER_VARIABLE, read_mat
from greenkernel.demo.ecg_setup import clean, r_peaks, window_rows
from greenkernel.demo.synthetic_ecg import LABELS, made_up_signals
from greenkernel.errors import IntegrityError, UserError

REAL = Path(__file__).parents[3] / "shared" / "data" / "ecg" / "cinc2017"


@pytest.fixture(autouse=True)
def no_folder_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have named a folder of their own."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


@pytest.fixture
def real_folder() -> Path:
    """The folder of real records, where there is one."""
    if not REAL.is_dir():
        pytest.skip(f"the real ECG records are not at {REAL}")
    return REAL


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and keeps what was asked for."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """A small archive laid out as PhysioNet's, served on loopback: its folder, its URL and the paths asked for."""
    root = tmp_path / "archive"
    labels = {f"A0000{number}": label for number, label in enumerate("NAO~NA", start=1)}
    files = {f"training/A00/{name}.mat": mat_bytes([number] * 2700) for number, name in enumerate(labels)}
    files["training/REFERENCE.csv"] = b"A00/A00001,O\n"
    files["training/REFERENCE-v3.csv"] = "".join(f"A00/{name},{label}\n" for name, label in labels.items()).encode()
    # One blank as on PhysioNet or two as sha256sum writes them.
    sums = "".join(
        f"{hashlib.sha256(body).hexdigest()}{' ' * (1 + number % 2)}{path}\n"
        for number, (path, body) in enumerate(files.items())
    )
    for path, body in {**files, "SHA256SUMS.txt": sums.encode()}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
    asked: list[str] = []
    handler = type("Handler", (QuietHandler,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


def mat_bytes(samples: list[int]) -> bytes:
    """A MATLAB v4 file with the row `val`."""
    return struct.pack("<5i", 30, 1, len(samples), 0, 4) + b"val\0" + np.array(samples, dtype="<i2").tobytes()


def same(left: EcgRecords, right: EcgRecords) -> bool:
    """Whether names, labels and all samples are equal."""
    signals = all(np.array_equal(a, b) for a, b in zip(left.signals, right.signals, strict=True))
    return signals and left.names == right.names and left.labels.tolist() == right.labels.tolist()


def test_real_records_are_read_with_their_labels(real_folder: Path) -> None:
    """The public subset gives 400 int16 signals of 9 to 61 s, in the order of names, and says what to cite."""
    records = load_records(real_folder)
    assert 400 == len(records.signals) == len(records.labels) == len(records.names)
    assert {"N": 160, "A": 120, "O": 100, "~": 20} == Counter(records.labels.tolist())
    assert sorted(records.names) == list(records.names)
    assert all(signal.dtype == np.int16 and 9 * 300 <= len(signal) <= 61 * 300 for signal in records.signals)
    assert 300 == records.sampling_hz
    assert str(real_folder) in records.source
    assert "Clifford" in str(records.citation)
    assert "Goldberger" in str(records.citation)


def test_environment_names_the_folder(archive: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the folder comes from the environment, and nothing is downloaded."""
    root, _, asked = archive
    monkeypatch.setenv(FOLDER_VARIABLE, str(root))
    assert ["N", "A", "O", "~", "N", "A"] == load_records().labels.tolist()
    assert [] == asked


def test_flat_layout_of_the_zip_is_read_and_the_newest_labels_win(tmp_path: Path) -> None:
    """Records beside several REFERENCE files get the labels of the highest revision; unlabelled ones are left out."""
    for name in ("A00001", "A00002", "A00003"):
        (tmp_path / f"{name}.mat").write_bytes(mat_bytes([1, -2, 3]))
    (tmp_path / "REFERENCE.csv").write_text("A00001,N\nA00002,N\n")
    (tmp_path / "REFERENCE-v2.csv").write_text("A00001,O\nA00002,A\nA00009,N\n")
    records = load_records(tmp_path)
    assert ("A00001", "A00002") == records.names
    assert ["O", "A"] == records.labels.tolist()
    assert [1, -2, 3] == records.signals[0].tolist()


@pytest.mark.parametrize(
    ("content", "word"), [({}, "records"), ({"A00001.mat": mat_bytes([1])}, "labels"), (None, "records")]
)
def test_folder_without_data_is_refused(tmp_path: Path, content: dict[str, bytes] | None, word: str) -> None:
    """A missing folder, one without records and one without labels: the message says which and what to do."""
    folder = tmp_path / "ecg"
    if content is not None:
        folder.mkdir()
        for name, body in content.items():
            (folder / name).write_bytes(body)
    with pytest.raises(UserError, match=rf"no {word} .*{FOLDER_VARIABLE}"):
        load_records(folder)


def test_limit_below_one_is_refused() -> None:
    """Asking for no records is a mistake, not an empty answer."""
    with pytest.raises(UserError, match="one or more"):
        load_records(limit=0)


@pytest.mark.parametrize(
    "body",
    [b"", b"\0" * 30, mat_bytes([1, 2, 3])[:-1], mat_bytes([1, 2, 3]) + b"\0", b"MATLAB 5.0 MAT-file, and so on"],
    ids=["empty", "zeros", "cut", "too long", "another format"],
)
def test_corrupted_record_is_refused_by_name(tmp_path: Path, body: bytes) -> None:
    """A record that is not a whole MATLAB v4 file is an error that names the file."""
    path = tmp_path / "A00007.mat"
    path.write_bytes(body)
    with pytest.raises(IntegrityError, match=r"A00007\.mat is refused"):
        read_mat(path)


def test_download_is_checked_kept_and_not_repeated(archive: tuple[Path, str, list[str]], tmp_path: Path) -> None:
    """The archive's records come with the newest labels; the second load asks the archive for nothing."""
    root, url, asked = archive
    records = load_records(archive=url, cache=tmp_path / "cache")
    assert ["N", "A", "O", "~", "N", "A"] == records.labels.tolist()
    assert f"downloaded from {url}" in records.source
    assert same(load_records(root), records)
    asked.clear()
    assert same(records, load_records(archive=url, cache=tmp_path / "cache"))
    assert [] == asked


def test_limit_downloads_only_what_is_wanted(archive: tuple[Path, str, list[str]], tmp_path: Path) -> None:
    """Three records wanted are three records fetched, of the commonest classes."""
    _, url, asked = archive
    records = load_records(limit=3, archive=url, cache=tmp_path / "cache")
    assert ("A00001", "A00002", "A00003") == records.names
    assert [f"/training/A00/{name}.mat" for name in records.names] == sorted(p for p in asked if p.endswith(".mat"))


def test_damaged_copy_in_the_cache_is_fetched_again(archive: tuple[Path, str, list[str]], tmp_path: Path) -> None:
    """A cached file that no longer has its published checksum is replaced by an intact one."""
    _, url, _ = archive
    records = load_records(archive=url, cache=tmp_path / "cache")
    (tmp_path / "cache" / "training" / "A00" / "A00003.mat").write_bytes(mat_bytes([9] * 2700))
    assert same(records, load_records(archive=url, cache=tmp_path / "cache"))


@pytest.mark.parametrize("path", ["training/A00/A00003.mat", "training/REFERENCE-v3.csv"])
def test_wrong_checksum_is_refused_by_name(archive: tuple[Path, str, list[str]], tmp_path: Path, path: str) -> None:
    """A file that differs from its published SHA-256 stops the load, is named, and is not kept."""
    root, url, _ = archive
    (root / path).write_bytes(mat_bytes([7] * 2700))
    with pytest.raises(IntegrityError, match=f"{path} is refused"):
        load_records(archive=url, cache=tmp_path / "cache")
    assert not (tmp_path / "cache" / path).exists()


@pytest.mark.parametrize(("path", "page"), [("SHA256SUMS.txt", b"<html>Sign in</html>"), ("SHA256SUMS.txt", None)])
def test_something_else_than_the_archive_falls_to_the_generator(
    archive: tuple[Path, str, list[str]], tmp_path: Path, path: str, page: bytes | None
) -> None:
    """A sign-in page or a 404 in the archive's place is no archive; nothing of it is kept."""
    root, url, _ = archive
    (root / path).unlink() if page is None else (root / path).write_bytes(page)
    records = load_records(limit=3, archive=url, cache=tmp_path / "cache")
    assert records.source.startswith("3 made-up records of GreenKernel's own generator, because the public archive")
    assert not (tmp_path / "cache").exists()


def test_line_that_breaks_halfway_falls_to_the_generator(archive: tuple[Path, str, list[str]], tmp_path: Path) -> None:
    """A record that cannot be had after the first answers costs no error and no half of the data."""
    root, url, _ = archive
    (root / "training/A00/A00004.mat").unlink()
    records = load_records(limit=6, archive=url, cache=tmp_path / "cache")
    assert "made-up" in records.source
    assert records.citation is None


def test_silent_host_costs_about_three_seconds(tmp_path: Path) -> None:
    """A host that accepts and never answers is given up within the limit, and the source says why."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        records = load_records(limit=2, archive=f"http://127.0.0.1:{silent.getsockname()[1]}/", cache=tmp_path)
        assert 4.0 > time.monotonic() - begin
    assert "made-up" in records.source
    assert "could not be had" in records.source


def test_refused_connection_falls_to_the_generator_at_once(tmp_path: Path) -> None:
    """Where nothing listens, the generator's records come without delay."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    begin = time.monotonic()
    records = load_records(limit=2, archive=f"http://127.0.0.1:{port}/", cache=tmp_path)
    assert 2.0 > time.monotonic() - begin
    assert "could not be had" in records.source


def test_generator_gives_the_same_records_every_time() -> None:
    """Made-up records are reproducible, as long as the real ones, and of all classes in mixed order."""
    records = load_records(limit=40, archive=None)
    assert same(records, load_records(limit=40, archive=None))
    assert {"N": 16, "A": 12, "O": 10, "~": 2} == Counter(records.labels.tolist())
    assert all(9 * 300 <= len(signal) <= 60 * 300 and signal.dtype == np.int16 for signal in records.signals)
    assert sorted(records.labels.tolist()) != records.labels.tolist()
    assert "no download was asked for" in records.source
    assert records.citation is None


def test_a_record_does_not_depend_on_the_others() -> None:
    """Record i is made from the seed, i and its label: another seed changes it, its neighbours do not."""
    alone = made_up_signals(["A", "N"], seed=3)[1]
    assert np.array_equal(alone, made_up_signals(["~", "N", "O"], seed=3)[1])
    assert not np.array_equal(alone, made_up_signals(["A", "N"], seed=4)[1])


def test_made_up_classes_are_learnable() -> None:
    """A small forest on the demo's features tells the made-up classes apart far better than chance (about 0.25)."""
    labels = np.array(LABELS * 15)
    rows = np.array([window_rows(signal[:4500], 300)[0] for signal in made_up_signals(labels.tolist(), seed=1)])
    forest = RandomForestClassifier(40, random_state=0)
    found = cross_val_predict(forest, rows, labels, cv=StratifiedKFold(3, shuffle=True, random_state=0))
    assert 0.6 < f1_score(labels, found, average="macro")


@pytest.mark.parametrize("bpm", [50, 75, 120])
def test_r_peaks_are_found_where_they_are(bpm: int) -> None:
    """On a clean train of beats the detector finds every one within 30 ms, and no other."""
    times = np.arange(20 * 300) / 300
    beats = np.arange(0.5, 19.5, 60 / bpm)
    trace = sum(1000 * np.exp(-0.5 * ((times - beat) / 0.012) ** 2) for beat in beats)
    found = r_peaks(clean(np.asarray(trace).astype(np.int16), 300), 300) / 300
    assert len(beats) == len(found)
    assert 0.03 > np.abs(found - beats).max()


def test_setup_leaves_what_the_cell_reads() -> None:
    """The setup's functions belong to `__main__`, as a notebook's do, and the data stand beside them unchanged."""
    records = load_records(limit=4, archive=None)
    namespace = setup_namespace(records)
    assert "__main__" == namespace["__name__"] == getattr(namespace["window_rows"], "__module__", None)
    assert namespace["signals"] is records.signals
    assert namespace["labels"] is records.labels
    assert {"trees", "fold_trees", "window_rows", "vote", "sampling_hz", "np"} <= namespace.keys()


@pytest.mark.parametrize("text", [SETUP, CELL])
def test_cell_is_plain_code(text: str) -> None:
    """What a reader pastes into a notebook has no notes for our tools in it."""
    assert not any(note in text for note in ("ruff:", "mypy:", "# %%", "greenkernel"))


def run_small_cell() -> dict[str, object]:
    """Setup and cell on 60 made-up records with small forests, in a namespace of its own."""
    namespace = setup_namespace(load_records(limit=60, archive=None)) | {"trees": 6, "fold_trees": 3}
    exec(compile(CELL, "<cell>", "exec", dont_inherit=True), namespace)
    return namespace


@pytest.mark.slow
def test_cell_gives_the_same_bits_twice() -> None:
    """Features, forest, scores and predictions of two runs are equal to the last bit; the knobs set the sizes."""
    first, second = run_small_cell(), run_small_cell()
    for name in ("features", "groups", "targets", "scores", "predictions", "truth", "accuracy", "macro_f1"):
        assert pickle.dumps(first[name]) == pickle.dumps(second[name]), name
    forests = [namespace["clf"] for namespace in (first, second)]
    assert 6 == len(forests[0].estimators_) == len(forests[1].estimators_)
    for left, right in zip(forests[0].estimators_, forests[1].estimators_, strict=True):
        assert left.tree_.__getstate__()["nodes"].tobytes() == right.tree_.__getstate__()["nodes"].tobytes()
        assert np.array_equal(left.tree_.value, right.tree_.value)


@pytest.mark.slow
def test_cell_learns_from_real_records(real_folder: Path) -> None:
    """With few trees already, held-out real records are told apart well above chance (macro F1 about 0.25)."""
    namespace = setup_namespace(load_records(real_folder)) | {"trees": 20, "fold_trees": 5, "hop_s": 7.5}
    exec(compile(CELL, "<cell>", "exec", dont_inherit=True), namespace)
    assert 0.45 < float(str(namespace["macro_f1"]))
    assert 0.5 < float(np.mean(namespace["scores"]))
