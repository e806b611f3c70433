"""Who may do what: entering people, their roles, passwords and sign-ins."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, marked, say, say_count
from kizu_dashboard.markup import card_title, data_table
from kizu_dashboard.pages.administration.quick import draw_quick
from kizu_dashboard.pages.administration.writing import WHY, reason_given, write
from kizu_dashboard.people import enter, new_password
from kizu_dashboard.room import Room
from kizu_dashboard.wording import moment, role_name
from kizu_db.permissions import Role, Way
from kizu_db.values import CameIn, Person, User

__all__ = ["draw_people"]

WAYS: Final = {
    Way.PASSWORD: marked("password"), Way.LINK: marked("first link"), Way.PIN: marked("PIN"), Way.BADGE: marked("badge"),
    Way.OIDC: marked("account"),
}  # fmt: skip

USUAL: Final = Role.INSPECTOR
"""What most are who are added."""


def draw_people(room: Room, _: User) -> None:
    """Draws the section; for who may manage users."""
    with room.records.unit(read_only=True) as unit:
        settings = room.config.dashboard
        idle, at_terminal = timedelta(minutes=settings.idle_min), timedelta(minutes=settings.terminal_idle_min)
        people = unit.users.people(idle=idle, idle_at_terminal=at_terminal)
    with st.container(border=True, key="card-people"):
        st.html(card_title(say("People")))
        heads = [say("Name"), say("Role"), "", say("Comes in by"), say("Signed in"), say("Last seen")]
        st.html(data_table(heads, [_row(one, room) for one in people]))
    left, right = st.columns([1.4, 1], gap="medium")
    with left, st.container(border=True, key="card-person"):
        st.html(card_title(say("Change a person")))
        names = {one.user.name: one for one in people}
        name = st.selectbox(say("Person"), list(names), index=None, placeholder=say("Choose a person"), key="person")
        if name is not None:
            _change(room, names[name])
    with right:
        _add(room)


def _row(person: Person, room: Room) -> list[str]:
    user = person.user
    return [
        user.name,
        role_name(user.role),
        "" if user.active else say("let out"),
        ", ".join(known(WAYS[way]) for way, has in _ways(person) if has) or say("none"),
        ", ".join(_came_in(one) for one in person.came_in) or "–",
        "–" if not person.came_in else moment(person.came_in[0].last_seen_at, room.config.plant.zone),
    ]


def _ways(person: Person) -> list[tuple[Way, bool]]:
    return [
        (Way.PASSWORD, person.has_password), (Way.PIN, person.has_pin), (Way.BADGE, person.has_badge),
        (Way.OIDC, person.has_account),
    ]  # fmt: skip


def _came_in(one: CameIn) -> str:
    word = known(WAYS[one.way])
    return word if one.terminal is None else say("{way} at {terminal}", way=word, terminal=one.terminal)


def _change(room: Room, person: Person) -> None:
    """Forms of this person alone: what was typed for another is not there any more."""
    name, active = person.user.name, person.user.active
    with st.form(f"change-{name}", border=False, enter_to_submit=False):
        roles = list(Role)
        st.selectbox(say("Role"), roles, index=roles.index(person.user.role), format_func=role_name, key=f"role-{name}")
        why = f"why-{name}"
        st.text_input(known(WHY), key=why, max_chars=500)
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(say("Give this role"), key=f"give-role-{name}", on_click=_give_role, args=(room, name, why))
            word = say("Let out") if active else say("Let in")
            st.form_submit_button(word, key=f"let-{name}", on_click=_let, args=(room, name, not active, why))
            st.form_submit_button(
                say("End sign-ins"),
                key=f"end-{name}",
                on_click=_end_sign_ins,
                args=(room, name, why),
                disabled=not person.came_in,
            )
    with st.form(f"password-{name}", border=False, enter_to_submit=False):
        fields = _password_fields(f"change-{name}")
        why = f"why-password-{name}"
        st.text_input(known(WHY), key=why, max_chars=500)
        st.form_submit_button(
            say("Set this password"), key=f"set-password-{name}", on_click=_set_password, args=(room, name, fields, why)
        )
    draw_quick(room, person)


def _add(room: Room) -> None:
    with st.container(border=True, key="card-new-person"):
        st.html(card_title(say("Add a person")))
        with st.form("add-person", border=False, enter_to_submit=False):
            st.text_input(say("Name"), key="new-name", max_chars=200)
            st.session_state.setdefault("new-role", USUAL)
            st.selectbox(say("Role"), list(Role), format_func=role_name, key="new-role")
            fields = _password_fields("new")
            st.caption(say("Without a password the person cannot sign in here."))
            st.text_input(known(WHY), key="new-why", max_chars=500)
            st.form_submit_button(say("Add"), key="add", icon=":material/person_add:", on_click=_enter, args=(room, fields))


def _password_fields(of: str) -> tuple[str, str]:
    """Two fields; their keys."""
    fields = (f"{of}-password", f"{of}-password-again")
    for label, field in zip((say("Password"), say("The same again")), fields, strict=True):
        st.text_input(label, type="password", key=field, autocomplete="new-password")
    return fields


def _give_role(room: Room, name: str, why: str) -> None:
    def step(by: str) -> str:
        role, reason = Role(st.session_state[f"role-{name}"]), reason_given(why)
        with room.records.unit() as unit:
            user = unit.users.change(name, by=by, role=role, reason=reason)
        return say("{name} is {role}", name=user.name, role=role_name(user.role))

    write(step, empties=[why])


def _let(room: Room, name: str, active: bool, why: str) -> None:
    def step(by: str) -> str:
        reason = reason_given(why)
        with room.records.unit() as unit:
            user = unit.users.change(name, by=by, active=active, reason=reason)
        if user.active:
            return say("{name} may sign in again", name=user.name)
        return say("{name} is let out, and signed out everywhere", name=user.name)

    write(step, empties=[why])


def _end_sign_ins(room: Room, name: str, why: str) -> None:
    def step(by: str) -> str:
        reason = reason_given(why)
        with room.records.unit() as unit:
            ended = unit.users.end_sign_ins(name, by=by, reason=reason)
        return say_count(
            "{name} is signed out everywhere: {count} sign-in ended",
            "{name} is signed out everywhere: {count} sign-ins ended",
            ended,
            name=name,
        )

    write(step, empties=[why])


def _set_password(room: Room, name: str, fields: tuple[str, str], why: str) -> None:
    def step(by: str) -> str:
        typed, again = (st.session_state[field] for field in fields)
        new_password(room, name, typed, again, by=by, reason=reason_given(why))
        return say("{name} has another password, and is signed out everywhere", name=name)

    write(step, empties=[why], secrets=fields)


def _enter(room: Room, fields: tuple[str, str]) -> None:
    def step(by: str) -> str:
        typed, again = (st.session_state[field] for field in fields)
        name, role = st.session_state["new-name"], Role(st.session_state["new-role"])
        user = enter(room, name, role, typed, again, by=by, reason=reason_given("new-why"))
        st.session_state["new-role"] = USUAL  # the next one is no admin because this one is
        if typed:
            return say("{name} is {role}", name=user.name, role=role_name(user.role))
        return say("{name} is {role}, without a password", name=user.name, role=role_name(user.role))

    write(step, empties=["new-name", "new-why"], secrets=fields)
