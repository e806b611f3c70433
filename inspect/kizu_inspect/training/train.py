"""From a labelled set to a bundle: fit, calibrate, set thresholds and scales, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from kizu_inspect.bundle import Bundle, BundleSpec, Calibration, Provenance, Thresholds
from kizu_inspect.decide import probabilities_of
from kizu_inspect.errors import DataError
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.labelled.dataset import LabelledSet, Sample
from kizu_inspect.network.devices import device_name, pick_device
from kizu_inspect.network.model import Architecture, build_classifier
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import Device
from kizu_inspect.settings import Settings
from kizu_inspect.sums.calibration import expected_calibration_error
from kizu_inspect.training.calibrate import fit_picture_calibration, fit_temperature, split_by_group
from kizu_inspect.training.cut_tiles import cut_tiles
from kizu_inspect.training.fit import FitSettings, History, exactly_right, fit, logits_of, prepare_profile, seconds_a_step
from kizu_inspect.training.pictures import Pictures, load_pictures
from kizu_inspect.training.remember import remember
from kizu_inspect.training.scales import fit_scales
from kizu_inspect.training.thresholds import Scored, choose_thresholds, judge_samples, novelty_limit

__all__ = ["Trained", "TrainingSettings", "pictures_of", "train"]

COARSE_PX = 8
"""The cells of `local` where no stages are fused; coarser ones could not tell a defect's border at all."""


class TrainingSettings(Settings):
    """Everything that `kizu train` lets one choose."""

    name: str = Field(default="model", title="Name", description="What people call the model.")
    input: InputSettings = InputSettings()
    architecture: Architecture = Architecture()
    fit: FitSettings = FitSettings()
    seconds: float | None = Field(
        default=None,
        gt=0,
        title="Seconds",
        description="Take as many steps as fit into this time by a speed probe, at least `least_steps`.",
    )
    most_steps: int | None = Field(
        default=None, ge=1, title="Most steps", description="So many steps are enough, whatever time is left."
    )
    learn_places: bool = Field(
        default=False, title="Learn places",
        description="Learn where defects lie from boxes or masks, also of whole pictures; tiles always do.",
    )  # fmt: skip
    least_steps: int = Field(default=400, ge=1, title="Least steps", description="However little time there is.")
    device: Device = Field(default="auto", title="Device", description="auto, cpu or cuda.")
    backbone_weights: Path | None = Field(default=None, title="Weights", description="torchvision state dict to start from.")
    promised_miss_rate: float = Field(
        default=0.05, gt=0, lt=1, title="Promise", description="Miss rate that the PASS limit keeps."
    )
    overkill_limit: float = Field(
        default=0.01, ge=0, le=1, title="Overkill", description="Overkill that the REJECT limit keeps."
    )


@dataclass(frozen=True)
class Trained:
    """A new bundle and how it came about."""

    bundle: Bundle
    history: History
    confusion: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    """(C, C) counts on the validation split: rows the truth, columns the prediction."""
    said: str
    """What the thresholds rest on."""
    scored: Scored | None
    """The validation pictures that the thresholds rest on; None where no class is good."""
    limiting: tuple[Sample, ...]
    """Those pictures, or where no class is good the same half: neither weights nor temperature were chosen on them."""


def train(
    data: LabelledSet,
    out: Path,
    settings: TrainingSettings,
    *,
    on_steps: Callable[[int, float], None] | None = None,
    progress: Callable[[int, float], None] | None = None,
    methods: Sequence[str] = tuple(EXPLAINERS),
) -> Trained:
    """Trains on the set's train split, calibrates on its val split, writes the bundle into `out`.

    `on_steps` gets the number of steps and the probed seconds a step before they begin; `progress` (step, loss). The same
    seed, thread count and machine give the same weights. Only the maps of `methods` get a display scale. Raises DataError,
    ConfigError.
    """
    device = pick_device(settings.device)
    good = None if data.good is None else data.classes.index(data.good)
    pictures = {name: pictures_of(data, name, settings) for name in ("train", "val")}
    if len(pictures["val"]) < 4 or len(pictures["train"]) < settings.fit.batch_size:
        raise DataError(
            "too few pictures to train on", found=f"{len(pictures['train'])} train and {len(pictures['val'])} val",
            expected=f"at least {settings.fit.batch_size} train and 4 val", next_step="Add pictures or lower the batch size.",
        )  # fmt: skip
    torch.manual_seed(settings.fit.seed)
    model = build_classifier(
        settings.architecture, settings.input, classes=len(data.classes), good=good, weights=settings.backbone_weights
    ).to(device)
    prepare_profile(model, pictures["train"], good=good)
    fitting = settings.fit
    several = settings.architecture.head.labels == "several"
    probed = seconds_a_step(model, pictures["train"], fitting, good=good, several=several, device=device)
    if settings.seconds is not None:
        fitting_in = max(settings.least_steps, int(settings.seconds / probed))
        fitting = fitting.model_copy(update={"steps": min(fitting_in, settings.most_steps or fitting_in)})
    if on_steps is not None:
        on_steps(fitting.steps, probed)
    halves = split_by_group(pictures["val"].groups, seed=fitting.seed)
    scheduling, limiting = (pictures["val"].subset(half) for half in halves)
    history = fit(
        model, pictures["train"], scheduling, fitting, good=good, several=several, device=device, progress=progress
    )  # fmt: skip

    model.novelty = remember(model, pictures["train"], seed=fitting.seed, device=device)
    logits = logits_of(model, pictures["val"], device=device).double().numpy()
    temperature = fit_temperature(logits[halves[0]], scheduling.marks, good=good, several=several)
    p = probabilities_of(logits[halves[1]], temperature=temperature, good=good, several=several)
    confusion = np.zeros((len(data.classes), len(data.classes)), np.int64)
    np.add.at(confusion, (pictures["val"].labels, logits.argmax(axis=1)), 1)
    right = exactly_right(logits, pictures["val"], good=good, several=several)
    ece = _calibration_error(p, limiting, good=good, several=several)
    spec = BundleSpec(
        name=settings.name,
        classes=data.classes,
        good=data.good,
        input=settings.input,
        architecture=settings.architecture,
        calibration=Calibration(temperature=temperature, expected_calibration_error=ece),
        thresholds=Thresholds(),
        explanation=fit_scales(model, pictures["val"], settings.input, good=good, device=device, methods=methods),
        provenance=Provenance(
            data_hash=data.data_hash,
            seed=fitting.seed,
            split_seed=data.split_seed,
            group_pattern=data.group_pattern,
            threads=torch.get_num_threads(),
            device=device_name(device),
            steps=fitting.steps,
            versions={name: version(name) for name in ("kizu", "torch", "torchvision", "numpy")},
            figures={
                "validation_accuracy": float(right.mean()),
                "validation_loss": min(history.val_loss),
                "expected_calibration_error": ece,
            },
        ),
    )
    bundle = Bundle.save(out, spec, model)
    kept = set(limiting.groups)
    samples = tuple(sample for sample in data.split("val") if sample.group in kept)
    if good is not None and settings.input.tiling is not None:
        others = [sample for sample in data.split("val") if sample.group not in kept]
        whole = judge_samples(bundle, others, settings.device).most_log_odds
        assert whole is not None  # a class is good
        marks = np.array([[name in one.labels for name in data.classes] for one in others])
        picture = fit_picture_calibration(whole, marks, good=good, several=several)
        spec = spec.model_copy(update={"calibration": spec.calibration.model_copy(update={"picture": picture})})
        bundle = Bundle.save(out, spec, model)
    scored = judge_samples(bundle, samples, settings.device)
    spec = spec.model_copy(update={"novelty": novelty_limit(scored)})
    if good is None:
        bundle = Bundle.save(out, spec, model)
        return Trained(bundle, history, confusion, "no class is good: every part is rejected with its class", None, samples)
    chosen = choose_thresholds(scored, promised_miss_rate=settings.promised_miss_rate, overkill_limit=settings.overkill_limit)
    bundle = Bundle.save(out, spec.model_copy(update={"thresholds": chosen.thresholds}), model)
    return Trained(bundle, history, confusion, chosen.lines, scored, samples)


def _calibration_error(p: npt.NDArray[np.float64], pictures: Pictures, *, good: int | None, several: bool) -> float:
    """Of the classes' probabilities (N, C); of several classes over each one's yes and no."""
    if not several:
        return expected_calibration_error(p, pictures.labels)
    columns = [index for index in range(p.shape[1]) if index != good]
    yes = p[:, columns].ravel()
    return expected_calibration_error(np.stack([1 - yes, yes], axis=1), pictures.marks[:, columns].ravel().astype(np.int64))


def pictures_of(data: LabelledSet, split: str, settings: TrainingSettings) -> Pictures:
    """What is learned from in one split: whole pictures, or tiles of them. Raises DataError."""
    ring_px = (settings.architecture.cell_px or COARSE_PX) / 2 + 1
    samples, inputs = data.split(split), settings.input
    if inputs.tiling is None:
        return load_pictures(
            samples, data.classes, inputs, good=data.good, ring_px=ring_px if settings.learn_places else None
        )  # fmt: skip
    return cut_tiles(samples, data.classes, inputs, good=data.good, ring_px=ring_px, seed=settings.fit.seed)
