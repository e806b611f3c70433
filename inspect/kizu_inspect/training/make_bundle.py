"""From a fitted network to a bundle: temperature, display scales, novelty and limits, all from the validation split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from kizu_inspect.bundle import Bundle, BundleSpec, Calibration, Provenance, Thresholds
from kizu_inspect.decide import probabilities_of
from kizu_inspect.explain import EXPLAINERS
from kizu_inspect.labelled.dataset import LabelledSet, Sample
from kizu_inspect.network.devices import device_name
from kizu_inspect.network.model import Classifier
from kizu_inspect.sums.calibration import expected_calibration_error
from kizu_inspect.training.calibrate import Halves, fit_picture_calibration, fit_temperature
from kizu_inspect.training.fit import exactly_right, logits_of
from kizu_inspect.training.gates import learn_gates
from kizu_inspect.training.limit_support import Support
from kizu_inspect.training.pictures import Pictures
from kizu_inspect.training.remember import remember
from kizu_inspect.training.scales import fit_scales
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.thresholds import Scored, choose_thresholds, judge_samples, novelty_limit
from kizu_inspect.versions import version_of

__all__ = ["MadeBundle", "make_bundle"]


@dataclass(frozen=True)
class MadeBundle:
    """A new bundle and what its limits rest on."""

    bundle: Bundle
    confusion: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    """(C, C) counts on the validation split: rows the truth, columns the prediction."""
    said: str
    """What the thresholds rest on."""
    scored: Scored | None
    """The validation pictures that the thresholds rest on; None where no class is good."""
    supports: tuple[Support, ...]
    """What each limit rests on, by the numbers of those pictures."""
    limiting: tuple[Sample, ...]
    """Those pictures, or where no class is good the same half: neither weights nor temperature were chosen on them."""


def make_bundle(
    model: Classifier,
    data: LabelledSet,
    pictures: Mapping[str, Pictures],
    halves: Halves,
    out: Path,
    settings: TrainingSettings,
    *,
    steps: int,
    validation_loss: float,
    device: torch.device,
    methods: Sequence[str] = tuple(EXPLAINERS),
) -> MadeBundle:
    """Calibrates a fitted `model` and writes its bundle into `out`, at once and whole.

    `pictures` are those of the splits train and val; of the latter the scheduling half sets the temperature, the other the
    limits. Only the maps of `methods` that fit the model get a display scale.
    """
    good = None if data.good is None else data.classes.index(data.good)
    several = settings.architecture.head.labels == "several"
    val = pictures["val"]
    scheduling, limiting = val.subset(halves.scheduling), val.subset(halves.limiting)
    model.novelty = remember(model, pictures["train"], seed=settings.fit.seed, device=device)
    logits = logits_of(model, val, device=device).double().numpy()
    temperature = fit_temperature(logits[halves.scheduling], scheduling.marks, good=good, several=several)
    p = probabilities_of(logits[halves.limiting], temperature=temperature, good=good, several=several)
    confusion = np.zeros((len(data.classes), len(data.classes)), np.int64)
    np.add.at(confusion, (val.labels, logits.argmax(axis=1)), 1)
    ece = _calibration_error(p, limiting, good=good, several=several)
    calibration = Calibration(temperature=temperature, expected_calibration_error=ece)
    spec = BundleSpec(
        name=settings.name,
        classes=data.classes,
        good=data.good,
        input=settings.input,
        architecture=settings.architecture,
        calibration=calibration,
        thresholds=Thresholds(),
        gates=learn_gates([*data.split("train"), *data.split("val")], seed=settings.fit.seed, bits=settings.input.bits),
        explanation=fit_scales(model, val, settings.input, good=good, device=device, methods=methods),
        refine="none" if _places_learned(settings, pictures["train"]) else "pixels",
        provenance=Provenance(
            data_hash=data.data_hash,
            seed=settings.fit.seed,
            split_seed=data.split_seed,
            group_pattern=data.group_pattern,
            threads=torch.get_num_threads(),
            device=device_name(device),
            steps=steps,
            versions={name: version_of(name) for name in ("kizu", "torch", "torchvision", "numpy")},
            figures={
                "validation_accuracy": float(exactly_right(logits, val, good=good, several=several).mean()),
                "validation_loss": validation_loss,
                "expected_calibration_error": ece,
            },
        ),
    )

    def judged(spec: BundleSpec, samples: Sequence[Sample]) -> Scored:
        return judge_samples(Bundle(spec, model, path=out, spec_hash=""), samples, settings.device)

    samples = tuple(sample for sample in data.split("val") if halves.limits(sample))
    if good is not None and settings.input.tiling is not None:
        others = [sample for sample in data.split("val") if not halves.limits(sample)]
        most = judged(spec, others).most_log_odds
        assert most is not None  # a class is good
        marks = np.array([[name in one.labels for name in data.classes] for one in others])
        picture = fit_picture_calibration(most, marks, good=good, several=several)
        spec = spec.model_copy(update={"calibration": calibration.model_copy(update={"picture": picture})})
    scored = replace(judged(spec, samples), apart=halves.apart)
    spec = spec.model_copy(update={"novelty": novelty_limit(scored)})
    if good is None:
        said = "no class is good: every part is rejected with its class"
        return MadeBundle(Bundle.save(out, spec, model), confusion, said, None, (), samples)
    chosen = choose_thresholds(scored, promised_miss_rate=settings.promised_miss_rate, overkill_limit=settings.overkill_limit)
    bundle = Bundle.save(out, spec.model_copy(update={"thresholds": chosen.thresholds}), model)
    return MadeBundle(bundle, confusion, chosen.lines, scored, chosen.supports, samples)


def _places_learned(settings: TrainingSettings, train: Pictures) -> bool:
    """Whether training taught the map that the verdict rests on where defects lie."""
    fit = settings.fit
    weights = {"evidence": fit.evidence_weight, "lfi": fit.pointing_weight}  # other heads know no places
    return weights.get(settings.architecture.head.kind, 0.0) > 0 and train.located


def _calibration_error(p: npt.NDArray[np.float64], pictures: Pictures, *, good: int | None, several: bool) -> float:
    """Of the classes' probabilities (N, C); of several classes over each one's yes and no."""
    if not several:
        return expected_calibration_error(p, pictures.labels)
    columns = [index for index in range(p.shape[1]) if index != good]
    yes = p[:, columns].ravel()
    return expected_calibration_error(np.stack([1 - yes, yes], axis=1), pictures.marks[:, columns].ravel().astype(np.int64))
