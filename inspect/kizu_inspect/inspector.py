"""Judging and explaining pictures: arrays in, plain values out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from kizu_inspect.bundle import Bundle
from kizu_inspect.decide import decide, likely, most_log_odds, picture_probabilities, probabilities_of
from kizu_inspect.errors import BundleError, ConfigError, ImageError
from kizu_inspect.explain import explainer
from kizu_inspect.explain.refine import map_cells
from kizu_inspect.gates import fault_of
from kizu_inspect.judged import JudgedBatch
from kizu_inspect.map_check import MapCheck
from kizu_inspect.network.devices import device_name, pick_device
from kizu_inspect.network.forward import Forward
from kizu_inspect.network.parallel import Parallel
from kizu_inspect.picture.quality import measure
from kizu_inspect.picture.reference import Aligned, References, align, grey_of
from kizu_inspect.picture.tiles import merge_probabilities
from kizu_inspect.picture.views import Sight, look_at, stacked
from kizu_inspect.picture_map import PictureMap, ViewMap, picture_map
from kizu_inspect.recipe import Device, Recipe
from kizu_inspect.results import Explanation, ImageRGB, Judgement, Verdict

__all__ = ["Inspector"]

T = TypeVar("T")
R = TypeVar("R")

KEPT_PX = 16e6
"""Forward passes are kept for the explanations up to so many input pixels in all; beyond, they are made again."""


class Inspector:
    """One recipe's judge: a loaded model, its thresholds and its explanation method. One thread at a time."""

    def __init__(
        self, bundle: Bundle, recipe: Recipe, *, device: torch.device, max_batch: int, parallel: Parallel | None = None
    ) -> None:
        self.bundle = bundle
        self.model = bundle.info
        self.device = device_name(device)
        self.method = recipe.explanation.method
        options = bundle.options(recipe.explanation)
        self._explain = explainer(self.method, options, good=bundle.good_index)
        self._cells = map_cells(bundle.model.cells, options.refine)
        self._scale = bundle.scale_of(options)
        self.pass_below, self.reject_from = _limits_of(bundle, recipe)
        defects = [name for name in bundle.spec.classes if name != bundle.spec.good]
        unknown = [name for name in recipe.classes if name not in defects]
        if unknown:
            raise ConfigError(
                "recipe.classes names what is no defect class of the bundle", found=", ".join(unknown),
                expected=f"some of {', '.join(defects)}", next_step="Mend recipe.classes.",
            )  # fmt: skip
        trained = bundle.spec.input.bits
        if None not in (recipe.bits, trained) and recipe.bits != trained:
            raise ConfigError(
                "recipe.bits is not the bit depth that the bundle was trained with", found=recipe.bits, expected=trained,
                next_step="Leave recipe.bits out, or train on pictures of that camera.",
            )  # fmt: skip
        self.bits = recipe.bits or trained
        """How many bits of a 16-bit value are filled; None: 16."""
        self.gates = recipe.gates.over(bundle.spec.gates)
        """What a picture must measure to be judged."""
        self._several = bundle.spec.architecture.head.labels == "several"
        self._recipe = recipe
        self._compares = bundle.spec.input.profile == "reference"
        self._references = None
        if recipe.reference is not None and self._compares:
            self._references = References(
                recipe.reference, bundle.spec.input.alignment, max_megapixels=recipe.max_megapixels, bits=self.bits
            )
        self._max_batch = max_batch
        self._parallel = parallel
        self._device = device
        self._network = bundle.model.to(device).eval()
        self.check = None
        if bundle.good_index is not None:
            self.check = MapCheck(
                self._network, region_threshold=self._scale.region_threshold, good=bundle.good_index, several=self._several,
                device=device, rows_of=self._rows_of, probabilities=self._probabilities, whole=self._whole,
                each=self._each,
            )  # fmt: skip

    @classmethod
    def load(
        cls,
        recipe: Recipe,
        *,
        device: Device = "auto",
        max_batch: int = 16,
        model_hash: str | None = None,
        parallel: bool = False,
    ) -> Inspector:
        """The judge of this recipe. Raises BundleError (also for another hash), MethodError, ConfigError.

        `parallel` shares each batch out to the processor's cores (see `Parallel`): for a program that only judges.
        """
        explainer(recipe.explanation.method)  # a wrong name is told before a model is loaded
        bundle = Bundle.load(recipe.bundle)
        if model_hash is not None and bundle.hash != model_hash:
            raise BundleError(
                f"the bundle {recipe.bundle} is not the model that judged this part",
                found=f"SHA-256 {bundle.hash[:12]}",
                expected=model_hash[:12],
                next_step="Put the former bundle back to explain this inspection.",
            )
        if bundle.spec.input.profile == "reference" and recipe.reference is None:
            raise ConfigError(
                f"the bundle {recipe.bundle} compares with a reference", found="no recipe.reference",
                expected="a picture, or a folder with a pattern", next_step="Set recipe.reference.path.",
            )  # fmt: skip
        picked = pick_device(device)
        return cls(bundle, recipe, device=picked, max_batch=max_batch, parallel=Parallel(picked) if parallel else None)

    def with_limits(self, pass_below: float | None, reject_from: float | None) -> Inspector:
        """The same judge by other limits (None: the bundle's own), which shares the loaded network with this one.

        Raises ConfigError for limits out of order.
        """
        other = copy(self)
        other._recipe = self._recipe.model_copy(update={"pass_below": pass_below, "reject_from": reject_from})
        other.pass_below, other.reject_from = _limits_of(self.bundle, other._recipe)
        return other

    def judges_like(self, recipe: Recipe) -> bool:
        """Whether a judge by this recipe, of the same bundle, differs from this one in nothing but the limits."""
        same = {"bundle": recipe.bundle, "pass_below": None, "reject_from": None}
        mine = self._recipe.model_copy(update=same | {"bits": self.bits})
        return mine == recipe.model_copy(update=same | {"bits": recipe.bits or self.bundle.spec.input.bits})

    def device_works(self) -> bool:
        """Whether the device still computes."""
        try:
            return float(torch.ones(1, device=self._device).sum()) == 1.0
        except RuntimeError:  # a card that fell off the bus refuses all work until the program ends
            return False

    def judge(
        self,
        images: Sequence[ImageRGB],
        *,
        names: Sequence[str] | None = None,
        references: Sequence[ImageRGB | None] | None = None,
    ) -> JudgedBatch:
        """Judges pictures (H, W, 3) uint8 RGB of any sizes, at most `max_batch` views in one forward pass.

        `names` are the pictures' file names, by which a recipe may find their references; `references` gives them outright. A
        picture that cannot be judged (unlike any picture of the training, smaller than a tile, without a reference that fits)
        is an ERROR with its reason.
        """

        def looked_at(index: int) -> tuple[Sight | str, dict[str, float]]:
            name = None if names is None else names[index]
            reference = None if references is None else references[index]
            fault, values = self._measured(images[index]) if self._recipe.gates.on else (None, {})
            try:
                sight = self._look_at(images[index], name, reference)
            except ImageError as error:
                return str(error), values
            return (sight if fault is None else fault), values

        looked = self._each(looked_at, range(len(images)))
        sights, measured = [sight for sight, _ in looked], [values for _, values in looked]
        seen = tuple(None if isinstance(sight, str) else sight for sight in sights)
        views = [0 if sight is None else sight.views for sight in seen]
        starts = tuple(int(start) for start in np.cumsum([0, *views[:-1]])) if views else ()
        size = self._chunk_size(sum(views))
        batch = JudgedBatch((), seen, np.zeros((0, len(self.bundle.spec.classes))), starts, (), size)
        keep = sum(views) * np.prod(self.bundle.spec.input.size_px) <= KEPT_PX
        chunks: list[Forward | None] = []
        rows = [batch.probabilities]
        novelties = [np.zeros(0)]

        def pass_over(start: int) -> tuple[Forward | None, npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
            forward = self._forward(batch, range(start, min(start + size, sum(views))))
            novelty = None
            if self._network.novelty is not None:
                novelty = self._network.novelty(forward.activations).double().cpu().numpy()
            return forward if keep else None, self._probabilities(forward.logits), novelty

        for forward, of_chunk, novelty in self._each(pass_over, range(0, sum(views), size)):
            chunks.append(forward)
            rows.append(of_chunk)
            if novelty is not None:
                novelties.append(novelty)
        probabilities, novelty_of = np.concatenate(rows), np.concatenate(novelties)
        judgements = [
            Judgement(Verdict.ERROR, sight, width_px=image.shape[1], height_px=image.shape[0])
            if isinstance(sight, str)
            else self._decide(probabilities[start : start + count], novelty_of[start : start + count], sight)
            for sight, image, start, count in zip(sights, images, starts, views, strict=True)
        ]
        judgements = [replace(one, measured=values) for one, values in zip(judgements, measured, strict=True)]
        return JudgedBatch(tuple(judgements), seen, probabilities, starts, tuple(chunks), size)

    def _chunk_size(self, views: int) -> int:
        """How many views one forward pass takes, so that all that run side by side are `max_batch` at most."""
        threads = 1 if self._parallel is None else self._parallel.threads
        return max(1, min(-(-views // threads), -(-self._max_batch // threads)))

    def _each(self, work: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """`work` of each piece, in order."""
        return [work(piece) for piece in pieces] if self._parallel is None else self._parallel.map(work, pieces)

    def explain(self, batch: JudgedBatch, indices: Sequence[int], *, checked: bool = True) -> list[Explanation]:
        """Where the evidence lies in the pictures of `batch` at `indices`, in that order.

        A picture in one view shows the evidence for its most probable defect; one in tiles, or of a model that judges each
        class for itself, the evidence for every class that is found. `checked` asks the model again, with three forward
        passes a view that shows something, whether the map's region carries the verdict. The map itself needs no further
        forward pass, unless the method is Score-CAM, it is refined to pixels or the batch was too large to keep what it left.
        """
        maps = self.maps(batch, indices)
        checks = self.check.check(batch, maps) if checked and self.check is not None else {}
        return [Explanation(maps[index].heatmap, maps[index].regions, checks.get(index)) for index in indices]

    def maps(self, batch: JudgedBatch, indices: Sequence[int]) -> dict[int, PictureMap]:
        """The pictures' maps, by index."""
        asked = {index: self._asked(batch, index) for index in dict.fromkeys(indices)}
        made = self._view_maps(batch, [pair for pairs in asked.values() for pair in pairs])
        return {
            index: picture_map(
                batch.sights[index],
                {(view - batch.starts[index], name): made[view, name] for view, name in pairs},
                method=self.method,
                target=batch.judgements[index].target,
                cells=self._cells,
                scale=self._scale,
                size_px=(batch.judgements[index].height_px or 1, batch.judgements[index].width_px or 1),
            )
            for index, pairs in asked.items()
        }

    def fault_of(self, image: ImageRGB) -> str | None:
        """Why the picture (H, W, 3) is none of a part like those of the training; None where it is one.

        Where there is a region of interest nothing tells whether the training saw such regions or whole pictures: it is enough
        that either is like them.
        """
        return self._measured(image)[0]

    def _measured(self, image: ImageRGB) -> tuple[str | None, dict[str, float]]:
        """What `fault_of` gives, and the values that decided it: the region's where the whole picture is like no other."""
        values = measure(image)
        fault = fault_of(values, self.gates)
        if fault is not None and self._recipe.region_of_interest is not None:
            x1, y1, x2, y2 = self._recipe.region_of_interest
            region = image[y1:y2, x1:x2]
            if region.size:  # one that lies beside the picture is told by what looks at it
                values = measure(region)
                fault = fault_of(values, self.gates)
        return fault, values

    def _look_at(self, image: ImageRGB, name: str | None, given: ImageRGB | None) -> Sight:
        aligned: Aligned | None = None
        if self._compares:
            if given is not None:
                aligned = align(image, grey_of(given), self.bundle.spec.input.alignment)
            elif self._references is not None:
                aligned = self._references.aligned(image, name)
            else:
                raise ImageError(
                    "picture has no reference", found="none given", expected="the picture that the model compares with"
                )
        reference = None if aligned is None else aligned.reference
        sight = look_at(image, reference, self.bundle.spec.input, self._recipe.region_of_interest)
        return replace(sight, correlation=None if aligned is None else aligned.correlation)

    def _decide(self, views: npt.NDArray[np.float64], novelty: npt.NDArray[np.float64], sight: Sight) -> Judgement:
        spec, (height, width) = self.bundle.spec, sight.size_px
        tiled = sight.corners is not None
        judgement = decide(
            self._whole(views),
            spec.classes,
            spec.good,
            pass_below=self.pass_below,
            reject_from=self.reject_from,
            width_px=width,
            height_px=height,
            found=list(self._found(views)) if tiled or self._several else (),
            exclusive=not self._several,
            novelty=float(novelty.max()) if len(novelty) else None,
            novelty_limit=None if spec.novelty is None else spec.novelty.limit,
            rules=self._recipe.classes,
        )
        return replace(judgement, reference_correlation=sight.correlation)

    def _whole(self, views: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """A picture's probabilities (C,) from those of its views (V, C)."""
        good, calibration = self.bundle.good_index, self.bundle.spec.calibration.picture
        if self.bundle.spec.input.tiling is None:
            return np.asarray(views[0], np.float64)
        if calibration is None or good is None or not np.isfinite(views).all():
            return merge_probabilities(views, good=good, exclusive=not self._several)
        most = most_log_odds(views, good=good, several=self._several)
        p = picture_probabilities(
            most[None], good=good, several=self._several, temperature=calibration.temperature, offset=calibration.offset
        )
        return np.asarray(p[0], np.float64)

    def _found(self, views: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.int64]]:
        """By defect class the views (V, C) that find it; the surest class first."""
        classes = self.bundle.spec.classes
        finds = likely(views, good=self.bundle.good_index, several=self._several)
        order = np.argsort(-views.max(axis=0), kind="stable")
        return {classes[number]: np.flatnonzero(finds[:, number]) for number in order if finds[:, number].any()}

    def _asked(self, batch: JudgedBatch, index: int) -> list[tuple[int, str]]:
        """Which views of a picture are explained, each for which class."""
        sight, target, classes = batch.sights[index], batch.judgements[index].target, self.bundle.spec.classes
        if sight is None:
            return []
        start = batch.starts[index]
        if sight.corners is None and not self._several:
            # A picture that could not be judged has no target; its map would be that of class 0 and is not finite anyway.
            return [(start, target or classes[0])]
        p = batch.probabilities[start : start + sight.views]
        found = self._found(p)
        if target is not None and target not in found:
            found[target] = np.array([int(p[:, classes.index(target)].argmax())])
        pairs = []
        for name, finds in found.items():
            near = {view for one in finds for view in sight.overlapping(int(one))}
            pairs += [(start + view, name) for view in sorted(near)]
        return pairs or [(start, target or classes[0])]

    def _view_maps(self, batch: JudgedBatch, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], ViewMap]:
        """The raw map of each (view, class)."""

        def maps_of(some: Sequence[tuple[int, str]]) -> list[ViewMap]:
            targets = torch.tensor([self.bundle.spec.classes.index(name) for _, name in some], device=self._device)
            maps = self._explain(self._rows_of(batch, [view for view, _ in some]), targets)
            return list(map(ViewMap, maps.values.cpu().numpy(), maps.status))

        pieces = []
        for _, of_one_chunk in groupby(sorted(pairs), key=lambda pair: pair[0] // batch.chunk_size):
            mine = list(of_one_chunk)
            pieces += [mine[start : start + batch.chunk_size] for start in range(0, len(mine), batch.chunk_size)]
        made = self._each(maps_of, pieces)
        return {pair: one for some, maps in zip(pieces, made, strict=True) for pair, one in zip(some, maps, strict=True)}

    def _rows_of(self, batch: JudgedBatch, views: Sequence[int]) -> Forward:
        """The forward pass of some views of one chunk, a row each: what was kept of it, else made again."""
        number = views[0] // batch.chunk_size
        kept = batch.chunks[number]
        if kept is None:
            once = sorted(set(views))  # a view that is explained for several classes is seen once
            kept, rows = self._forward(batch, once), [once.index(view) for view in views]
        else:
            rows = [view - number * batch.chunk_size for view in views]
        return kept.subset(torch.tensor(rows, device=self._device))

    def _probabilities(self, logits: torch.Tensor) -> npt.NDArray[np.float64]:
        """Calibrated, (N, C)."""
        return probabilities_of(
            logits.double().cpu().numpy(), temperature=self.bundle.spec.calibration.temperature,
            good=self.bundle.good_index, several=self._several,
        )  # fmt: skip

    def _forward(self, batch: JudgedBatch, views: Sequence[int]) -> Forward:
        """One forward pass of some views."""
        cut = []
        for number in views:
            sight, within = batch.view(number)
            cut.append(sight.view(within))
        return self._network.explainable(*stacked(cut, self._device))


def _limits_of(bundle: Bundle, recipe: Recipe) -> tuple[float, float]:
    """PASS and REJECT limit: the recipe's where it sets them, else the bundle's own. Raises ConfigError out of order."""
    own = bundle.spec.thresholds
    pass_below = own.pass_below if recipe.pass_below is None else recipe.pass_below
    reject_from = own.reject_from if recipe.reject_from is None else recipe.reject_from
    if pass_below > reject_from:
        raise ConfigError(
            "recipe.pass_below lies above recipe.reject_from", found=f"{pass_below:.4f} and {reject_from:.4f}",
            expected="pass_below ≤ reject_from", next_step="Set both, or neither to use the bundle's own.",
        )  # fmt: skip
    return pass_below, reject_from
