"""What engineers and admins look after: health, people, claims, quarantine, limits, the audit trail, retention, terminals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import empty_state
from kizu_dashboard.pages.administration.claims import draw_claims
from kizu_dashboard.pages.administration.health import draw_health
from kizu_dashboard.pages.administration.limits import draw_limits
from kizu_dashboard.pages.administration.people import draw_people
from kizu_dashboard.pages.administration.quarantine import draw_quarantine
from kizu_dashboard.pages.administration.retention import draw_retention
from kizu_dashboard.pages.administration.terminals import draw_terminals
from kizu_dashboard.pages.administration.trail import draw_trail
from kizu_dashboard.pages.administration.writing import tell_what_became
from kizu_dashboard.pages.frame import current_room, current_user
from kizu_dashboard.room import Room
from kizu_dashboard.wording import role_name
from kizu_db.permissions import Action
from kizu_db.values import User

# By name: what one must be allowed to do to see it, and what draws it. (A text in quotes would be drawn on the page.)
SECTIONS: Final[Mapping[str, tuple[Action, Callable[[Room, User], None]]]] = {
    marked("Health"): (Action.VERIFY, draw_health),
    marked("Claims"): (Action.RELEASE_CLAIM, draw_claims),
    marked("Quarantine"): (Action.RELEASE_FILE, draw_quarantine),
    marked("Limits"): (Action.SET_LIMITS, draw_limits),
    marked("Audit trail"): (Action.VERIFY, draw_trail),
    marked("Retention"): (Action.VERIFY, draw_retention),
    marked("People"): (Action.MANAGE_USERS, draw_people),
    marked("Terminals"): (Action.MANAGE_USERS, draw_terminals),
}


def main() -> None:
    """Draws the page."""
    room, user = current_room(), current_user()
    tell_what_became()
    sections = {name: draw for name, (needed, draw) in SECTIONS.items() if user.role.may(needed)}
    if not sections:
        roles = {"least": role_name(Action.RELEASE_CLAIM.least), "role": role_name(user.role)}
        needed = say("It needs the role {least} or one above; you are {role}.", **roles)
        st.html(empty_state(say("This page is not for your role"), needed))
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.title(say("Admin"), anchor=False, width="stretch")
        section = st.segmented_control(
            say("Section"), list(sections), default=next(iter(sections)), format_func=known, key="section",
            bind="query-params", required=True, label_visibility="collapsed",
        )  # fmt: skip
    sections[section](room, user)


if __name__ == "__main__":
    main()
