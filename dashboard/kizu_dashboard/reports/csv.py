"""The defect report as CSV: one row for each flagged inspection."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kizu_dashboard.reports.content import DefectReport
from kizu_db.cells import safe_cell
from kizu_db.values import InspectionRecord
from kizu_inspect.results import Region

__all__ = ["COLUMNS", "csv_report"]

COLUMNS: Final = (
    "inspection", "part", "part_generated", "view", "lot", "station", "captured_at", "judged_at", "verdict", "reason",
    "predicted", "target", "score", "probabilities", "method", "map_status", "map_peak_of_scale", "regions",
    "regions_length_px", "regions_width_px", "regions_area_px", "mm_per_px", "regions_length_mm", "regions_width_mm",
    "regions_area_mm2", "regions_contour",
    "score_without_regions", "score_of_regions_only", "explanation_conflict",
    "disposition", "defect_class", "decision", "reviewer", "reviewed_at", "review_reason", "reviews", "image", "image_sha256",
    "model", "model_hash", "recipe_version", "promise_holds", "device", "error",
)  # fmt: skip


def csv_report(report: DefectReport) -> bytes:
    """The flagged inspections, oldest first; UTF-8 with a byte-order mark, by which Excel knows the encoding.

    Times are ISO 8601 in the plant's zone with their offset. Columns of regions have them all, strongest first, with `; `
    between; what is not on record leaves its place empty.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for record in report.flagged:
        cells = _cells(report, record)
        writer.writerow([safe_cell(cells[column]) for column in COLUMNS])
    return out.getvalue().encode("utf-8-sig")


def _cells(report: DefectReport, record: InspectionRecord) -> dict[str, str]:
    """The row's text by column."""

    def at(when: datetime) -> str:
        return when.astimezone(report.zone).isoformat(timespec="milliseconds")

    row = record.row
    cells = dict.fromkeys(COLUMNS, "")
    cells |= {
        "inspection": row.uid,
        "part": row.part,
        "part_generated": "yes" if row.part_generated else "no",
        "view": row.view or "",
        "lot": row.lot or "",
        "station": row.station,
        "captured_at": at(row.captured_at),
        "judged_at": at(row.judged_at),
        "verdict": row.verdict.value,
        "reason": row.reason,
        "predicted": row.predicted or "",
        "target": row.target or "",
        "score": "" if row.score is None else f"{row.score:.6f}",
        "probabilities": "; ".join(f"{name} {p:.4f}" for name, p in record.probabilities.items()),
        "image": record.image_name,
        "image_sha256": row.image_sha256 or "",
        "device": record.device or "",
        "error": record.error or "",
        "reviews": str(len(record.reviews)),
    }
    if record.explanation is not None:
        heatmap = record.explanation.heatmap
        cells |= {
            "method": heatmap.method,
            "map_status": heatmap.status.value,
            "map_peak_of_scale": f"{heatmap.peak:.4f}",
            "regions": "; ".join(map(_region, record.explanation.regions)),
            **_sizes(record.explanation.regions, record.mm_per_px),
        }
        check = record.explanation.check
        if check is not None:
            cells |= {
                "score_without_regions": f"{check.score_without:.6f}",
                "score_of_regions_only": f"{check.score_only:.6f}",
                "explanation_conflict": "yes" if check.conflict else "no",
            }
    review = record.standing_review
    if review is not None:
        cells |= {
            "disposition": review.disposition,
            "defect_class": review.defect_class or "",
            "decision": review.decision,
            "reviewer": review.reviewer,
            "reviewed_at": at(review.reviewed_at),
            "review_reason": review.reason,
        }
    if record.model is not None:
        cells |= {"model": record.model.name, "model_hash": record.model.hash}
    elif row.model_hash is not None:
        cells["model_hash"] = row.model_hash
    if record.recipe is not None:
        cells["recipe_version"] = str(record.recipe.version)
    if record.keeps_promise is not None:
        cells["promise_holds"] = "yes" if record.keeps_promise else "no"
    return cells


def _region(region: Region) -> str:
    """`scratch [10, 20, 40, 60] peak 0.91`, the box in pixels of the original picture."""
    return f"{region.label} [{region.x1}, {region.y1}, {region.x2}, {region.y2}] peak {region.score:.2f}"


def _sizes(regions: Sequence[Region], mm_per_px: float | None) -> dict[str, str]:
    """Sizes and contours of the regions, each column in their order."""
    in_mm = [None if mm_per_px is None else region.in_mm(mm_per_px) for region in regions]
    columns = {
        "regions_length_px": [_figure(region.length_px) for region in regions],
        "regions_width_px": [_figure(region.width_px) for region in regions],
        "regions_area_px": [_figure(region.area_px) for region in regions],
        "regions_length_mm": [_figure(None if size is None else size.length_mm) for size in in_mm],
        "regions_width_mm": [_figure(None if size is None else size.width_mm) for size in in_mm],
        "regions_area_mm2": [_figure(None if size is None else size.area_mm2) for size in in_mm],
        "regions_contour": [" ".join(f"{x},{y}" for x, y in region.contour) for region in regions],
    }
    cells = {name: "; ".join(texts) if any(texts) else "" for name, texts in columns.items()}
    return cells | {"mm_per_px": _figure(mm_per_px)}


def _figure(value: float | None) -> str:
    """Six significant digits; empty where there is none."""
    return "" if value is None else f"{value:.6g}"
