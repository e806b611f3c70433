"""Parts of a batch judged side by side say what they say one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from kizu_inspect.inspector import Inspector
from kizu_inspect.network.parallel import Parallel
from kizu_inspect.recipe import Recipe
from kizu_inspect.synth import KINDS, draw_part

PARTS = 7  # which two and three threads share unevenly


@pytest.fixture(params=[2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    try:
        yield request.param
    finally:
        torch.set_num_threads(before)


def test_verdicts_maps_and_checks_are_the_same(line_bundle: Path, threads: int) -> None:
    recipe = Recipe(bundle=line_bundle, allow_no_promise=True, pass_below=0.0, reject_from=0.0)
    images = [draw_part(KINDS[number % len(KINDS)], number, size_px=64).image for number in range(PARTS)]
    alone, shared = (Inspector.load(recipe, device="cpu", max_batch=4, parallel=parallel) for parallel in (False, True))
    one, other = alone.judge(images), shared.judge(images)
    assert other.chunk_size == -(-4 // threads)
    for here, there in zip(one.judgements, other.judgements, strict=True):
        assert (here.verdict, here.predicted, here.target) == (there.verdict, there.predicted, there.target)
        assert here.score == pytest.approx(there.score, abs=1e-5)
    ours, theirs = alone.explain(one, range(PARTS)), shared.explain(other, range(PARTS))
    for map_here, map_there in zip(ours, theirs, strict=True):
        assert map_here.heatmap.status == map_there.heatmap.status
        assert np.allclose(map_here.heatmap.grid, map_there.heatmap.grid, atol=2e-3)
        assert map_here.check is not None
        assert map_there.check is not None
        assert map_here.check.score_without == pytest.approx(map_there.check.score_without, abs=1e-4)
        assert map_here.check.conflict == map_there.check.conflict


def test_pieces_keep_their_order_and_an_error_comes_out(threads: int) -> None:
    parallel = Parallel(torch.device("cpu"))
    assert parallel.threads == threads
    assert parallel.map(lambda number: 2 * number, range(20)) == [2 * number for number in range(20)]
    with pytest.raises(ZeroDivisionError):
        parallel.map(lambda number: 1 / number, [1, 0, 2])
    assert torch.get_num_threads() == threads  # that of the thread that judges is its own


def test_a_card_has_no_parts(threads: int) -> None:
    assert Parallel(torch.device("cuda")).threads == 1
    assert threads > 1
