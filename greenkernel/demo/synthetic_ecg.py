"""Made-up single-lead ECG records of four rhythm classes, for machines without the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LABELS: Final[tuple[str, ...]] = ("N", "A", "O", "~")
"""Normal rhythm, atrial fibrillation, other rhythm, too noisy to tell."""

_Signal = NDArray[np.float64]
# Delay in s from the R peak, width in s and height in mV of each wave of a beat.
_P_WAVE = (-0.17, 0.022, 0.13)
_QRS_AND_T = ((-0.028, 0.009, -0.12), (0.0, 0.011, 1.0), (0.03, 0.01, -0.22), (0.28, 0.05, 0.28))
_ECTOPIC = ((0.0, 0.04, 1.3), (0.09, 0.05, -0.6), (0.33, 0.07, -0.35))
_UNITS_PER_MV = 1000.0


def made_up_signal(label: str, rng: np.random.Generator, *, sampling_hz: int = 300) -> NDArray[np.int16]:
    """One record, as long as the real ones: 9 to 60 s, mostly 30 s.

    Args:
        label: One of LABELS.
        rng: Where all chance comes from.
        sampling_hz: Samples per second.

    Returns:
        The signal in thousandths of a millivolt, shape (samples,).
    """
    length_s = rng.choice([30.0, rng.uniform(9.0, 30.0), rng.uniform(30.0, 60.0)], p=[0.86, 0.11, 0.03])
    times = np.arange(int(length_s * sampling_hz)) / sampling_hz
    trace = _noisy(times, rng) if label == "~" else _beats(times, label, rng)
    trace += rng.uniform(0.02, 0.15) * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * times + rng.uniform(0, 6.28))
    trace += rng.uniform(0.02, 0.3) * rng.standard_normal(len(times))
    trace *= rng.uniform(0.6, 1.4) * rng.choice([1.0, 1.0, 1.0, -1.0])
    return np.clip(trace * _UNITS_PER_MV, -32768, 32767).astype(np.int16)


def made_up_signals(labels: Sequence[str], *, seed: int = 0, sampling_hz: int = 300) -> list[NDArray[np.int16]]:
    """One record per label; record i depends on the seed, on i and on its label only.

    Args:
        labels: Members of LABELS.
        seed: The same seed gives the same records.
        sampling_hz: Samples per second.

    Returns:
        The signals in thousandths of a millivolt, each of shape (samples,).
    """
    rngs = (np.random.default_rng([seed, number]) for number in range(len(labels)))
    return [made_up_signal(label, rng, sampling_hz=sampling_hz) for label, rng in zip(labels, rngs, strict=True)]


def _beats(times: _Signal, label: str, rng: np.random.Generator) -> _Signal:
    """A train of beats with the label's rhythm and waves, in mV."""
    peaks = _beat_times(times[-1], label, rng)
    ectopic = rng.random(len(peaks)) < (rng.uniform(0.02, 0.2) if label == "O" else 0.01)
    # An ectopic beat comes early; the pause after it lasts until the next regular beat.
    peaks = np.where(ectopic, peaks - 0.3 * np.median(np.diff(peaks)), peaks)
    trace = np.zeros_like(times)
    p_height = 0.0 if label == "A" else rng.uniform(0.1, 1.2)
    t_height = rng.uniform(0.5, 1.4)
    for peak, early in zip(peaks, ectopic, strict=True):
        _add_beat(trace, times, peak, early=bool(early), p_height=p_height, t_height=t_height)
    if label == "A":
        trace += _fibrillation(times, rng)
    return trace


def _beat_times(length_s: float, label: str, rng: np.random.Generator) -> _Signal:
    """Seconds of the R peaks: even with breathing for most, without any order in atrial fibrillation."""
    gap_s = 60.0 / rng.uniform(55.0, 95.0) if label != "A" else 60.0 / rng.uniform(70.0, 130.0)
    count = int(2 * length_s / gap_s) + 4
    if label == "A":
        gaps = gap_s * np.clip(rng.lognormal(0.0, rng.uniform(0.05, 0.25), count), 0.5, 2.2)
    else:
        breath = np.sin(2 * np.pi * 0.25 * gap_s * np.arange(count) + rng.uniform(0, 6.28))
        gaps = gap_s * (1 + rng.uniform(0.01, 0.1) * breath + rng.uniform(0.005, 0.04) * rng.standard_normal(count))
    peaks = rng.uniform(0.2, 0.2 + gap_s) + np.cumsum(gaps) - gaps[0]
    return np.asarray(peaks[peaks < length_s])


def _add_beat(trace: _Signal, times: _Signal, peak: float, *, early: bool, p_height: float, t_height: float) -> None:
    """Add the Gaussian waves of one beat in place."""
    sampling_hz = 1.0 / (times[1] - times[0])
    first = max(0, int((peak - 0.6) * sampling_hz))
    near = slice(first, int((peak + 0.8) * sampling_hz))
    around = times[near] - peak
    waves = _ECTOPIC if early else (_scaled(_P_WAVE, p_height), *_QRS_AND_T[:3], _scaled(_QRS_AND_T[3], t_height))
    for delay_s, width_s, height in waves:
        trace[near] += height * np.exp(-0.5 * ((around - delay_s) / width_s) ** 2)


def _scaled(wave: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return wave[0], wave[1], wave[2] * factor


def _fibrillation(times: _Signal, rng: np.random.Generator) -> _Signal:
    """The uneven 4-9 Hz wavelets of fibrillating atria, in mV."""
    pitch_hz = rng.uniform(4.5, 8.0) + 0.6 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * times)
    phase = 2 * np.pi * np.cumsum(pitch_hz) * (times[1] - times[0])
    swell = 1.0 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * times + rng.uniform(0, 6.28))
    return np.asarray(rng.uniform(0.01, 0.08) * swell * np.sin(phase))


def _noisy(times: _Signal, rng: np.random.Generator) -> _Signal:
    """Beats drowned in a wandering baseline, muscle noise and knocks on the electrode, in mV."""
    wander = np.cumsum(rng.standard_normal(len(times)))
    wander -= np.linspace(wander[0], wander[-1], len(times))
    trace = rng.uniform(0.1, 0.9) * _beats(times, "N", rng) + rng.uniform(0.2, 1.5) * wander / (wander.std() + 1e-9)
    trace += rng.uniform(0.1, 0.9) * rng.standard_normal(len(times))
    for centre in rng.uniform(0, times[-1], rng.integers(3, 12)):
        trace += rng.uniform(-3, 3) * np.exp(-np.abs(times - centre) / rng.uniform(0.05, 0.4))
    return np.asarray(trace)
