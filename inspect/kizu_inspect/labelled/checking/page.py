"""What was found, as one HTML page without any other file: counts, findings, and pictures with what is marked on them."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import cv2
import numpy as np

from kizu_inspect.errors import ImageError
from kizu_inspect.labelled.checking.check import Checked
from kizu_inspect.labelled.places import marked_by
from kizu_inspect.labelled.samples import SPLITS, Sample
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.recipe import Bits
from kizu_inspect.results import ImageRGB

__all__ = ["page", "thumbnail"]

SIDE_PX = 168
A_FINDING = 6
A_KIND = 12
"""Findings of one kind that are shown with their pictures; the rest are counted."""
A_CLASS = 6
BOX, OUTLINE = (255, 64, 0), (255, 0, 200)
STYLE = Path(__file__).with_name("page.css")


def page(checked: Checked) -> str:
    """The page as text. Every name from outside is escaped; pictures lie in it as data."""
    by_path = {sample.path: sample for sample in checked.samples}
    warnings = len(checked.findings) - checked.errors
    said = f"{len(checked.samples)} pictures, {len(checked.classes)} classes, read as {checked.format}; good: {checked.good}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(checked.path.name)}: data check</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE.read_text(encoding="utf-8")}</style></head><body>'
        f"<h1>{escape(str(checked.path))}</h1><p>{escape(said)}. {escape(checked.left_out.said)}.</p>"
        f"{_widths(checked)}"
        f"<p><b>{_number(checked.errors, 'error')}</b>, which training refuses; <b>{_number(warnings, 'warning')}</b>, "
        "which training takes, and what it learns or measures suffers.</p>"
        f"<h2>Pictures</h2>{_counts(checked.counts)}<h2>Findings</h2>{_findings(checked, by_path)}"
        f"<h2>Samples</h2>{_samples(checked)}</body></html>\n"
    )


def _widths(checked: Checked) -> str:
    return "" if checked.widths is None else f"<p>{escape(checked.widths.said)}.</p>"


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    heads = "".join(f"<th>{head}</th>" for head in ("class", *SPLITS, "all"))
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{row[split]}</td>' for split in SPLITS)}<td>{sum(row.values())}</td></tr>"
        for name, row in counts.items()
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _findings(checked: Checked, by_path: Mapping[Path, Sample]) -> str:
    findings = checked.findings
    if not findings:
        return "<p>Nothing was found.</p>"
    totals = Counter(finding.kind for finding in findings)
    shown: Counter[str] = Counter()
    pieces = []
    for finding in findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= A_KIND:
            pieces.append(
                f'<div class="finding {finding.severity}">'
                f'<p><span class="mark">{finding.severity}</span> {escape(finding.text)}</p>'
                f"{_row([by_path.get(path, path) for path in finding.pictures[:A_FINDING]], checked.bits)}</div>"
            )
        if shown[finding.kind] == totals[finding.kind] > A_KIND:
            more = f"{totals[finding.kind] - A_KIND} more findings of this kind ({finding.kind}); --json lists all"
            pieces.append(f'<p class="quiet">… and {escape(more)}.</p>')
    return "".join(pieces)


def _samples(checked: Checked) -> str:
    pieces = []
    for name in checked.classes:
        of_class = [sample for sample in checked.samples if name in sample.labels]
        spread = of_class[:: max(1, len(of_class) // A_CLASS)][:A_CLASS]
        pieces.append(f"<h3>{escape(name)}</h3>{_row(spread, checked.bits)}")
    return "".join(pieces)


def _row(pictures: Iterable[Sample | Path], bits: Bits | None) -> str:
    return f'<div class="row">{"".join(_figure(one, bits) for one in pictures)}</div>'


def _figure(one: Sample | Path, bits: Bits | None) -> str:
    """A picture with its name and labels; of a file that is no sample its name alone."""
    path = one.path if isinstance(one, Sample) else one
    said = f"{path.parent.name}/{path.name}" + (f" · {'|'.join(one.labels)} · {one.split}" if isinstance(one, Sample) else "")
    drawn = thumbnail(one, bits) if isinstance(one, Sample) else None
    if drawn is None:
        shown = '<span class="none">no picture</span>'
    else:
        done, data = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 85))
        shown = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">' if done else ""
    return f'<figure title="{escape(str(path))}">{shown}<figcaption>{escape(said)}</figcaption></figure>'


def thumbnail(sample: Sample, bits: Bits | None) -> ImageRGB | None:
    """The picture, its longer side 168 px, with its boxes and its mask's outline; None where it cannot be read."""
    try:
        picture = decode_image(sample.path.read_bytes(), bits=bits)
    except (OSError, ImageError):
        return None
    height, width = picture.shape[:2]
    scale = SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST))
    mask = marked_by(sample, (height, width))
    if mask is not None and mask.shape == (height, width):
        shrunk = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        outlines, _ = cv2.findContours(shrunk.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(small, outlines, -1, OUTLINE, 1)
    for x1, y1, x2, y2, _ in sample.boxes:
        # Far beyond the picture OpenCV's integers run over; what is clipped here is not seen anyway.
        left, top, right, bottom = (
            int(np.clip(edge * scale, -9, SIDE_PX + 9)) for edge in (x1, y1, x2, y2)
        )  # fmt: skip
        cv2.rectangle(small, (left, top), (max(left, right - 1), max(top, bottom - 1)), BOX, 1)
    return np.asarray(small, np.uint8)
