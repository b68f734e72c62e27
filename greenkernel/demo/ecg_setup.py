"""The demo's setup cell, from the mark on: helpers that turn an ECG record into rows of numbers."""

# %%
import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp
from sklearn.ensemble import RandomForestClassifier

trees = 480  # trees of the final forest
fold_trees = 15  # trees of each forest of the cross-validation
window_s = 15.0  # seconds of signal behind one row of the table
hop_s = 2.5  # seconds from one window to the next


def clean(signal: NDArray[np.int16], sampling_hz: int) -> NDArray[np.float64]:
    """The record without baseline wander and mains hum (0.5-45 Hz), in units of its own standard deviation."""
    band = dsp.butter(2, [0.5, 45.0], "bandpass", fs=sampling_hz, output="sos")
    smooth = dsp.sosfiltfilt(band, signal.astype(np.float64))
    return np.asarray(smooth / (smooth.std() + 1e-9))


def r_peaks(trace: NDArray[np.float64], sampling_hz: int) -> NDArray[np.intp]:
    """Sample numbers of the R peaks: maxima of the smoothed squared slope of the QRS band."""
    band = dsp.butter(3, [5.0, 20.0], "bandpass", fs=sampling_hz, output="sos")
    slope = np.gradient(dsp.sosfiltfilt(band, trace)) ** 2
    width = int(0.12 * sampling_hz)
    energy = np.convolve(slope, np.ones(width) / width, "same")
    peaks, _ = dsp.find_peaks(energy, height=0.35 * np.quantile(energy, 0.98), distance=int(0.25 * sampling_hz))
    return np.asarray(peaks)


def rhythm(peaks: NDArray[np.intp], sampling_hz: int) -> list[float]:
    """Heart rate and irregularity of the beats: 14 numbers, zeros where there are fewer than four beats."""
    if len(peaks) < 4:
        return [float(len(peaks)), *[0.0] * 13]
    gaps = np.diff(peaks) / sampling_hz
    steps = np.diff(gaps)
    mean = gaps.mean()
    low, quarter, middle, upper, high = np.quantile(gaps, [0.05, 0.25, 0.5, 0.75, 0.95])
    spread = [low, middle, high, upper - quarter, gaps.min() / middle, gaps.max() / middle]
    jumps = [(np.abs(steps) > limit).mean() for limit in (0.02, 0.05, 0.1)]
    turns = (steps[:-1] * steps[1:] < 0).mean()
    return [float(len(peaks)), mean, gaps.std() / mean, np.sqrt((steps**2).mean()) / mean, turns, *spread, *jumps]


def beat_shape(trace: NDArray[np.float64], peaks: NDArray[np.intp], sampling_hz: int) -> NDArray[np.float64]:
    """The median beat around the R peaks at 30 points, the scatter of the beats there, and how alike they are."""
    before, after = int(0.25 * sampling_hz), int(0.35 * sampling_hz)
    beats = [trace[p - before : p + after] for p in peaks if before <= p < len(trace) - after]
    if len(beats) < 3:
        return np.zeros(62)
    stack = np.array(beats)
    middle = np.median(stack, axis=0)
    alike = [np.corrcoef(middle, beat)[0, 1] for beat in stack]
    points = np.linspace(0, before + after - 1, 30).astype(int)
    return np.concatenate([middle[points], stack.std(axis=0)[points], [np.mean(alike), np.min(alike)]])


def spectrum(trace: NDArray[np.float64], sampling_hz: int) -> NDArray[np.float64]:
    """Mean and spread over time of each spectrogram bin up to 45 Hz (log power), and shape of the signal's values."""
    bins, _, power = dsp.spectrogram(trace, sampling_hz, nperseg=256, noverlap=128)
    levels = np.log(power[bins <= 45.0] + 1e-9)
    moments = [np.abs(trace).mean(), (trace**3).mean(), (trace**4).mean()]
    return np.concatenate([levels.mean(axis=1), levels.std(axis=1), moments])


def window_rows(signal: NDArray[np.int16], sampling_hz: int) -> NDArray[np.float32]:
    """The rows of the table that one record gives: overlapping windows x numbers."""
    trace = clean(signal, sampling_hz)
    peaks = r_peaks(trace, sampling_hz)
    whole = rhythm(peaks, sampling_hz)
    length, hop = int(window_s * sampling_hz), int(hop_s * sampling_hz)
    rows = []
    for start in range(0, max(1, len(trace) - length + 1), hop):
        part = trace[start : start + length]
        inside = peaks[(peaks >= start) & (peaks < start + length)] - start
        shape = beat_shape(part, inside, sampling_hz)
        rows.append(np.concatenate([whole, rhythm(inside, sampling_hz), shape, spectrum(part, sampling_hz)]))
    return np.nan_to_num(np.array(rows, dtype=np.float32))


def vote(forest: RandomForestClassifier, rows: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.str_]:
    """One label per record, in the order of its number: the class that its windows find likeliest together."""
    chances = forest.predict_proba(rows)
    means = np.array([chances[groups == number].mean(axis=0) for number in np.unique(groups)])
    # Rounded because threads add the trees up in any order, and a tie must not hang on the last bit.
    return np.asarray(forest.classes_[means.round(9).argmax(axis=1)])
