"""The learning rate by steps is torch's; by the clock it reaches its end when the time does."""

from __future__ import annotations

import pytest
import torch

from kizu_inspect.training.schedule import Pace, one_cycle, set_rate


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10, 33, 400])
def test_where_steps_alone_count_each_rate_and_momentum_is_torchs_to_the_bit(steps: int) -> None:
    theirs, ours = (torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=3e-3) for _ in range(2))
    schedule = torch.optim.lr_scheduler.OneCycleLR(theirs, 3e-3, total_steps=steps, pct_start=0.3, div_factor=10)
    pace = Pace(steps)
    for taken in range(steps):
        set_rate(ours, 3e-3, pace, taken)
        (their,), (our,) = theirs.param_groups, ours.param_groups
        assert (our["lr"], our["betas"]) == (their["lr"], their["betas"])
        theirs.step()
        if taken < steps - 1:
            schedule.step()


def test_between_two_steps_the_rate_lies_between_theirs() -> None:
    rates = [one_cycle(position, 100, 1.0)[0] for position in (29.0, 29.5, 30.0, 60.0, 60.5, 61.0, 99.0)]
    assert rates[0] == 1.0  # the top, at three tenths
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == len(rates)
    assert rates[-1] == pytest.approx(1e-5)


def test_the_clock_carries_the_schedule_on_where_steps_are_slow() -> None:
    pace = Pace(100, seconds=1000.0)
    pace.go_on_from(500.0)
    assert pace.behind(10) == pytest.approx(50, abs=1)
    assert pace.position(10) == pytest.approx(49.5, abs=1)
    assert pace.behind(80) == 80  # steps that are ahead of the clock count themselves
    assert not pace.is_over(10, 1.0)
    assert pace.is_over(100, 1.0)
    assert pace.is_over(10, 501.0)  # no time for one more step
    pace.go_on_from(2000.0)
    assert pace.position(1) == 99
    assert pace.is_over(1, 0.0)


def test_without_a_time_nothing_hangs_on_the_clock() -> None:
    pace = Pace(100)
    pace.go_on_from(1e6)
    assert (pace.behind(10), pace.position(10)) == (10, 10)
    assert not pace.is_over(99, 1e6)


def test_the_least_steps_are_taken_and_their_schedule_is_whole() -> None:
    pace = Pace(100, seconds=1e-6, least_steps=40)
    pace.go_on_from(1.0)  # the time was up long ago
    assert [pace.is_over(taken, 1.0) for taken in (1, 39, 40)] == [False, False, True]
    assert pace.behind(10) == pytest.approx(25)
    assert (pace.position(0), pace.position(39)) == (0, 99)
