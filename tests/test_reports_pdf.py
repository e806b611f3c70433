"""The defect report as PDF, read back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from dashboard_world import MODEL_HASH, START, Plant, filled_plant
from kizu_dashboard.language.speaking import speaking
from kizu_dashboard.reports.content import DefectReport, gather_report
from kizu_dashboard.reports.fonts import USUAL_FONTS, choose_font
from kizu_dashboard.reports.pdf import pdf_report, printed_language
from kizu_dashboard.wording import FOOT_SENTENCE, size_texts
from kizu_inspect.errors import ConfigError
from kizu_inspect.synth import KINDS

MADE_AT = datetime(2026, 3, 3, 1, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with filled_plant(tmp_path_factory.mktemp("plant")) as plant:
        plant.review("P-1002", reason="먼지 only")
        first = plant.record("P-1002").reviews[0].id
        plant.review(
            "P-1002", reviewer="Lee", disposition="defective", defect_class="scratch", decision="accept", supersedes=first
        )
        yield plant


@pytest.fixture(scope="module")
def report(plant: Plant) -> DefectReport:
    return gather_report(plant.room.records, plant.config, since=START, until=START + DAY, made_by="Kim", made_at=MADE_AT)


@pytest.fixture(scope="module")
def pages(plant: Plant, report: DefectReport) -> list[str]:
    reader = PdfReader(io.BytesIO(pdf_report(report, plant.room.images)))
    # Three characters wide ligatures and line ends are the PDF's, not the report's.
    return [re.sub(r"\s+", " ", page.extract_text()) for page in reader.pages]


@pytest.mark.parametrize(
    "text",
    [
        "Werk Süd",
        "Station all stations",
        "2026-03-02 14:00:00 KST to 2026-03-03 14:00:00 KST (excluded), time zone Asia/Seoul",
        "2026-03-03 10:02:03 KST by Kim",
        "Kizu 0.1.0",
        f"plates, SHA-256 {MODEL_HASH}",
        "press-3, version 1",
        "Inspections in the period: 12",
        "First-pass yield, by inspection: 25.0 % (3 of 12; 95 % interval 8.9 to 53.2 %)",
        "50.0 % (6 of 12; 95 % interval 25.4 to 74.6 %)",
        "Flagged parts (9)",
        "부품-1004",
    ],
)
def test_the_first_page_tells_where_when_with_what_and_how_many(pages: list[str], text: str) -> None:
    assert text in pages[0]


def test_every_page_ends_with_the_sentence_about_heatmaps(pages: list[str]) -> None:
    assert all(FOOT_SENTENCE in page for page in pages)


def test_a_korean_reader_has_it_in_korean(plant: Plant, report: DefectReport) -> None:
    with speaking("ko"):
        assert printed_language() == "ko"
        reader = PdfReader(io.BytesIO(pdf_report(report, plant.room.images)))
    pages = [re.sub(r"\s+", " ", page.extract_text()) for page in reader.pages]
    assert "불량 보고서 Werk Süd 스테이션 전체 스테이션" in pages[0]
    for text in (
        "직행률 (검사 기준): 25.0 % (12건 중 3건, 95 % 신뢰구간 8.9–53.2 %)",
        "의심 부품 (9건)",
        "번호 부품 촬영 시각",
    ):
        assert text in pages[0]
    later = " ".join(pages[1:])
    for text in (
        "scratch의 근거",
        "Kim: 판정 변경, 양품. 사유: 먼지 only",
        "자동 판정 REJECT: scratch: 불량 점수 0.930 ≥ REJECT 한계값 0.600",
    ):
        assert text in later
    allowed = {"REVIEW", "REJECT", "ERROR", "PASS", "Grad", "CAM", "SHA", "KST", "Asia", "Seoul", "Wilson", "Kizu", "Werk"}
    allowed |= {
        "Kim",
        "Lee",
        "only",
        "HYPERLINK",
        "png",
        "cpu",
        "plate",
        "plates",
        "press",
        "top",
        "good",
        *KINDS,
        "missing",
        "hole",
    }
    allowed |= set(
        re.findall(
            "[A-Za-z]{3,}", "only dust, defect score picture cannot be judged is truncated or broken out of memory found bytes"
        )
    )
    left = re.sub("[0-9a-f]{8}[0-9a-f-]*", "", " ".join(pages))  # ids and hashes
    assert set(re.findall("[A-Za-z]{3,}", left)) - allowed == set()


def test_where_no_font_has_a_languages_letters_the_report_is_english(plant: Plant, report: DefectReport) -> None:
    plain = replace(report, flagged=())
    with speaking("ko"):
        language = printed_language(usual_fonts=())
        assert language == "en"
        with pytest.raises(ConfigError, match="no font at hand"):
            pdf_report(plain, plant.room.images, usual_fonts=())
        with speaking(language):
            assert pdf_report(plain, plant.room.images, usual_fonts=()).startswith(b"%PDF")


def _block(pages: list[str], part: str) -> str:
    """The text from this part's headline to the next one's."""
    text = " ".join(page.replace(FOOT_SENTENCE, "") for page in pages[1:])
    found = re.search(rf"\d+\. {re.escape(part)} press-3.*?(?=\d+\. \S+ press-3|$)", text)
    assert found is not None, text
    return found.group()


def test_a_part_has_evidence_probabilities_and_every_review(plant: Plant, pages: list[str]) -> None:
    block = _block(pages, "P-1002")
    explanation = plant.record("P-1002").explanation
    assert explanation is not None
    regions = explanation.regions
    for text in (
        "Grad-CAM: evidence for scratch",
        "1 = full scale",
        "peak 1.20 of the scale",
        "1. scratch: x",
        " · ".join(f"{extent}, {area}" for extent, area in size_texts(regions[0], 0.05)),
        "84.6 %",
        "Kim: override, good. Reason: 먼지 only",
        "Lee: accept, defective: scratch. Reason: only dust (corrects review",
        plant.uids["P-1002"],
    ):
        assert text in block
    assert "score without them 0.031, of them alone 0.882" in block
    assert "conflict" not in block
    assert "conflict: the map does not explain the verdict" in _block(pages, "P-1005")


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("P-1007", "The map is flat"),
        ("P-1008", "The heatmap is being made."),
        ("P-1009", "The heatmap could not be made: out of memory"),
        ("P-1010", "No picture was kept."),
    ],
)
def test_a_part_without_map_or_picture_says_why(pages: list[str], part: str, why: str) -> None:
    assert why in _block(pages, part)


def test_photo_overlay_and_legend_are_in_the_file(plant: Plant, report: DefectReport) -> None:
    one = replace(report, flagged=(plant.record("P-1002"),))
    reader = PdfReader(io.BytesIO(pdf_report(one, plant.room.images)))
    sizes = sorted(image.image.size for page in reader.pages for image in page.images if image.image is not None)
    assert sizes == [(320, 320), (320, 320), (520, 16)]


def test_a_picture_lost_from_the_store_does_not_lose_the_report(tmp_path: Path) -> None:
    with filled_plant(tmp_path) as plant:
        record = plant.record("P-1002")
        assert record.row.image_sha256 is not None
        plant.room.images.path_of(record.row.image_sha256).unlink()
        report = gather_report(plant.room.records, plant.config, since=START, until=START + DAY)
        text = PdfReader(io.BytesIO(pdf_report(report, plant.room.images))).pages[1].extract_text()
    assert "The picture is missing from the image store" in text


def test_a_cut_report_says_how_many_are_left_out(plant: Plant) -> None:
    report = gather_report(plant.room.records, plant.config, since=START, until=START + DAY, most=2)
    assert (len(report.flagged), report.left_out) == (2, 7)
    assert [record.row.part for record in report.flagged] == ["P-1010", "<b>P-1012</b>"], "the newest, oldest first"
    text = PdfReader(io.BytesIO(pdf_report(report, plant.room.images))).pages[0].extract_text()
    assert "This report holds the newest 2 of 9." in text


def test_a_period_without_flagged_parts_is_a_report_too(plant: Plant) -> None:
    report = gather_report(plant.room.records, plant.config, since=START - DAY, until=START)
    (page,) = PdfReader(io.BytesIO(pdf_report(report, plant.room.images))).pages
    text = page.extract_text()
    assert "No inspection of the period was flagged." in text
    assert "First-pass yield, by inspection: – (0 of 0)" in text


def test_without_any_font_latin_text_is_set_in_the_core_font(plant: Plant, report: DefectReport) -> None:
    one = replace(report, flagged=(plant.record("P-1005"),))
    text = PdfReader(io.BytesIO(pdf_report(one, plant.room.images, usual_fonts=()))).pages[0].extract_text()
    assert "Werk Süd" in text


def test_without_any_font_korean_text_names_the_package(plant: Plant, report: DefectReport) -> None:
    with pytest.raises(ConfigError, match=r"letters that no font at hand can print.*fonts-nanum"):
        pdf_report(report, plant.room.images, usual_fonts=())


def test_a_configured_font_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the report's font is not there"):
        choose_font("text", tmp_path / "none.ttf")


def test_a_configured_file_that_is_no_font_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").write_bytes(b"no font at all")
    with pytest.raises(ConfigError, match="cannot be read"):
        choose_font("text", tmp_path / "font.ttf")


def test_korean_chooses_the_font_that_has_it_and_a_symbol_becomes_a_question_mark() -> None:
    font = choose_font("부품 \N{GRINNING FACE}")
    assert font.regular == USUAL_FONTS[1]
    assert font.bold is not None
    assert font.bold.name == "NanumGothicBold.ttf"
    assert font.clean("부품 \N{GRINNING FACE}") == "부품 ?"


def test_the_core_font_says_typographic_marks_plainly() -> None:
    assert choose_font("a ≥ b – “c”", usual=()).clean("a ≥ b – “c”") == 'a >= b - "c"'
