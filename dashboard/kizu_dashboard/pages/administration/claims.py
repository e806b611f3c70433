"""Who has which part on the screen, and taking it from them."""

from __future__ import annotations

import streamlit as st

from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import Cell, card_title, data_table, empty_state
from kizu_dashboard.pages.administration.writing import WHY, chosen, reason_given, write
from kizu_dashboard.room import Room
from kizu_dashboard.wording import moment
from kizu_db.values import Claim, InspectionRow, User

__all__ = ["draw_claims"]


def draw_claims(room: Room, _: User) -> None:
    """Draws the section; for who may release claims."""
    with room.records.unit(read_only=True) as unit:
        claims = unit.queue.claims()
        rows = {row.uid: row for row in unit.inspections.rows([one.uid_inspection for one in claims])}
    if not claims:
        st.html(
            empty_state(say("Nobody has a part on the screen"), say("Parts that are looked at on the page Review stand here."))
        )
        return
    with st.container(border=True, key="card-claims"):
        st.html(card_title(say("On the screen")))
        lines: list[list[Cell]] = [
            [
                (rows[one.uid_inspection].part, f"/part?uid={one.uid_inspection}"),
                rows[one.uid_inspection].station,
                one.reviewer,
                moment(one.expires_at, room.config.plant.zone),
            ]
            for one in claims
        ]
        st.html(data_table([say("Part"), say("Station"), say("Reviewer"), say("Until, unless renewed")], lines))
    with st.container(border=True, key="card-release"):
        st.html(card_title(say("Release one")))
        st.caption(say("Somebody else may then have it at once. A decision that its reviewer makes all the same still counts."))
        _release_form(room, claims, rows)


def _release_form(room: Room, claims: list[Claim], rows: dict[str, InspectionRow]) -> None:
    by_uid = {one.uid_inspection: one for one in claims}
    with st.form("release-claim", border=False, enter_to_submit=False):
        st.selectbox(
            say("Part"), list(by_uid), index=None, placeholder=say("Choose a part"), key="claim",
            format_func=lambda uid: f"{rows[uid].part}, {by_uid[uid].reviewer}" if uid in by_uid else say("released"),
        )  # fmt: skip
        st.text_input(known(WHY), key="claim-why", max_chars=500)
        st.form_submit_button(say("Release"), key="release-claim-now", on_click=_release, args=(room, by_uid))


def _release(room: Room, claims: dict[str, Claim]) -> None:
    def step(by: str) -> str:
        claim, reason = claims[chosen("claim", marked("Choose a part"))], reason_given("claim-why")
        with room.records.unit() as unit:
            unit.queue.free(claim.uid_inspection, of=claim.reviewer, by=by, reason=reason)
        return say("The part is free; {reviewer} had it", reviewer=claim.reviewer)

    write(step, empties=["claim-why"])
