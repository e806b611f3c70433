"""Does a map explain its verdict? The model is asked again, without the map's region and without as much elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from kizu_inspect.decide import defect_log_odds
from kizu_inspect.explain.region_check import TakenAway, elsewhere
from kizu_inspect.judged import JudgedBatch
from kizu_inspect.network.devices import quick_precision
from kizu_inspect.network.forward import Forward, Predict
from kizu_inspect.network.model import Classifier
from kizu_inspect.picture_map import PictureMap
from kizu_inspect.results import RegionCheck

__all__ = ["MapCheck", "Removed"]

EXPLAINED_SHARE: Final = 0.25
"""A map explains its verdict where taking its region away takes this share of the evidence, beyond what the same area
elsewhere does. Of 357 drawn parts whose CAM lies on the defect shares from 0.1 to 0.33 mark at most 2, and all of them
where the map is moved elsewhere."""
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Removed:
    """What the model says of a picture with parts of it taken away: log-odds of a defect, and scores."""

    before: float
    """log(p(defect) / p(good)) of the whole picture."""
    without: float
    """The same without the map's region."""
    elsewhere: float
    """The same without an equal area where the map is coldest."""
    score_without: float
    score_only: float
    """The defect score of the region alone."""

    @property
    def explained(self) -> bool:
        """Whether the region carries its share of the evidence: of its distance from even odds, at least of a nat."""
        control = max(self.before - self.elsewhere, 0.0)
        return self.before - self.without - control >= EXPLAINED_SHARE * max(abs(self.before), 1.0)


class MapCheck:
    """Asks one model about the maps of one method. Three forward passes for each view that shows something."""

    def __init__(
        self,
        network: Classifier,
        *,
        region_threshold: float,
        good: int,
        several: bool,
        device: torch.device,
        rows_of: Callable[[JudgedBatch, Sequence[int]], Forward],
        probabilities: Callable[[torch.Tensor], Floats],
        whole: Callable[[Floats], Floats],
        each: Callable[[Callable[[list[int]], list[tuple[Floats, ...]]], list[list[int]]], list[list[tuple[Floats, ...]]]],
    ) -> None:
        """`rows_of` gives the forward pass of some views of one chunk, `probabilities` those (N, C) of logits, calibrated.

        `whole` gives a picture's (C,) from its views' (V, C), `each` what a function makes of each list of views.
        """
        self._network = network
        self.region_threshold = region_threshold
        self._good = good
        self._several = several
        self._device = device
        self._rows_of = rows_of
        self._probabilities = probabilities
        self._whole = whole
        self._each = each

    def check(self, batch: JudgedBatch, maps: Mapping[int, PictureMap]) -> dict[int, RegionCheck]:
        """The check of each picture's map; none where nothing was judged, or the answers are no numbers.

        A flagged part whose map does not explain the verdict is in conflict with it.
        """
        checks = {}
        for index, removed in self.removed(batch, maps).items():
            conflict = batch.judgements[index].verdict.flagged and not removed.explained
            checks[index] = RegionCheck(removed.score_without, removed.score_only, conflict)
        return checks

    def removed(self, batch: JudgedBatch, maps: Mapping[int, PictureMap]) -> dict[int, Removed]:
        """What the model says of each judged picture without its map's region, without as much elsewhere, and of it alone."""
        hot: dict[int, Bools] = {}
        cold: dict[int, Bools] = {}
        judged = [index for index in maps if batch.judgements[index].score is not None]
        for index in judged:
            sight = batch.sights[index]
            assert sight is not None
            for number in range(sight.views):
                seen = maps[index].in_view(number)
                region = seen >= np.float32(self.region_threshold)
                if sight.corners is None or region.any():
                    view = batch.starts[index] + number
                    hot[view], cold[view] = region, elsewhere(region, seen)
        answers = self._answers(batch, hot, cold)
        changed = {view for view, region in hot.items() if region.any()}
        return {index: one for index in judged if (one := self._of_picture(batch, index, answers, changed)) is not None}

    def _answers(
        self, batch: JudgedBatch, hot: Mapping[int, Bools], cold: Mapping[int, Bools]
    ) -> dict[int, tuple[Floats, ...]]:
        """By view the probabilities (C,) without the region, of it alone, and without as much elsewhere."""

        def answers_of(views: list[int]) -> list[tuple[Floats, ...]]:
            forward = self._rows_of(batch, views)
            taken = TakenAway(forward.images, field_px=self._network.cells.field_px, neutral=forward.neutral)

            def changed(masks: Mapping[int, Bools]) -> tuple[torch.Tensor, torch.Tensor]:
                return taken.without_and_only(torch.from_numpy(np.stack([masks[view] for view in views])).to(self._device))

            asked = [*changed(hot), changed(cold)[0]]
            return list(zip(*(self._probabilities(self._predict(one, forward.references)) for one in asked), strict=True))

        chunks = [list(one) for _, one in groupby(sorted(hot), key=lambda view: view // batch.chunk_size)]
        found = self._each(answers_of, chunks)
        return {view: one for views, some in zip(chunks, found, strict=True) for view, one in zip(views, some, strict=True)}

    @cached_property
    def _predict(self) -> Predict:
        return self._network.predictor(quick_precision(self._device))

    def _of_picture(
        self, batch: JudgedBatch, index: int, answers: Mapping[int, tuple[Floats, ...]], changed: Collection[int]
    ) -> Removed | None:
        """From a picture's views, of which one without a hot cell, not among the `changed`, is as it was."""
        sight, start = batch.sights[index], batch.starts[index]
        assert sight is not None
        views = range(start, start + sight.views)
        before = np.stack([batch.probabilities[view] for view in views])
        without, other = (
            np.stack([answers[view][which] if view in changed else batch.probabilities[view] for view in views])
            for which in (0, 2)
        )
        alone = [answers[view][1] for view in views if view in answers]
        removed = Removed(
            before=self._log_odds(before), without=self._log_odds(without), elsewhere=self._log_odds(other),
            score_without=self._score(without), score_only=self._score(np.stack(alone)) if alone else 0.0,
        )  # fmt: skip
        return removed if np.isfinite(list(vars(removed).values())).all() else None

    def _log_odds(self, views: Floats) -> float:
        return float(defect_log_odds(self._whole(views)[None], good=self._good, several=self._several)[0])

    def _score(self, views: Floats) -> float:
        return float(1 - self._whole(views)[self._good])
