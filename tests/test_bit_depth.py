"""Pictures of 16 bits that fill only some of them: read alike in training, on the line, on pages and in reports."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, TiffImagePlugin
from typer.testing import CliRunner

from kizu_dashboard.explaining import explain_stored
from kizu_dashboard.pictures import photo, stored_image
from kizu_dashboard.reports.part_block import picture_of
from kizu_dashboard.room import Room, close_rooms, open_room
from kizu_dashboard.settings import DashboardConfig
from kizu_db.settings import DatabaseSettings, ImageStoreSettings
from kizu_inspect.bundle import Bundle
from kizu_inspect.errors import ConfigError, DataError, ImageError
from kizu_inspect.inspector import Inspector
from kizu_inspect.labelled.bit_depth import unfilled
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import Bits, Recipe
from kizu_inspect.results import ImageRGB, Verdict
from kizu_inspect.synth import draw_part, write_set
from kizu_inspect.training.fit import FitSettings
from kizu_inspect.training.pictures import load_pictures
from kizu_inspect.training.settings import TrainingSettings
from kizu_inspect.training.train import train
from kizu_pipeline import explaining
from kizu_pipeline.settings import CameraSource
from line_world import ALL_PASS, ALL_REJECT, LineWorld, names_in
from precision import PRECISION
from whole_cli import app

Deep = npt.NDArray[np.uint16]
PART: ImageRGB = draw_part("dent", 3, size_px=64).image


def deep(image: ImageRGB, bits: int) -> Deep:
    """The same in values of so many bits."""
    return np.rint(image.astype(np.float64) * ((1 << bits) - 1) / 255).astype(np.uint16)


def coded(values: Deep, suffix: str) -> bytes:
    """Grey (H, W) or RGB (H, W, 3) as a file."""
    done, data = cv2.imencode(suffix, values[:, :, ::-1] if values.ndim == 3 else values)
    assert done
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_every_file_of_16_bits_is_read_by_the_depth_that_is_told(bits: Bits, suffix: str) -> None:
    grey = PART[:, :, 0]
    assert np.array_equal(decode_image(coded(deep(grey, bits), suffix), bits=bits)[:, :, 1], grey)
    assert np.array_equal(decode_image(coded(deep(PART, bits), suffix), bits=bits), PART)
    if bits < 16:
        for turn in (1, 6):
            told = TiffImagePlugin.ImageFileDirectory_v2()
            told[274] = turn
            data = io.BytesIO()
            Image.fromarray(deep(grey, bits)).save(data, "TIFF", tiffinfo=told)
            assert np.array_equal(decode_image(data.getvalue(), bits=bits)[:, :, 0], grey)
        dark = decode_image(coded(deep(grey, bits), suffix))
        assert dark.mean() < grey.mean() / 3
        too_high = deep(grey, bits)
        too_high[3, 5] = 1 << bits
        with pytest.raises(ImageError, match=f"larger than its bit depth allows: found {1 << bits}; expected at most"):
            decode_image(coded(too_high, suffix), bits=bits)


def test_what_says_its_depth_itself_and_8_bits_stay_as_they_are() -> None:
    assert np.array_equal(decode_image(coded(PART, ".png"), bits=12), PART)  # type: ignore[arg-type]
    turned, told = io.BytesIO(), TiffImagePlugin.ImageFileDirectory_v2()
    told[262] = 0  # white is 0
    Image.fromarray(4095 - deep(PART[:, :, 0], 12)).save(turned, "TIFF", tiffinfo=told)
    assert np.array_equal(decode_image(turned.getvalue(), bits=12)[:, :, 0], PART[:, :, 0])


@pytest.fixture(scope="module")
def deep_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same drawn parts twice: of 8 bits, and of 12 bits in 16."""
    root = tmp_path_factory.mktemp("deep")
    flat, twelve = (write_set(root / name, count=60, seed=5, size_px=64) for name in ("flat", "twelve"))
    for path in {sample.path for sample in read_labelled(twelve).samples}:
        path.write_bytes(coded(deep(decode_image(path.read_bytes()), 12), ".png"))
    return flat, twelve


def settings(**inputs: Any) -> TrainingSettings:
    return TrainingSettings(
        input=InputSettings(height_px=64, width_px=64, **inputs),
        fit=FitSettings(steps=2, batch_size=16, precision=PRECISION),
        device="cpu",
    )


def test_training_refuses_pictures_that_are_nearly_black_and_says_why(deep_set: tuple[Path, Path], tmp_path: Path) -> None:
    flat, twelve = (read_labelled(path) for path in deep_set)
    told = r"pictures of 16 bits fill only some of them: found no value above 3\d+ .*--bits with the camera's depth, 12 or more"
    with pytest.raises(DataError, match=told):
        train(twelve, tmp_path / "bundle", settings())
    trained = train(twelve, tmp_path / "bundle", settings(bits=12)).bundle
    assert Bundle.load(trained.path).spec.input.bits == 12
    same = train(flat, tmp_path / "same", settings()).bundle
    seen, of_8 = (
        load_pictures(data.samples, data.classes, spec.spec.input, good=data.good).images
        for data, spec in ((twelve, trained), (flat, same))
    )
    assert np.array_equal(seen, of_8)
    assert unfilled(flat.samples) is None
    inspector = Inspector.load(Recipe(bundle=trained.path, allow_no_promise=True), device="cpu")
    assert inspector.bits == 12


def test_the_check_of_a_set_tells_it_too(deep_set: tuple[Path, Path], tmp_path: Path) -> None:
    _, twelve = deep_set
    runner = CliRunner()
    told = runner.invoke(app, ["data", "check", str(twelve), "--json", "-"])
    findings = json.loads(told.stdout)["findings"]
    assert [(one["severity"], one["kind"]) for one in findings if one["kind"] == "bit_depth"] == [("error", "bit_depth")]
    page = tmp_path / "page.html"
    sound = runner.invoke(app, ["data", "check", str(twelve), "--bits", "12", "--html", str(page), "--json", "-"])
    assert "bit_depth" not in sound.stdout
    assert page.stat().st_size > 10_000
    wrong = runner.invoke(app, ["data", "check", str(twelve), "--bits", "11"])
    assert "no such bit depth: found --bits 11; expected 8, 10, 12, 14, 16" in str(wrong.exception)


@contextmanager
def room_of(world: LineWorld) -> Iterator[Room]:
    """What the dashboard shows of this line."""
    database = DatabaseSettings(url=f"sqlite:///{world.records.file}")
    config = DashboardConfig(database=database, images=ImageStoreSettings(path=world.images.path))
    try:
        yield open_room(config.model_dump_json())
    finally:
        close_rooms()


def test_the_line_the_page_and_the_report_see_the_same_picture(world: LineWorld) -> None:
    world.drop("P8.png", coded(PART, ".png"))  # type: ignore[arg-type]
    world.drop("P12.png", coded(deep(PART, 12), ".png"))
    world.run(**ALL_REJECT, bits=12)
    of_12, of_8 = sorted(world.inspections(), key=lambda one: one.row.part)
    assert of_12.row.part == "P12"
    assert of_12.row.score == of_8.row.score
    assert of_12.measured == of_8.measured
    with room_of(world) as room:
        for record in (of_12, of_8):
            shown = stored_image(room, record)
            assert shown is not None
            assert np.array_equal(shown, PART)
            served = photo(room, record)
            assert served is not None
            assert np.array_equal(decode_image(served.data), PART)
            assert np.array_equal(picture_of(record, world.images), PART)


def test_maps_that_are_made_later_are_the_same(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    world.drop("P.png", coded(deep(PART, 12), ".png"))
    with monkeypatch.context() as patch:
        patch.setattr(explaining, "explain_each", die)
        with pytest.raises(KeyboardInterrupt):
            world.run(**ALL_REJECT, bits=12)
    assert world.run(**ALL_REJECT, bits=12).pending_made == 1
    with room_of(world) as room:
        explain_stored(room, world.only().row.uid, "cam", by="Kim")
    judge = Inspector.load(Recipe(bundle=world.bundle, allow_no_promise=True, **ALL_REJECT), device="cpu")
    (at_once,) = judge.explain(judge.judge([PART]), [0])
    made = world.only()
    assert made.explanation is not None
    assert np.array_equal(made.explanation.heatmap.grid, at_once.heatmap.grid)
    assert made.explained_by("cam") is not None


def test_values_beyond_the_depth_are_an_error_of_that_picture(world: LineWorld) -> None:
    world.drop("P.png", coded(deep(PART, 16), ".png"))
    world.run(**ALL_PASS, bits=12)
    row = world.only().row
    assert row.verdict is Verdict.ERROR
    assert row.reason.startswith("the picture's values are larger than its bit depth allows")
    assert [name for name in names_in(world.quarantine) if name.endswith(".png")] == ["P.png"]


def test_depths_that_contradict_each_other_are_refused_before_anything_is_judged(world: LineWorld, tmp_path: Path) -> None:
    bundle = Bundle.load(world.bundle)
    inputs = bundle.spec.input.model_copy(update={"bits": 12})
    trained = Bundle.save(tmp_path / "twelve", bundle.spec.model_copy(update={"input": inputs}), bundle.model).path
    world.drop("P.png")
    with pytest.raises(ConfigError, match=r"recipe\.bits is not the bit depth .* found 10; expected 12"):
        world.run(**ALL_PASS, bundle=trained, bits=10)
    camera = CameraSource.model_validate({"kind": "camera", "device": "rtsp://127.0.0.1:9/none", "bits": 10})
    with pytest.raises(ConfigError, match=r"station\.source\.bits is not the bit depth .* found 10; expected 12"):
        world.run(**ALL_PASS, bundle=trained, source=camera)
    assert world.inspections() == []
    assert world.run(**ALL_PASS, bundle=trained).files == 1


def test_a_recipe_without_a_depth_is_recorded_as_before(world: LineWorld) -> None:
    world.drop("P.png")
    world.run(**ALL_PASS)
    recipe = world.only().recipe
    assert recipe is not None
    assert recipe.content["bits"] is None
