"""Who may do what: entering people, their roles, passwords and sign-ins."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import streamlit as st

from kizu_dashboard.markup import card_title, data_table
from kizu_dashboard.pages.administration.quick import draw_quick
from kizu_dashboard.pages.administration.writing import WHY, reason_given, write
from kizu_dashboard.people import enter, new_password
from kizu_dashboard.room import Room
from kizu_dashboard.wording import moment
from kizu_db.permissions import Role, Way
from kizu_db.values import CameIn, Person, User

__all__ = ["draw_people"]

WAYS: Final = {
    Way.PASSWORD: "password", Way.LINK: "first link", Way.PIN: "PIN", Way.BADGE: "badge", Way.OIDC: "account",
}  # fmt: skip
AT_TERMINAL: Final = "{way} at {terminal}"


def draw_people(room: Room, _: User) -> None:
    """Draws the section; for who may manage users."""
    with room.records.unit(read_only=True) as unit:
        settings = room.config.dashboard
        idle, at_terminal = timedelta(minutes=settings.idle_min), timedelta(minutes=settings.terminal_idle_min)
        people = unit.users.people(idle=idle, idle_at_terminal=at_terminal)
    with st.container(border=True, key="card-people"):
        st.html(card_title("People"))
        heads = ["Name", "Role", "", "Comes in by", "Signed in", "Last seen"]
        st.html(data_table(heads, [_row(one, room) for one in people]))
    left, right = st.columns([1.4, 1], gap="medium")
    with left, st.container(border=True, key="card-person"):
        st.html(card_title("Change a person"))
        names = {one.user.name: one for one in people}
        name = st.selectbox("Person", list(names), index=None, placeholder="Choose a person", key="person")
        if name is not None:
            _change(room, names[name])
    with right:
        _add(room)


def _row(person: Person, room: Room) -> list[str]:
    user = person.user
    return [
        user.name,
        user.role,
        "" if user.active else "let out",
        ", ".join(word for word, has in _ways(person) if has) or "none",
        ", ".join(_came_in(one) for one in person.came_in) or "–",
        "–" if not person.came_in else moment(person.came_in[0].last_seen_at, room.config.plant.zone),
    ]


def _ways(person: Person) -> list[tuple[str, bool]]:
    return [
        ("password", person.has_password), ("PIN", person.has_pin), ("badge", person.has_badge),
        ("account", person.has_account),
    ]  # fmt: skip


def _came_in(one: CameIn) -> str:
    word = WAYS[one.way]
    return word if one.terminal is None else AT_TERMINAL.format(way=word, terminal=one.terminal)


def _change(room: Room, person: Person) -> None:
    """Forms of this person alone: what was typed for another is not there any more."""
    name, active = person.user.name, person.user.active
    with st.form(f"change-{name}", border=False, enter_to_submit=False):
        roles = list(Role)
        st.selectbox("Role", roles, index=roles.index(person.user.role), key=f"role-{name}")
        why = f"why-{name}"
        st.text_input(WHY, key=why, max_chars=500)
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button("Give this role", key=f"give-role-{name}", on_click=_give_role, args=(room, name, why))
            word = "Let out" if active else "Let in"
            st.form_submit_button(word, key=f"let-{name}", on_click=_let, args=(room, name, not active, why))
            st.form_submit_button(
                "End sign-ins", key=f"end-{name}", on_click=_end_sign_ins, args=(room, name, why), disabled=not person.came_in
            )
    with st.form(f"password-{name}", border=False, enter_to_submit=False):
        fields = _password_fields(f"change-{name}")
        why = f"why-password-{name}"
        st.text_input(WHY, key=why, max_chars=500)
        st.form_submit_button(
            "Set this password", key=f"set-password-{name}", on_click=_set_password, args=(room, name, fields, why)
        )
    draw_quick(room, person)


def _add(room: Room) -> None:
    with st.container(border=True, key="card-new-person"):
        st.html(card_title("Add a person"))
        with st.form("add-person", border=False, enter_to_submit=False):
            st.text_input("Name", key="new-name", max_chars=200)
            st.selectbox("Role", list(Role), index=list(Role).index(Role.INSPECTOR), key="new-role")
            fields = _password_fields("new")
            st.caption("Without a password the person cannot sign in here.")
            st.text_input(WHY, key="new-why", max_chars=500)
            st.form_submit_button("Add", key="add", icon=":material/person_add:", on_click=_enter, args=(room, fields))


def _password_fields(of: str) -> tuple[str, str]:
    """Two fields; their keys."""
    fields = (f"{of}-password", f"{of}-password-again")
    for label, field in zip(("Password", "The same again"), fields, strict=True):
        st.text_input(label, type="password", key=field, autocomplete="new-password")
    return fields


def _give_role(room: Room, name: str, why: str) -> None:
    def step(by: str) -> str:
        role, reason = Role(st.session_state[f"role-{name}"]), reason_given(why)
        with room.records.unit() as unit:
            user = unit.users.change(name, by=by, role=role, reason=reason)
        return f"{user.name} is {user.role}"

    write(step, empties=[why])


def _let(room: Room, name: str, active: bool, why: str) -> None:
    def step(by: str) -> str:
        reason = reason_given(why)
        with room.records.unit() as unit:
            user = unit.users.change(name, by=by, active=active, reason=reason)
        return f"{user.name} may sign in again" if user.active else f"{user.name} is let out, and signed out everywhere"

    write(step, empties=[why])


def _end_sign_ins(room: Room, name: str, why: str) -> None:
    def step(by: str) -> str:
        reason = reason_given(why)
        with room.records.unit() as unit:
            ended = unit.users.end_sign_ins(name, by=by, reason=reason)
        return f"{name} is signed out everywhere: {ended} sign-in{'s' if ended != 1 else ''} ended"

    write(step, empties=[why])


def _set_password(room: Room, name: str, fields: tuple[str, str], why: str) -> None:
    def step(by: str) -> str:
        typed, again = (st.session_state[field] for field in fields)
        new_password(room, name, typed, again, by=by, reason=reason_given(why))
        return f"{name} has another password, and is signed out everywhere"

    write(step, empties=[why], secrets=fields)


def _enter(room: Room, fields: tuple[str, str]) -> None:
    def step(by: str) -> str:
        typed, again = (st.session_state[field] for field in fields)
        name, role = st.session_state["new-name"], Role(st.session_state["new-role"])
        user = enter(room, name, role, typed, again, by=by, reason=reason_given("new-why"))
        return f"{user.name} is {user.role}{'' if typed else ', without a password'}"

    write(step, empties=["new-name", "new-why"], secrets=fields)
