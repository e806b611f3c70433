"""The line's service over a folder: one row a file, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import structlog
import yaml

from kizu_db.settings import DatabaseSettings
from kizu_db.values import ExplanationState
from kizu_inspect.errors import BundleError, ConfigError, KizuError, MethodError, SourceError
from kizu_inspect.inspector import Inspector
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.images import encode_png
from kizu_inspect.picture.quality import measure
from kizu_inspect.recipe import Recipe
from kizu_inspect.results import Verdict
from kizu_pipeline import explaining
from kizu_pipeline.locks import folder_lock
from kizu_pipeline.settings import CameraSource
from line_world import ALL_PASS, ALL_REJECT, ALL_REVIEW, LineWorld, drawn_png, names_in


def stop_before_explaining(monkeypatch: pytest.MonkeyPatch, world: LineWorld, **recipe: Any) -> None:
    """Run the line and end it between transaction 1 and transaction 2."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(explaining, "explain_each", die)
        with pytest.raises(KeyboardInterrupt):
            world.run(**{**ALL_REJECT, **recipe})
    assert {record.row.explanation_state for record in world.inspections()} == {ExplanationState.PENDING}


def test_what_the_gates_measured_stands_in_the_record(world: LineWorld) -> None:
    picture = decode_image(world.drop("P1.png").read_bytes(), max_megapixels=1)
    world.drop("P2.png", b"\x89PNG no picture")
    world.drop("P3.png", encode_png(np.full((64, 64, 3), 77, np.uint8)))
    world.run(**ALL_PASS)
    found = {record.row.part: record for record in world.inspections()}
    assert found["P1"].measured == pytest.approx(measure(picture))
    assert found["P2"].measured is None
    stopped = found["P3"]
    assert (stopped.row.verdict, (stopped.measured or {})["level"]) == (Verdict.ERROR, 77)


def test_one_row_a_file_with_all_that_is_known(world: LineWorld) -> None:
    for number in range(10):
        world.drop(f"P{number}_top.png", seed=number)
    source = world.folder(part_pattern="(?P<part>[^_]+)_(?P<view>.+)")
    summary = world.run(source=source, audit_share=0.5)
    records = world.inspections()
    assert sorted(record.row.part for record in records) == [f"P{number}" for number in range(10)]
    assert {record.row.view for record in records} == {"top"}
    assert names_in(world.incoming) == []
    assert names_in(world.done) == sorted(f"P{number}_top.png" for number in range(10))
    assert summary.files == 10
    assert sum(summary.verdicts.values()) == 10
    assert set(summary.verdicts) == set(Verdict)
    assert summary.pictures_per_s > 0
    record = records[0]
    assert record.model is not None
    assert record.recipe is not None
    assert record.recipe.content["bundle"] == str(world.bundle)
    assert record.device == "cpu"
    assert set(record.timings_ms) == {"read", "decode", "store", "judge"}
    assert record.row.captured_at.tzinfo is not None


def test_verdict_and_map_are_those_of_the_inspector(world: LineWorld) -> None:
    for number in range(5):
        world.drop(f"P{number}.png", seed=number)
    world.run(**ALL_REJECT, max_batch=2)
    inspector = Inspector.load(Recipe(bundle=world.bundle, **ALL_REJECT), device="cpu")
    for number, record in enumerate(sorted(world.inspections(), key=lambda record: record.row.part)):
        batch = inspector.judge([decode_image(drawn_png(number))])
        (explanation,) = inspector.explain(batch, [0])
        assert record.probabilities == pytest.approx(batch.judgements[0].probabilities, abs=1e-5)
        assert record.explanation is not None
        np.testing.assert_allclose(record.explanation.heatmap.grid, explanation.heatmap.grid, atol=2e-3)
        assert record.row.image_sha256 is not None
        assert world.images.get(record.row.image_sha256) == drawn_png(number)


def test_identical_pictures_of_two_parts_are_two_inspections(world: LineWorld) -> None:
    world.drop("A.png")
    world.drop("B.png")
    world.run()
    first, second = world.inspections()
    assert {first.row.part, second.row.part} == {"A", "B"}
    assert first.row.image_sha256 == second.row.image_sha256
    assert len(names_in(world.root / "images")) == 1


def _jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((64, 64, 3), 128, np.uint8))[1])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", "picture is empty: found 0 bytes", id="empty"),
        pytest.param(b"not a picture at all", "not a picture", id="not a picture"),
        pytest.param(drawn_png()[:-200], "picture is truncated or broken", id="truncated PNG"),
        pytest.param(_jpeg()[:-300], "picture is truncated or broken", id="truncated JPEG"),
        pytest.param(encode_png(np.zeros((128, 128, 3), np.uint8)), "picture is too large: found 128 × 128 px", id="too large"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_its_error(world: LineWorld, data: bytes, error: str) -> None:
    world.drop("line 2/bad.png", data)
    summary = world.run(max_megapixels=0.01)
    record = world.only()
    assert record.row.verdict is Verdict.ERROR
    assert record.row.part == "bad"
    assert record.error is not None
    assert record.error.startswith(error)
    assert record.row.reason == record.error
    assert record.row.explanation_state is ExplanationState.NONE
    assert names_in(world.quarantine) == ["line 2/bad.png", "line 2/bad.png.json"]
    note = json.loads((world.quarantine / "line 2" / "bad.png.json").read_text())
    assert note["error"] == record.error
    assert note["inspection"] == record.row.uid
    assert (summary.quarantined, summary.verdicts[Verdict.ERROR]) == (1, 1)
    assert names_in(world.incoming) == []


def test_one_bad_file_does_not_touch_its_neighbours(world: LineWorld) -> None:
    for number in range(6):
        world.drop(f"P{number}.png", b"bad" if number == 2 else None, seed=number)
    summary = world.run(**ALL_PASS)
    assert (summary.verdicts[Verdict.PASS], summary.verdicts[Verdict.ERROR]) == (5, 1)


def test_name_clash_in_done(world: LineWorld) -> None:
    for seed in (1, 2):
        world.drop("a.png", seed=seed)
        world.run()
    assert names_in(world.done) == ["a-1.png", "a.png"]
    assert (world.done / "a.png").read_bytes() == drawn_png(1)
    assert len(world.inspections()) == 2


@pytest.mark.parametrize("data", [None, b"not a picture"], ids=["picture", "unreadable"])
def test_a_file_whose_row_exists_is_only_put_away(world: LineWorld, data: bytes | None) -> None:
    path = world.drop("a.png", data)
    world.run()
    before = world.only().row
    put_away = next(folder / "a.png" for folder in (world.done, world.quarantine) if (folder / "a.png").exists())
    after = names_in(put_away.parent)
    put_away.rename(path)  # as after a crash between the row and the move
    summary = world.run()
    assert (summary.files, summary.only_moved) == (0, 1)
    assert world.only().row == before
    assert names_in(world.incoming) == []
    assert names_in(put_away.parent) == after


def test_a_picture_that_somebody_puts_into_the_folder_again_is_inspected_again(world: LineWorld) -> None:
    path = world.drop("a.png")
    world.run()
    shutil.copy2(world.done / "a.png", path)
    assert world.run().files == 1
    assert len(world.inspections()) == 2


def test_a_name_used_again_by_a_camera_without_a_clock_is_another_part(world: LineWorld) -> None:
    pictures = [encode_png(np.full((64, 64, 3), grey, np.uint8)) for grey in (90, 91)]
    size = max(len(one) for one in pictures)
    for picture in pictures:
        path = world.drop("image.png", picture + bytes(size - len(picture)))
        os.utime(path, (946684800, 946684800))
        assert world.run(source=world.folder(keep="delete")).files == 1
    assert len({record.row.image_sha256 for record in world.inspections()}) == 2


def test_a_file_that_cannot_be_put_away_is_told_and_moved_later(world: LineWorld) -> None:
    world.drop("line 2/a.png")
    world.drop("b.png")
    world.done.mkdir()
    obstacle = world.done / "line 2"
    obstacle.write_text("a file where the folder should be")
    with pytest.raises(KizuError, match=r"1 files are inspected and recorded but could not be put away: found .*done/line 2'"):
        world.run()
    assert len(world.inspections()) == 2
    obstacle.unlink()
    assert world.run().only_moved == 1
    assert names_in(world.done) == ["b.png", "line 2/a.png"]
    assert len(world.inspections()) == 2


@pytest.mark.parametrize(
    ("recipe", "policy", "state"),
    [
        pytest.param(ALL_REJECT, "flagged", ExplanationState.DONE, id="REJECT"),
        pytest.param(ALL_REVIEW, "flagged", ExplanationState.DONE, id="REVIEW"),
        pytest.param(ALL_PASS, "flagged", ExplanationState.NONE, id="PASS"),
        pytest.param({**ALL_PASS, "audit_share": 1.0}, "flagged", ExplanationState.DONE, id="audit sample"),
        pytest.param(ALL_PASS, "all", ExplanationState.DONE, id="all"),
        pytest.param(ALL_REJECT, "on_demand", ExplanationState.NONE, id="on demand"),
    ],
)
def test_policy_says_what_is_explained(
    world: LineWorld, recipe: dict[str, float], policy: str, state: ExplanationState
) -> None:
    world.drop("a.png")
    summary = world.run(policy=policy, **recipe)
    record = world.only()
    assert record.row.explanation_state is state
    assert record.row.has_heatmap is (state is ExplanationState.DONE)
    assert summary.explained == int(record.row.has_heatmap)


def test_audit_sample_is_a_share_of_the_passes_with_its_probability(world: LineWorld) -> None:
    for number in range(60):
        world.drop(f"P{number}.png")
    world.run(**ALL_PASS, audit_share=0.3, max_batch=60)
    records = world.inspections()
    drawn = sum(record.row.audit for record in records)
    assert 5 <= drawn <= 35  # 18 expected; each bound is some four standard deviations away
    assert {record.audit_probability for record in records} == {0.3}
    assert all(record.row.has_heatmap is record.row.audit for record in records)


def test_each_turn_of_the_loop_beats(world: LineWorld) -> None:
    heartbeat, stop = world.root / "heartbeat", threading.Event()
    world.drop("a.png")
    beats: list[int] = []

    def after_a_piece(done: int) -> None:
        until = time.monotonic() + 10
        while heartbeat.stat().st_mtime_ns == 0 and time.monotonic() < until:  # other stages turn meanwhile
            time.sleep(0.01)
        beats.append(heartbeat.stat().st_mtime_ns)
        if done == 1:
            os.utime(heartbeat, ns=(0, 0))  # as of long ago
            world.drop("b.png")
        else:
            stop.set()

    world.run(heartbeat=heartbeat, once=False, stop=stop, progress=after_a_piece)
    assert len(beats) == 2
    assert all(beat > 0 for beat in beats)


def test_a_heartbeat_that_cannot_be_written_stops_no_line(world: LineWorld) -> None:
    world.drop("a.png")
    with structlog.testing.capture_logs() as logs:
        assert world.run(heartbeat=world.root / "absent" / "heartbeat").files == 1
    assert {"event": "heartbeat failed", "log_level": "warning", "error": "No such file or directory"}.items() <= next(
        log.items() for log in logs if log["event"] == "heartbeat failed"
    )


def test_flagged_parts_are_not_in_the_audit_sample(world: LineWorld) -> None:
    world.drop("a.png")
    world.run(**ALL_REJECT, audit_share=1.0)
    assert (world.only().row.audit, world.only().audit_probability) == (False, None)


def test_pending_explanations_are_made_from_the_stored_pictures(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        world.drop(f"P{number}.png", seed=number)
    stop_before_explaining(monkeypatch, world)
    shutil.rmtree(world.done)
    summary = world.run(max_batch=2)
    assert (summary.files, summary.pending_made) == (0, 3)
    assert all(record.row.has_heatmap for record in world.inspections())


def test_a_pending_explanation_is_made_by_the_model_that_judged(
    world: LineWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    newer = _changed_bundle(world.bundle, tmp_path / "newer", name="newer")
    world.drop("a.png")
    stop_before_explaining(monkeypatch, world)
    world.run(bundle=newer)
    record = world.only()
    assert record.model is not None
    assert record.model.path == world.bundle
    assert record.row.explanation_state is ExplanationState.DONE


def test_a_pending_explanation_is_made_by_the_recipe_that_promised_it(
    world: LineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today's recipe passes everything and explains by another method; the part was rejected and promised a CAM."""
    world.drop("a.png")
    stop_before_explaining(monkeypatch, world, method="cam")
    world.run(**ALL_PASS, method="grad-cam++")
    record = world.only()
    assert [explanation.heatmap.method for explanation in record.explanations] == ["cam"]
    assert record.explanation is not None
    assert record.explanation.check is not None
    # Everything is rejected by that recipe, so no map can carry the verdict: only a recipe that passes all hides that.
    assert record.explanation.check.conflict


@pytest.mark.parametrize("lost", ["picture", "model", "other model"])
def test_an_explanation_that_cannot_be_made_fails_with_its_reason(
    world: LineWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str
) -> None:
    judged_by = _changed_bundle(world.bundle, tmp_path / "old", name="old")
    world.drop("a.png")
    stop_before_explaining(monkeypatch, world, bundle=judged_by)
    if lost == "picture":
        for stored in world.images.path.rglob("*.png"):
            stored.unlink()
    elif lost == "model":
        shutil.rmtree(judged_by)
    else:
        _changed_bundle(world.bundle, judged_by, name="trained again")
    summary = world.run()
    record = world.only()
    assert summary.explanations_failed == 1
    assert record.row.explanation_state is ExplanationState.FAILED
    reason = {
        "picture": "is not in the image store",
        "model": "the model that judged cannot be loaded: model bundle is not there",
        "other model": "is not the model that judged this part",
    }[lost]
    assert record.explanation_error is not None
    assert reason in record.explanation_error


def test_one_map_that_fails_costs_no_other(world: LineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    explain = Inspector.explain

    def picky(self: Inspector, batch: Any, indices: Any) -> Any:
        if 1 in indices:
            raise FloatingPointError("no such gradient")
        return explain(self, batch, indices)

    monkeypatch.setattr(Inspector, "explain", picky)
    for number in range(3):
        world.drop(f"P{number}.png", seed=number)
    summary = world.run(**ALL_REJECT)
    assert (summary.explained, summary.explanations_failed) == (2, 1)
    (error,) = {record.explanation_error for record in world.inspections()} - {None}
    assert error == "FloatingPointError: no such gradient"


def _changed_bundle(bundle: Path, copy: Path, **changes: Any) -> Path:
    """A copy of the bundle whose description says something else, and which therefore has another hash."""
    shutil.copytree(bundle, copy, dirs_exist_ok=True)
    spec = yaml.safe_load((bundle / "bundle.yaml").read_text())
    spec.update(changes)
    (copy / "bundle.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return copy


def test_a_bundle_without_a_promise_asks_for_leave(world: LineWorld, tmp_path: Path) -> None:
    thresholds = yaml.safe_load((world.bundle / "bundle.yaml").read_text())["thresholds"]
    bundle = _changed_bundle(world.bundle, tmp_path / "bare", thresholds={**thresholds, "promise": None})
    world.drop("a.png")
    with pytest.raises(ConfigError, match=r"promises no miss rate: .* set recipe\.allow_no_promise: true"):
        world.run(bundle=bundle, allow_no_promise=False)
    assert world.run(bundle=bundle).files == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        pytest.param({"method": "grad-camera"}, MethodError, "cam", id="unknown method"),
        pytest.param({"bundle": Path("nowhere")}, BundleError, "nowhere", id="no bundle"),
    ],
)
def test_what_is_wrong_from_the_start_judges_nothing(
    world: LineWorld, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    world.drop("a.png")
    with pytest.raises(error, match=message):
        world.run(**changes)
    assert world.inspections() == []
    assert names_in(world.incoming) == ["a.png"]


def test_the_same_line_on_postgresql(tmp_path: Path, line_bundle: Path, new_postgresql: Callable[[], DatabaseSettings]) -> None:
    with LineWorld(tmp_path, line_bundle, database=new_postgresql()) as world:
        for number in range(6):
            world.drop(f"P{number}.png", b"bad" if number == 3 else None, seed=number)
        summary = world.run(**ALL_REJECT)
        assert (summary.verdicts[Verdict.REJECT], summary.quarantined, summary.explained) == (5, 1, 5)
        assert [record.row.has_heatmap for record in world.inspections()].count(True) == 5
        for name in names_in(world.done):
            (world.done / name).rename(world.incoming / name)
        assert world.run().only_moved == 5
        assert len(world.inspections()) == 6


def test_second_service_on_a_folder_is_refused(world: LineWorld) -> None:
    world.drop("a.png")
    with (
        folder_lock(world.incoming, station="press-1"),
        pytest.raises(SourceError, match="found station press-1, process"),
    ):
        world.run()
    assert world.run().files == 1


def test_a_service_that_runs_on_takes_new_files_and_stops_when_asked(world: LineWorld) -> None:
    stop, seen = threading.Event(), threading.Semaphore(0)
    summaries = []
    world.drop("first.png")
    line = threading.Thread(
        target=lambda: summaries.append(world.run(**ALL_REJECT, once=False, stop=stop, progress=lambda _: seen.release()))
    )
    line.start()
    assert seen.acquire(timeout=60)
    world.drop("second.png.tmp", seed=1).rename(world.incoming / "second.png")
    assert seen.acquire(timeout=60)
    stop.set()
    line.join(timeout=60)
    (summary,) = summaries
    assert summary.files == 2
    assert {record.row.part for record in world.inspections()} == {"first", "second"}
    assert all(record.row.has_heatmap for record in world.inspections())  # what was in work was finished
    assert names_in(world.incoming) == []


def test_every_frame_of_a_video_gets_a_row_and_a_second_run_adds_none(world: LineWorld, tmp_path: Path) -> None:
    video = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 64))
    for number in range(100):
        writer.write(cv2.imdecode(np.frombuffer(drawn_png(number % 10), np.uint8), cv2.IMREAD_COLOR))
    writer.release()
    camera = CameraSource(kind="camera", device=str(video))
    assert world.run(source=camera, once=False, max_batch=16).files == 100
    records = world.inspections()
    assert [record.image_name for record in records] == [f"frame {number}" for number in range(1, 101)]
    assert world.run(source=camera, max_batch=16).files == 0
    assert len(world.inspections()) == 100


def test_a_video_cut_off_in_the_middle_goes_on_where_it_was(world: LineWorld, tmp_path: Path) -> None:
    video = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 64))
    for number in range(60):
        writer.write(np.full((64, 64, 3), 4 * number, np.uint8))
    writer.release()
    camera = CameraSource(kind="camera", device=str(video))
    stop = threading.Event()
    first = world.run(source=camera, stop=stop, progress=lambda _: stop.set())
    second = world.run(source=camera)
    assert 0 < first.files < 60
    assert second.files == 60 - first.files
    assert len(world.inspections()) == 60


def test_log_has_one_line_a_decision_with_part_and_inspection(world: LineWorld) -> None:
    world.drop("a.png")
    world.drop("b.png", b"bad")
    with structlog.testing.capture_logs() as lines:
        world.run(**ALL_PASS)
    decisions = {line["part"]: line for line in lines if line["event"] == "inspected"}
    uids = {record.row.part: record.row.uid for record in world.inspections()}
    assert {part: line["inspection"] for part, line in decisions.items()} == uids
    assert (decisions["a"]["verdict"], decisions["b"]["verdict"]) == ("PASS", "ERROR")
    assert decisions["b"]["log_level"] == "error"


def test_times_no_calendar_knows(world: LineWorld) -> None:
    path = world.drop("a.png")
    os.utime(path, ns=(0, -(2**61)))
    world.run()
    assert world.only().row.part == "a"
