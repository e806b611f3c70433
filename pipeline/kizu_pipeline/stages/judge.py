"""The stage that gives verdicts: a failure costs the picture whose doing it is, and no other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from kizu_db.values import RecipeRow
from kizu_inspect.errors import KizuError
from kizu_pipeline.stages.items import JudgedItems, Loaded, Unreadable

if TYPE_CHECKING:
    from kizu_inspect.inspector import Inspector

__all__ = ["Judge", "judged"]

_log = structlog.get_logger("kizu.line")


@dataclass(frozen=True)
class Judge:
    """Who gives verdicts, and by which version of the station's recipe."""

    inspector: Inspector
    recipe: RecipeRow


def judged(judge: Judge, items: Sequence[Loaded | Unreadable]) -> Iterator[JudgedItems]:
    """The items with their judgements, in order; where judging them together fails, by halves, down to one that is an ERROR.

    Raises KizuError where the device is lost: nothing can be judged any more.
    """
    inspector, recipe_id = judge.inspector, judge.recipe.id
    loaded = [item for item in items if isinstance(item, Loaded)]
    if not loaded:
        yield JudgedItems(tuple(items), None, 0.0, recipe_id)
        return
    started = time.perf_counter()
    try:
        batch = inspector.judge([one.picture.image for one in loaded], names=[one.work.name for one in loaded])
    except Exception as error:
        _log.exception("judging failed", pictures=len(loaded))
        if not inspector.device_works():
            raise KizuError(
                f"the device {inspector.device} is lost", found=f"{type(error).__name__}: {error}",
                expected="a device that computes", next_step="Start again; what has no row yet is judged then.",
            ) from error  # fmt: skip
        if len(items) == 1:
            failure = f"judging failed: {type(error).__name__}: {error}"
            yield JudgedItems(tuple(items), None, 0.0, recipe_id, error=failure)
            return
    else:
        yield JudgedItems(tuple(items), batch, (time.perf_counter() - started) * 1e3 / len(loaded), recipe_id)
        return
    half = len(items) // 2
    yield from judged(judge, items[:half])
    yield from judged(judge, items[half:])
