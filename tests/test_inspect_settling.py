"""Labels drawn on a picture of another size, or on one that stands upright, land where they were drawn, or are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from formats_world import write_yolo
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.places import marked_by
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.shapes import Pixels
from layouts_world import runs

ORIENTATION = 0x0112


def photo(path: Path, *, turn: int, width: int = 60, height: int = 40) -> None:
    """A dark picture with a bright rectangle, whose orientation says `turn`; its pixels lie as a camera stores them."""
    stored = np.full((height, width, 3), 30, np.uint8)
    stored[8:14, 20:45] = 240
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored).save(path, exif=exif, quality=95, subsampling=0)


def bright(path: Path, *, upright: bool) -> Pixels:
    with Image.open(path) as image:
        shown = ImageOps.exif_transpose(image) if upright else image
        return np.asarray(shown.convert("L")) > 127


def drawn(root: Path, turns: list[int], segmentation: Callable[[Pixels], object]) -> Path:
    """A COCO set that a viewer drew on what it shows: upright."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, turn in enumerate(turns):
        photo(root / "images" / f"{number}.jpg", turn=turn)
        shown = bright(root / "images" / f"{number}.jpg", upright=True)
        ys, xs = np.nonzero(shown)
        x, y = int(xs.min()), int(ys.min())
        box = [x, y, int(xs.max()) + 1 - x, int(ys.max()) + 1 - y]
        images.append({"id": number, "file_name": f"{number}.jpg", "width": shown.shape[1], "height": shown.shape[0]})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": box, "segmentation": segmentation(shown)}
        )
    return _write(root, images, annotations)


def _write(root: Path, images: list[dict[str, object]], annotations: list[dict[str, object]]) -> Path:
    content = {"images": images, "categories": [{"id": 1, "name": "dent"}], "annotations": annotations}
    (root / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def outline(shown: Pixels) -> object:
    ys, xs = np.nonzero(shown)
    x1, y1, x2, y2 = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def run_lengths(shown: Pixels) -> object:
    return {"size": list(shown.shape), "counts": runs(shown)}


def read(path: Path) -> tuple[dict[str, Sample], list[Finding]]:
    findings: list[Finding] = []
    samples = read_samples(path, group_pattern=None, report=findings.append).samples
    return {sample.path.name: sample for sample in samples}, findings


@pytest.mark.parametrize("segmentation", [outline, run_lengths])
def test_what_a_viewer_drew_is_turned_back_to_the_pixels(tmp_path: Path, segmentation: Callable[[Pixels], object]) -> None:
    samples, findings = read(drawn(tmp_path, [5, 6, 7, 8, 1], segmentation))
    (told,) = findings
    assert (told.kind, told.severity, len(told.pictures)) == ("turned", "warning", 4)
    for sample in samples.values():
        assert sample.boxes == ((20, 8, 45, 14, "dent"),)
        assert np.array_equal(marked_by(sample, (40, 60)), bright(sample.path, upright=False))  # type: ignore[arg-type]


@pytest.mark.parametrize("turn", [2, 3, 4])
def test_a_turn_that_keeps_the_size_is_refused(tmp_path: Path, turn: int) -> None:
    samples, findings = read(drawn(tmp_path, [1, turn], outline))
    (told,) = findings
    assert (told.kind, told.severity) == ("orientation", "error")
    assert f"1.jpg (orientation {turn})" in told.text
    assert (samples["0.jpg"].boxes, samples["1.jpg"].boxes) == (((20, 8, 45, 14, "dent"),), ())
    assert samples["1.jpg"].label == "dent"  # what is not known to lie there is still no good part


def test_shares_of_a_turned_picture_are_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a.png": "0 0.5 0.5 0.2 0.2\n", "b.png": ""})
    photo(tmp_path / "images" / "a.jpg", turn=6)
    (tmp_path / "images" / "a.png").unlink()
    _, findings = read(tmp_path)
    assert [one.kind for one in findings if one.severity == "error"] == ["orientation"]


def scaled_set(root: Path, *, shrink: list[tuple[int, int]], segmentation: bool) -> Path:
    """Drawn on pictures of 240 × 160 px, of which the files were made smaller to these sizes."""
    shown = np.zeros((160, 240), np.bool_)
    shown[32:56, 80:180] = True
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (width, height) in enumerate(shrink):
        photo(root / "images" / f"{number}.jpg", turn=1, width=width, height=height)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 240, "height": 160})
        one = {"id": number, "image_id": number, "category_id": 1, "bbox": [80, 32, 100, 24]}
        annotations.append({**one, "segmentation": run_lengths(shown)} if segmentation and number % 2 else one)
    return _write(root, images, annotations)


def test_labels_of_larger_pictures_are_scaled_where_all_agree(tmp_path: Path) -> None:
    samples, findings = read(scaled_set(tmp_path, shrink=[(60, 40)] * 4, segmentation=True))
    (told,) = findings
    assert (told.kind, told.severity) == ("scaled", "warning")
    assert "found 4 pictures: 240 × 160 px as 60 × 40, and so by 0.25" in told.text
    for sample in samples.values():
        assert sample.boxes == ((20, 8, 45, 14, "dent"),)
    assert np.array_equal(marked_by(samples["1.jpg"], (40, 60)), bright(samples["1.jpg"].path, upright=False))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "shrink",
    [[(60, 40), (120, 80)], [(60, 40), (240, 160)], [(60, 60), (60, 60)], [(60, 40), (60, 30)]],
    ids=["two factors", "some as they were", "squeezed", "cut"],
)
def test_sizes_that_do_not_agree_are_refused(tmp_path: Path, shrink: list[tuple[int, int]]) -> None:
    samples, findings = read(scaled_set(tmp_path, shrink=shrink, segmentation=False))
    told = [one for one in findings if one.severity == "error"]
    assert [one.kind for one in told] == ["drawn_on_other_size"]
    assert "0.jpg 240 × 160 as 60 × " in told[0].text
    assert {sample.label for sample in samples.values()} == {"dent"}
    assert samples["0.jpg"].boxes == ()


def test_less_than_a_pixel_beyond_the_edge_is_cut_and_said(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, {"a.png": "0 0.904000 0.5 0.202 0.2\n", "b.png": "0 0.95 0.5 0.2 0.2\n", "c.png": ""})
    samples, findings = read(root)
    assert samples["a.png"].boxes == ((32, 12, 40, 18, "dent"),)  # 32.12 to 40.2 of 40 px
    assert samples["b.png"].boxes == ((34, 12, 42, 18, "dent"),)  # 2 px beyond: refused where boxes are looked at
    assert [one.pictures for one in findings if one.kind == "box_cut"] == [(root / "images" / "a.png",)]


def test_shares_of_a_picture_that_was_cut_are_refused(tmp_path: Path) -> None:
    tasks = []
    for number, (width, height) in enumerate([(160, 120), (60, 45), (60, 60), (61, 45)]):
        photo(tmp_path / f"{number}.jpg", turn=1, width=width, height=height)
        value = {"x": 25, "y": 20, "width": 50, "height": 40, "rectanglelabels": ["dent"]}
        result = {"type": "rectanglelabels", "original_width": 160, "original_height": 120, "value": value}
        tasks.append({"id": number, "data": {"image": f"{number}.jpg"}, "annotations": [{"id": number, "result": [result]}]})
    (tmp_path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    samples, findings = read(tmp_path)
    (told,) = findings
    assert (told.kind, told.severity, told.pictures) == ("drawn_on_other_size", "error", (tmp_path / "2.jpg",))
    assert "2.jpg 160 × 120 as 60 × 60" in told.text
    assert [samples[f"{number}.jpg"].boxes for number in range(4)] == [
        ((40, 24, 120, 72, "dent"),), ((15, 9, 45, 27, "dent"),), (), ((15, 9, 46, 27, "dent"),),
    ]  # fmt: skip
