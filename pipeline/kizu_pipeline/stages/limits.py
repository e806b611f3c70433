"""By which limits the line judges: those of its start, until somebody chooses others in the records.

Where kizu.yaml sets a limit itself it wins, and nothing else is looked for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import ValidationError

from kizu_db.records import Records
from kizu_db.values import RecipeRow
from kizu_inspect.errors import ConfigError, RecordsAway
from kizu_inspect.recipe import Recipe
from kizu_inspect.settings import describe_invalid
from kizu_pipeline.settings import StationSettings
from kizu_pipeline.stages.judge import Judge

if TYPE_CHECKING:
    from kizu_inspect.inspector import Inspector

__all__ = ["LimitsWatch", "open_limits"]

LOOK_S: Final = 2.0
"""How often the records are asked for other limits."""

_log = structlog.get_logger("kizu.line")


def open_limits(station: StationSettings, records: Records, inspector: Inspector) -> LimitsWatch:
    """By what the station judges from its start on, with its model and its recipe in the records.

    Raises RecordError like `Records.unit`, ConfigError where the limits on record are not understood.
    """
    by, model = f"station {station.id}", inspector.model.hash
    recipe = station.recipe.model_copy(update={"bits": inspector.bits})  # by which its pictures are shown and explained later
    with records.unit() as unit:
        unit.models.register(inspector.model, by=by)
        before = unit.recipes.latest(station.id)
        row = unit.recipes.register(station.id, recipe.model_dump(mode="json"), model, by=by)
        judge = _judge_by(inspector, row)
        if row.chosen is not None:
            unit.limits.taken(row)
    if before is not None and before.chosen is not None and row.chosen is None:
        why = "kizu.yaml sets its limits itself" if row.set_by_file else "they are for the scores of another model"
        _log.warning("chosen limits do not hold", station=station.id, version=before.chosen.version, reason=why)
    return LimitsWatch(records, station.id, recipe, judge)


class LimitsWatch:
    """Looks for newer limits beside the line. Records that are away, and limits that are none, leave those that it has."""

    def __init__(self, records: Records, station: str, recipe: Recipe, judge: Judge) -> None:
        """`recipe` is that of kizu.yaml."""
        self.judge = judge
        """Who is to judge the next picture; any thread may ask."""
        self._records = records
        self._station = station
        self._recipe = recipe
        self._file_wins = judge.recipe.set_by_file
        self._looked_at = 0
        """The choice that was looked at last."""
        self._untold: deque[RecipeRow] = deque()
        """What was judged by, oldest first, and the audit trail does not tell of yet."""
        self._complaint = ""

    def took(self, judge: Judge) -> None:
        """The line judges by it from now on."""
        recipe = judge.recipe
        self._untold.append(recipe)
        told = {} if recipe.chosen is None else {"chosen_by": recipe.chosen.by, "reason": recipe.chosen.reason}
        _log.info(
            "limits taken", station=self._station, version=recipe.version, pass_below=judge.inspector.pass_below,
            reject_from=judge.inspector.reject_from, **told,
        )  # fmt: skip

    def run(self, ended: threading.Event, *, asks: Callable[[], bool]) -> None:
        """Look now and then until `ended`; not where `asks` says that the records are to be left alone."""
        while not ended.wait(LOOK_S):
            if asks():
                self._try(self._look)
        if asks():
            self._try(self._tell)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except RecordsAway:
            pass  # who records tells of it; it is tried again
        except Exception as error:  # noqa: BLE001 - whatever is wrong with other limits, the line goes on by those that it has
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.error("chosen limits are not taken", station=self._station, error=str(error))

    def _look(self) -> None:
        self._tell()
        if self._file_wins:
            return
        model = self.judge.inspector.model.hash
        with self._records.unit(read_only=True, prompt=True) as unit:
            last = unit.recipes.chosen_last(self._station, model)
        if last is None or last.id == self._looked_at:
            return
        with self._records.unit(prompt=True) as unit:
            content = self._recipe.model_dump(mode="json")
            row = unit.recipes.register(self._station, content, model, by=f"station {self._station}")
        self._looked_at = last.id
        if row.id != self.judge.recipe.id:
            self.judge = _judge_by(self.judge.inspector, row)

    def _tell(self) -> None:
        while self._untold:
            with self._records.unit(prompt=True) as unit:
                unit.limits.taken(self._untold[0])
            self._untold.popleft()


def _judge_by(inspector: Inspector, row: RecipeRow) -> Judge:
    """Raises ConfigError where chosen limits are not understood."""
    if row.chosen is None:
        return Judge(inspector, row)
    try:
        recipe = Recipe.model_validate(dict(row.content))
    except ValidationError as error:
        raise ConfigError(
            f"the limits of version {row.version} of the recipe of {row.station} are not understood",
            found=describe_invalid(error), next_step="Choose limits anew on the page Agreement.",
        ) from None  # fmt: skip
    return Judge(inspector.with_limits(recipe.pass_below, recipe.reject_from), row)
