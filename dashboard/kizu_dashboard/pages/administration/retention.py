"""What is kept for how long, what is over, and which lots are held whatever the rules say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, marked, say, say_count
from kizu_dashboard.markup import card_title, data_table, facts, quiet
from kizu_dashboard.pages.administration.writing import WHY, chosen, reason_given, write
from kizu_dashboard.room import Room
from kizu_dashboard.wording import moment
from kizu_db.permissions import Action
from kizu_db.retention import Pruned, what_is_due
from kizu_db.settings import RetentionSettings
from kizu_db.values import HeldLot, User
from kizu_inspect.errors import RecordError

__all__ = ["draw_retention", "rules"]

MOST_COUNTED: Final = 100_000
COUNTED: Final = "retention-due"


def draw_retention(room: Room, user: User) -> None:
    """Draws the section; holds are set and ended by who may hold lots."""
    with room.records.unit(read_only=True) as unit:
        held = unit.lots.held()
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, key="card-rules"):
        st.html(card_title(say("Rules in force")))
        st.html(facts(rules(room.config.retention)))
        st.html(quiet(say("They stand in kizu.yaml. “kizu db prune --apply” lets go what is over.")))
        _due(room)
    with right, st.container(border=True, key="card-held"):
        st.html(card_title(say("Lots on hold")))
        st.html(quiet(say("Nothing of a held lot goes, whatever the rules say.")))
        if held:
            zone = room.config.plant.zone
            rows = [[_lot_name(one.name), one.by, moment(one.since, zone), one.reason] for one in held]
            st.html(data_table([say("Lot"), say("By"), say("Since"), say("Why")], rows))
        if user.role.may(Action.HOLD):
            _set_hold(room)
            if held:
                _end_hold(room, held)


def rules(settings: RetentionSettings) -> Mapping[str, str]:
    """What is kept how long, in words."""
    return {
        say("Pictures of PASS parts"): _days(settings.pass_images_days),
        say("Other pictures"): _days(settings.flagged_images_days),
        say("Inspections, maps, reviews"): _days(settings.records_days),
        say("Audit trail"): say("always"),
    }


def _days(days: int | None) -> str:
    return say("for ever") if days is None else say_count("{count:,} day", "{count:,} days", days)


def _lot_name(name: str) -> str:
    return name or say("(parts of no lot)")


def _due(room: Room) -> None:
    """Counted when it is asked for: with much that is over it takes seconds."""
    if st.button(say("Count what is over"), icon=":material/functions:", key="count-due"):
        with st.spinner(say("Counting…")):
            due = what_is_due(room.records, room.config.retention, most=MOST_COUNTED)
        st.session_state[COUNTED] = (datetime.now(UTC), due)
    counted: tuple[datetime, Pruned] | None = st.session_state.get(COUNTED)
    if counted is not None:
        at, due = counted
        images = due.passed_images + due.flagged_images
        told = {
            say("Inspections that are over"): _at_least(due.records),
            say("Pictures of others"): say(
                "{images}, of these {passed:,} of passed parts", images=_at_least(images), passed=due.passed_images
            ),
            say("Counted"): moment(at, room.config.plant.zone),
        }
        st.html(facts(told))


def _at_least(number: int) -> str:
    return say("{count:,} or more", count=number) if number >= MOST_COUNTED else f"{number:,}"


def _set_hold(room: Room) -> None:
    with st.form("hold-lot", border=False, enter_to_submit=False):
        st.text_input(say("Lot to hold"), key="hold", max_chars=500)
        st.text_input(known(WHY), key="hold-why", max_chars=500)
        st.form_submit_button(say("Hold"), key="hold-now", on_click=_hold, args=(room,))


def _end_hold(room: Room, held: list[HeldLot]) -> None:
    with st.form("end-hold", border=False, enter_to_submit=False):
        st.selectbox(
            say("Lot to let go"), [one.name for one in held], index=None, placeholder=say("Choose a lot"), key="unhold",
            format_func=_lot_name,
        )  # fmt: skip
        st.text_input(known(WHY), key="unhold-why", max_chars=500)
        st.form_submit_button(say("End the hold"), key="unhold-now", on_click=_unhold, args=(room,))


def _hold(room: Room) -> None:
    def step(by: str) -> str:
        lot, reason = str(st.session_state["hold"]).strip(), reason_given("hold-why")
        if not lot:
            raise RecordError(marked("Name the lot"), found=marked("no name"))
        with room.records.unit() as unit:
            unit.lots.hold(lot, by=by, reason=reason)
        return say("The lot {lot} is held", lot=lot)

    write(step, empties=["hold", "hold-why"])


def _unhold(room: Room) -> None:
    def step(by: str) -> str:
        lot, reason = chosen("unhold", marked("Choose a lot")), reason_given("unhold-why")
        with room.records.unit() as unit:
            unit.lots.release(lot, by=by, reason=reason)
        return say("The lot {lot} is not held any more", lot=_lot_name(lot))

    write(step, empties=["unhold-why"])
