"""A person's PIN and badge: what they come in by at a known terminal."""

from __future__ import annotations

import streamlit as st

from kizu_dashboard.language.speaking import known, say
from kizu_dashboard.pages.administration.writing import WHY, reason_given, write
from kizu_dashboard.people import new_badge, new_pin
from kizu_dashboard.room import Room
from kizu_db.values import Person

__all__ = ["draw_quick"]


def draw_quick(room: Room, person: Person) -> None:
    """Draws the two forms; for who may manage users."""
    left, right = st.columns(2, gap="medium")
    with left:
        _pin_form(room, person)
    with right:
        _badge_form(room, person)


def _pin_form(room: Room, person: Person) -> None:
    name = person.user.name
    with st.form(f"pin-{name}", border=False, enter_to_submit=False):
        fields, why = (f"pin-of-{name}", f"pin-again-of-{name}"), f"why-pin-{name}"
        for label, field in zip((say("PIN, 4 to 8 digits"), say("The same PIN again")), fields, strict=True):
            st.text_input(label, type="password", key=field, max_chars=8, autocomplete="off")
        st.text_input(known(WHY), key=why, max_chars=500)
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(say("Set this PIN"), key=f"set-pin-{name}", on_click=_set_pin, args=(room, name, fields, why))
            st.form_submit_button(
                say("Withdraw the PIN"), key=f"no-pin-{name}", on_click=_withdraw_pin, args=(room, name, why),
                disabled=not person.has_pin,
            )  # fmt: skip


def _badge_form(room: Room, person: Person) -> None:
    """A scanner ends a code with Enter, which must not send the form before there is a reason."""
    name = person.user.name
    with st.form(f"badge-{name}", border=False, enter_to_submit=False):
        field, why = f"badge-of-{name}", f"why-badge-{name}"
        st.text_input(say("Badge, scanned"), type="password", key=field, max_chars=200, autocomplete="off")
        st.text_input(known(WHY), key=why, max_chars=500)
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(
                say("Give this badge"), key=f"give-badge-{name}", on_click=_give_badge, args=(room, name, field, why)
            )
            st.form_submit_button(
                say("Withdraw the badge"), key=f"no-badge-{name}", on_click=_withdraw_badge, args=(room, name, why),
                disabled=not person.has_badge,
            )  # fmt: skip


def _set_pin(room: Room, name: str, fields: tuple[str, str], why: str) -> None:
    def step(by: str) -> str:
        typed, again = (st.session_state[field] for field in fields)
        new_pin(room, name, typed, again, by=by, reason=reason_given(why))
        return say("{name} has a PIN, for the known terminals", name=name)

    write(step, empties=[why], secrets=fields)


def _withdraw_pin(room: Room, name: str, why: str) -> None:
    def step(by: str) -> str:
        reason = reason_given(why)
        with room.records.unit() as unit:
            unit.credentials.set_pin(name, None, by=by, reason=reason)
        return say("{name} has no PIN any more", name=name)

    write(step, empties=[why])


def _give_badge(room: Room, name: str, field: str, why: str) -> None:
    def step(by: str) -> str:
        new_badge(room.records, name, st.session_state[field], by=by, reason=reason_given(why))
        return say("{name} has this badge, for the known terminals", name=name)

    write(step, empties=[why], secrets=[field])


def _withdraw_badge(room: Room, name: str, why: str) -> None:
    def step(by: str) -> str:
        reason = reason_given(why)
        with room.records.unit() as unit:
            unit.credentials.set_badge(name, None, by=by, reason=reason)
        return say("{name} has no badge any more", name=name)

    write(step, empties=[why])
