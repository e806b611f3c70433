"""What else is on record beside a part: its other inspections, and its lot around it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.deciding import decision_word
from kizu_dashboard.filters import verdict_label
from kizu_dashboard.language.speaking import say
from kizu_dashboard.markup import Cell, card_title, data_table, quiet
from kizu_dashboard.room import Room
from kizu_dashboard.wording import class_name, moment
from kizu_db.values import InspectionRecord, InspectionRow

__all__ = ["draw_neighbours"]


def draw_neighbours(room: Room, record: InspectionRecord, zone: ZoneInfo) -> None:
    """The newest other inspections of the same part, and those of its lot that were recorded around it."""
    with room.records.unit(read_only=True) as unit:
        same, around = unit.neighbours.of_part(record.row.uid), unit.neighbours.of_lot(record.row.uid)
    if same:
        told = say("its other inspections, newest first, at most 10")
        _card(say("The same part"), told, same, zone, key="card-same-part")
    if around:
        told = say("other parts, recorded next before and after it, newest first, at most 10")
        _card(say("Lot {lot}", lot=record.row.lot), told, around, zone, key="card-lot")


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
