"""Small labelled sets, written as each format lays them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kizu_inspect.picture.images import encode_png

WIDTH, HEIGHT = 40, 30


def picture(path: Path, seed: int = 0) -> Path:
    """A picture of noise, 40 × 30 px, unlike that of any other seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)))
    return path


def pictures_in(root: Path) -> list[Path]:
    """All pictures that lie below a folder, read or not."""
    return [file for file in root.rglob("*") if file.suffix in (".png", ".jpg", ".jpeg", ".bmp", ".webp")]


def mask(path: Path, *, value: int = 255, width: int = WIDTH) -> Path:
    """A mask with a square of `value`."""
    pixels = np.zeros((HEIGHT, width), np.uint8)
    pixels[5:10, 5:10] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
    return path


def manifest(root: Path, *lines: str) -> Path:
    """A manifest of these lines."""
    path = root / "set.csv"
    path.write_text("path,label,split,group,boxes,mask\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_mvtec(root: Path, *, good: int = 8, dent: int = 4) -> Path:
    for i in range(good):
        picture(root / "train" / "good" / f"{i:03}.png", i)
    picture(root / "test" / "good" / "000.png", 50)
    for i in range(dent):
        picture(root / "test" / "dent" / f"{i:03}.png", 100 + i)
        mask(root / "ground_truth" / "dent" / f"{i:03}_mask.png")
    return root


def voc_xml(*objects: tuple[str, object, object, object, object]) -> str:
    pieces = [
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in objects
    ]
    return f"<annotation><filename>x.png</filename>{''.join(pieces)}</annotation>"


def write_voc(root: Path, annotations: Mapping[str, str], lists: Mapping[str, Sequence[str]] | None = None) -> Path:
    """`annotations`: the XML of each picture; `lists`: the pictures of each split."""
    (root / "Annotations").mkdir(parents=True)
    for seed, (name, xml) in enumerate(annotations.items()):
        picture(root / "JPEGImages" / f"{name}.png", seed)
        (root / "Annotations" / f"{name}.xml").write_text(xml, encoding="utf-8")
    for split, names in (lists or {}).items():
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return root


def write_coco(file: Path, boxes: Mapping[str, Sequence[tuple[int, Sequence[float]]]], pictures: Path) -> Path:
    """`boxes`: of each picture, which goes to `pictures`, the (category, (x, y, width, height)); 1 is dent, 2 scratch."""
    file.parent.mkdir(parents=True, exist_ok=True)
    names = list(boxes)
    for seed, name in enumerate(names):
        picture(pictures / name, seed + sum(name.encode()))
    content = {
        "images": [{"id": 10 + i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}],
        "annotations": [
            {"id": 100 * i + number, "image_id": 10 + i, "category_id": category, "bbox": list(box)}
            for i, name in enumerate(names)
            for number, (category, box) in enumerate(boxes[name])
        ],
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def write_yolo(root: Path, labels: Mapping[str, str | None], *, described: str = "names: [dent, scratch]\n") -> Path:
    """`labels`: the label file of each picture, by its name below images/; None writes none."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(described, encoding="utf-8")
    for seed, (name, text) in enumerate(labels.items()):
        picture(root / "images" / name, seed)
        if text is not None:
            file = (root / "labels" / name).with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return root
