"""The defect report as PDF: what was found in the period, then each flagged part with its evidence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kizu_dashboard.language.catalogues import texts_of
from kizu_dashboard.language.speaking import ENGLISH, known, language_now, marked, say
from kizu_dashboard.reports.content import DefectReport
from kizu_dashboard.reports.fonts import USUAL_FONTS, choose_font
from kizu_dashboard.reports.part_block import draw_part_block, part_texts
from kizu_dashboard.reports.sheet import BAND, FAINT, GREY, Sheet
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import FOOT_SENTENCE, class_name, disposition_text, moment, promise_text, share_text
from kizu_db.image_store import ImageStore
from kizu_db.values import InspectionRecord, RecipeRow
from kizu_inspect.errors import ConfigError
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

__all__ = ["pdf_report", "printed_language"]

TABLE_COLUMNS: Final = (
    (marked("No."), 10),
    (marked("Part"), 40),
    (marked("Captured"), 40),
    (marked("Verdict"), 17),
    (marked("Suspected"), 25),
    (marked("Score"), 14),
    (marked("Decision"), 34),
)
"""Heading and width in mm; together the 180 mm between the margins."""
ROW_MM: Final = 5.6
_FILES: Final = ("pdf.py", "part_block.py", "wording.py", "reasons.py")
"""Where what a report says is written."""


def pdf_report(
    report: DefectReport, images: ImageStore, *, font: Path | None = None, usual_fonts: tuple[Path, ...] = USUAL_FONTS
) -> bytes:
    """The report as a PDF file, in the language that is spoken. Where a picture is missing or broken, its place says so.

    `font` is the configured TrueType font. Raises ConfigError where it is not there, or no font at hand has the letters
    of the report's texts.
    """
    # fontTools remarks on tables of the font that a PDF has no use for.
    logging.getLogger("fontTools.subset").setLevel(logging.ERROR)
    sheet = Sheet(choose_font("".join(_texts(report)), font, usual_fonts), foot=known(FOOT_SENTENCE))
    sheet.set_title(sheet.clean(say("Defect report {plant}", plant=report.plant)))
    sheet.set_creator(report.software)
    sheet.set_creation_date(report.made_at)
    sheet.add_page()
    _header(sheet, report)
    _summary(sheet, report)
    _table(sheet, report)
    for number, record in enumerate(report.flagged, start=1):
        draw_part_block(sheet, record, images, report.zone, number=number)
    return bytes(sheet.output())


def printed_language(font: Path | None = None, *, usual_fonts: tuple[Path, ...] = USUAL_FONTS) -> str:
    """The reader's language; English where no font at hand has its letters. `font` as for `pdf_report`."""
    try:
        choose_font("".join(_own_texts()), font, usual_fonts)
    except ConfigError:
        return ENGLISH
    return language_now()


def _own_texts() -> Iterator[str]:
    yield from texts_of(language_now(), _FILES).values()


def _texts(report: DefectReport) -> Iterator[str]:
    """Every text of the report that may need letters beyond Latin: from the records, and of the reader's language."""
    yield from _own_texts()
    yield from (report.plant, report.station or "", report.made_by, moment(report.made_at, report.zone))
    yield from (f"{model.name}" for model in report.models)
    yield from (f"{recipe.station}" for recipe in report.recipes)
    for record in report.flagged:
        yield from part_texts(record, report.zone)


def _header(sheet: Sheet, report: DefectReport) -> None:
    sheet.text_line(say("Defect report"), 20, bold=True, height=9)
    sheet.text_line(report.plant, 12, colour=GREY, height=6)
    sheet.ln(2)
    zone, made = report.zone, moment(report.made_at, report.zone)
    lines = [
        (say("Station"), report.station or say("all stations")),
        (
            say("Period"),
            say(
                "{since} to {until} (excluded), time zone {zone}",
                since=moment(report.since, zone), until=moment(report.until, zone), zone=zone.key,
            ),
        ),
        (say("Made"), say("{time} by {name}", time=made, name=report.made_by) if report.made_by else made),
        (say("Software"), report.software),
    ]  # fmt: skip
    nothing = say("none on record")
    lines += [(say("Model"), f"{model.name}, SHA-256 {model.hash}") for model in report.models] or [(say("Model"), nothing)]
    lines += [(say("Recipe"), _recipe_line(recipe)) for recipe in report.recipes] or [(say("Recipe"), nothing)]
    models = {model.hash: model for model in report.models}
    lines += [
        (
            say("Promise"),
            say("{station}, version {version}: {lacking}", station=one.station, version=one.version, lacking=lacking),
        )
        for one in report.recipes
        if (lacking := promise_text(models.get(one.model_hash or ""), one.limits[0])) is not None
    ]
    for name, text in lines:
        top = sheet.y
        sheet.text_line(name, 9, colour=GREY, width=22, height=4.6)
        sheet.set_xy(sheet.l_margin + 22, top)
        sheet.paragraph(text, 9, height=4.6)
        sheet.set_x(sheet.l_margin)


def _recipe_line(recipe: RecipeRow) -> str:
    model = recipe.model_hash[:12] if recipe.model_hash else say("none")
    return say("{station}, version {version}, model {model}", station=recipe.station, version=recipe.version, model=model)


def _summary(sheet: Sheet, report: DefectReport) -> None:
    sheet.heading(say("Summary"))
    counts = report.counts
    total = sum(counts.values())
    sheet.text_line(say("Inspections in the period: {total:,}", total=total), 9.5, bold=True)
    for verdict in (Verdict.PASS, Verdict.REVIEW, Verdict.REJECT, Verdict.ERROR):
        look, top = LOOKS[verdict], sheet.y
        sheet.badge(look, x=sheet.l_margin + 1, y=top + 0.3)
        sheet.set_xy(sheet.l_margin + 24, top)
        sheet.text_line(share_text(share_of(verdict, counts)), 9, height=6)
        sheet.set_x(sheet.l_margin)
    sheet.ln(1)
    sheet.text_line(say("First-pass yield, by inspection: {share}", share=share_text(first_pass_yield(counts))), 9.5, bold=True)
    sheet.paragraph(
        say("Intervals are Wilson score intervals. REVIEW and ERROR count as not passed at the first time."), 8, colour=GREY
    )


def _table(sheet: Sheet, report: DefectReport) -> None:
    sheet.heading(say("Flagged parts ({count:,})", count=report.flagged_count))
    if report.left_out:
        sheet.paragraph(
            say(
                "This report holds the newest {held:,} of {count:,}. Choose a shorter period, or raise report.max_parts, for "
                "the others; a CSV holds all.",
                held=len(report.flagged),
                count=report.flagged_count,
            ),
            9,
            bold=True,
        )
    if not report.flagged:
        sheet.paragraph(say("No inspection of the period was flagged."), 9, colour=GREY)
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
        sheet.cell(width, ROW_MM, known(title), fill=True)
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
        say("open") if review is None else disposition_text(review),
    )
    sheet.style(8)
    for (_, width), text in zip(TABLE_COLUMNS, texts, strict=True):
        sheet.cell(width, ROW_MM, sheet.fitted(sheet.clean(" ".join(text.split())), width - 2 * sheet.c_margin))
    sheet.ln(ROW_MM)
    sheet.set_draw_color(*FAINT)
    sheet.line(sheet.l_margin, sheet.y, sheet.w - sheet.r_margin, sheet.y)
