"""The list of inspections: thumbnails, verdicts as mark and word, one click to the part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in
from kizu_dashboard.deciding import WAITING_VERDICTS, decision_word
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import class_name, places_text, reason_text
from kizu_db.values import InspectionRow
from kizu_inspect.sums.scores import probability_text

__all__ = ["draw_inspection_list", "list_data"]

_mount = st.components.v2.component(
    "kizu_inspection_list",
    html=read_asset("inspection_list.html"),
    css=read_asset("inspection_list.css"),
    js=join_scripts("speaking.js", "making.js", "inspection_list.js"),
)


def draw_inspection_list(rows: Sequence[InspectionRow], zone: ZoneInfo) -> str | None:
    """Mounts the list; the id of the inspection that was just clicked, or None."""
    result = _mount(key="inspections", data=list_data(rows, zone), on_opened_change=lambda: None)
    opened = result.opened
    return opened if isinstance(opened, str) else None


def list_data(rows: Sequence[InspectionRow], zone: ZoneInfo) -> dict[str, Any]:
    """What the list is told, one entry a row."""
    texts = texts_in("inspection_list.html", "making.js", "inspection_list.js")
    return {"rows": [_row_data(row, zone) for row in rows], "texts": texts}


def _row_data(row: InspectionRow, zone: ZoneInfo) -> dict[str, Any]:
    look = LOOKS[row.verdict]
    waits = row.disposition is None and row.verdict in WAITING_VERDICTS
    captured = row.captured_at.astimezone(zone)
    return {
        "uid": row.uid,
        "part": row.part,
        "generated": row.part_generated,
        "place": " · ".join(places_text(row)),
        "thumbnail": None if row.kept_image is None else f"/thumbnail/{row.uid}",
        "icon": look.icon,
        "word": look.word,
        "ink": look.ink,
        "paper": look.paper,
        "reason": reason_text(row),
        "suspected": class_name(row.target) if row.target and row.verdict.flagged else None,
        "score": row.score,
        "score_text": None if row.score is None else probability_text(row.score),
        "time": captured.strftime("%H:%M:%S"),
        "date": captured.strftime("%Y-%m-%d"),
        "decision": decision_word(row),
        "decided": row.disposition is not None,
        "waits": waits,
        "audit": row.audit,
        "conflict": row.explanation_conflict,
    }
