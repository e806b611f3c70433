"""The known terminals: browsers on the shop floor at which PINs and badges work."""

from __future__ import annotations

import streamlit as st

from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import card_title, data_table, empty_state, terminal_form
from kizu_dashboard.pages.administration.writing import WHY, chosen, reason_given, write
from kizu_dashboard.room import Room
from kizu_dashboard.signing_in.gate import TERMINAL
from kizu_dashboard.signing_in.sessions import terminal_cookie_name
from kizu_dashboard.wording import moment
from kizu_db.values import Terminal, User

__all__ = ["draw_terminals"]


def draw_terminals(room: Room, _: User) -> None:
    """Draws the section; for who may manage users."""
    secret = st.context.cookies.get(terminal_cookie_name(room.config.dashboard))
    with room.records.unit(read_only=True) as unit:
        terminals = unit.terminals.list()
        here = unit.terminals.known_by(secret) if secret else None
    with st.container(border=True, key="card-terminals"):
        st.html(card_title(say("Known terminals")))
        if terminals:
            rows = [_row(one, room, here=one == here) for one in terminals]
            heads = [say("Terminal"), "", say("Made known by"), say("On"), say("Last used")]
            st.html(data_table(heads, rows))
        else:
            st.html(
                empty_state(
                    say("No terminal is known"),
                    say("PIN and badge work nowhere. Sit down at the browser that is to be one."),
                )
            )
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, key="card-this-browser"):
        st.html(card_title(say("This browser")))
        if here is None:
            st.caption(say("As a known terminal it lets people in by PIN and badge, with at most the role inspector."))
            st.html(terminal_form(TERMINAL, known(WHY)))
        else:
            st.caption(say("This browser is the terminal {name}.", name=here.name))
    with right, st.container(border=True, key="card-withdraw-terminal"):
        st.html(card_title(say("Withdraw one")))
        st.caption(say("Who came in there by PIN or badge is signed out at once."))
        _withdraw_form(room, terminals)


def _row(one: Terminal, room: Room, *, here: bool) -> list[str]:
    zone = room.config.plant.zone
    used = say("never") if one.last_used_at is None else moment(one.last_used_at, zone)
    return [one.name, say("this browser") if here else "", one.made_by, moment(one.made_at, zone), used]


def _withdraw_form(room: Room, terminals: list[Terminal]) -> None:
    with st.form("withdraw-terminal", border=False, enter_to_submit=False):
        names = [one.name for one in terminals]
        st.selectbox(say("Terminal"), names, index=None, placeholder=say("Choose a terminal"), key="terminal")
        st.text_input(known(WHY), key="terminal-why", max_chars=500)
        st.form_submit_button(say("Withdraw"), key="withdraw-terminal-now", on_click=_withdraw, args=(room,))


def _withdraw(room: Room) -> None:
    def step(by: str) -> str:
        name, reason = chosen("terminal", marked("Choose a terminal")), reason_given("terminal-why")
        with room.records.unit() as unit:
            unit.terminals.withdraw(name, by=by, reason=reason)
        return say("{name} is no known terminal any more", name=name)

    write(step, empties=["terminal-why"])
