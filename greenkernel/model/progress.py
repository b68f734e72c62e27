"""What is left of a run, forecast again from its prediction and its real progress."""

from __future__ import annotations

import math
from statistics import NormalDist

from greenkernel.model.time import UNSURE_RATIO
from greenkernel.records import Interval, Prediction

# Standard error of log(total CPU seconds) that a fraction of 0.5 leaves: tasks are not all alike.
_PROGRESS_ERROR = 0.25


def remaining(prediction: Prediction, fraction_done: float, elapsed_cpu_s: float) -> Interval:
    """Wall seconds that are left, from the prediction and from what the run has done so far.

    Both say something of the total; the more is done, the more the run itself counts and the narrower the interval.

    Args:
        prediction: Of the site and cores where the rest is to run.
        fraction_done: Part of the work that is done, in [0, 1].
        elapsed_cpu_s: CPU seconds that this part took, kept work included.
    """
    done = min(max(fraction_done, 0.0), 1.0)
    prior = prediction.time_s
    if done <= 0 or elapsed_cpu_s <= 0 or prior.mid <= 0 or prediction.cpu_s.mid <= 0:
        return prior
    if done >= 1:
        return Interval(low=0.0, mid=0.0, high=0.0, level=prior.level, source="all is done")
    z = NormalDist().inv_cdf(min(prior.level, 0.999))
    prior_error = max(math.log(prior.high / prior.mid) / z, 1e-3)
    run_error = _PROGRESS_ERROR * math.sqrt((1 - done) / done)
    total_s = elapsed_cpu_s / done * prior.mid / prediction.cpu_s.mid
    weights = (prior_error**-2, run_error**-2)
    log_mid = (weights[0] * math.log(prior.mid) + weights[1] * math.log(total_s)) / sum(weights)
    apart = abs(math.log(total_s / prior.mid))
    error = 1 / math.sqrt(sum(weights)) * (1.0 if apart <= math.log(UNSURE_RATIO) + z * prior_error else UNSURE_RATIO)
    mid = math.exp(log_mid) * (1 - done)
    factor = math.exp(z * error)
    source = f"prediction and progress: {done:.0%} done in {elapsed_cpu_s:.3g} CPU s"
    return Interval(low=mid / factor, mid=mid, high=mid * factor, level=prior.level, source=source)
