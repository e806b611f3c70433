"""What a part is compared with by eye: found in the right order, and laid over the photo's own pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file
from starlette.datastructures import QueryParams

from boards_world import HEIGHT, WIDTH, design, photo, spoil
from dashboard_world import empty_plant
from kizu_dashboard.beside import beside_of, beside_picture
from kizu_dashboard.room import Room, close_rooms, open_room
from kizu_db.values import InspectionRecord, NewInspection
from kizu_inspect.errors import BundleError, ConfigError, ImageError, RecordError
from kizu_inspect.picture.images import encode_png
from kizu_inspect.results import ImageRGB, Judgement, ModelInfo, Verdict

INSIDE = (slice(16, -16), slice(16, -16))
SHIFT = (6, -4)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    try:
        yield open_room(empty_plant(tmp_path).model_dump_json())
    finally:
        close_rooms()


def add(
    room: Room,
    image: ImageRGB,
    verdict: Verdict = Verdict.REJECT,
    *,
    model: ModelInfo | None = None,
    recipe: dict[str, Any] | None = None,
) -> InspectionRecord:
    """A part that was judged by this model and recipe."""
    height, width = image.shape[:2]
    now, number = datetime.now(UTC), hashlib.sha256(image.tobytes() + verdict.value.encode()).hexdigest()
    judgement = Judgement(verdict, "told", {"good": 0.1, "copper": 0.9}, "copper", "copper", 0.9, width, height)
    with room.records.unit() as unit:
        recipe_id = None
        if model is not None:
            unit.models.register(model)
            recipe_id = unit.recipes.register("aoi", {"bundle": str(model.path), **(recipe or {})}, model.hash).id
        uid = unit.inspections.add(
            NewInspection(
                source="folder", source_key=number, station="aoi", part=f"B-{number[:6]}", captured_at=now, judged_at=now,
                judgement=judgement, image_sha256=room.images.put(encode_png(image), suffix=".png"), image_name="7_test.png",
                model_hash=None if model is None else model.hash, recipe_id=recipe_id,
            )
        )  # fmt: skip
        record = unit.inspections.get(uid)
    assert record is not None
    return record


def model(folder: Path, **told: Any) -> ModelInfo:
    """A model of this input, as the records keep it."""
    return ModelInfo(
        "ab" * 32, "boards", ("good", "copper"), "good", folder / "bundle", {"input": told.pop("input"), **told}, None
    )


def asked(room: Room, record: InspectionRecord, number: int = 0) -> ImageRGB:
    """The picture under the address that the viewer is told, (H, W, 3)."""
    query = beside_of(room, record)[number].address.partition("?")[2]
    made = beside_picture(room, record, QueryParams(query))
    assert made is not None
    assert made.media_type == "image/jpeg"
    decoded = cv2.imdecode(np.frombuffer(made.data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def apart(one: ImageRGB, other: ImageRGB) -> float:
    """Mean difference in grey values, without the border that a shift leaves open."""
    return float(np.abs(one[INSIDE].astype(int) - other[INSIDE].astype(int)).mean())


def test_the_last_good_part_is_laid_over_the_photo_in_its_own_colours(room: Room) -> None:
    good = photo(design(1), 1)
    good[:, :, 0] = np.minimum(good[:, :, 0].astype(int) + 40, 255)  # reddish
    add(room, good, Verdict.PASS)
    flagged = add(room, photo(spoil(design(1), ["copper"], 1)[0], 2, shift=SHIFT))
    (offer,) = beside_of(room, flagged)
    assert offer.words.startswith("Last good part B-")
    assert offer.words.endswith("(passed, not reviewed)")
    where_it_lies = np.roll(good, SHIFT[::-1], axis=(0, 1))
    laid = asked(room, flagged)
    assert laid.shape == (HEIGHT, WIDTH, 3)
    assert apart(laid, where_it_lies) < 4 < apart(good, where_it_lies)


def test_the_recipes_reference_of_then_goes_before_the_last_good_part(room: Room, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "7_temp.png"), design(7))
    compares = model(tmp_path, input={"profile": "reference"})
    recipe = {"reference": {"path": str(tmp_path), "pattern": "(.+)_test[.]png", "name": r"\1_temp.png"}}
    add(room, photo(design(7), 1), Verdict.PASS, model=compares, recipe=recipe)
    record = add(room, photo(spoil(design(7), ["copper"], 1)[0], 2, shift=SHIFT), model=compares, recipe=recipe)
    assert [offer.words.split()[0] for offer in beside_of(room, record)] == ["Reference", "Last"]
    where_it_lies = np.repeat(np.roll(design(7), SHIFT[::-1], axis=(0, 1))[:, :, None], 3, axis=2)
    assert apart(asked(room, record), where_it_lies) < 4
    (tmp_path / "7_temp.png").unlink()
    with pytest.raises(ImageError, match="reference cannot be opened"):
        asked(room, record)
    assert asked(room, record, 1).shape == (HEIGHT, WIDTH, 3)


def golden_model(folder: Path, golden: np.ndarray, **changes: Any) -> ModelInfo:
    """A model of whole parts with this golden picture (h, w) of [0, 1], and its weights on disk."""
    (folder / "bundle").mkdir(exist_ok=True)
    weights = folder / "bundle" / "weights.safetensors"
    save_file({"profile.golden": golden[None].astype(np.float32)}, weights)
    height, width = golden.shape
    told = {
        "input": {"profile": "part", "height_px": height, "width_px": width},
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    return model(folder, **(told | changes))


def test_the_golden_picture_lies_where_the_model_compared_it(room: Room, tmp_path: Path) -> None:
    board = np.full((80, 80), 0.5)  # a picture of 192 × 160 is letterboxed: rows 7 to 73 of 80 are the photo's
    board[7:40, :40] = 0.1
    record = add(room, photo(design(3), 3), model=golden_model(tmp_path, board))
    (offer,) = beside_of(room, record)
    assert offer.words.startswith("Golden picture of the model")
    laid = asked(room, record).astype(int)
    assert np.abs(laid[4:70, 4:86] - 26).max() < 12
    assert np.abs(laid[4:70, 106:] - 128).max() < 12
    assert np.abs(laid[90:, 4:86] - 128).max() < 12


def test_in_a_region_of_interest_the_golden_picture_covers_only_that(room: Room, tmp_path: Path) -> None:
    golden = golden_model(tmp_path, np.full((64, 64), 0.25))
    image = photo(design(3), 3)
    laid = asked(room, add(room, image, model=golden, recipe={"region_of_interest": [40, 30, 104, 94]})).astype(int)
    assert np.abs(laid[36:88, 46:98] - 64).max() < 12
    assert np.abs(laid[100:, :] - image[100:, :].astype(int)).mean() < 6


@pytest.mark.parametrize("broken", ["gone", "other", "none", "size"])
def test_a_golden_picture_that_cannot_be_had_is_an_error_and_the_next_stands_in(
    room: Room, tmp_path: Path, broken: str
) -> None:
    golden = golden_model(tmp_path, np.full((64, 64), 0.25))
    weights = golden.path / "weights.safetensors"
    if broken == "gone":
        weights.unlink()
    elif broken == "other":
        save_file({"profile.golden": np.zeros((1, 64, 64), np.float32)}, weights)
    elif broken == "none":
        save_file({"else": np.zeros(1, np.float32)}, weights)
        golden = replace(golden, spec={**golden.spec, "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()})
    else:
        golden = replace(golden, spec={**golden.spec, "input": {"profile": "part", "height_px": 80, "width_px": 64}})
    add(room, photo(design(3), 3), Verdict.PASS)
    record = add(room, photo(design(3), 4), model=golden)
    with pytest.raises((BundleError, ImageError)):
        asked(room, record)
    assert asked(room, record, 1).shape == (HEIGHT, WIDTH, 3)


def test_a_part_without_a_kept_picture_is_compared_with_nothing(room: Room) -> None:
    add(room, photo(design(3), 3), Verdict.PASS)
    record = add(room, photo(design(3), 4))
    gone = replace(record, row=replace(record.row, image_pruned_at=datetime.now(UTC)))
    assert beside_of(room, gone) == []


@pytest.mark.parametrize("wanted", ["", "reference", "golden", "1", "../kizu.db", "01890000-0000-7000-8000-000000000000"])
def test_what_no_record_has_gives_no_picture(room: Room, wanted: str) -> None:
    record = add(room, photo(design(3), 4))
    assert beside_picture(room, record, QueryParams({"with": wanted})) is None


def test_a_part_of_another_size_cannot_be_laid_over(room: Room) -> None:
    other = add(room, photo(design(3), 3)[:, :96], Verdict.PASS)
    with pytest.raises(ImageError, match="another size"):
        beside_picture(room, add(room, photo(design(3), 4)), QueryParams({"with": other.row.uid}))


def test_a_good_part_whose_file_is_lost_is_an_error_and_not_the_photo_again(room: Room) -> None:
    good = add(room, photo(design(3), 3), Verdict.PASS)
    assert good.row.image_sha256 is not None
    room.images.path_of(good.row.image_sha256).unlink()
    with pytest.raises(RecordError):
        asked(room, add(room, photo(design(3), 4)))


def test_a_recipe_whose_one_reference_is_gone_is_an_error(room: Room, tmp_path: Path) -> None:
    compares = model(tmp_path, input={"profile": "reference"})
    record = add(room, photo(design(7), 1), model=compares, recipe={"reference": {"path": str(tmp_path / "gone.png")}})
    with pytest.raises(ConfigError, match="reference cannot be opened"):
        asked(room, record)
