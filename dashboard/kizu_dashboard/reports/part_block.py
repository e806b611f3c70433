"""One flagged part in a report: photo, heatmap with its method and scale, regions, probabilities, every review."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import known, say, say_count
from kizu_dashboard.reasons import reason_said
from kizu_dashboard.reports.sheet import BAND, FAINT, GREY, Sheet
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import (
    DECISIONS,
    boxes_text,
    comment_text,
    disposition_text,
    map_name,
    map_subject,
    moment,
    no_map_reason,
    places_text,
    size_texts,
)
from kizu_db.image_store import ImageStore
from kizu_db.values import InspectionRecord, Review
from kizu_inspect.errors import ImageError, RecordError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.heatmap import colour_legend, overlay
from kizu_inspect.results import Explanation, ImageRGB, Region

__all__ = ["draw_part_block", "part_texts", "picture_of"]

FRAME_MM: Final = (87.0, 50.0)
COLUMN_MM: Final = (15.0, 108.0)
"""Left edges of the two pictures."""
HEAD_MM: Final = 22.0
LEGEND_MM: Final = 13.0
NUMBER_MM: Final = 3.2
PROBABILITIES_SHOWN: Final = 8
REGIONS_SHOWN: Final = 6
ACCENT: Final = (31, 95, 139)


def part_texts(record: InspectionRecord, zone: ZoneInfo) -> Iterator[str]:
    """Every text of the block that comes from the records, for choosing a font that has its letters."""
    row = record.row
    yield from (row.part, row.view or "", row.lot or "", row.station, row.reason, row.predicted or "", row.target or "")
    yield from (record.image_name, record.error or "", record.device or "", moment(row.captured_at, zone))
    yield no_map_reason(record) or ""
    yield from record.probabilities
    if record.explanation is not None:
        yield record.explanation.heatmap.target
        yield from (region.label for region in record.explanation.regions)
        yield from (_size_line(region, record.mm_per_px) for region in record.explanation.regions)
    for review in record.reviews:
        yield _review_line(review, zone)


def draw_part_block(sheet: Sheet, record: InspectionRecord, images: ImageStore, zone: ZoneInfo, *, number: int) -> None:
    """Draws the block at the current place, on a new page where it would not fit on this one."""
    image = picture_of(record, images)
    pictures_mm = FRAME_MM[1] if isinstance(image, str) else min(FRAME_MM[1], FRAME_MM[0] * image.shape[0] / image.shape[1])
    lists_mm = 6 + 4.6 * max(min(len(record.probabilities), PROBABILITIES_SHOWN + 1), _region_lines(record))
    reviews_mm = 6 + sum(sheet.paragraph_height(_review_line(r, zone), 8.5, width=180) for r in record.reviews)
    if sheet.will_page_break(HEAD_MM + pictures_mm + LEGEND_MM + lists_mm + reviews_mm):
        sheet.add_page()
    else:
        sheet.ln(5)
    _head(sheet, record, zone, number)
    top = sheet.y + 1.5
    if isinstance(image, str):
        sheet.empty_frame(image, x=COLUMN_MM[0], y=top, width=FRAME_MM[0], height=pictures_mm)
    else:
        sheet.picture(image, x=COLUMN_MM[0], y=top, width=FRAME_MM[0], height=pictures_mm)
    _evidence(sheet, record, image, top, pictures_mm)
    sheet.set_xy(COLUMN_MM[0], top + pictures_mm + LEGEND_MM)
    _lists(sheet, record)
    _reviews(sheet, record, zone)


def picture_of(record: InspectionRecord, images: ImageStore) -> ImageRGB | str:
    """The picture, or why there is none."""
    sha256 = record.row.kept_image
    if sha256 is None:
        return say("No picture was kept.")
    bits = None if record.recipe is None else record.recipe.content.get("bits")
    try:
        return decode_image(images.get(sha256), max_megapixels=1000, bits=bits)
    except ImageError as error:
        return say("The picture cannot be shown: {why}", why=error)
    except RecordError:
        return say("The picture is missing from the image store or was changed there.")


def _head(sheet: Sheet, record: InspectionRecord, zone: ZoneInfo, number: int) -> None:
    row, look = record.row, LOOKS[record.row.verdict]
    sheet.set_draw_color(*FAINT)
    sheet.line(sheet.l_margin, sheet.y, sheet.w - sheet.r_margin, sheet.y)
    top = sheet.y + 2.5
    sheet.badge(look, x=sheet.l_margin, y=top)
    sheet.set_xy(sheet.l_margin + 22, top - 0.3)
    sheet.text_line(f"{number}. {row.part}", 12, bold=True, height=6)
    sheet.set_x(sheet.l_margin)
    sheet.text_line(" · ".join([*places_text(row), moment(row.captured_at, zone), record.image_name]), 8.5, colour=GREY)
    reason = reason_said(row.reason) or record.error or say("no reason recorded")
    sheet.text_line(say("Verdict {verdict}: {reason}", verdict=row.verdict.value, reason=reason), 8.5)
    sheet.text_line(_judge_line(record), 7.5, colour=GREY, height=4)


def _judge_line(record: InspectionRecord) -> str:
    pieces = [say("Inspection {uid}", uid=record.row.uid)]
    if record.model is None:
        pieces.append(say("no model"))
    else:
        pieces.append(say("model {model} {hash}", model=record.model.name, hash=record.model.hash[:12]))
    if record.recipe is None:
        pieces.append(say("no recipe"))
    else:
        pieces.append(say("recipe {station} version {version}", station=record.recipe.station, version=record.recipe.version))
    return " · ".join([*pieces, *([record.device] if record.device else [])])


def _evidence(sheet: Sheet, record: InspectionRecord, image: ImageRGB | str, top: float, height: float) -> None:
    """The picture with the map over it and its legend, or why there is no map."""
    x = COLUMN_MM[1]
    why = no_map_reason(record)
    explanation = record.explanation
    if explanation is None or why is not None or isinstance(image, str):
        sheet.empty_frame(why or say("No picture to draw the heatmap over."), x=x, y=top, width=FRAME_MM[0], height=height)
        return
    heatmap = explanation.heatmap
    width, _ = sheet.picture(overlay(image, heatmap), x=x, y=top, width=FRAME_MM[0], height=height)
    _outlines(sheet, explanation, x, top, width / image.shape[1])
    sheet.set_xy(x - sheet.c_margin, top + height + 1)
    sheet.text_line(
        f"{map_name(record, heatmap.method)}: {map_subject(heatmap, refined=record.refined)}", 8, bold=True, height=4
    )
    bar = top + height + 5.4
    sheet.picture(colour_legend(520, 16), x=x, y=bar, width=52, height=1.6)
    sheet.set_xy(x - sheet.c_margin, bar + 1.8)
    sheet.style(7, colour=GREY)
    sheet.cell(26, 3.4, "0")
    sheet.cell(28, 3.4, say("1 = full scale"), align="R")
    sheet.set_xy(x + 55, bar - 1.2)
    sheet.style(7, colour=GREY)
    sheet.cell(32, 3.4, say("peak {peak:.2f} of the scale", peak=heatmap.peak))
    sheet.set_xy(x + 55, bar + 1.8)
    sheet.cell(32, 3.4, say("same scale in all pictures"))


def _outlines(sheet: Sheet, explanation: Explanation, x: float, y: float, mm_per_px: float) -> None:
    """The regions' contours, or boxes where the record has none: numbered, white with a dark rim, to be seen on any photo."""
    for number, region in enumerate(explanation.regions[:REGIONS_SHOWN], start=1):
        frame = (
            x + region.x1 * mm_per_px,
            y + region.y1 * mm_per_px,
            (region.x2 - region.x1) * mm_per_px,
            (region.y2 - region.y1) * mm_per_px,
        )
        for width, shade in ((0.7, 20), (0.3, 255)):
            sheet.set_line_width(width)
            sheet.set_draw_color(shade, shade, shade)
            if region.contour:  # through centres of pixels
                sheet.polygon([(x + (u + 0.5) * mm_per_px, y + (v + 0.5) * mm_per_px) for u, v in region.contour], style="D")
            else:
                sheet.rect(*frame)
        # Beside the box, so that a small defect stays to be seen.
        label_y = frame[1] - NUMBER_MM if frame[1] - NUMBER_MM >= y else frame[1] + frame[3]
        sheet.set_fill_color(20, 20, 20)
        sheet.rect(frame[0], label_y, NUMBER_MM, NUMBER_MM, style="F")
        sheet.set_xy(frame[0], label_y)
        sheet.style(6.5, bold=True, colour=(255, 255, 255))
        sheet.cell(NUMBER_MM, NUMBER_MM, str(number), align="C")
    sheet.set_line_width(0.2)


def _lists(sheet: Sheet, record: InspectionRecord) -> None:
    """Probabilities as bars on the left, regions on the right."""
    top = sheet.y
    sheet.text_line(say("Probabilities (calibrated)"), 8.5, bold=True)
    ranked = sorted(record.probabilities.items(), key=lambda item: -item[1])
    for name, probability in ranked[:PROBABILITIES_SHOWN]:
        y = sheet.y
        sheet.text_line(name, 8.5, width=32, height=4.6)
        sheet.set_fill_color(*BAND)
        sheet.rect(48, y + 1.2, 36, 2.4, style="F")
        sheet.set_fill_color(*ACCENT)
        sheet.rect(48, y + 1.2, max(0.2, 36 * probability), 2.4, style="F")
        sheet.set_xy(85, y)
        sheet.text_line(f"{100 * probability:.1f} %", 8.5, width=17, height=4.6)
        sheet.set_x(COLUMN_MM[0])
    if not ranked:
        sheet.text_line(say("not judged"), 8.5, colour=GREY)
    elif len(ranked) > PROBABILITIES_SHOWN:
        below = len(ranked) - PROBABILITIES_SHOWN
        sheet.text_line(say_count("and {count} class below these", "and {count} classes below these", below), 8, colour=GREY)
    bottom = sheet.y
    sheet.set_xy(COLUMN_MM[1] - sheet.c_margin, top)
    sheet.text_line(say("Regions (pixels of the picture; sizes of the warm region)"), 8.5, bold=True)
    regions = record.explanation.regions if record.explanation is not None else ()
    for number, region in enumerate(regions[:REGIONS_SHOWN], start=1):
        sheet.text_line(f"{number}. {_region_line(region)}", 8.5, height=4.6)
        if sizes := _size_line(region, record.mm_per_px):
            sheet.text_line(sizes, 7.5, colour=GREY, height=4.6)
    if not regions:
        sheet.text_line(say("none above the region threshold"), 8.5, colour=GREY)
    elif len(regions) > REGIONS_SHOWN:
        sheet.text_line(say("and {count} weaker ones", count=len(regions) - REGIONS_SHOWN), 8, colour=GREY)
    check = record.explanation.check if record.explanation is not None else None
    if check is not None:
        scores = {"without": check.score_without, "alone": check.score_only}
        sheet.text_line(say("score without them {without:.3f}, of them alone {alone:.3f}", **scores), 8, colour=GREY)
        if check.conflict:
            sheet.text_line(say("conflict: the map does not explain the verdict"), 8, bold=True)
    sheet.set_xy(COLUMN_MM[0], max(bottom, sheet.y) + 1)


def _region_lines(record: InspectionRecord) -> int:
    if record.explanation is None:
        return 1
    check, regions = record.explanation.check, record.explanation.regions
    sized = sum(region.length_px is not None for region in regions[:REGIONS_SHOWN])
    return max(1, min(len(regions), REGIONS_SHOWN + 1)) + sized + (0 if check is None else 1 + check.conflict)


def _region_line(region: Region) -> str:
    return say(
        "{defect}: x {x1} to {x2}, y {y1} to {y2}, peak {peak:.2f}",
        defect=region.label, x1=region.x1, x2=region.x2, y1=region.y1, y2=region.y2, peak=region.score,
    )  # fmt: skip


def _size_line(region: Region, mm_per_px: float | None) -> str:
    """`2.10 × 0.55 mm, 0.89 mm² · 42 × 11 px, 355 px²`; empty where the record has no sizes."""
    return " · ".join(f"{extent}, {area}" for extent, area in size_texts(region, mm_per_px))


def _reviews(sheet: Sheet, record: InspectionRecord, zone: ZoneInfo) -> None:
    sheet.text_line(say("Reviews"), 8.5, bold=True)
    for review in record.reviews:
        sheet.paragraph(_review_line(review, zone), 8.5)
    if not record.reviews:
        sheet.text_line(say("not reviewed"), 8.5, colour=GREY)


def _review_line(review: Review, zone: ZoneInfo) -> str:
    """`Review 4  2026-11-24 09:03:11 KST  Kim: override, good. Reason: … (corrects review 3)`."""
    pieces = [
        say("Review {number}  {time}", number=review.id, time=moment(review.reviewed_at, zone)),
        f" {review.reviewer}: {known(DECISIONS[review.decision])}, {disposition_text(review)}.",
    ]
    if review.boxes:
        pieces.append(say("Drew: {boxes}.", boxes=boxes_text(review.boxes)))
    if review.reason:
        pieces.append(say("Reason: {reason}", reason=comment_text(review)))
    if review.supersedes is not None:
        pieces.append(say("(corrects review {number})", number=review.supersedes))
    return " ".join(pieces)
