"""Values for the tests of the records, and a way past the repositories."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from kizu_db.engine import make_engine
from kizu_db.settings import DatabaseSettings
from kizu_db.values import DrawnBox, NewInspection, NewReview
from kizu_inspect.results import (
    Explanation,
    GridGeometry,
    Heatmap,
    Judgement,
    MapStatus,
    ModelInfo,
    Region,
    RegionCheck,
    Verdict,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)

SCRATCH = Region(
    10, 20, 30, 40, "scratch", 1.2, 0.625,
    contour=((10, 20), (29, 37), (29, 39), (27, 39)), length_px=26.375, width_px=3.1415926535, area_px=81,
)  # fmt: skip

SCRATCHED = DrawnBox(x1=12, y1=20, x2=31, y2=39, defect_class="scratch")
DENTED = DrawnBox(x1=0, y1=0, x2=160, y2=120, defect_class="dent")
"""As large as the picture."""


@contextmanager
def raw(settings: DatabaseSettings) -> Iterator[Connection]:
    """A connection for plain SQL, committed at the end."""
    engine = make_engine(settings)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def model(model_hash: str = "ab" * 32) -> ModelInfo:
    """A model that passes "good"."""
    return ModelInfo(
        hash=model_hash,
        name="plates",
        classes=("good", "scratch", "dent"),
        good="good",
        path=Path("bundles/plates"),
        spec={"input": {"size": [160, 160]}, "display_scale": {"grad-cam": 2.5}},
        promise=None,
    )


def judgement(verdict: Verdict = Verdict.REJECT) -> Judgement:
    """What a model says of a scratched part, or an error without figures."""
    if verdict is Verdict.ERROR:
        return Judgement(verdict=verdict, reason="the file is no picture")
    return Judgement(
        verdict=verdict,
        reason="1 − p(good) = 0.875 ≥ 0.5",
        probabilities={"scratch": 0.75, "good": 0.125, "dent": 0.125},
        predicted="scratch",
        target="scratch",
        score=0.875,
        width_px=160,
        height_px=120,
    )


def inspection(verdict: Verdict = Verdict.REJECT, **changes: Any) -> NewInspection:
    """An inspection with a source key of its own; a second later for each one made."""
    number = next(_numbers)
    new = NewInspection(
        source="folder incoming",
        source_key=f"p{number}_top.png|100|{number}",
        station="press-3",
        part=f"P-{number:05}",
        captured_at=NOON,
        judged_at=NOON + timedelta(seconds=number),
        judgement=judgement(verdict),
        image_name=f"p{number}_top.png",
    )
    return replace(new, **changes)


def explanation(method: str = "grad-cam", *, cells: tuple[int, int] = (10, 13), seed: int = 0) -> Explanation:
    """A map of random cells, the smallest and largest float16 of [0, 1] among them, with two regions, the second as of
    before there were contours and sizes.
    """
    grid = np.random.default_rng(seed).random(cells).astype(np.float16)
    grid.flat[:4] = [0.0, 1.0, np.finfo(np.float16).smallest_subnormal, np.nextafter(np.float16(1), np.float16(0))]
    heatmap = Heatmap(
        method=method,
        target="scratch",
        status=MapStatus.OK,
        grid=grid,
        maximum=float(np.float32(3.1415927)),
        scale=2.5,
        geometry=GridGeometry(-3.5, 1.25, 12.7, 12.7, 160, 120),
    )
    return Explanation(
        heatmap=heatmap,
        regions=(SCRATCH, Region(0, 0, 4, 5, "scratch", 0.3, 0.1)),
        check=RegionCheck(0.0625, 0.75, conflict=False),
    )


def review(uid: str, **changes: Any) -> NewReview:
    """A person who agrees that the part is scratched; a form of its own each time."""
    new = NewReview(
        uid_inspection=uid,
        reviewer="Mina",
        disposition="defective",
        defect_class="scratch",
        decision="accept",
        reason="seen under the lamp",
        shown_ms=2300,
        nonce=f"form-{next(_numbers)}",
    )
    return replace(new, **changes)
