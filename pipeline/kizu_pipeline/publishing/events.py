"""What is told of an inspection: the payload that is written with it, and the message that is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal

from kizu_db.values import NewInspection, OutboxEvent
from kizu_inspect.results import Explanation, Region, Verdict
from kizu_inspect.versions import version_of

if TYPE_CHECKING:
    from kizu_pipeline.stages.part_state import JudgedPart

__all__ = [
    "EXPLANATION",
    "INSPECTION",
    "PART",
    "SCHEMA_VERSION",
    "explanation_payload",
    "inspection_payload",
    "message_of",
    "part_payload",
    "read_schema",
]

INSPECTION: Final = "inspection"
EXPLANATION: Final = "explanation"
PART: Final = "part"
SCHEMA_VERSION: Final = 1

_software = cache(lambda: f"Kizu {version_of('kizu')}")


def inspection_payload(uid: str, inspection: NewInspection, *, review_signal: Literal["NG", "OK"]) -> dict[str, Any]:
    """What an event of the kind `inspection` says, as plain JSON values."""
    judgement = inspection.judgement
    return {
        "schema_version": SCHEMA_VERSION,
        "inspection": uid,
        "part": inspection.part,
        "part_generated": inspection.part_generated,
        "view": inspection.view,
        "lot": inspection.lot,
        "verdict": judgement.verdict.value,
        "signal": _signal(judgement.verdict, review_signal),
        "reason": judgement.reason,
        "predicted": judgement.predicted,
        "score": judgement.score,
        "probabilities": dict(judgement.probabilities),
        "image_sha256": inspection.image_sha256,
        "image_name": inspection.image_name,
        "captured_at": _utc(inspection.captured_at),
        "judged_at": _utc(inspection.judged_at),
        "model_hash": inspection.model_hash,
        "software": _software(),
    }


def part_payload(part: JudgedPart, *, review_signal: Literal["NG", "OK"]) -> dict[str, Any]:
    """What an event of the kind `part` says, as plain JSON values."""
    verdict = part.worst.verdict
    return {
        "schema_version": SCHEMA_VERSION,
        "part": part.part,
        "part_generated": part.generated,
        "lot": part.lot,
        "verdict": verdict.value,
        "signal": _signal(verdict, review_signal),
        "views": [{"view": seen.view, "inspection": seen.uid, "verdict": seen.verdict.value} for seen in part.views],
        "missing": list(part.missing),
        "judged_at": _utc(datetime.now(UTC)),
        "software": _software(),
    }


def explanation_payload(uid: str, outcome: Explanation | str) -> dict[str, Any]:
    """What an event of the kind `explanation` says, as plain JSON values; a string is why there is none."""
    made = None if isinstance(outcome, str) else outcome
    return {
        "schema_version": SCHEMA_VERSION,
        "inspection": uid,
        "error": outcome if isinstance(outcome, str) else None,
        "method": None if made is None else made.heatmap.method,
        "target": None if made is None else made.heatmap.target,
        "status": None if made is None else made.heatmap.status.value,
        "conflict": None if made is None or made.check is None else bool(made.check.conflict),
        "width_px": None if made is None else made.heatmap.geometry.width_px,
        "height_px": None if made is None else made.heatmap.geometry.height_px,
        "regions": [] if made is None else [_region(region) for region in made.regions],
        "software": _software(),
    }


def _signal(verdict: Verdict, review_signal: Literal["NG", "OK"]) -> str:
    return "OK" if verdict is Verdict.PASS or (verdict is Verdict.REVIEW and review_signal == "OK") else "NG"


def _region(region: Region) -> dict[str, Any]:
    return {
        "x1": int(region.x1),
        "y1": int(region.y1),
        "x2": int(region.x2),
        "y2": int(region.y2),
        "label": region.label,
        "score": float(region.score),
        "share": float(region.share),
        "contour": [[int(x), int(y)] for x, y in region.contour],
        "length_px": None if region.length_px is None else float(region.length_px),
        "width_px": None if region.width_px is None else float(region.width_px),
        "area_px": None if region.area_px is None else int(region.area_px),
    }


def message_of(event: OutboxEvent) -> bytes:
    """The event as it goes over the wire: JSON in UTF-8, the same bytes at each try."""
    told = {"event_id": event.event_id, "seq": event.seq, "kind": event.kind, "station": event.station}
    return json.dumps(told | dict(event.payload), ensure_ascii=True, allow_nan=False).encode()


def read_schema(kind: str, schema_version: int) -> dict[str, Any]:
    """The published JSON schema (draft 2020-12) of this kind of event."""
    file = resources.files(__package__) / "schemas" / f"{kind}.v{schema_version}.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
