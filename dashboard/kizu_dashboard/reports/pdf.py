"""The defect report as PDF: what was found in the period, then each flagged part with its evidence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kizu_dashboard.reports.content import DefectReport
from kizu_dashboard.reports.fonts import USUAL_FONTS, choose_font
from kizu_dashboard.reports.part_block import draw_part_block, part_texts
from kizu_dashboard.reports.sheet import BAND, FAINT, GREY, Sheet
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import FOOT_SENTENCE, class_name, disposition_text, moment, promise_text
from kizu_db.image_store import ImageStore
from kizu_db.values import InspectionRecord
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

__all__ = ["pdf_report"]

TABLE_COLUMNS: Final = (
    ("No.", 10),
    ("Part", 40),
    ("Captured", 40),
    ("Verdict", 17),
    ("Suspected", 25),
    ("Score", 14),
    ("Decision", 34),
)
"""Heading and width in mm; together the 180 mm between the margins."""
ROW_MM: Final = 5.6


def pdf_report(
    report: DefectReport, images: ImageStore, *, font: Path | None = None, usual_fonts: tuple[Path, ...] = USUAL_FONTS
) -> bytes:
    """The report as a PDF file. Where a picture is missing or broken, its place says so.

    `font` is the configured TrueType font. Raises ConfigError where it is not there, or no font at hand has the letters
    of the report's texts.
    """
    # fontTools remarks on tables of the font that a PDF has no use for.
    logging.getLogger("fontTools.subset").setLevel(logging.ERROR)
    sheet = Sheet(choose_font("".join(_texts(report)), font, usual_fonts), foot=FOOT_SENTENCE)
    sheet.set_title(sheet.clean(f"Defect report {report.plant}"))
    sheet.set_creator(report.software)
    sheet.set_creation_date(report.made_at)
    sheet.add_page()
    _header(sheet, report)
    _summary(sheet, report)
    _table(sheet, report)
    for number, record in enumerate(report.flagged, start=1):
        draw_part_block(sheet, record, images, report.zone, number=number)
    return bytes(sheet.output())


def _texts(report: DefectReport) -> Iterator[str]:
    """Every text of the report that is not written in this room."""
    yield from (report.plant, report.station or "", report.made_by, moment(report.made_at, report.zone))
    yield from (f"{model.name}" for model in report.models)
    yield from (f"{recipe.station}" for recipe in report.recipes)
    for record in report.flagged:
        yield from part_texts(record, report.zone)


def _header(sheet: Sheet, report: DefectReport) -> None:
    sheet.text_line("Defect report", 20, bold=True, height=9)
    sheet.text_line(report.plant, 12, colour=GREY, height=6)
    sheet.ln(2)
    zone, models = report.zone, {model.hash: model for model in report.models}
    lines = [
        ("Station", report.station or "all stations"),
        ("Period", f"{moment(report.since, zone)} to {moment(report.until, zone)} (excluded), time zone {zone.key}"),
        ("Made", f"{moment(report.made_at, zone)}" + (f" by {report.made_by}" if report.made_by else "")),
        ("Software", report.software),
    ]
    lines += [("Model", f"{model.name}, SHA-256 {model.hash}") for model in report.models] or [("Model", "none on record")]
    lines += [
        ("Recipe", f"{recipe.station}, version {recipe.version}, model {(recipe.model_hash or 'none')[:12]}")
        for recipe in report.recipes
    ] or [("Recipe", "none on record")]
    lines += [
        ("Promise", f"{recipe.station}, version {recipe.version}: {lacking}")
        for recipe in report.recipes
        if (lacking := promise_text(models.get(recipe.model_hash or ""), recipe.limits[0])) is not None
    ]
    for name, text in lines:
        top = sheet.y
        sheet.text_line(name, 9, colour=GREY, width=22, height=4.6)
        sheet.set_xy(sheet.l_margin + 22, top)
        sheet.paragraph(text, 9, height=4.6)
        sheet.set_x(sheet.l_margin)


def _summary(sheet: Sheet, report: DefectReport) -> None:
    sheet.heading("Summary")
    counts = report.counts
    total = sum(counts.values())
    sheet.text_line(f"Inspections in the period: {total:,}", 9.5, bold=True)
    for verdict in (Verdict.PASS, Verdict.REVIEW, Verdict.REJECT, Verdict.ERROR):
        look, top = LOOKS[verdict], sheet.y
        sheet.badge(look, x=sheet.l_margin + 1, y=top + 0.3)
        sheet.set_xy(sheet.l_margin + 24, top)
        sheet.text_line(share_of(verdict, counts).text, 9, height=6)
        sheet.set_x(sheet.l_margin)
    sheet.ln(1)
    sheet.text_line(f"First-pass yield, by inspection: {first_pass_yield(counts).text}", 9.5, bold=True)
    sheet.paragraph(
        "Intervals are Wilson score intervals. REVIEW and ERROR count as not passed at the first time.", 8, colour=GREY
    )


def _table(sheet: Sheet, report: DefectReport) -> None:
    sheet.heading(f"Flagged parts ({report.flagged_count:,})")
    if report.left_out:
        sheet.paragraph(
            f"This report holds the newest {len(report.flagged):,} of {report.flagged_count:,}. Choose a shorter period, or "
            "raise report.max_parts, for the others; a CSV holds all.",
            9,
            bold=True,
        )
    if not report.flagged:
        sheet.paragraph("No inspection of the period was flagged.", 9, colour=GREY)
        return
    _table_head(sheet)
    for number, record in enumerate(report.flagged, start=1):
        if sheet.will_page_break(ROW_MM):
            sheet.add_page()
            _table_head(sheet)
        _table_row(sheet, report, number, record)


def _table_head(sheet: Sheet) -> None:
    sheet.set_fill_color(*BAND)
    sheet.style(8, bold=True, colour=GREY)
    for title, width in TABLE_COLUMNS:
        sheet.cell(width, ROW_MM, title, fill=True)
    sheet.ln(ROW_MM)


def _table_row(sheet: Sheet, report: DefectReport, number: int, record: InspectionRecord) -> None:
    row, review, look = record.row, record.standing_review, LOOKS[record.row.verdict]
    texts = (
        str(number),
        row.part,
        moment(row.captured_at, report.zone),
        look.word,
        class_name(row.target or ""),
        "" if row.score is None else f"{row.score:.3f}",
        "open" if review is None else disposition_text(review),
    )
    sheet.style(8)
    for (_, width), text in zip(TABLE_COLUMNS, texts, strict=True):
        sheet.cell(width, ROW_MM, sheet.fitted(sheet.clean(" ".join(text.split())), width - 2 * sheet.c_margin))
    sheet.ln(ROW_MM)
    sheet.set_draw_color(*FAINT)
    sheet.line(sheet.l_margin, sheet.y, sheet.w - sheet.r_margin, sheet.y)
