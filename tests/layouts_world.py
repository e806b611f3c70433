"""The same pictures with the same labels, written in the layouts of many tools."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from formats_world import HEIGHT, WIDTH, picture
from kizu_inspect.labelled.places import defects_of, marked_by
from kizu_inspect.labelled.samples import Sample

CLASSES = ("dent", "scratch")
SIZE = (HEIGHT, WIDTH)


@dataclass(frozen=True)
class Labelled:
    """A picture's name and its one defect, an outline of whole pixels; None where it is good."""

    name: str
    label: str | None = None
    corners: tuple[tuple[int, int], ...] = ()

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The pixels inside, by OpenCV: its outline in whole pixels holds the pixels up to those before the far edges."""
        pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for x in range(WIDTH if self.corners else 0):
            for y in range(HEIGHT):
                outline = np.array(self.corners, np.float32)
                pixels[y, x] = cv2.pointPolygonTest(outline, (x + 0.5, y + 0.5), measureDist=False) > 0
        return pixels.astype(np.bool_)

    @property
    def box(self) -> tuple[int, int, int, int]:
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def flat(self) -> list[int]:
        return [number for corner in self.corners for number in corner]


def the_set() -> list[Labelled]:
    """Eight defects of each class, shaped like an L, and eight good pictures."""
    found = [
        Labelled(
            f"d{i}", CLASSES[i % 2],
            ((2 + i, 3), (20 + i, 3), (20 + i, 9), (9 + i, 9), (9 + i, 21 + i % 3), (2 + i, 21 + i % 3)),
        )
        for i in range(16)
    ]  # fmt: skip
    return [*found, *(Labelled(f"g{i}") for i in range(8))]


def assert_the_set(found: Mapping[str, Sample]) -> None:
    """The samples, by their names, say what the set says: classes, boxes, and masks to the pixel."""
    assert set(found) == {one.name for one in the_set()}
    for one in the_set():
        sample = found[one.name]
        assert sample.labels == (one.label or "good",)
        if one.label is not None:
            assert defects_of(sample, SIZE) == ((*one.box, one.label),)
            marked = marked_by(sample, SIZE)
            assert marked is not None
            assert np.array_equal(marked, one.mask)


def _pictures(folder: Path) -> None:
    for seed, one in enumerate(the_set()):
        picture(folder / f"{one.name}.png", seed)


def _png(pixels: npt.NDArray[np.uint8], *, palette: bool = False) -> bytes:
    image = Image.fromarray(pixels)
    if palette:
        image = image.convert("P")
        image.putdata(pixels.ravel().tolist())
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * 759])
    data = BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def manifest_with_masks(root: Path) -> None:
    _pictures(root)
    lines = ["path,label,mask"]
    for one in the_set():
        if one.label is not None:
            (root / "masks").mkdir(exist_ok=True)
            (root / "masks" / f"{one.name}.png").write_bytes(_png(one.mask.astype(np.uint8)))  # of 0 and 1
        lines.append(f"{one.name}.png,{one.label or 'good'},{f'masks/{one.name}.png' if one.label else ''}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def spreadsheet(root: Path) -> None:
    """Columns in another order, semicolons, UTF-16 with carriage returns; masks by palette indices."""
    _pictures(root)
    out = StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(("Mask", "Class", "Remark", "File name"))
    for one in the_set():
        if one.label is not None:
            (root / "m").mkdir(exist_ok=True)
            (root / "m" / f"{one.name}.png").write_bytes(_png(one.mask.astype(np.uint8), palette=True))
        writer.writerow((f"m\\{one.name}.png" if one.label else "", one.label or "good", "ü; –", f"{one.name}.png"))
    (root / "labels.csv").write_bytes(out.getvalue().encode("utf-16"))


def mvtec(root: Path) -> None:
    _pictures(root / "all")
    for one in the_set():
        place = root / "train" / "good" if one.label is None else root / "test" / one.label
        place.mkdir(parents=True, exist_ok=True)
        shutil.move(root / "all" / f"{one.name}.png", place / f"{one.name}.png")
        if one.label is not None:
            truth = root / "ground_truth" / one.label
            truth.mkdir(parents=True, exist_ok=True)
            (truth / f"{one.name}_mask.png").write_bytes(_png(one.mask.astype(np.uint8) * 255))
    (root / "all").rmdir()


def _coco(root: Path, annotation: Callable[[Labelled], Mapping[str, object]]) -> None:
    _pictures(root / "images")
    content = {
        "images": [
            {"id": i, "file_name": f"{one.name}.png", "width": WIDTH, "height": HEIGHT} for i, one in enumerate(the_set())
        ],
        "categories": [{"id": 5, "name": "dent"}, {"id": 9, "name": "scratch"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 5 if one.label == "dent" else 9, **annotation(one)}
            for i, one in enumerate(the_set()) if one.label is not None
        ],
    }  # fmt: skip
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_default.json").write_text(json.dumps(content), encoding="utf-8")


def runs(pixels: npt.NDArray[np.bool_], *, order: str = "F") -> list[int]:
    """Run lengths, first of the pixels outside."""
    flat = pixels.ravel(order="F" if order == "F" else "C").astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, len(flat)]).tolist()
    return [0, *counts] if flat[0] else counts


def as_text(counts: list[int]) -> str:
    """COCO's text of run lengths."""
    text = ""
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | 32 if more else bits) + 48)
    return text


def coco_outlines(root: Path) -> None:
    def annotation(one: Labelled) -> Mapping[str, object]:
        x1, y1, x2, y2 = one.box
        return {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": [one.flat]}

    _coco(root, annotation)


def coco_runs(root: Path) -> None:
    """Run lengths alone, without boxes: as numbers and as text."""

    def annotation(one: Labelled) -> Mapping[str, object]:
        counts = runs(one.mask)
        return {
            "iscrowd": 1,
            "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts if one.label == "dent" else as_text(counts)},
        }

    _coco(root, annotation)


def voc(root: Path) -> None:
    """Annotations in capitals, as a tool on Windows ends them, and masks that number the objects."""
    _pictures(root / "JPEGImages")
    (root / "Annotations").mkdir()
    (root / "SegmentationObject").mkdir()
    for one in the_set():
        thing = ""
        if one.label is not None:
            x1, y1, x2, y2 = one.box
            edges = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            thing = f"<object><name>{one.label}</name><bndbox>{edges}</bndbox></object>"
            (root / "SegmentationObject" / f"{one.name}.png").write_bytes(_png(one.mask.astype(np.uint8), palette=True))
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{one.name}.png</filename>{size}{thing}</annotation>"
        (root / "Annotations" / f"{one.name}.XML").write_text(text, encoding="utf-8")


def yolo(root: Path) -> None:
    """Outlines in shares of six decimals; a byte order mark, carriage returns, and endings in capitals."""
    _pictures(root / "images")
    (root / "labels").mkdir()
    (root / "data.yaml").write_bytes(b"\xef\xbb\xbfnames:\r\n  0: dent\r\n  1: scratch\r\n")
    for one in the_set():
        shares = " ".join(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in one.corners)
        text = f"{CLASSES.index(one.label)}.0 {shares}\r\n" if one.label is not None else ""
        (root / "labels" / f"{one.name}.TXT").write_bytes(b"\xef\xbb\xbf" + text.encode())


def labelme(root: Path) -> None:
    """Polygons, and a mask within the JSON for each second defect."""
    _pictures(root)
    for number, one in enumerate(the_set()):
        shapes = []
        if one.label is not None:
            x1, y1, x2, y2 = one.box
            shapes = [{"label": one.label, "points": [list(corner) for corner in one.corners], "shape_type": "polygon"}]
            if number % 2:
                inside = _png(one.mask[y1:y2, x1:x2].astype(np.uint8) * 255)
                shapes = [
                    {"label": one.label, "points": [[x1, y1], [x2 - 1, y2 - 1]], "shape_type": "mask",
                     "mask": base64.b64encode(inside).decode()}
                ]  # fmt: skip
        content = {
            "version": "5.4", "flags": {}, "shapes": shapes, "imagePath": f"..\\{root.name}\\{one.name}.png", "imageData": None,
            "imageHeight": HEIGHT, "imageWidth": WIDTH,
        }  # fmt: skip
        (root / f"{one.name}.json").write_text(json.dumps(content), encoding="utf-8")


def cvat(root: Path) -> None:
    """Polygons of dents and masks of scratches."""
    _pictures(root / "images")
    pieces = []
    for number, one in enumerate(the_set()):
        shape = ""
        if one.label == "dent":
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in one.corners)
            shape = f'<polygon label="dent" points="{points}" z_order="0"/>'
        elif one.label is not None:
            x1, y1, x2, y2 = one.box
            counts = ", ".join(str(count) for count in runs(one.mask[y1:y2, x1:x2], order="C"))
            place = f'left="{x1}" top="{y1}" width="{x2 - x1}" height="{y2 - y1}"'
            shape = f'<mask label="scratch" rle="{counts}" {place}/>'
        pieces.append(f'<image id="{number}" name="{one.name}.png" width="{WIDTH}" height="{HEIGHT}">{shape}</image>')
    text = f"<annotations><version>1.1</version><meta/>{''.join(pieces)}</annotations>"
    (root / "annotations.xml").write_text(text, encoding="utf-8")


def label_studio(root: Path) -> None:
    _pictures(root / "pictures")
    tasks = []
    for number, one in enumerate(the_set()):
        result = []
        if one.label is not None:
            points = [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in one.corners]
            result = [
                {"type": "polygonlabels", "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0,
                 "value": {"points": points, "closed": True, "polygonlabels": [one.label]}}
            ]  # fmt: skip
        skipped = {"id": 100 + number, "was_cancelled": True, "result": []}
        made = {"id": number, "was_cancelled": False, "result": result}
        tasks.append(
            {"id": number, "data": {"image": f"/data/upload/3/1a2b3c4d-{one.name}.png"}, "annotations": [skipped, made]}
        )
    (root / "project-3.json").write_text(json.dumps(tasks), encoding="utf-8")


def datumaro(root: Path) -> None:
    """Polygons of dents and masks of scratches."""
    _pictures(root / "images" / "default")
    items = []
    for one in the_set():
        annotations: list[object] = []
        if one.label == "dent":
            annotations = [{"id": 1, "type": "polygon", "label_id": 0, "points": one.flat}]
        elif one.label is not None:
            mask = {"size": [HEIGHT, WIDTH], "counts": as_text(runs(one.mask))}
            annotations = [{"id": 1, "type": "mask", "label_id": 1, "rle": mask}]
        image = {"path": f"{one.name}.png", "size": [HEIGHT, WIDTH]}
        items.append({"id": one.name, "annotations": annotations, "image": image})
    content = {"info": {}, "categories": {"label": {"labels": [{"name": name} for name in CLASSES]}}, "items": items}
    (root / "annotations").mkdir()
    (root / "annotations" / "default.json").write_text(json.dumps(content), encoding="utf-8")


LAYOUTS: Mapping[str, Callable[[Path], None]] = {
    "manifest": manifest_with_masks, "spreadsheet": spreadsheet, "mvtec": mvtec, "coco": coco_outlines, "coco runs": coco_runs,
    "voc": voc, "yolo": yolo, "labelme": labelme, "cvat": cvat, "label studio": label_studio, "datumaro": datumaro,
}  # fmt: skip
