"""Judging and explaining pictures: arrays in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.decide import decide, softmax
from kizu_inspect.devices import device_name, pick_device
from kizu_inspect.errors import BundleError, ConfigError
from kizu_inspect.explain import Forward, explainer
from kizu_inspect.explain.region_check import without_and_only
from kizu_inspect.explain.regions import find_regions
from kizu_inspect.heatmap import sample_grid
from kizu_inspect.images import fit_image, grid_geometry, input_geometry, place
from kizu_inspect.recipe import Device, Recipe
from kizu_inspect.results import Explanation, Heatmap, ImageRGB, Judgement, MapStatus, RegionCheck

__all__ = ["Inspector", "JudgedBatch"]


@dataclass(frozen=True)
class JudgedBatch:
    """Judgements of some pictures, in their order, and what the forward passes left to explain them from."""

    judgements: tuple[Judgement, ...]
    chunks: tuple[Forward, ...]
    """The forward passes, of `chunk_size` pictures each but the last."""
    chunk_size: int


class Inspector:
    """One recipe's judge: a loaded model, its thresholds and its explanation method. One thread at a time."""

    def __init__(self, bundle: Bundle, recipe: Recipe, *, device: torch.device, max_batch: int) -> None:
        self.bundle = bundle
        self.model = bundle.info
        self.device = device_name(device)
        self.method = recipe.explanation.method
        self._explain = explainer(self.method, recipe.explanation, good=bundle.good_index)
        self._scale = bundle.scale_of(recipe.explanation)
        thresholds = bundle.spec.thresholds
        self.pass_below = thresholds.pass_below if recipe.pass_below is None else recipe.pass_below
        self.reject_from = thresholds.reject_from if recipe.reject_from is None else recipe.reject_from
        if self.pass_below > self.reject_from:
            raise ConfigError(
                "recipe.pass_below lies above recipe.reject_from",
                found=f"{self.pass_below:.4f} and {self.reject_from:.4f}",
                expected="pass_below ≤ reject_from",
                next_step="Set both, or neither to use the bundle's own.",
            )
        self._max_batch = max_batch
        self._device = device
        self._network = bundle.model.to(device).eval()

    @classmethod
    def load(cls, recipe: Recipe, *, device: Device = "auto", max_batch: int = 16, model_hash: str | None = None) -> Inspector:
        """The judge of this recipe. Raises BundleError (also for another hash), MethodError, ConfigError."""
        explainer(recipe.explanation.method)  # a wrong name is told before a model is loaded
        bundle = Bundle.load(recipe.bundle)
        if model_hash is not None and bundle.hash != model_hash:
            raise BundleError(
                f"the bundle {recipe.bundle} is not the model that judged this part",
                found=f"SHA-256 {bundle.hash[:12]}",
                expected=model_hash[:12],
                next_step="Put the former bundle back to explain this inspection.",
            )
        return cls(bundle, recipe, device=pick_device(device), max_batch=max_batch)

    def judge(self, images: Sequence[ImageRGB]) -> JudgedBatch:
        """Judges pictures (H, W, 3) uint8 RGB of any sizes, at most `max_batch` in one forward pass."""
        judgements: list[Judgement] = []
        chunks = []
        for start in range(0, len(images), self._max_batch):
            chunk = images[start : start + self._max_batch]
            forward = self._forward(chunk)
            probabilities = self._probabilities(forward.logits)
            judgements += [
                decide(
                    row,
                    self.bundle.spec.classes,
                    self.bundle.spec.good,
                    pass_below=self.pass_below,
                    reject_from=self.reject_from,
                    width_px=image.shape[1],
                    height_px=image.shape[0],
                )
                for row, image in zip(probabilities, chunk, strict=True)
            ]
            chunks.append(forward)
        return JudgedBatch(tuple(judgements), tuple(chunks), self._max_batch)

    def explain(self, batch: JudgedBatch, indices: Sequence[int], *, checked: bool = True) -> list[Explanation]:
        """Where the evidence lies in the pictures of `batch` at `indices`, in that order.

        `checked` asks the model again, with two forward passes a picture, whether the map's region carries the verdict. The
        map itself needs no further forward pass, unless the method is Score-CAM.
        """
        explained: dict[int, Explanation] = {}
        for number, forward in enumerate(batch.chunks):
            mine = [index for index in indices if index // batch.chunk_size == number]
            explained.update(zip(mine, self._explain_chunk(batch, forward, mine, number, checked), strict=True))
        return [explained[index] for index in indices]

    def _explain_chunk(
        self, batch: JudgedBatch, forward: Forward, indices: Sequence[int], number: int, checked: bool
    ) -> list[Explanation]:
        if not indices:
            return []
        judgements = [batch.judgements[index] for index in indices]
        # A picture that could not be judged has no target; its map would be that of class 0 and is not finite anyway.
        targets = [0 if one.target is None else self.bundle.spec.classes.index(one.target) for one in judgements]
        rows = torch.tensor([index - number * batch.chunk_size for index in indices], device=self._device)
        mine = forward.subset(rows)
        maps = self._explain(mine, torch.tensor(targets, device=self._device))
        values = maps.values.cpu().numpy()
        checks = self._checks(mine, judgements, values) if checked else [None] * len(judgements)
        return [
            self._explanation(judgement, self.bundle.spec.classes[target], value, status, check)
            for judgement, target, value, status, check in zip(judgements, targets, values, maps.status, checks, strict=True)
        ]

    def _checks(
        self, forward: Forward, judgements: Sequence[Judgement], maps: npt.NDArray[np.float32]
    ) -> list[RegionCheck | None]:
        """The check of each picture's region; None for what was not judged, and where no class is good."""
        good = self.bundle.good_index
        if good is None:
            return [None] * len(judgements)
        cells = self._network.cells
        onto_input = input_geometry(cells, input_px=(forward.images.shape[2], forward.images.shape[3]))
        hot = (
            np.stack([sample_grid(one, onto_input) for one in maps]) >= self._scale.region_threshold * self._scale.scale
        )  # (N, H, W)
        changed = without_and_only(
            forward.images, torch.from_numpy(hot).to(self._device), field_px=cells.field_px, neutral=forward.neutral
        )
        without, only = (1 - self._probabilities(self._network.explainable(images).logits)[:, good] for images in changed)
        return [
            RegionCheck(float(less), float(alone), judgement.verdict.flagged and bool(less >= self.pass_below))
            if np.isfinite([less, alone]).all() and judgement.score is not None
            else None
            for judgement, less, alone in zip(judgements, without, only, strict=True)
        ]

    def _probabilities(self, logits: torch.Tensor) -> npt.NDArray[np.float64]:
        """Calibrated, (N, C)."""
        return softmax(logits.double().cpu().numpy(), temperature=self.bundle.spec.calibration.temperature)

    def _explanation(
        self,
        judgement: Judgement,
        target: str,
        raw: npt.NDArray[np.float32],
        status: MapStatus,
        check: RegionCheck | None,
    ) -> Explanation:
        spec = self.bundle.spec
        if judgement.width_px is None or judgement.height_px is None:
            raise ValueError("a judgement made by judge() carries its picture's size")
        placed = place(
            judgement.width_px,
            judgement.height_px,
            input_px=(spec.input.height_px, spec.input.width_px),
            policy=spec.input.resize,
        )
        maximum = float(raw.max())
        heatmap = Heatmap(
            method=self.method,
            target=target,
            status=status,
            grid=(raw / maximum if maximum > 0 else np.zeros_like(raw)).astype(np.float16),
            maximum=maximum,
            scale=self._scale.scale,
            geometry=grid_geometry(self._network.cells, placed),
        )
        return Explanation(heatmap, find_regions(heatmap, threshold=self._scale.region_threshold), check)

    def _forward(self, images: Sequence[ImageRGB]) -> Forward:
        inputs = self.bundle.spec.input
        size = (inputs.height_px, inputs.width_px)
        fitted = np.stack([fit_image(image, input_px=size, policy=inputs.resize) for image in images])  # (N, H, W, 3)
        pixels = torch.from_numpy(fitted).to(self._device).permute(0, 3, 1, 2).float() / 255  # (N, 3, H, W), channels last
        return self._network.explainable(pixels)
