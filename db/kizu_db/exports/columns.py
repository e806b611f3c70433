"""The columns of the four tables, and a record's rows in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from kizu_db.values import InspectionRecord

__all__ = ["SCHEMAS", "table_rows"]

_TIME: Final = pa.timestamp("us", tz="UTC")
_FIGURES: Final = pa.map_(pa.string(), pa.float64())
_KINDS: Final = {
    "text": pa.string(),
    "yes": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "time": _TIME,
    "figures": _FIGURES,
}


def _schema(**kinds: str) -> pa.Schema:
    """Columns by name and kind; a kind with `?` may be null."""
    return pa.schema([pa.field(name, _KINDS[kind.rstrip("?")], nullable=kind.endswith("?")) for name, kind in kinds.items()])


SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "inspections": _schema(
        uid="text", part="text", part_generated="yes", view="text?", lot="text?", station="text",
        source="text", source_key="text", captured_at="time", judged_at="time", verdict="text", reason="text",
        predicted="text?", target="text?", score="float?", novelty="float?", reference_correlation="float?",
        probabilities="figures", image_name="text", image_sha256="text?", image_pruned_at="time?",
        width_px="int?", height_px="int?",
        model="text?", model_hash="text?", recipe_version="int?", promise_holds="yes?", device="text?", timings_ms="figures",
        explanation_state="text", explanation_error="text?", method="text?", map_status="text?", map_peak_of_scale="float?",
        score_without_regions="float?", score_of_regions_only="float?", explanation_conflict="yes",
        audit="yes", audit_probability="float?", disposition="text?", defect_class="text?", error="text?",
        measured="figures", signal="text?", signal_at="time?", signal_late_ms="float?", signal_note="text?",
    ),
    "regions": _schema(
        uid="text", method="text", standing="yes", target="text", ordinal="int", x1="int", y1="int", x2="int", y2="int",
        label="text", score="float", share="float", contour="text?", length_px="float?", width_px="float?", area_px="int?",
        length_mm="float?", width_mm="float?", area_mm2="float?",
    ),
    "reviews": _schema(
        id="int", uid="text", standing="yes", reviewer="text", disposition="text", defect_class="text?", decision="text",
        treatment="text?", reason="text", shown_ms="int?", supersedes="int?", reviewed_at="time",
    ),
    "boxes": _schema(
        review_id="int", uid="text", standing="yes", ordinal="int", x1="int", y1="int", x2="int", y2="int", defect_class="text",
    ),
}  # fmt: skip
"""By table. `uid` names the inspection in each of them.

inspections: `probabilities` (calibrated, by class), `timings_ms` (milliseconds by stage) and `measured` (of the picture) are
maps; `promise_holds` says whether the model's promised miss rate holds with the PASS limit that judged (null: it promises
none); `signal` (OK, NG, none) to `signal_note` say what the line's control was told; `method` to
`score_of_regions_only` speak of the map that stands for the inspection, `explanation_conflict` of any of its maps;
`map_peak_of_scale` is its maximum as a share of the fixed display scale; `disposition` and `defect_class` say what the latest
review says.
regions: of every map, in pixels of the original picture, x2 and y2 exclusive; `standing` marks those of the standing map,
`score` is the region's peak on the fixed scale, `share` its share of the map's sum; `contour` is JSON, [[x, y], …]; contour and
sizes are null for regions of before they were recorded, sizes in mm also where the recipe has no `mm_per_px`.
reviews: all, also those that were corrected; `standing` marks the latest of an inspection.
boxes: those that reviewers drew, in pixels of the original picture, x2 and y2 exclusive; `standing` marks those of the latest
review.
"""


def table_rows(record: InspectionRecord) -> dict[str, list[dict[str, Any]]]:
    """The record's rows by table, with the columns of `SCHEMAS`; a map column as (name, value) pairs."""
    return {
        "inspections": [_inspection(record)],
        "regions": list(_regions(record)),
        "reviews": list(_reviews(record)),
        "boxes": list(_boxes(record)),
    }


def _inspection(record: InspectionRecord) -> dict[str, Any]:
    row, review, explanation, signal = record.row, record.standing_review, record.explanation, record.signal
    values: dict[str, Any] = {
        "uid": row.uid, "part": row.part, "part_generated": row.part_generated, "view": row.view, "lot": row.lot,
        "station": row.station, "source": record.source, "source_key": record.source_key,
        "captured_at": row.captured_at, "judged_at": row.judged_at,
        "verdict": row.verdict.value, "reason": row.reason, "predicted": row.predicted, "target": row.target,
        "score": row.score, "novelty": record.novelty, "reference_correlation": record.reference_correlation,
        "probabilities": list(record.probabilities.items()),
        "image_name": record.image_name, "image_sha256": row.image_sha256, "image_pruned_at": row.image_pruned_at,
        "width_px": record.width_px, "height_px": record.height_px,
        "model": None if record.model is None else record.model.name, "model_hash": row.model_hash,
        "recipe_version": None if record.recipe is None else record.recipe.version, "promise_holds": record.keeps_promise,
        "device": record.device, "timings_ms": list(record.timings_ms.items()),
        "explanation_state": row.explanation_state.value, "explanation_error": record.explanation_error,
        "explanation_conflict": row.explanation_conflict, "audit": row.audit, "audit_probability": record.audit_probability,
        "error": record.error, "measured": list((record.measured or {}).items()),
        "signal": signal and signal.sent, "signal_at": signal and signal.sent_at,
        "signal_late_ms": signal and signal.late_ms, "signal_note": signal and signal.note,
    }  # fmt: skip
    if explanation is not None:
        heatmap, check = explanation.heatmap, explanation.check
        values |= {"method": heatmap.method, "map_status": heatmap.status.value, "map_peak_of_scale": heatmap.peak}
        if check is not None:
            values |= {"score_without_regions": check.score_without, "score_of_regions_only": check.score_only}
    if review is not None:
        values |= {"disposition": review.disposition, "defect_class": review.defect_class}
    return values


def _regions(record: InspectionRecord) -> Iterator[dict[str, Any]]:
    for explanation in record.explanations:
        of_map = {
            "uid": record.row.uid, "method": explanation.heatmap.method, "standing": explanation is record.explanation,
            "target": explanation.heatmap.target,
        }  # fmt: skip
        for ordinal, region in enumerate(explanation.regions):
            size = region.in_mm(record.mm_per_px) if record.mm_per_px is not None else None
            yield of_map | {
                "ordinal": ordinal, "x1": region.x1, "y1": region.y1, "x2": region.x2, "y2": region.y2,
                "label": region.label, "score": region.score, "share": region.share,
                "contour": json.dumps(region.contour) if region.contour else None,
                "length_px": region.length_px, "width_px": region.width_px, "area_px": region.area_px,
                **(asdict(size) if size is not None else dict.fromkeys(("length_mm", "width_mm", "area_mm2"))),
            }  # fmt: skip


def _reviews(record: InspectionRecord) -> Iterator[dict[str, Any]]:
    for review in record.reviews:
        yield {
            "id": review.id, "uid": record.row.uid, "standing": review is record.standing_review,
            "reviewer": review.reviewer, "disposition": review.disposition, "defect_class": review.defect_class,
            "decision": review.decision, "treatment": review.treatment, "reason": review.reason, "shown_ms": review.shown_ms,
            "supersedes": review.supersedes, "reviewed_at": review.reviewed_at,
        }  # fmt: skip


def _boxes(record: InspectionRecord) -> Iterator[dict[str, Any]]:
    for review in record.reviews:
        of_review = {"review_id": review.id, "uid": record.row.uid, "standing": review is record.standing_review}
        for ordinal, box in enumerate(review.boxes):
            yield of_review | {"ordinal": ordinal} | asdict(box)
