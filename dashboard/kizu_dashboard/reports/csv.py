"""The defect report as CSV: one row for each flagged inspection."""

from __future__ import annotations

import csv
import io
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
    "score_without_regions", "score_of_regions_only", "explanation_conflict",
    "disposition", "defect_class", "decision", "reviewer", "reviewed_at", "review_reason", "reviews", "image", "image_sha256",
    "model", "model_hash", "recipe_version", "device", "error",
)  # fmt: skip


def csv_report(report: DefectReport) -> bytes:
    """The flagged inspections, oldest first; UTF-8 with a byte-order mark, by which Excel knows the encoding.

    Times are ISO 8601 in the plant's zone with their offset.
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
    return cells


def _region(region: Region) -> str:
    """`scratch [10, 20, 40, 60] peak 0.91`, the box in pixels of the original picture."""
    return f"{region.label} [{region.x1}, {region.y1}, {region.x2}, {region.y2}] peak {region.score:.2f}"
