"""What else is on record beside a part: its other inspections, and its lot around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.blindness import veiled
from kizu_dashboard.components.part_strip import draw_part_strip
from kizu_dashboard.deciding import decision_word
from kizu_dashboard.filters import verdict_label
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import Cell, card_title, data_table, quiet
from kizu_dashboard.room import Room
from kizu_dashboard.wording import class_name, moment
from kizu_db.values import InspectionRecord, InspectionRow, User

__all__ = ["draw_near_evidence", "draw_neighbours"]

_NEAR: Final = marked("Earlier parts with evidence for {defect} at this place")
_NEAR_TOLD: Final = marked(
    "Same station and view, at most a tenth of the picture away, newest first, with what people decided. They may look quite "
    "different: only the place is alike."
)
_NONE_NEAR: Final = marked("None among the 2,000 parts before it that were suspected of the same.")


def draw_neighbours(room: Room, record: InspectionRecord, user: User) -> None:
    """The newest other inspections of the same part, and those of its lot that were recorded around it."""
    zone = room.config.plant.zone
    with room.records.unit(read_only=True) as unit:
        same, around = unit.neighbours.of_part(record.row.uid), unit.neighbours.of_lot(record.row.uid)
    same, around = veiled(room, user.name, same), veiled(room, user.name, around)
    if same:
        told = say("its other inspections, newest first, at most 10")
        _card(say("The same part"), told, same, zone, key="card-same-part")
    if around:
        told = say("other parts, recorded next before and after it, newest first, at most 10")
        _card(say("Lot {lot}", lot=record.row.lot), told, around, zone, key="card-lot")


def draw_near_evidence(room: Room, record: InspectionRecord, reader: str) -> None:
    """Earlier parts with evidence at a like place, looked for when it is opened, with what people decided of them."""
    row = record.row
    if not row.verdict.flagged or record.explanation is None or not record.explanation.regions or row.target is None:
        return
    words = known(_NEAR).format(defect=class_name(row.target))
    box = st.expander(words, icon=":material/location_searching:", key=f"near-{row.uid}", on_change="rerun")
    if not box.open:
        return
    with room.records.unit(read_only=True) as unit:
        found = veiled(room, reader, unit.neighbours.near_evidence(row.uid))
    with box:
        st.html(quiet(known(_NEAR_TOLD if found else _NONE_NEAR)))
        if found:
            draw_part_strip(found, room.config.plant.zone, key=f"near-strip-{row.uid}", tell=decision_word)


def _card(title: str, told: str, rows: Sequence[InspectionRow], zone: ZoneInfo, *, key: str) -> None:
    with st.container(border=True, key=key):
        st.html(card_title(title))
        st.html(quiet(told))
        heads = [say("Part"), say("View"), say("Captured"), say("Verdict"), say("Suspected"), say("Decision")]
        st.html(data_table(heads, [_cells(row, zone) for row in rows]))


def _cells(row: InspectionRow, zone: ZoneInfo) -> list[Cell]:
    place = row.view if row.view is not None else row.station
    suspected = class_name(row.target) if row.verdict.flagged and row.target is not None else "–"
    href = f"/part?{urlencode({'uid': row.uid})}"
    return [(row.part, href), place, moment(row.captured_at, zone), verdict_label(row.verdict), suspected, decision_word(row)]
