"""How wide defects are in the network's input, against hand-made shapes, and what is done where squeezing loses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from kizu.squeezing import tiling_for
from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.defect_widths import Defect, DefectWidths, defect_widths, widths_of
from kizu_inspect.labelled.readers.manifest import write_rows
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.shapes import Pixels, spans_of
from kizu_inspect.picture.images import encode_png
from kizu_inspect.training.likely_tiles import likely_tiles
from whole_cli import app

RUN = CliRunner()
SIZE = (120, 160)


def sample(**marks: object) -> Sample:
    return Sample(Path("a.png"), "scratch", "train", "a", **marks)  # type: ignore[arg-type]  # each test's own


def strip(start: tuple[float, float], end: tuple[float, float], thickness: float, size_px: tuple[int, int] = SIZE) -> Pixels:
    """The pixels whose middle lies within half the thickness of a line from start to end (x, y)."""
    y, x = np.mgrid[: size_px[0], : size_px[1]]
    along = np.subtract(end, start) / np.hypot(*np.subtract(end, start))
    right, down = x - start[0], y - start[1]
    inside = np.abs(right * along[0] + down * along[1] - np.hypot(*np.subtract(end, start)) / 2)
    return (inside <= np.hypot(*np.subtract(end, start)) / 2) & (np.abs(down * along[0] - right * along[1]) <= thickness / 2)


@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 130])
@pytest.mark.parametrize("thickness", [3, 7])
def test_a_line_is_as_wide_as_it_was_drawn_at_any_angle(degrees: float, thickness: float) -> None:
    reach = 45 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    drawn = strip((80.3 - reach[0], 60.4 - reach[1]), (80.3 + reach[0], 60.4 + reach[1]), thickness)
    (width,) = widths_of(sample(mask=Path("m.png")), SIZE, drawn)
    assert width == pytest.approx(thickness, rel=0.25)
    rows, columns = np.nonzero(drawn)
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1, "scratch")
    assert widths_of(sample(boxes=(box,), mask=Path("m.png")), SIZE, drawn) == pytest.approx([width], rel=0.01)
    assert widths_of(sample(areas=(("scratch", spans_of(drawn)),)), SIZE, drawn) == pytest.approx([width], rel=0.01)
    assert widths_of(sample(boxes=(box,)), SIZE, None) == (min(box[2] - box[0], box[3] - box[1]),)


def test_shapes_by_hand() -> None:
    marked = np.zeros(SIZE, bool)
    marked[10:20, 10:40] = True  # 10 × 30
    marked[60, 20:30] = marked[60, 33:50] = True  # a faint line, marked with a gap of 3 px
    yy, xx = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = np.hypot(yy - 90, xx - 120) <= 10
    marked |= disc
    widths = sorted(widths_of(sample(mask=Path("m.png")), SIZE, marked))
    assert widths[:2] == [27 / 30, 10]
    assert widths[2] == pytest.approx(np.pi / 4 * 20, rel=0.03)  # of a disc the share of the square around it
    beyond = (
        (-5, -5, 4, 30, "scratch"),
        (150, 0, 400, 3, "scratch"),
        (200, 200, 300, 300, "scratch"),
        (9, 9, 9, 20, "scratch"),
    )
    assert widths_of(sample(boxes=beyond), SIZE, None) == (4, 3)  # what lies outside, others tell
    assert widths_of(sample(mask=Path("m.png")), SIZE, np.ones((3, 3), bool)) == ()


def many(count: int, width_px: float, picture_px: tuple[int, int] = (500, 1260)) -> list[Defect]:
    return [Defect(width_px, picture_px)] * count


def measured(defects: list[Defect], *, tiled: bool = False) -> DefectWidths:
    return defect_widths(defects, (128, 128) if tiled else (88, 224), tiled=tiled, cell_px=4)


def test_a_commutator_is_squeezed_by_more_than_five() -> None:
    """By hand: 500 px become 88, so a crack of 9 px has 1.6 px, less than half a cell; in tiles it keeps its 9 px."""
    whole = measured(many(30, 9.0) + many(2, 60.0))
    assert whole.median_px == pytest.approx(9 * 88 / 500)
    assert (whole.lost, whole.thinner_than(4), whole.thinner_than(2)) == (30, 30, 30)
    assert whole.loses
    assert "half are at most 1.6 px wide (0.4 cells of 4 px), a tenth at most 1.6 px" in whole.said
    assert "32 marked defects" in whole.said
    tiled = measured(many(30, 9.0) + many(2, 60.0), tiled=True)
    assert (tiled.median_px, tiled.lost, tiled.loses) == (9.0, 0, False)
    assert tiled.finding("") is None


def test_only_what_squeezing_loses_is_called_lost() -> None:
    """A tenth may be; and what is thin at full resolution is not thin by squeezing."""
    assert not measured(many(3, 9.0) + many(27, 60.0)).loses
    assert measured(many(4, 9.0) + many(26, 60.0)).loses
    assert not measured(many(30, 1.5, picture_px=(160, 160))).loses  # enlarged
    assert not measured(many(30, 1.5, picture_px=(150, 400))).loses  # 0.84 px, but more than half of its px are left
    assert measured(many(30, 1.5, picture_px=(150, 449))).loses
    nothing = measured([])
    assert not nothing.loses
    assert "nobody knows" in nothing.said


def test_tiles_by_hand() -> None:
    """1260 × 500 px: 13 columns and 5 rows of 128 px with 96 px from one to the next."""
    tiles = likely_tiles([(1260, 500)] * 3, (88, 224))
    assert tiles is not None
    assert (tiles.side_px, tiles.count) == (128, 65)
    assert tiles.times == pytest.approx(65 * 128**2 / (88 * 224))
    small = likely_tiles([(1260, 500), (1260, 500), (700, 101)], (88, 224))
    assert small is not None
    assert small.side_px == 96  # fits into the smallest too, in multiples of 8
    assert likely_tiles([(1260, 500), (1260, 31)], (88, 224)) is None


@pytest.fixture(scope="module")
def scratched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of large plates, half of them with a scratch of 3 px, marked by a mask."""
    root = tmp_path_factory.mktemp("large")
    rows = []
    for number in range(40):
        rng = np.random.default_rng(number)
        plate = cv2.GaussianBlur(rng.normal(128, 30, (160, 480, 3)), (0, 0), 1.2)
        name, mask = f"{number}.png", ""
        if number % 2:
            x, y = rng.integers(20, 380), rng.integers(40, 90)
            drawn = strip((x, y), (x + rng.integers(20, 80), y + rng.integers(-30, 60)), 3, (160, 480))
            plate[drawn] += 60
            mask = f"mask-{number}.png"
            (root / mask).write_bytes(encode_png(drawn.astype(np.uint8) * 255))
        (root / name).write_bytes(encode_png(np.clip(plate, 0, 255).astype(np.uint8)))
        split = "train" if number < 32 else "val"
        rows.append((name, "scratch" if number % 2 else "good", split, name, "", mask, ""))
    write_rows(root / "manifest.csv", rows)
    return root / "manifest.csv"


def test_a_check_says_how_wide_defects_are_and_warns(scratched: Path, tmp_path: Path) -> None:
    figures, html = tmp_path / "figures.json", tmp_path / "page.html"
    arguments = ["data", "check", str(scratched), "--json", str(figures), "--html", str(html)]
    done = RUN.invoke(app, arguments, catch_exceptions=False)
    flat = " ".join(done.output.split())
    assert "20 marked defects: in the input of 224 × 72 px half are at most 1." in flat
    assert "warning: squeezing the pictures into the network's input loses defects: found 20 of 20 marked defects" in flat
    assert "Training takes tiles by itself where it can; kizu data check --tile 128 measures defects in tiles." in flat
    told = json.loads(figures.read_text(encoding="utf-8"))
    assert told["defect_widths"]["lost"] == told["defect_widths"]["defects"] == 20
    assert told["defect_widths"]["median_px"] == pytest.approx(3 * 72 / 160, rel=0.1)
    assert "squeezed_away" in {finding["kind"] for finding in told["findings"]}
    assert "half are at most 1." in html.read_text(encoding="utf-8")
    for option in (("--size", "480"), ("--tile", "128")):
        told = json.loads(RUN.invoke(app, ["data", "check", str(scratched), *option, "--json", "-"]).stdout)
        assert told["defect_widths"]["median_px"] == pytest.approx(3, rel=0.1)
        assert "squeezed_away" not in {finding["kind"] for finding in told["findings"]}


def trained(data: Path, out: Path, *options: str) -> tuple[str, Bundle]:
    """What a training of two steps says, and its bundle."""
    quick = out.with_suffix(".yaml")
    quick.write_text("network: {branch: false}\n", encoding="utf-8")
    arguments = [
        "train", str(data), "--out", str(out), "--steps", "2", "--settings", str(quick), "--device", "cpu", *options,
    ]  # fmt: skip
    done = RUN.invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split()), Bundle.load(out)


def test_training_cuts_tiles_by_itself_where_squeezing_loses_defects(scratched: Path, tmp_path: Path) -> None:
    said, bundle = trained(scratched, tmp_path / "bundle")
    assert "would be thinner than 2 px in an input of 224 × 72 px" in said
    assert "in tiles of 128 px at full resolution, 10 a picture, which takes about 10 times the time" in said  # 5 × 2 tiles
    assert "marked defects: in the input of 128 × 128 px half are at most 3.0 px wide" in said
    assert bundle.spec.input.size_px == (128, 128)
    assert bundle.spec.input.tiling is not None
    assert bundle.spec.input.tiling.stride_px == 96


ASKED = {"tile": None, "size": None, "places": True, "profiles": ("auto",), "cell_px": 4}


@pytest.mark.parametrize(
    ("asked", "next_step"),
    [
        ({"tile": 0}, "Judge in tiles at full resolution (--tile 128)"),
        ({"size": 96}, "Judge in tiles at full resolution (--tile 128)"),
        ({"places": False}, "Learn places too (without --no-places)"),
        ({"profiles": ("plain", "part")}, "Choose another profile than part"),
    ],
)
def test_whole_pictures_are_squeezed_with_a_warning_where_that_is_asked_for(
    scratched: Path, asked: dict[str, Any], next_step: str
) -> None:
    tiling = tiling_for(read_labelled(scratched), **{**ASKED, **asked})
    assert tiling.tile_px is None
    (warning,) = tiling.warnings
    assert "squeezing the pictures into the network's input loses defects: found 20 of 20" in warning.text
    assert next_step in warning.text


def test_tiles_or_an_input_that_loses_nothing_need_no_warning(scratched: Path) -> None:
    labelled = read_labelled(scratched)
    for asked, tile_px in (({"tile": 64}, 64), ({"size": 480}, None)):
        tiling = tiling_for(labelled, **{**ASKED, **asked})
        assert (tiling.tile_px, tiling.warnings) == (tile_px, ())
        (said,) = tiling.said
        assert "half are at most 3.0 px wide" in said


@pytest.mark.parametrize("tile", [1, 31])
def test_tiles_that_are_too_small_are_refused_before_anything_is_measured(scratched: Path, tile: int) -> None:
    with pytest.raises(ConfigError, match=f"--tile is too small: found {tile}; expected 32 px or more, or 0 for no tiles"):
        tiling_for(read_labelled(scratched), **{**ASKED, "tile": tile})


def test_defects_that_nobody_marked_hinder_tiles_and_training_says_so(scratched: Path, tmp_path: Path) -> None:
    bare = scratched.with_name("bare.csv")
    bare.write_text(scratched.read_text(encoding="utf-8").replace(",mask-1.png", ",").replace(",mask-3.png", ","))
    said, bundle = trained(bare, tmp_path / "bundle", "--profile", "plain")
    assert "warning: squeezing the pictures into the network's input loses defects: found 18 of 18" in said
    assert "Mark where the defects of 2 more pictures lie" in said
    assert bundle.spec.input.tiling is None
