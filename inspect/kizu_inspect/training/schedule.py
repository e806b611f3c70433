"""How far a fit has come, by its steps or by the clock, and the learning rate that belongs there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch

__all__ = ["Pace", "one_cycle", "set_rate"]

RISING_SHARE = 0.3
FIRST, LAST = 10.0, 1e4
"""The first rate is a tenth of the highest, the last a ten-thousandth of the first."""
LEAST_MOMENTUM, MOST_MOMENTUM = 0.85, 0.95


@dataclass
class Pace:
    """How many steps a fit takes, and how long at most. Where `seconds` is None nothing depends on the clock."""

    steps: int
    """As planned: no more are taken."""
    seconds: float | None = None
    """The time is up then, whatever steps are left."""
    least_steps: int = 1
    """So many are taken however long they take."""
    _begun: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds that the fit has had."""
        return time.monotonic() - self._begun

    def go_on_from(self, elapsed: float) -> None:
        """Starts the clock, of a fit that has had so many seconds before."""
        self._begun = time.monotonic() - elapsed

    def behind(self, taken: int) -> float:
        """How much of the fit is behind it after so many steps, as steps of all that are planned: by them or by the clock."""
        return max(float(taken), self._share_of_time(taken, self.least_steps) * self.steps)

    def position(self, taken: int) -> float:
        """Where in the schedule the next step lies, 0 to `steps` − 1, after so many steps."""
        last = self.steps - 1
        return max(float(taken), self._share_of_time(taken, self.least_steps - 1) * last)

    def is_over(self, taken: int, a_step_s: float) -> bool:
        """Whether no step is left after so many, or no time for one more that takes so long."""
        if taken >= self.steps:
            return True
        return self.seconds is not None and taken >= self.least_steps and self.elapsed + a_step_s > self.seconds

    def _share_of_time(self, taken: int, least: int) -> float:
        if self.seconds is None:
            return 0.0
        share = min(1.0, self.elapsed / self.seconds) if self.seconds > 0 else 1.0
        return min(share, taken / least) if self.least_steps > 1 else share


def set_rate(optimiser: torch.optim.Optimizer, highest: float, pace: Pace, taken: int) -> None:
    """Gives the step after so many taken ones its learning rate, and Adam's first average its momentum."""
    rate, momentum = one_cycle(pace.position(taken), pace.steps, highest)
    for group in optimiser.param_groups:
        group["lr"] = rate
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])


def one_cycle(position: float, steps: int, highest: float) -> tuple[float, float]:
    """The learning rate and the momentum at a position from 0 to `steps` − 1.

    As torch's OneCycleLR has them with a cosine: up to the highest rate in the first three tenths, then down, the momentum
    the other way; but a position may lie between two steps.
    """
    first = highest / FIRST
    start, end = 0.0, RISING_SHARE * steps - 1
    if position <= end:
        rate, momentum = (first, highest), (MOST_MOMENTUM, LEAST_MOMENTUM)
    else:
        start, end = end, float(steps - 1)
        rate, momentum = (highest, first / LAST), (LEAST_MOMENTUM, MOST_MOMENTUM)
    share = (position - start) / (end - start)
    return _between(*rate, share), _between(*momentum, share)


def _between(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine, as `share` goes from 0 to 1."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
