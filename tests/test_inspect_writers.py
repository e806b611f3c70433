"""A set that is written for other tools says what the set that was read says: classes, boxes, masks, splits and groups."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import parse

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from formats_world import HEIGHT, WIDTH, mask, picture, voc_xml, write_voc
from kizu_inspect.errors import ConfigError, DataError
from kizu_inspect.labelled.choices import LAYOUTS as WRITTEN
from kizu_inspect.labelled.choices import Layout
from kizu_inspect.labelled.findings import Finding, refuse
from kizu_inspect.labelled.places import defects_of, marked_by, places_of
from kizu_inspect.labelled.readers import read_samples
from kizu_inspect.labelled.readers.manifest import write_manifest
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.shapes import fill, pixels_of_runs, runs_of, spans_of
from kizu_inspect.labelled.writers.write import write_set
from layouts_world import LAYOUTS, SIZE

L_SHAPE = ((3.0, 3.0), (20.0, 3.0), (20.0, 9.0), (9.0, 9.0), (9.0, 21.0), (3.0, 21.0))
SPANS = fill((L_SHAPE,), SIZE)
"""In the box 3, 3, 20, 21, of which it is a part."""


def class_folders(root: Path) -> None:
    """In the folders of splits, with the same file names in each; a mask beside each defect, in two pieces."""
    for number, split in enumerate(("train", "val", "test")):
        for row in range(4):
            picture(root / split / "ok" / f"{row}.png", 100 * number + row)
            photo = picture(root / split / "dent" / f"{row}.png", 100 * number + 50 + row).rename(
                root / split / "dent" / f"{row}.jpg"
            )
            pixels = np.zeros(SIZE, np.uint8)
            pixels[3 : 9 + row, 4:7], pixels[20:25, 30:33] = 255, 255
            Image.fromarray(pixels).save(photo.with_suffix(".png"))


def yolo_outlines(root: Path) -> None:
    LAYOUTS["yolo"](root)
    names = sorted(file.name for file in (root / "images").iterdir())
    for split, listed in (("train", names[::2]), ("val", names[1::2])):
        (root / f"{split}.txt").write_text("".join(f"images/{name}\n" for name in listed), encoding="utf-8")
    with (root / "data.yaml").open("a", encoding="utf-8") as file:
        file.write("train: train.txt\nval: val.txt\n")


def manifest_of_parts(root: Path) -> None:
    """Parts of two pictures each in one split alone; outlines, boxes without, overlapping classes, and two under one name."""
    (root / "a").mkdir()
    (root / "b").mkdir()
    samples = []
    for number in range(8):
        file = picture(root / "ab"[number % 2] / f"{number // 2}.png", number)
        made = Sample(file, "good", "train", f"part {number // 2} é")
        if number >= 2:
            made = replace(made, label="scratch", boxes=((3, 3, 20, 21, "scratch"),), areas=(("scratch", SPANS),))
        if number >= 4:
            over = fill((((8.0, 4.0), (25.0, 4.0), (25.0, 7.0), (8.0, 7.0)),), SIZE)
            made = replace(
                made, others=("a:b <&>",), boxes=((8, 4, 25, 7, "a:b <&>"), *made.boxes), areas=(*made.areas, ("a:b <&>", over))
            )
        if number == 7:
            made = replace(made, boxes=((30, 20, 35, 25, "scratch"),), others=(), areas=())
        samples.append(made)
    write_manifest(root / "manifest.csv", samples)


SETS = {**LAYOUTS, "class folders": class_folders, "yolo in splits": yolo_outlines, "parts": manifest_of_parts}


@pytest.mark.parametrize("layout", WRITTEN)
@pytest.mark.parametrize("kind", SETS)
def test_what_is_written_reads_like_what_was_read(tmp_path: Path, kind: str, layout: Layout) -> None:
    root = tmp_path / "set"
    root.mkdir()
    SETS[kind](root)
    before = read_samples(root, group_pattern=None, report=refuse, splits="keep").samples
    write_set(tmp_path / "new", before, layout)
    read = read_samples(tmp_path / "new", group_pattern=None, report=refuse)
    assert (read.format, read.left_out.taken) == (layout, len(before))
    assert set(read.left_out.by_reason) <= {"a mask"}
    after = {(sample.group, sample.path.read_bytes()): sample for sample in read.samples}
    assert len(after) == len(before) >= 8
    for old in before:
        _same(old, after[old.group, old.path.read_bytes()])


def _same(old: Sample, new: Sample) -> None:
    named = tuple("good" if label == "ok" else label for label in old.labels)
    assert (new.labels, new.split, new.masked) == (named, old.split, old.masked)
    if named == ("good",):
        assert (new.boxes, new.areas) == ((), ())
        return
    defects = defects_of(new, SIZE)
    assert sorted(defects) == sorted(defects_of(old, SIZE))
    assert (marked_by(old, SIZE) is None) == (marked_by(new, SIZE) is None)
    if old.masked:
        assert np.array_equal(marked_by(old, SIZE), marked_by(new, SIZE))
    classes = sorted(old.labels)
    shown = [places_of(one, defects_of(one, SIZE), classes, SIZE, ring_px=1) for one in (old, new)]
    assert np.array_equal(*shown)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own, of numpy 2
def test_coco_s_own_tools_read_the_masks(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    LAYOUTS["yolo"](tmp_path / "set")
    samples = read_samples(tmp_path / "set", group_pattern=None, report=refuse).samples
    write_set(tmp_path / "new", samples, "coco")
    content = json.loads((tmp_path / "new" / "annotations" / "instances_default.json").read_text(encoding="utf-8"))
    by_name = {sample.path.name: sample for sample in samples}
    image_of = {image["id"]: image for image in content["images"]}
    assert len(content["annotations"]) == 16
    for one in content["annotations"]:
        image = image_of[one["image_id"]]
        runs = coco_mask.frPyObjects(one["segmentation"], image["height"], image["width"])
        assert np.array_equal(coco_mask.decode(runs) > 0, marked_by(by_name[image["file_name"]], SIZE))
        assert (coco_mask.area(runs), coco_mask.toBbox(runs).tolist()) == (one["area"], one["bbox"])


def test_run_lengths_come_back() -> None:
    generator = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        for size in ((1, 1), (1, 9), (9, 1), (13, 7)):
            pixels = generator.random(size) < share
            pixels.flat[generator.integers(pixels.size)] = True
            counts = runs_of(spans_of(pixels), size)
            assert np.array_equal(pixels_of_runs(counts, size), pixels)
            theirs = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
            assert theirs == coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    assert runs_of(spans_of(np.ones((3, 2), np.bool_)), (3, 2)) == [0, 6]


def test_voc_s_masks_are_palettes_in_its_colours(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    manifest_of_parts(tmp_path / "set")
    write_set(tmp_path / "new", read_samples(tmp_path / "set", group_pattern=None, report=refuse).samples, "voc")
    names = (tmp_path / "new" / "ImageSets" / "Segmentation" / "train.txt").read_text(encoding="utf-8").split()
    assert names == ["3_1", "4_1", "5_2", "6_2", "7_3"]  # not the good ones, nor what has a box alone
    with (
        Image.open(tmp_path / "new" / "SegmentationClass" / "5_2.png") as by_class,
        Image.open(tmp_path / "new" / "SegmentationObject" / "5_2.png") as by_object,
    ):
        assert (by_class.mode, by_object.mode) == ("P", "P")
        classes, objects = np.asarray(by_class), np.asarray(by_object)
        colours = np.asarray(by_class.convert("RGB"))
    xml = parse(tmp_path / "new" / "Annotations" / "5_2.xml")
    assert [one.findtext("name") for one in xml.findall("object")] == ["scratch", "a:b <&>"]
    assert [xml.findtext(f"size/{side}") for side in ("width", "height")] == [str(WIDTH), str(HEIGHT)]
    assert set(np.unique(classes)) == {0, 1, 2}
    assert np.array_equal(classes == 2, objects == 1)
    assert [colours[classes == index][0].tolist() for index in (0, 1, 2)] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    labels = (tmp_path / "new" / "labelmap.txt").read_text(encoding="utf-8").splitlines()
    assert labels[1:] == ["background:0,0,0::", "a:b <&>:128,0,0::", "scratch:0,128,0::"]


def _told(tmp_path: Path, samples: Sequence[Sample], layout: Layout, *, good: str | None = None) -> dict[str, Finding]:
    warnings = write_set(tmp_path / "new", samples, layout, good=good)
    assert all(one.severity == "warning" for one in warnings)
    return {one.kind: one for one in warnings}


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{number}.png", number) for number in range(6)]
    mask(tmp_path / "mask.png")
    inner = fill((((4.0, 4.0), (8.0, 4.0), (8.0, 8.0), (4.0, 8.0)),), SIZE)
    samples = [
        Sample(files[0], "ok", "", "0"),
        Sample(files[1], "dent", "", "1", reference=files[0], mask=tmp_path / "mask.png"),
        Sample(files[2], "dent", "", "2", boxes=((5, 5, 8, 10, "dent"),), mask=tmp_path / "mask.png"),
        Sample(files[3], "dent", "", "3", boxes=((3, 3, 20, 21, "dent"), (30, 9, 33, 12, "dent")), areas=(("dent", SPANS),)),
        Sample(files[4], "dent", "", "4", areas=(("dent", SPANS), ("dent", inner))),
        Sample(files[5], "dent", "", "5", boxes=((3, 3, 20, 21, "dent"),), areas=(("dent", SPANS), ("dent", inner))),
    ]
    told = _told(tmp_path, samples, "voc")
    assert {kind: list(one.pictures) for kind, one in told.items()} == {
        "good_name": [files[0]], "no_reference": [files[1]], "own_box": [files[2], files[5]], "mask_lost": [files[3]],
        "overlap": [files[4], files[5]],
    }  # fmt: skip
    assert told["good_name"].what == "pictures of the class ok have no marks, and are read as good"
    after = {one.path.stem: one for one in read_samples(tmp_path / "new", group_pattern=None, report=refuse).samples}
    assert [box[:4] for box in after["2"].boxes] == [(5, 5, 8, 10), (8, 5, 10, 10)]
    assert (after["3"].masked, len(after["3"].boxes)) == (False, 2)
    in_coco = write_set(tmp_path / "coco", samples, "coco")
    assert {one.kind for one in in_coco} == {"good_name", "no_reference", "own_box"}
    kept = {one.path.stem: one for one in read_samples(tmp_path / "coco", group_pattern=None, report=refuse).samples}
    assert kept["3"].areas == samples[3].areas
    assert kept["4"].areas == samples[4].areas


def test_a_picture_of_more_objects_than_a_palette_has_keeps_its_boxes(tmp_path: Path) -> None:
    file = picture(tmp_path / "many.png")
    areas = tuple(("dent", ((row, column, column + 1),)) for row in range(HEIGHT) for column in range(0, WIDTH, 4))
    told = _told(tmp_path, [Sample(file, "dent", "", "0", areas=areas)], "voc")
    assert set(told) == {"mask_lost"}
    (sample,) = read_samples(tmp_path / "new", group_pattern=None, report=refuse).samples
    assert (len(sample.boxes), sample.masked) == (300, False)


def test_a_set_that_a_layout_would_falsify_is_refused(tmp_path: Path) -> None:
    good, one = (picture(tmp_path / f"{name}.png", seed) for seed, name in enumerate("ga"))
    mask(tmp_path / "mask.png")
    mask(tmp_path / "empty.png", value=0)
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(one).save(turned, exif=exif)
    box = ((2, 2, 9, 9, "dent"),)
    passed = Sample(good, "good", "", "g")
    dent = Sample(one, "dent", "", "a", boxes=box)
    for samples, options, said in (
        ([passed, Sample(one, "dent", "", "a")], {}, r"would make good ones of them: found 1: .*a\.png \(dent\)"),
        ([passed, replace(dent, others=("stain",))], {}, r"a\.png \(dent\|stain\); expected .*each class"),
        ([replace(passed, label="fine"), dent], {}, r"g\.png \(fine\).*by --good"),
        ([passed, replace(dent, split="train")], {}, r"some pictures have a split and some have none.*found 1: .*g\.png"),
        ([replace(dent, path=turned)], {}, r"shown turned.*turned\.jpg"),
        ([replace(dent, boxes=((2, 2, 99, 9, "dent"),))], {}, r"a box lies beyond its picture"),
        ([replace(dent, boxes=(), mask=tmp_path / "empty.png")], {}, r"empty\.png marks nothing"),
        (
            [replace(dent, boxes=(), others=("stain",), mask=tmp_path / "mask.png")], {},
            r"does not say which class lies where: found dent, stain",
        ),
        ([replace(dent, path=tmp_path / "gone.png")], {}, r"gone\.png cannot be read"),
        ([replace(dent, group="a\x07")], {"layout": "voc"}, r"names cannot stand .*found 1: 'a\\x07'"),
        (
            [replace(dent, label=f"c{i}", boxes=((2, 2, 9, 9, f"c{i}"),)) for i in range(255)], {"layout": "voc"},
            r"more classes than VOC can number: found 255; expected 254",
        ),
    ):  # fmt: skip
        for layout in [options["layout"]] if "layout" in options else WRITTEN:
            with pytest.raises(DataError, match=said):
                write_set(tmp_path / "out" / "new", samples, layout)
            assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []
    told = write_set(tmp_path / "new", [replace(passed, label="fine"), dent], "coco", good="fine")
    assert [finding.kind for finding in told] == ["good_name"]


def test_a_set_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "set" / f"{number}.png", number)
    samples = [Sample(tmp_path / "set" / f"{number}.png", "good", "", f"{number}") for number in range(4)]
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").touch()
    for place in (tmp_path / "used", tmp_path / "used" / "mine"):
        with pytest.raises(ConfigError, match="would mix with what is there"):
            write_set(place, samples, "coco")
    with pytest.raises(ConfigError, match="cannot be made"):
        write_set(tmp_path / "used" / "mine" / "below", samples, "coco")
    (tmp_path / "empty").mkdir()
    write_set(tmp_path / "empty", samples, "coco")
    assert len(list((tmp_path / "empty" / "images").iterdir())) == 4
    samples[3].path.unlink()
    samples[3].path.symlink_to(samples[2].path)
    write_set(tmp_path / "linked", samples, "voc")
    assert not (tmp_path / "linked" / "JPEGImages" / "3.png").is_symlink()  # the new set stands by itself


def test_pictures_of_one_name_are_told_apart(tmp_path: Path) -> None:
    files = [picture(tmp_path / name, seed) for seed, name in enumerate(("a/1.png", "b/1.png", "b/2.png"))]
    write_set(tmp_path / "new", [Sample(file, "good", "", f"{file}") for file in files], "coco")
    assert sorted(file.name for file in (tmp_path / "new" / "images").iterdir()) == ["1_1.png", "2_1.png", "3_2.png"]
    odd = [picture(tmp_path / "odd" / name, seed) for seed, name in enumerate(("p.png.png", "P.BMP.png"))]
    write_set(tmp_path / "voc", [Sample(file, "good", "train", f"{file}") for file in odd], "voc")
    read = read_samples(tmp_path / "voc", group_pattern=None, report=refuse)
    assert [(one.path.name, one.split) for one in read.samples] == [("P.BMP.png", "train"), ("p.png.png", "train")]


def test_a_label_map_that_is_not_understood_is_told(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", {"a": voc_xml(("dent", 1, 1, 3, 4)), "b": voc_xml()})
    (root / "labelmap.txt").write_text("background:0,0,0::\ndent:red::\nnone:::\n", encoding="utf-8")
    findings: list[Finding] = []
    read_samples(root, group_pattern=None, report=findings.append)
    told = [finding.text for finding in findings if finding.severity == "error"]
    assert told == [
        f"{root / 'labelmap.txt'} has lines that are not understood: found 1: dent:red::; expected name:red,green,blue::"
    ]


FULL = """
import resource, signal, sys
from pathlib import Path
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.writers.write import write_set
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
try:
    write_set(Path(sys.argv[2]), [Sample(Path(sys.argv[1]), "good", "", "0")], sys.argv[3])
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("layout", WRITTEN)
def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, layout: Layout) -> None:
    file = picture(tmp_path / "set" / "0.png")
    assert file.stat().st_size > 3_000
    done = subprocess.run(
        [sys.executable, "-c", FULL, file, tmp_path / "out" / "new", layout], capture_output=True, text=True, check=True
    )
    assert "cannot be written: found [Errno 27] File too large" in done.stdout
    assert "Nothing of it was kept." in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.labelled.writers.write import write_set
def hook(event, arguments):
    if event == "shutil.copyfile" and os.fspath(arguments[0]).endswith("5.png"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
write_set(Path(sys.argv[2]), [Sample(Path(sys.argv[1], f"{i}.png"), "good", "", f"{i}") for i in range(8)], sys.argv[3])
"""


@pytest.mark.parametrize("layout", WRITTEN)
def test_a_kill_leaves_nothing_that_looks_like_a_set(tmp_path: Path, layout: Layout) -> None:
    for number in range(8):
        picture(tmp_path / "set" / f"{number}.png", number)
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "set", tmp_path / "out" / "new", layout], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "out").iterdir()
    assert left.name.startswith(".new-")
    write_set(tmp_path / "out" / "new", [Sample(tmp_path / "set" / f"{i}.png", "good", "", f"{i}") for i in range(8)], layout)
    assert len(read_samples(tmp_path / "out" / "new", group_pattern=None, report=refuse).samples) == 8
