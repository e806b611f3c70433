"""How large a set's defects are in the network's input, and whether `kizu train` cuts pictures into tiles for their sake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.defect_widths import defect_widths, marked_defects
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.picture_files import known_sizes
from kizu_inspect.picture.inputs import size_for
from kizu_inspect.training.likely_tiles import LEAST_PX, likely_tiles

if TYPE_CHECKING:
    from kizu_inspect.labelled.dataset import LabelledSet

__all__ = ["Tiling", "tiling_for"]

USE_TILES: Final = "Judge in tiles at full resolution (--tile 128), or in a larger input (--size)."
"""What to do where nothing but the asker's wish hinders tiles."""


@dataclass(frozen=True)
class Tiling:
    """Whether a set is learned in tiles."""

    tile_px: int | None
    """Their side; None where whole pictures are learned."""
    said: tuple[str, ...]
    """What there is to say, a line each."""
    warnings: tuple[Finding, ...]


def tiling_for(
    data: LabelledSet, *, tile: int | None, size: int | None, places: bool, profiles: Sequence[str], cell_px: int
) -> Tiling:
    """Tiles of `tile` px where that is asked for, none where it is 0 or a `size` is; else by what squeezing does to defects.

    Where it would lose too many, and every defective picture says where its defects lie, they are tiles of 128 px or less.
    `places`, `profiles` are what `kizu train` was asked for, `cell_px` is the side of a cell in the network's map.
    Raises ConfigError for tiles that are too small.
    """
    if tile is not None and 0 < tile < LEAST_PX:
        raise ConfigError("--tile is too small", found=f"{tile}", expected=f"{LEAST_PX} px or more, or 0 for no tiles")
    sizes = known_sizes(data.samples)
    defects = marked_defects(data.samples, sizes, good=data.good)
    if not sizes:
        return Tiling(tile or None, (), ())  # training names the first that cannot be read
    if tile:
        in_tiles = defect_widths(defects, (tile, tile), tiled=True, cell_px=cell_px)
        return Tiling(tile, (in_tiles.said,), ())
    input_px = size_for(list(sizes.values()), longest=size)
    whole = defect_widths(defects, input_px, tiled=False, cell_px=cell_px)
    if not whole.loses:
        return Tiling(None, (whole.said,), ())
    chosen = likely_tiles(list(sizes.values()), input_px)
    hindrance = _hindrance(data, places=places, profiles=profiles, fits=chosen is not None)
    if tile == 0 or size is not None or hindrance is not None or chosen is None:
        warning = whole.finding(hindrance or USE_TILES)
        assert warning is not None  # squeezing loses some
        return Tiling(None, (whole.said,), (warning,))
    why = (
        "{lost} of {count} marked defects would be thinner than 2 px in an input of {width} × {height} px, where faint ones do "
        "not show: pictures are learned and judged in tiles of {side} px at full resolution, {tiles} a picture, which takes "
        "about {times:.0f} times the time of a whole one (--tile 0 squeezes them all the same)"
    )
    in_tiles = defect_widths(defects, (chosen.side_px, chosen.side_px), tiled=True, cell_px=cell_px)
    told = why.format(
        lost=whole.lost, count=len(whole.widths_px), width=input_px[1], height=input_px[0], side=chosen.side_px,
        tiles=chosen.count, times=chosen.times,
    )  # fmt: skip
    return Tiling(chosen.side_px, (told, in_tiles.said), ())


def _hindrance(data: LabelledSet, *, places: bool, profiles: Sequence[str], fits: bool) -> str | None:
    """Why pictures cannot be cut into tiles unasked, as a next step; None where they can."""
    bare = [one for one in data.samples if one.split != "test" and one.label != data.good and not (one.boxes or one.masked)]
    if bare:
        said = "Mark where the defects of {count} more pictures lie, which tiles (--tile 128) need, or choose a larger --size."
        return said.format(count=len(bare))
    if not places:
        return "Learn places too (without --no-places), which tiles need, or choose a larger --size."
    if "part" in profiles:
        return "Choose another profile than part, which takes no tiles, or a larger --size."
    if not fits:
        return "Leave out pictures that are smaller than a tile of 32 px, or choose a larger --size."
    return None
