"""What is wrong with a set is told all at once, and training refuses what is called an error."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from formats_world import HEIGHT, WIDTH, manifest, mask, picture, voc_xml, write_voc
from kizu_inspect.errors import DataError
from kizu_inspect.labelled.checking.alike import ALIKE, clusters, look_of, nearest_alike
from kizu_inspect.labelled.checking.check import Checked, check_set
from kizu_inspect.labelled.checking.page import page, thumbnail
from kizu_inspect.labelled.dataset import read_labelled
from kizu_inspect.labelled.findings import Finding
from kizu_inspect.labelled.samples import Sample
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.images import encode_png
from kizu_inspect.synth import draw_part


def by_kind(checked: Checked) -> dict[str, list[Finding]]:
    kinds: dict[str, list[Finding]] = {}
    for finding in checked.findings:
        kinds.setdefault(finding.kind, []).append(finding)
    return kinds


def lines(*extra: str, count: int = 4) -> list[str]:
    """Lines of a sound set of 1.png … , two classes in train and val, with more lines after them."""
    sound = [f"{i}.png,{'good' if i % 2 else 'dent'},{'train' if i < 3 else 'val'},,," for i in range(1, count + 1)]
    return [*sound, *extra]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(1, 9):
        picture(tmp_path / f"{i}.png", i)
    return tmp_path


def test_all_mistakes_are_told_at_once(root: Path) -> None:
    (root / "8.png").write_bytes((root / "7.png").read_bytes()[:300])
    mask(root / "narrow.png", width=WIDTH - 1)
    mask(root / "faint.png", value=0)
    mask(root / "full.png")
    path = manifest(
        root,
        *lines(
            "gone.png,good,train,,,",
            '5.png,dent,train,,"[[30, 20, 41, 30, ""dent""]]",',
            '6.png,dent,train,g1,"[[5, 5, 5, 9, ""dent""]]",narrow.png',
            '7.png,dent,val,g1,"[[1, 1, 3, 3, ""spur""]]",faint.png',
            "8.png,stain,val,,,",
            "5.png,good,train,again,,full.png",
        ),
    )
    checked = check_set(path)
    kinds = by_kind(checked)
    errors = {finding.kind for finding in checked.findings if finding.severity == "error"}
    assert errors == {
        "missing_file", "unknown_class", "box_outside", "empty_box", "mask_does_not_fit", "unreadable", "group_in_two_splits",
        "untrained_class", "listed_twice", "empty_mask",
    }  # fmt: skip
    assert set(kinds) - errors == {
        "marked_good", "contradiction", "unmarked", "too_few_for_promise", "too_few_of_a_class"
    }  # fmt: skip
    said = {kind: found[0].text for kind, found in kinds.items()}
    beyond, fits = said["box_outside"], said["mask_does_not_fit"]
    assert beyond.endswith(f"5.png: found [30, 20, 41, 30, 'dent']; expected within {WIDTH} × {HEIGHT} px. Mend the labels.")
    assert fits.endswith(
        f"narrow.png does not fit its picture: found {WIDTH - 1} × {HEIGHT} px; expected {WIDTH} × {HEIGHT} px. "
        "Mend it, or leave it out."
    )
    assert "set.csv names files that are not there: found 1: gone.png" in said["missing_file"]
    assert "a box has a class that the picture has not: found spur; expected dent" in said["unknown_class"]
    assert "8.png cannot be read: found picture is truncated or broken" in said["unreadable"]
    assert "marks nothing: found no pixel but 0" in said["empty_mask"]
    assert "group g1 in train and val" in said["group_in_two_splits"]
    assert "one picture has the labels dent and good" in said["contradiction"]
    assert kinds["untrained_class"][0].pictures == (root / "8.png",)
    assert checked.errors == sum(len(kinds[kind]) for kind in errors)
    assert checked.counts["dent"] == {"train": 3, "val": 2, "test": 0}


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        (["gone.png,good,train,,,"], "missing_file"),
        (['5.png,dent,train,,"[[0, 0, 4, 4, ""spur""]]",'], "unknown_class"),
        (["5.png,stain,val,,,"], "untrained_class"),
        (["5.png,good,train,g,,", "6.png,good,val,g,,"], "group_in_two_splits"),
        (["5.png,good,other,,,"], "unknown_split"),
    ],
)
def test_training_refuses_with_the_same_words(root: Path, extra: list[str], kind: str) -> None:
    sound = manifest(root, *lines())
    assert check_set(sound).errors == 0
    assert read_labelled(sound).classes == ("dent", "good")
    path = manifest(root, *lines(*extra))
    (finding,) = (finding for finding in check_set(path).findings if finding.severity == "error")
    assert finding.kind == kind
    with pytest.raises(DataError) as refused:
        read_labelled(path)
    assert str(refused.value) == finding.text


def test_one_class_and_no_good_class_are_told(root: Path) -> None:
    one = manifest(root, *(f"{i}.png,dent,,,," for i in range(1, 9)))
    kinds = by_kind(check_set(one))
    assert kinds["one_class"][0].text.endswith(
        "has one class: found dent; expected two classes or more. Add pictures of defects, and of good parts."
    )
    with pytest.raises(DataError, match="has one class: found dent"):
        read_labelled(one)
    nothing_good = manifest(
        root, *(f"{i}.png,{'dent' if i % 2 else 'stain'},{'train' if i < 5 else 'val'},,," for i in range(1, 9))
    )
    checked = check_set(nothing_good)
    (finding,) = by_kind(checked)["no_good_class"]
    assert finding.severity == "warning"
    assert (
        "no class is good: found dent, stain; expected one called good, ok, normal, pass, free, or --good NAME" in finding.text
    )
    assert "every part gets its class and the verdict REJECT" in finding.text
    assert "no_good_class" not in by_kind(check_set(nothing_good, good="stain"))
    assert read_labelled(nothing_good).good is None


def test_the_same_picture_on_two_sides_is_told(root: Path) -> None:
    (root / "3.png").write_bytes((root / "1.png").read_bytes())
    (root / "6.png").write_bytes((root / "5.png").read_bytes())
    split = check_set(manifest(root, *lines("5.png,good,train,,,", "6.png,good,train,,,")))
    (finding,) = by_kind(split)["duplicate"]  # 5 and 6 both lie in train
    assert finding.pictures == (root / "1.png", root / "3.png")
    assert "the same picture lies in train and val" in finding.text
    unsplit = [line.replace("train", "").replace("val", "") for line in lines("5.png,good,,,,", "6.png,good,,,,")]
    drawn = by_kind(check_set(manifest(root, *unsplit)))["duplicate"]  # another seed may part 5 from 6
    assert [finding.pictures for finding in drawn] == [(root / "1.png", root / "3.png"), (root / "5.png", root / "6.png")]
    grouped = manifest(root, *(line.replace(",,,,", ",,one,,") for line in unsplit))
    assert "duplicate" not in by_kind(check_set(grouped))


def test_nearly_the_same_pictures_are_told_from_parts_that_all_look_alike(tmp_path: Path) -> None:
    plates = [draw_part("good", seed, size_px=96).image for seed in range(40)]
    rows = []
    for i, plate in enumerate(plates):
        (tmp_path / f"{i}.png").write_bytes(encode_png(plate))
        rows.append(f"{i}.png,{'good' if i % 2 else 'dent'},{'train' if i < 25 else 'val'},,,")
    cv2.imwrite(str(tmp_path / "twin.jpg"), plates[3][:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, 60))
    (tmp_path / "small.png").write_bytes(encode_png(np.asarray(cv2.resize(plates[7], (64, 64), interpolation=cv2.INTER_AREA))))
    path = manifest(tmp_path, *rows, "twin.jpg,good,val,,,", "small.png,good,val,,,", "3.png,good,train,,,")
    found = by_kind(check_set(path))["near_duplicate"]
    assert {frozenset(file.name for file in one.pictures) for one in found} == {
        frozenset({"3.png", "twin.jpg"}), frozenset({"7.png", "small.png"}),
    }  # fmt: skip
    assert all("nearly the same" in one.text and "lie in train and val" in one.text for one in found)


def test_likeness_is_the_correlation_without_what_all_share() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(size=(32, 32)) * 10
    looks = (common + generator.normal(size=(700, 32, 32))).astype(np.float32)  # more than one block
    looks[650] = looks[4] + 0.15 * generator.normal(size=(32, 32))
    numbers = np.arange(700)
    own = (looks.astype(np.float64) - looks.mean(axis=0, dtype=np.float64)).reshape(700, -1)
    expected = np.corrcoef(own[4], own[650])[0, 1]
    assert nearest_alike(looks, numbers, numbers) == [
        (4, 650, pytest.approx(expected, abs=1e-4)), (650, 4, pytest.approx(expected, abs=1e-4)),
    ]  # fmt: skip
    assert expected > ALIKE
    assert nearest_alike(looks, np.where(numbers == 650, 4, numbers), numbers) == []  # on one side
    assert nearest_alike(looks[:5], numbers[:5], numbers[:5]) == []  # too few to know what all share
    assert clusters([(0, 3), (3, 5), (1, 2)], 6) == [[0, 3, 5], [1, 2]]
    looks[10] = look_of(np.full((50, 60, 3), 90, np.uint8))
    looks[20] = look_of(np.full((50, 60, 3), 91, np.uint8))
    assert [(i, j) for i, j, _ in nearest_alike(looks, numbers, numbers)] == [(4, 650), (650, 4)]  # plain ones are no twins


def test_what_the_set_can_promise_is_told(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", {f"{i:03}": voc_xml(("dent", 1, 1, 4, 4)) if i % 2 else voc_xml() for i in range(60)})
    kinds = by_kind(check_set(root, promise=0.05))
    said = kinds["too_few_for_promise"][0].text
    assert "too few defective pictures in val to promise a miss rate of 5.0%: found 5, of which half set the limits" in said
    assert said.endswith("expected 118: 59 without a miss in that half")
    assert "found dent 4; expected 59 of each" in kinds["too_few_of_a_class"][0].text
    loose = by_kind(check_set(root, promise=0.8))  # 2 without a miss are enough
    assert "too_few_for_promise" not in loose


def test_the_page_shows_what_is_marked_and_escapes_every_name(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    for i in range(4):
        picture(tmp_path / f"{i}&.png", i)
    box = f'"[[2, 2, 90, 9, ""{evil.replace(chr(34), chr(39))}""]]"'
    label = evil.replace('"', "'")
    path = manifest(
        tmp_path,
        *(f"{i}&.png,{'good' if i % 2 else label},{'train' if i < 2 else 'val'},,{'' if i % 2 else box}," for i in range(4)),
    )
    shown = page(check_set(path))
    assert "<script" not in shown
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;" in shown
    assert "0&amp;.png" in shown
    assert shown.count('src="data:image/jpeg;base64,') == 6  # two findings, and four samples
    assert "http" not in shown
    assert "2 errors" in shown


def test_a_thumbnail_has_its_boxes_and_its_masks_outline(tmp_path: Path) -> None:
    grey = np.full((336, 672, 3), 100, np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(grey))
    marks = np.zeros((336, 672), np.uint8)
    marks[200:280, 400:600] = 255
    (tmp_path / "m.png").write_bytes(encode_png(marks))
    drawn = thumbnail(Sample(tmp_path / "a.png", "dent", "", "", ((40, 80, 200, 160, "dent"),), tmp_path / "m.png"), None)
    assert drawn is not None
    assert drawn.shape == (84, 168, 3)
    ys, xs = np.nonzero((drawn != 100).any(axis=2) & (np.arange(168) < 80))
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (10, 20, 50, 40)  # a quarter of the box
    ys, xs = np.nonzero((drawn != 100).any(axis=2) & (np.arange(168) > 80))
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (100, 50, 150, 70)
    assert tuple(drawn[60, 125]) == (100, 100, 100)  # an outline leaves the defect to be seen
    assert decode_image((tmp_path / "a.png").read_bytes()).shape == grey.shape
    assert thumbnail(Sample(tmp_path / "gone.png", "dent", "", ""), None) is None
