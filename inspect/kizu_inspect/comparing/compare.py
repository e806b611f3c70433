"""Training several candidates on one set, measuring them on the same pictures, and keeping the one to recommend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import numpy as np
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.comparing.recommend import RULE, AtPromise, Measured, Recommendation, at_promise, recommend
from kizu_inspect.errors import DataError, EndedEarly, KizuError
from kizu_inspect.evaluation.evaluate import evaluate
from kizu_inspect.evaluation.figures import Figure
from kizu_inspect.labelled.dataset import LabelledSet
from kizu_inspect.network.devices import device_name, pick_device
from kizu_inspect.recipe import ExplanationSettings
from kizu_inspect.training.checkpoints import EVERY_S, kept_training
from kizu_inspect.training.fit import Standing
from kizu_inspect.training.plan import Plan
from kizu_inspect.training.scales import fit_scales
from kizu_inspect.training.settings import TrainingSettings, pictures_of
from kizu_inspect.training.train import Trained, checkpoint_of, train_within

__all__ = ["Comparison", "compare", "forward_ms"]

METHOD = ExplanationSettings().method
TOGETHER = 16
ROUNDS = 7
UNKNOWING = ("centre", "random")


@dataclass(frozen=True)
class Comparison:
    """What became of each candidate."""

    settings: dict[str, TrainingSettings]
    measured: dict[str, Measured]
    failed: dict[str, str]
    """Why a candidate could not be trained or measured."""
    unknowing: dict[str, dict[str, Figure]]
    """pointing and enrichment of the maps that know nothing, centre and random; empty where no place is known."""
    recommendation: Recommendation
    device: str
    threads: int

    @property
    def promised_miss_rate(self) -> float:
        """Of the PASS limits, the same for every candidate."""
        return _first(self.settings).promised_miss_rate

    @property
    def costs(self) -> dict[str, AtPromise | None]:
        """What the promise costs, by candidate; None where no class is good, or a kind of picture is missing."""
        return {
            name: None if one.scored is None else at_promise(one.scored, self.promised_miss_rate)
            for name, one in self.measured.items()
        }

    def as_json(self) -> dict[str, Any]:
        """The figures for programs; shares with interval and n, times in ms."""
        return {
            "recommended": self.recommendation.name,
            "reason": self.recommendation.reason,
            "rule": RULE,
            "promised_miss_rate": self.promised_miss_rate,
            "method": METHOD,
            "device": self.device,
            "threads": self.threads,
            "candidates": {name: self._candidate(name, cost) for name, cost in self.costs.items()},
            "unknowing_maps": _as_json(self.unknowing),
            "failed": self.failed,
        }

    def _candidate(self, name: str, cost: AtPromise | None) -> dict[str, Any]:
        one, settings = self.measured[name], self.settings[name]
        return {
            "backbone": settings.architecture.backbone,
            "profile": settings.input.profile,
            "steps": one.steps,
            "seconds_a_step": one.seconds_a_step,
            "parameters": one.parameters,
            "validation_loss": one.validation_loss if np.isfinite(one.validation_loss) else None,
            "accuracy": one.accuracy.as_json(),
            "at_promise": None
            if cost is None
            else {
                "pass_below": cost.pass_below,
                "missed": cost.missed,
                "defective": cost.defective,
                "bound": cost.bound,
                "kept": cost.kept,
                "good_flagged": cost.good_flagged.as_json(),
            },
            "forward_ms": {"alone": one.alone_ms, "in_16s": one.together_ms},
            "maps": _as_json({METHOD: one.maps})[METHOD],
        }


def compare(
    data: LabelledSet,
    out: Path,
    candidates: Mapping[str, TrainingSettings],
    *,
    begun: float | None = None,
    resume: bool = False,
    keep_every_s: float = EVERY_S,
    stop: Event | None = None,
    on_plan: Callable[[str, Plan], None] | None = None,
    progress: Callable[[Standing], None] | None = None,
    on_failed: Callable[[str, str], None] | None = None,
) -> tuple[Trained, Comparison]:
    """Trains each candidate, measures all of them, and writes the one to recommend into `out`.

    They are measured on the half of the validation pictures that limits are set on, never on the test split. `begun`, `resume`,
    `keep_every_s` and `progress` as of `train`: of a candidate that was trained before only the calibration is done again. Once
    `stop` is set the one in training ends with its best weights so far, and no other begins. `on_plan` gets a candidate's name
    and plan before it begins, `on_failed` the name of a candidate that cannot be trained here and the reason. Raises DataError
    where that becomes of all of them, ConfigError, EndedEarly.
    """
    time_table = _TimeTable(candidates, time.monotonic() if begun is None else begun)
    trained: dict[str, Trained] = {}
    plans: dict[str, Plan] = {}
    failed: dict[str, str] = {}
    files = {name: f"candidate-{number}" for number, name in enumerate(candidates)}
    with kept_training(out, list(files.values()), resume=resume, every_s=keep_every_s) as kept:
        checkpoints = {name: checkpoint_of(kept, files[name], data, settings) for name, settings in candidates.items()}
        for name, settings in candidates.items():

            def begin(plan: Plan, name: str = name) -> None:
                plans[name] = plan
                if on_plan is not None:
                    on_plan(name, plan)

            try:
                if stop is not None and stop.is_set():
                    raise EndedEarly("the training was ended before this candidate's turn")
                trained[name] = train_within(
                    checkpoints.pop(name), data, kept.folder / files[name], settings, until=time_table.until(name, plans),
                    stop=stop, on_plan=begin, progress=progress, methods=(METHOD,),
                )  # fmt: skip
            except (KizuError, RuntimeError, ValueError) as error:  # torch's own: a picture too small, memory too short
                failed[name] = " ".join(str(error).split())
                if on_failed is not None:
                    on_failed(name, failed[name])
        if not trained:
            raise _nothing(failed, ended=stop is not None and stop.is_set())
        costs = forward_ms({name: one.bundle for name, one in trained.items()}, device=pick_device(_first(candidates).device))
        unknowing: dict[str, dict[str, Figure]] = {}
        measured = {}
        for name, one in trained.items():
            measured[name], maps = _measure(one, candidates[name], plans[name].seconds_a_step, costs[name])
            unknowing = unknowing or maps
        recommendation = recommend(measured, promised_miss_rate=_first(candidates).promised_miss_rate)
        best = recommendation.name
        whole = _completed(trained[best], data, out, candidates[best])
    device, threads = device_name(pick_device(candidates[best].device)), torch.get_num_threads()
    comparison = Comparison(dict(candidates), measured, failed, unknowing, recommendation, device, threads)
    return replace(whole, said=f"{whole.said}\n{recommendation.reason}"), comparison


def _nothing(failed: Mapping[str, str], *, ended: bool) -> KizuError:
    """Why no candidate was trained."""
    kind = EndedEarly if ended else DataError
    return kind("no candidate could be trained", found="; ".join(f"{name}: {why}" for name, why in failed.items()))


class _TimeTable:
    """How the time of all candidates is shared out: evenly, and so that what follows all of them fits in too."""

    def __init__(self, candidates: Mapping[str, TrainingSettings], begun: float) -> None:
        self._shares = {name: settings.seconds for name, settings in candidates.items()}
        self._end = begun + sum(share or 0.0 for share in self._shares.values())

    def until(self, name: str, plans: Mapping[str, Plan]) -> float | None:
        """When a candidate's training is to be over, after those that have their plans; None: no time was given."""
        share = self._shares[name]
        if share is None:
            return None
        now = time.monotonic()
        waiting = len(self._shares) - list(self._shares).index(name)
        after_all = max((one.scaling_s for one in plans.values()), default=0.0)
        return now + min(share, max(0.0, self._end - now - after_all) / waiting)


def forward_ms(bundles: Mapping[str, Bundle], *, device: torch.device) -> dict[str, tuple[float, float]]:
    """What a forward pass takes, in ms an input: of one alone, and of 16 together; medians of rounds in which all take turns.

    Turns, because a machine that grows slower or faster in between would favour one of them. What the pictures show makes no
    difference: they are noise.
    """
    times: dict[tuple[str, int], list[float]] = {(name, count): [] for name in bundles for count in (1, TOGETHER)}
    with torch.no_grad():
        for _ in range(ROUNDS):
            for (name, count), taken in times.items():
                spec, model = bundles[name].spec, bundles[name].model.to(device)
                generator = torch.Generator().manual_seed(0)
                images = torch.rand((count, 3, *spec.input.size_px), generator=generator).to(device)
                references = images[:, :1] if spec.input.profile == "reference" else None
                images = images.contiguous(memory_format=torch.channels_last)
                begun = time.perf_counter()
                model(images, references).cpu()  # waits for a card to be done
                taken.append(1e3 * (time.perf_counter() - begun) / count)
    # The first round also sets up memory and kernels.
    return {name: (median(times[name, 1][1:]), median(times[name, TOGETHER][1:])) for name in bundles}


def _first(candidates: Mapping[str, TrainingSettings]) -> TrainingSettings:
    """What all candidates share is read from the first."""
    return next(iter(candidates.values()))


def _measure(
    trained: Trained, settings: TrainingSettings, seconds_a_step: float | None, cost_ms: tuple[float, float]
) -> tuple[Measured, dict[str, dict[str, Figure]]]:
    """A candidate's figures, and those of the maps that know nothing."""
    bundle, samples = trained.bundle, trained.limiting
    result = evaluate(bundle, samples, methods=(METHOD,), device=settings.device, max_batch=TOGETHER)
    right = [one.predicted in sample.labels for one, sample in zip(result.judgements, samples, strict=True)]
    both = trained.scored is not None and trained.scored.defective.any() and not trained.scored.defective.all()
    maps = {
        name: {figure: figures[figure] for figure in ("pointing", "enrichment")}
        for name, figures in result.explanation.items()
        if name in (METHOD, *UNKNOWING) and figures["pointing"].n > 0
    }
    measured = Measured(
        right=np.array(right, np.bool_),
        scored=trained.scored if both else None,
        validation_loss=min(trained.history.val_loss),
        maps=maps.pop(METHOD, {}),
        parameters=sum(parameter.numel() for parameter in bundle.model.parameters()),
        steps=bundle.spec.provenance.steps,
        seconds_a_step=seconds_a_step,
        alone_ms=cost_ms[0],
        together_ms=cost_ms[1],
    )
    return measured, maps


def _completed(trained: Trained, data: LabelledSet, out: Path, settings: TrainingSettings) -> Trained:
    """The bundle in `out`, with the display scales of every method: Score-CAM's take longer than a candidate's training."""
    device = pick_device(settings.device)
    spec, model = trained.bundle.spec, trained.bundle.model.to(device)
    val = pictures_of(data, "val", settings)
    scales = fit_scales(model, val, settings.input, good=trained.bundle.good_index, device=device)
    return replace(trained, bundle=Bundle.save(out, spec.model_copy(update={"explanation": scales}), model))


def _as_json(maps: Mapping[str, Mapping[str, Figure]]) -> dict[str, dict[str, dict[str, float | int | None]]]:
    return {name: {which: figure.as_json() for which, figure in figures.items()} for name, figures in maps.items()}
