"""Maps are made beside the verdicts and hold up none."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kizu_db.values import ExplanationState
from kizu_inspect.inspector import Inspector
from kizu_pipeline import explaining
from line_world import ALL_REJECT, LineWorld


def test_slow_maps_do_not_hold_up_the_verdicts_that_come_after(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    explain, judge = explaining.explain_each, Inspector.judge
    clock = [0.0]
    recorded = threading.Condition()
    done = [0]

    def slowly(inspector: Inspector, batch: Any, indices: Any) -> Any:
        order.extend("map" for _ in indices)
        clock[0] += 3.0 * len(indices)  # longer than the line lets a verdict wait
        return explain(inspector, batch, indices)

    def judged(self: Inspector, images: Any, **options: Any) -> Any:
        with recorded:  # the line records beside; here each batch has its rows before the next is judged
            assert recorded.wait_for(lambda: done[0] == 2 * order.count("verdicts"), 30)
        order.append("verdicts")
        clock[0] += 0.5
        return judge(self, images, **options)

    monkeypatch.setattr(explaining, "explain_each", slowly)
    monkeypatch.setattr(Inspector, "judge", judged)
    monkeypatch.setattr(explaining.time, "perf_counter", lambda: clock[0])
    for number in range(12):
        world.drop(f"P{number:02d}.png", seed=number)
    stop = threading.Event()

    def progress(count: int) -> None:
        with recorded:
            done[0] = count
            recorded.notify()
        if count == 12:
            stop.set()

    summary = world.run(**ALL_REJECT, max_batch=2, once=False, stop=stop, progress=progress)
    # One is tried beside the verdicts, once they have taken a second; it takes longer, and the others wait for a quiet line.
    assert order[:8] == ["verdicts", "verdicts", "map", *["verdicts"] * 4, "map"]
    assert summary.files == 12
    monkeypatch.setattr(Inspector, "judge", judge)
    world.run(**ALL_REJECT)
    assert [record.row.explanation_state for record in world.inspections()] == [ExplanationState.DONE] * 12
