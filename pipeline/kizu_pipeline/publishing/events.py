"""What is told of an inspection: the payload that is written with it, and the message that is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Literal

from kizu_db.values import NewInspection, OutboxEvent
from kizu_inspect.results import Verdict

if TYPE_CHECKING:
    from kizu_pipeline.stages.part_state import JudgedPart

__all__ = ["INSPECTION", "PART", "SCHEMA_VERSION", "inspection_payload", "message_of", "part_payload", "read_schema"]

INSPECTION: Final = "inspection"
PART: Final = "part"
SCHEMA_VERSION: Final = 1

_software = cache(lambda: f"Kizu {version('kizu')}")


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


def _signal(verdict: Verdict, review_signal: Literal["NG", "OK"]) -> str:
    return "OK" if verdict is Verdict.PASS or (verdict is Verdict.REVIEW and review_signal == "OK") else "NG"


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
