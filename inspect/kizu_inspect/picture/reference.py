"""A defect-free picture to compare with: which one belongs to a picture, and laying it over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import regex

from kizu_inspect.errors import ConfigError, ImageError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.recipe import AlignmentSettings, Bits, ReferenceSettings
from kizu_inspect.results import ImageRGB

__all__ = ["Aligned", "Grey", "References", "align", "grey_of", "lay_over"]

_MATCHING_S = 0.2

Grey = npt.NDArray[np.uint8]
SEARCH_PX = 512
"""The longest side at which a reference is searched for; larger pictures are shrunk to it."""
FLAT = 8.0
"""A deviation below so many grey values is no contrast that a fit could be told by: an empty board with a speck on it."""
DEFECT_SHARE = 0.1
"""A picture with a defect differs from a reference without contrast in at most about so large a share of its pixels."""
SEARCH_SHARE = 0.1
"""So far, of a picture's side, a reference may lie from where it belongs."""


@dataclass(frozen=True)
class Aligned:
    """A reference as it would look in the picture's place and light."""

    reference: Grey
    """(H, W); where the moved reference does not reach, the picture itself: nothing to compare, no difference."""
    correlation: float
    """Pearson's, of picture and moved reference where both are: how well they fit, −1 to 1."""


class References:
    """The references of one recipe: one for the product, or one a picture by its file name."""

    def __init__(
        self,
        settings: ReferenceSettings,
        alignment: AlignmentSettings,
        *,
        max_megapixels: float = 100.0,
        bits: Bits | None = None,
    ) -> None:
        self._bits: Bits | None = bits
        self._settings = settings
        self._alignment = alignment
        self._max_megapixels = max_megapixels
        self._pattern = regex.compile(settings.pattern) if settings.pattern is not None else None
        self._one: Grey | None = None
        if self._pattern is None:
            try:
                self._one = self._read(settings.path)
            except ImageError as error:
                raise ConfigError(
                    "recipe.reference cannot be used", found=str(error), expected="a picture, or a folder with a pattern",
                    next_step="Set recipe.reference.path.",
                ) from None  # fmt: skip
        elif not settings.path.is_dir():
            raise ConfigError(
                "recipe.reference names no folder", found=str(settings.path),
                expected="a folder of references, since a pattern is set",
                next_step="Set recipe.reference.path.",
            )  # fmt: skip

    def aligned(self, picture: ImageRGB, name: str | None) -> Aligned:
        """The reference of the picture called `name`, laid over it.

        Raises ImageError: no reference of that name, not readable, of another size, or one that does not fit.
        """
        return align(picture, self._one if self._one is not None else self._read(self._path_of(name)), self._alignment)

    def laid_over(self, picture: ImageRGB, name: str | None) -> ImageRGB:
        """The reference of the picture (H, W, 3) called `name` as `lay_over` shows it, for eyes. Raises ImageError."""
        path = self._settings.path if self._pattern is None else self._path_of(name)
        return lay_over(picture, self._decoded(path), self._alignment)

    def _path_of(self, name: str | None) -> Path:
        assert self._pattern is not None
        try:
            found = self._pattern.fullmatch(Path(name).name, timeout=_MATCHING_S) if name else None
        except TimeoutError:
            raise ImageError(
                "recipe.reference.pattern takes too long", found=f"the name {name}", expected=f"a match within {_MATCHING_S} s",
                next_step="Simplify the pattern: some take years over some names.",
            ) from None  # fmt: skip
        if found is None:
            raise ImageError(
                "picture has no reference by its name", found=name or "no name",
                expected=f"a name like {self._pattern.pattern}",
                next_step="Mend recipe.reference.pattern or the name.",
            )  # fmt: skip
        try:
            return self._settings.path / found.expand(self._settings.name)
        except (regex.error, IndexError) as error:
            raise ImageError(
                "recipe.reference.name does not go with its pattern", found=f"{self._settings.name}: {error}",
                expected=f"groups of {self._pattern.pattern}",
            ) from None  # fmt: skip

    def _read(self, path: Path) -> Grey:
        return grey_of(self._decoded(path))

    def _decoded(self, path: Path) -> ImageRGB:
        try:
            return decode_image(path.read_bytes(), max_megapixels=self._max_megapixels, bits=self._bits)
        except OSError as error:
            raise ImageError("reference cannot be opened", found=f"{path}: {error.strerror}", expected="a picture") from None
        except ImageError as error:
            raise ImageError(f"reference {path} cannot be read", found=str(error)) from None


def grey_of(image: ImageRGB) -> Grey:
    """The mean of red, green and blue (H, W)."""
    return np.asarray(np.rint(image.mean(axis=2)), np.uint8)


def align(picture: ImageRGB, reference: Grey, alignment: AlignmentSettings) -> Aligned:
    """Moves `reference` (H, W) onto `picture` (H, W, 3) and gives it the picture's mean and contrast.

    A shift is the one of highest correlation, at most a tenth of the picture; a homography is found from there by
    maximising the enhanced correlation coefficient (Evangelidis and Psarakis, 2008).

    Raises ImageError: another size, or a correlation below `alignment.least_correlation`.
    """
    grey = grey_of(picture)
    onto = _onto(grey, reference, alignment)
    moved, covered = _moved(reference, onto)
    correlation = _fit(grey, reference, onto)
    if not correlation >= alignment.least_correlation:
        raise ImageError(
            "reference does not fit the picture", found=f"a correlation of {correlation:.2f}",
            expected=f"at least {alignment.least_correlation:.2f}",
            next_step="Look whether the part and its reference are the same product, or train with another alignment.",
        )  # fmt: skip
    there, here = moved[covered].astype(np.float32), grey[covered].astype(np.float32)
    gain = float(here.std()) / float(there.std()) if there.std() >= FLAT else 1.0
    matched = (moved.astype(np.float32) - there.mean()) * gain + here.mean()
    return Aligned(np.where(covered, np.clip(np.rint(matched), 0, 255).astype(np.uint8), grey), correlation)


def lay_over(picture: ImageRGB, reference: ImageRGB, alignment: AlignmentSettings) -> ImageRGB:
    """`reference` (H, W, 3) moved onto `picture` (H, W, 3) as `align` moves it, in its own colours and light, for eyes.

    Where it does not reach it is the picture. How well it fits is left to who looks. Raises ImageError for another size.
    """
    grey = grey_of(reference)
    onto = _onto(grey_of(picture), grey, alignment)
    _, covered = _moved(grey, onto)
    moved = cv2.warpPerspective(reference, onto, grey.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(covered[:, :, None], np.asarray(moved, np.uint8), picture)


def _onto(grey: Grey, reference: Grey, alignment: AlignmentSettings) -> npt.NDArray[np.float64]:
    """The homography (3, 3) that takes reference pixels to picture pixels. Raises ImageError for another size."""
    if reference.shape != grey.shape:
        raise ImageError(
            "reference is of another size than the picture", found=f"{reference.shape[1]} × {reference.shape[0]} px",
            expected=f"{grey.shape[1]} × {grey.shape[0]} px", next_step="Take the reference with the same camera and settings.",
        )  # fmt: skip
    if alignment.kind == "translation":
        return _shift(grey, reference, fine=True)
    if alignment.kind == "homography":
        return _homography(grey, reference, _shift(grey, reference, fine=False))
    return np.eye(3)


def _shrunk(grey: Grey) -> tuple[npt.NDArray[np.float32], float]:
    """The picture at most SEARCH_PX long, in float, and its scale."""
    scale = min(1.0, SEARCH_PX / max(grey.shape))
    if scale == 1.0:
        return grey.astype(np.float32), 1.0
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32), scale


def _shift(grey: Grey, reference: Grey, *, fine: bool) -> npt.NDArray[np.float64]:
    """The translation (3, 3) that takes reference pixels to picture pixels: the one of highest correlation."""
    here, scale = _shrunk(grey)
    there, _ = _shrunk(reference)
    shift = _best_shift(here, there, reach=tuple(max(1, round(side * SEARCH_SHARE)) for side in here.shape)) / scale
    if fine and scale < 1:  # once more where it is sharp: in the middle, at the picture's own resolution
        coarse = np.rint(shift).astype(int)
        shift = coarse + _fine_shift(grey, reference, coarse, reach=int(np.ceil(2 / scale)))
    candidates = [np.zeros(2), np.rint(shift), shift]  # whole pixels blur nothing; only what fits better may
    ontos = [np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64) for x, y in candidates]
    return max(ontos, key=lambda onto: _fit(grey, reference, onto))


def _best_shift(
    here: npt.NDArray[np.float32], there: npt.NDArray[np.float32], *, reach: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """(x, y) by which `there` must move to lie on `here`, at most `reach` (down, across), to a fraction of a pixel."""
    down, across = reach
    middle = here[down : here.shape[0] - down, across : here.shape[1] - across]
    # Around its mean, and without what rounding lifts over 1: OpenCV sums up squares, where a picture has little contrast.
    found = np.asarray(cv2.matchTemplate(there - here.mean(), middle - here.mean(), cv2.TM_CCOEFF_NORMED), np.float32)
    found = np.where(np.abs(found) <= 1 + 1e-4, found, np.float32(-1))  # (2 down + 1, 2 across + 1)
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return np.array(
        [across - column - _vertex(found[row], int(column)), down - row - _vertex(found[:, column], int(row))], np.float64
    )


def _vertex(values: npt.NDArray[np.float32], peak: int) -> float:
    """How far from its highest value a parabola through it and its neighbours has its own maximum: −0.5 to 0.5."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, at, after = (float(value) for value in values[peak - 1 : peak + 2])
    bend = before - 2 * at + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend


def _fine_shift(grey: Grey, reference: Grey, coarse: npt.NDArray[np.int_], *, reach: int) -> npt.NDArray[np.float64]:
    """What is left of a shift after its whole pixels, from the middle of both pictures."""
    height, width = grey.shape
    side_x, side_y = (min(SEARCH_PX, side // 2) for side in (width, height))
    x, y = (width - side_x) // 2, (height - side_y) // 2
    left = int(np.clip(x - coarse[0], 0, width - side_x))
    top = int(np.clip(y - coarse[1], 0, height - side_y))
    here = grey[y : y + side_y, x : x + side_x].astype(np.float32)
    there = reference[top : top + side_y, left : left + side_x].astype(np.float32)
    cut = np.array([x - left, y - top]) - coarse  # what clipping took off the whole pixels
    return _best_shift(here, there, reach=(reach, reach)) + cut


def _fit(grey: Grey, reference: Grey, onto: npt.NDArray[np.float64]) -> float:
    """How well picture and moved reference agree where both are, at most 1; −1 where they share nothing.

    Their correlation (Pearson). It says nothing where one of them has no contrast: then 1 where no pixel differs, and 0.5 where
    a tenth of them do. A move that leaves only bare ground of pictures that show something fits nothing: 0.
    """
    moved, covered = _moved(reference, onto)
    if not covered.any():
        return -1.0
    here, there = grey[covered].astype(np.float64), moved[covered].astype(np.float64)
    if min(grey.std(), reference.std()) < FLAT:
        apart = here - there
        differs = np.abs(apart - np.median(apart)) > 4 * FLAT
        return max(0.0, 1 - 0.5 * float(differs.mean()) / DEFECT_SHARE)
    x, y = here - here.mean(), there - there.mean()
    if min(x.std(), y.std()) < FLAT:
        return 0.0
    return float(np.vdot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y)))


def _homography(grey: Grey, reference: Grey, start: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The homography (3, 3) from reference to picture pixels that correlates best, searched for from `start`."""
    here, scale = _shrunk(grey)
    there, _ = _shrunk(reference)
    shrink = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
    back = np.linalg.inv(shrink @ start @ np.linalg.inv(shrink)).astype(np.float32)  # OpenCV asks picture -> reference
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-5)
    everywhere = np.full(here.shape, 255, np.uint8)
    try:
        _, best = cv2.findTransformECC(here, there, back, cv2.MOTION_HOMOGRAPHY, criteria, everywhere, 5)
    except cv2.error:  # it found no way up: the start stays, and the correlation tells what it is worth
        return start
    found = np.linalg.inv(shrink) @ np.linalg.inv(np.asarray(best, np.float64)) @ shrink
    onto = np.asarray(found / found[2, 2], np.float64)
    return onto if _fit(grey, reference, onto) > _fit(grey, reference, start) else start


def _moved(reference: Grey, onto: npt.NDArray[np.float64]) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """The reference moved, and where it reaches."""
    size = reference.shape[::-1]
    moved = cv2.warpPerspective(reference, onto, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpPerspective(np.full_like(reference, 255), onto, size, flags=cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8), np.asarray(covered == 255)
