"""A comparison that breaks off goes on with the candidate under way; those before it keep what they have learned."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kizu_inspect.comparing.compare import compare
from kizu_inspect.errors import ConfigError, EndedEarly
from kizu_inspect.training.checkpoints import folder_of
from kizu_inspect.training.fit import Standing
from kizu_inspect.training.settings import TrainingSettings
from training_world import drawn, tiny


def candidates(*, steps: int = 6) -> dict[str, TrainingSettings]:
    settings = tiny(steps=steps)
    return {
        profile: settings.model_copy(update={"input": settings.input.model_copy(update={"profile": profile})})
        for profile in ("part", "surface")
    }


class Broken(BaseException):
    """What nobody catches, as a kill."""


def test_what_a_broken_comparison_has_learned_is_learned_once(tmp_path: Path) -> None:
    data = drawn(tmp_path / "parts")
    seen: list[tuple[str, int]] = []
    under_way = ""

    def begin(name: str, _plan: object) -> None:
        nonlocal under_way
        under_way = name

    def progress(standing: Standing) -> None:
        seen.append((under_way, standing.step))

    def breaking(standing: Standing) -> None:
        progress(standing)
        if seen[-1] == ("surface", 3):
            raise Broken

    _, unbroken = compare(data, tmp_path / "unbroken", candidates(), on_plan=begin, progress=progress)
    whole = seen.copy()
    seen.clear()
    out = tmp_path / "bundle"
    with pytest.raises(Broken):
        compare(data, out, candidates(), keep_every_s=0, on_plan=begin, progress=breaking)
    assert not out.exists()
    with pytest.raises(ConfigError, match=r"found settings\.fit\.steps 6; expected 7"):
        compare(data, out, candidates(steps=7), resume=True)
    _, resumed = compare(data, out, candidates(), resume=True, on_plan=begin, progress=progress)
    assert [step for name, step in seen if name == "part"] == [1, 2, 3, 4, 5, 6]  # once
    again = seen[seen.index(("surface", 3)) + 1 :]
    assert again[-5:] == whole[-5:]
    assert again[0] in {("surface", 2), ("surface", 3), ("surface", 4)}
    for name, one in unbroken.measured.items():
        assert resumed.measured[name].validation_loss == one.validation_loss
        assert (resumed.measured[name].right == one.right).all()
    assert not folder_of(out).exists()


def test_who_ends_a_comparison_gets_the_best_of_those_trained(tmp_path: Path) -> None:
    data = drawn(tmp_path / "parts")
    stop = threading.Event()

    def progress(standing: Standing) -> None:
        if standing.validation is not None:
            stop.set()

    failed: dict[str, str] = {}
    trained, comparison = compare(
        data, tmp_path / "bundle", candidates(), stop=stop, progress=progress, on_failed=failed.__setitem__
    )  # fmt: skip
    assert list(comparison.measured) == ["part"]
    assert failed == {"surface": "the training was ended before this candidate's turn"}
    assert (trained.history.taken, trained.history.ended_early) == (1, True)
    stop.clear()
    with pytest.raises(EndedEarly, match=r"no candidate could be trained: found part: the training was ended before there was"):
        compare(data, tmp_path / "other", candidates(steps=40), stop=stop, progress=lambda _: stop.set())
    assert folder_of(tmp_path / "other").exists()
