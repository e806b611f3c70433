"""A map on demand: made from the stored picture and the model named in the record, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from dashboard_world import Plant, empty_plant, enter_people, session_cookie
from kizu_dashboard.explaining import can_explain, explain_stored, methods_of
from kizu_dashboard.room import close_rooms, open_room
from kizu_db.values import ExplanationState, NewInspection
from kizu_inspect.bundle import Bundle, BundleSpec, Calibration, ExplanationScales, Provenance, Thresholds
from kizu_inspect.errors import BundleError, NotAllowed, RecordError
from kizu_inspect.inspector import Inspector
from kizu_inspect.network.model import Architecture, build_classifier
from kizu_inspect.picture.images import encode_png
from kizu_inspect.picture.inputs import InputSettings
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import ModelInfo
from kizu_inspect.synth import KINDS, draw_part
from pages_world import open_page


def untrained(folder: Path, *, seed: int) -> ModelInfo:
    """A small model as it comes from the random numbers."""
    architecture, inputs = Architecture(width=4), InputSettings(height_px=64, width_px=64)
    provenance = Provenance(data_hash="0" * 64, seed=seed, threads=1, device="cpu", steps=0, versions={}, figures={})
    spec = BundleSpec(
        name="untrained",
        classes=KINDS,
        good="good",
        input=inputs,
        architecture=architecture,
        calibration=Calibration(),
        thresholds=Thresholds(),
        explanation={
            method: ExplanationScales(scale=0.01, region_threshold=0.5) for method in ("cam", "grad-cam", "score-cam")
        },
        provenance=provenance,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_classifier(architecture, inputs, classes=len(KINDS), good=0)
    return Bundle.save(folder, spec, model).info


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """One PASS part, judged by a real model and not explained."""
    config = empty_plant(tmp_path)
    room = open_room(config.model_dump_json())
    image = draw_part("good", 3, size_px=96).image
    model = untrained(tmp_path / "bundle", seed=1)
    (judgement,) = Inspector.load(Recipe(bundle=model.path), device="cpu").judge([image]).judgements
    now = datetime.now(UTC)
    with room.records.unit() as unit:
        unit.models.register(model)
        recipe = unit.recipes.register("press-3", {"bundle": "elsewhere", "max_megapixels": 1.0}, model.hash)
        uid = unit.inspections.add(
            NewInspection(
                source="folder incoming",
                source_key="1.png",
                station="press-3",
                part="P-1",
                captured_at=now,
                judged_at=now,
                judgement=judgement,
                image_sha256=room.images.put(encode_png(image), suffix=".png"),
                image_name="1.png",
                model_hash=model.hash,
                recipe_id=recipe.id,
            )
        )
    yield Plant(config, room, {"P-1": uid})
    close_rooms()


def test_the_map_is_that_of_the_line_and_stays(plant: Plant) -> None:
    before = plant.record("P-1")
    assert can_explain(before, "grad-cam")
    explain_stored(plant.room, before.row.uid, "grad-cam", by="Kim")
    after = plant.record("P-1")
    assert after.row.explanation_state is ExplanationState.DONE
    assert not can_explain(after, "grad-cam")
    assert before.model is not None
    line = Inspector.load(Recipe(bundle=before.model.path), device="cpu")
    (expected,) = line.explain(line.judge([draw_part("good", 3, size_px=96).image]), [0])
    assert after.explanation is not None
    np.testing.assert_array_equal(after.explanation.heatmap.grid, expected.heatmap.grid)
    assert after.explanation.heatmap.target == expected.heatmap.target
    assert after.explanation.regions == expected.regions


def test_a_second_opinion_stands_beside_the_lines_map(plant: Plant) -> None:
    uid = plant.uids["P-1"]
    assert methods_of(plant.record("P-1")) == ["grad-cam", "cam", "score-cam"]
    explain_stored(plant.room, uid, "score-cam", by="Kim")
    alone = plant.record("P-1").explanation
    assert alone is not None
    assert alone.heatmap.method == "score-cam"
    explain_stored(plant.room, uid, "grad-cam", by="Kim")
    explain_stored(plant.room, uid, "cam", by="Kim")
    record = plant.record("P-1")
    assert [one.heatmap.method for one in record.explanations] == ["score-cam", "grad-cam", "cam"]
    assert record.explanation == record.explained_by("grad-cam")
    assert record.explanation is not None
    assert methods_of(record) == ["grad-cam", "score-cam", "cam"]


def test_a_second_opinion_does_not_hide_that_the_lines_map_failed(plant: Plant) -> None:
    uid = plant.uids["P-1"]
    with plant.room.records.unit() as unit:
        unit.inspections.fail_explanation(uid, "out of memory")
    explain_stored(plant.room, uid, "cam", by="Kim")
    told = plant.record("P-1")
    assert told.explained_by("cam") is not None
    assert (told.row.explanation_state, told.explanation_error) == (ExplanationState.FAILED, "out of memory")
    explain_stored(plant.room, uid, "grad-cam", by="Kim")  # the line's own method mends it
    mended = plant.record("P-1")
    assert (mended.row.explanation_state, mended.explanation_error) == (ExplanationState.DONE, None)


def test_another_map_is_made_and_drawn_from_the_page(plant: Plant, cookies: dict[str, str]) -> None:
    cookies |= session_cookie(plant.config, "Kim")
    uid = plant.uids["P-1"]
    explain_stored(plant.room, uid, "grad-cam", by="Kim")
    test = open_page(plant.config, "part.py", uid=uid)
    choice = test.segmented_control(key=f"method-{uid}")
    assert (choice.value, choice.options) == ("grad-cam", ["Grad-CAM", "CAM …", "Score-CAM …"])
    choice.set_value("score-cam").run()
    button = test.button(key=f"explain-{uid}")
    assert button.label == "Make the Score-CAM heatmap"
    button.click().run()
    assert not test.exception
    assert plant.record("P-1").explained_by("score-cam") is not None
    choice = test.segmented_control(key=f"method-{uid}")
    assert (choice.value, choice.options) == ("score-cam", ["Grad-CAM", "Score-CAM", "CAM …"])
    assert not [button for button in test.button if button.key == f"explain-{uid}"]


def test_a_method_that_the_model_does_not_have_is_a_clear_error(plant: Plant) -> None:
    with pytest.raises(BundleError, match="has no display scale for lfi-cam"):
        explain_stored(plant.room, plant.uids["P-1"], "lfi-cam", by="Kim")


def test_another_model_in_the_same_place_is_refused(plant: Plant) -> None:
    record = plant.record("P-1")
    assert record.model is not None
    untrained(record.model.path, seed=2)
    with pytest.raises(BundleError, match="is not the model that judged this part"):
        explain_stored(plant.room, record.row.uid, "grad-cam", by="Kim")
    assert plant.record("P-1").explanation is None


def test_a_model_that_is_gone_is_a_clear_error(plant: Plant) -> None:
    record = plant.record("P-1")
    assert record.model is not None
    for file in record.model.path.iterdir():
        file.unlink()
    with pytest.raises(BundleError, match="model bundle is not there"):
        explain_stored(plant.room, record.row.uid, "grad-cam", by="Kim")


def test_a_picture_that_is_gone_is_a_clear_error(plant: Plant) -> None:
    record = plant.record("P-1")
    assert record.row.image_sha256 is not None
    plant.room.images.path_of(record.row.image_sha256).unlink()
    with pytest.raises(RecordError, match="is not in the image store"):
        explain_stored(plant.room, record.row.uid, "grad-cam", by="Kim")


def test_what_lacks_picture_model_or_judgement_cannot_be_explained(plant: Plant) -> None:
    record = plant.record("P-1")
    assert not can_explain(replace(record, model=None), "grad-cam")
    assert not can_explain(replace(record, probabilities={}), "grad-cam")
    assert not can_explain(replace(record, row=replace(record.row, image_sha256=None)), "grad-cam")
    with pytest.raises(RecordError, match="nothing to explain"):
        explain_stored(plant.room, "01890000-0000-7000-8000-000000000000", "grad-cam", by="Kim")


def test_only_who_may_review_makes_maps(plant: Plant) -> None:
    enter_people(plant.room.records)
    for name in ("Vera", "nobody"):
        with pytest.raises(NotAllowed, match=f"{name} may not review"):
            explain_stored(plant.room, plant.uids["P-1"], "cam", by=name)
    assert plant.record("P-1").explanations == ()
    explain_stored(plant.room, plant.uids["P-1"], "cam", by="Kim")
    assert len(plant.record("P-1").explanations) == 1
