"""Labelled single-lead ECG records: from a folder, from PhysioNet's archive, or made up where neither is at hand."""

from __future__ import annotations

import csv
import io
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from greenkernel.demo.physionet import ARCHIVE, fetch
from greenkernel.demo.synthetic_ecg import made_up_signals
from greenkernel.errors import IntegrityError, TemporaryError, UserError

FOLDER_VARIABLE: Final = "GREENKERNEL_ECG_DIR"
"""Environment variable naming a folder with the records."""

DEFAULT_RECORDS: Final = 400

CITATION: Final = (
    "Clifford GD et al., AF Classification from a Short Single Lead ECG Recording: the PhysioNet/Computing in "
    "Cardiology Challenge 2017, doi:10.22489/CinC.2017.065-469; Goldberger AL et al., PhysioBank, PhysioToolkit, and "
    "PhysioNet, Circulation 101(23):e215-e220, 2000. Data under ODC-BY 1.0."
)

_SAMPLING_HZ = 300
_CHALLENGE = "records of the PhysioNet/CinC Challenge 2017"
# Rarer classes get more than their share of the challenge, so that a few hundred records are enough to learn from.
_SHARES = {"N": 0.40, "A": 0.30, "O": 0.25, "~": 0.05}
_MATLAB4_INT16 = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgRecords:
    """Labelled records, in the order of their names.

    Attributes:
        signals: One int16 array of shape (samples,) per record, in thousandths of a millivolt.
        labels: `N` normal, `A` atrial fibrillation, `O` other rhythm or `~` noisy; shape (records,).
        names: The records' names.
        sampling_hz: Samples per second.
        source: Where the records come from, one sentence without a full stop.
        citation: What to cite when publishing results, or None for made-up records.
    """

    signals: list[NDArray[np.int16]]
    labels: NDArray[np.str_]
    names: tuple[str, ...]
    sampling_hz: int
    source: str
    citation: str | None


def load_records(
    folder: Path | None = None, *, limit: int | None = None, archive: str | None = ARCHIVE, cache: Path | None = None
) -> EcgRecords:
    """Load ECG records from the first of: folder, environment variable, public archive, generator.

    Args:
        folder: A folder with `*.mat` records and a `REFERENCE*.csv` of labels, at any depth; None asks the
            environment variable GREENKERNEL_ECG_DIR.
        limit: How many records at most, 400 if None; the classes keep fixed shares where there are enough of each.
        archive: Root URL of the archive to download from, or None to download nothing.
        cache: Where downloads are kept, the user's cache folder if None.

    Returns:
        The records; `source` says where they come from.

    Raises:
        UserError: The folder is missing or holds no labelled records, or the limit is below one.
        IntegrityError: A file is cut or changed; it is named.
    """
    count = DEFAULT_RECORDS if limit is None else limit
    if count < 1:
        raise UserError(f"{count} records were asked for", where="limit", what_to_do="Ask for one or more")
    if folder is None and os.environ.get(FOLDER_VARIABLE):
        folder = Path(os.environ[FOLDER_VARIABLE])
    if folder is not None:
        return _read_folder(folder, count, origin=f"read from {folder}")
    if archive is None:
        return _made_up(count, why="because no download was asked for")
    place = cache or user_cache_path("greenkernel") / "challenge-2017"
    try:
        fetch(lambda text: _pick(_parse_labels(text), count), archive=archive, cache=place)
    except TemporaryError as error:
        return _made_up(count, why=f"because the public archive could not be had ({error})")
    return _read_folder(place, count, origin=f"downloaded from {archive}")


def read_mat(path: Path) -> NDArray[np.int16]:
    """Read a MATLAB v4 file with one int16 row named `val`.

    Args:
        path: The file.

    Returns:
        The samples, shape (samples,).

    Raises:
        IntegrityError: The file is something else, cut or changed; it is named.
    """
    raw = path.read_bytes()
    header = struct.unpack_from("<5i", raw) if len(raw) >= 20 else (0, 0, 0, 0, 0)
    kind, rows, columns, imaginary, name_length = header
    data = raw[20 + max(0, name_length) :]
    as_expected = (kind, rows, imaginary, raw[20:24]) == (_MATLAB4_INT16, 1, 0, b"val\0") and name_length == 4
    if not as_expected or len(data) != 2 * columns:
        raise IntegrityError(f"{path} is refused: it is no whole MATLAB v4 file with one int16 row `val`")
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


def _read_folder(folder: Path, count: int, *, origin: str) -> EcgRecords:
    files = {path.stem: path for path in sorted(folder.rglob("*.mat"))}
    tables = sorted(folder.rglob("REFERENCE*.csv"), key=_revision)
    if not files or not tables:
        raise UserError(
            f"no {'records (*.mat)' if not files else 'labels (REFERENCE*.csv)'} were found",
            where=str(folder),
            what_to_do=f"Name the unpacked training set of the challenge, by argument or by {FOLDER_VARIABLE}",
        )
    labels = {name: label for name, label in _parse_labels(tables[-1].read_text()).items() if name in files}
    if not labels:
        raise UserError(f"{tables[-1].name} has no label for any record", where=str(folder))
    names = _pick(labels, count)
    return EcgRecords(
        signals=[read_mat(files[name]) for name in names],
        labels=np.array([labels[name] for name in names]),
        names=tuple(names),
        sampling_hz=_SAMPLING_HZ,
        source=f"{len(names)} {_CHALLENGE}, {origin}",
        citation=CITATION,
    )


def _revision(table: Path) -> tuple[int, str]:
    """The labels were revised three times: the highest revision is the one to believe."""
    revision = re.search(r"-v(\d+)", table.stem)
    return (int(revision.group(1)) if revision else -1), table.name


def _parse_labels(text: str) -> dict[str, str]:
    """Record name -> label; the archive writes names with their folder, the training set's zip without."""
    rows = (row for row in csv.reader(io.StringIO(text)) if len(row) >= 2)
    return {row[0].strip().rpartition("/")[2]: row[1].strip() for row in rows}


def _quotas(count: int) -> dict[str, int]:
    """How many of each class among so many records; they add up to the count."""
    bounds = [0, *(round(share * count) for share in accumulate(_SHARES.values()))]
    return {label: high - low for label, (low, high) in zip(_SHARES, pairwise(bounds), strict=True)}


def _pick(labels: Mapping[str, str], count: int) -> list[str]:
    """The first names of each class up to its quota, filled up with the first of the others, sorted."""
    quotas = _quotas(count)
    ordered = sorted(labels)
    chosen = {name for label, most in quotas.items() for name in _first(ordered, labels, label, most)}
    rest = (name for name in ordered if name not in chosen)
    chosen.update(name for name, _ in zip(rest, range(count - len(chosen)), strict=False))
    return sorted(chosen)


def _first(names: Iterable[str], labels: Mapping[str, str], label: str, most: int) -> list[str]:
    return [name for name in names if labels[name] == label][:most]


def _made_up(count: int, *, why: str) -> EcgRecords:
    ordered = [label for label, quota in _quotas(count).items() for _ in range(quota)]
    labels = np.random.default_rng(count).permutation(np.array(ordered))
    return EcgRecords(
        signals=made_up_signals(labels.tolist(), sampling_hz=_SAMPLING_HZ),
        labels=labels,
        names=tuple(f"made-up-{number:04d}" for number in range(count)),
        sampling_hz=_SAMPLING_HZ,
        source=f"{count} made-up records of GreenKernel's own generator, {why}",
        citation=None,
    )
