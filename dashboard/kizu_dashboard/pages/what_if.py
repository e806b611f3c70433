"""What other limits would have done, on the page Agreement; and saving them for the station."""

from __future__ import annotations

from functools import partial
from typing import Final

import streamlit as st

from kizu_dashboard.agreement import Agreed, at_limits
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.limits import choose_limits, hindrance, limits_text, recipe_lines, standing_text
from kizu_dashboard.markup import card_title, data_table, quiet, tile_row
from kizu_dashboard.pages.administration.writing import WHY, reason_given, tell_what_became, write
from kizu_dashboard.pages.frame import current_user
from kizu_dashboard.room import Room
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.thresholds import Limits, Standing
from kizu_dashboard.wording import bound_text, estimate_text, promise_text, role_name
from kizu_db.permissions import Action
from kizu_db.values import User
from kizu_inspect.results import Verdict
from kizu_inspect.sums.outcomes import Outcomes, outcomes

__all__ = ["draw_what_if"]

RULES: Final = (Verdict.REJECT, Verdict.REVIEW, Verdict.PASS)
UNUSUAL: Final = Limits(0.2, 0.6)
SLIDER, LOW, HIGH, OF = "limits", "pass-below", "reject-from", "limits-of"
REASON, SAVED = "limits-why", "limits-saved"
RESTS_ON: Final = marked(
    "Of {inspections:,} inspections, by the scores of {reviewed:,} reviewed ones. Gates and novelty, which also send parts to "
    "REVIEW, are left out."
)
RULED: Final = marked(
    "Classes with rules of their own are judged otherwise than by these limits alone, which is left out too: {names}."
)
CROSSED: Final = marked("The PASS limit lies above the REJECT limit.")
ROLE: Final = marked("Limits are saved by people with the role {role} or one above.")


@st.fragment
def draw_what_if(room: Room, agreed: Agreed) -> None:
    """Only this is drawn anew when the limits are moved."""
    user = current_user()
    with st.container(border=True, key="card-what-if"):
        st.html(card_title(say("What if the limits were others?")))
        limits = _chosen_limits(agreed)
        if limits is None:
            st.warning(known(CROSSED), icon=":material/swap_horiz:")
            return
        found = outcomes(at_limits(agreed, limits))
        red, amber, green = (LOOKS[verdict].ink for verdict in RULES)
        st.html(
            tile_row(
                [
                    (say("Miss rate"), estimate_text(found.miss_rate), bound_text(found.miss_rate), red),
                    (say("Overkill of good parts"), estimate_text(found.overkill_rate), bound_text(found.overkill_rate), amber),
                    (say("Sent to review"), estimate_text(found.review_rate), bound_text(found.review_rate), green),
                ]
            )
        )  # fmt: skip
        _draw_basis(agreed, found)
        st.html(quiet(standing_text(agreed)))
        _saving(room, agreed, limits, user)


def _draw_basis(agreed: Agreed, found: Outcomes) -> None:
    """What the figures rest on, and what they leave out. Names of classes come from outside: they are no markdown."""
    st.caption(known(RESTS_ON).format(inspections=found.parts, reviewed=len(agreed.parts)))
    ruled = None if agreed.standing is None else agreed.standing.recipe.content.get("classes")
    if ruled:
        st.html(quiet(known(RULED).format(names=", ".join(sorted(ruled)))))


def _chosen_limits(agreed: Agreed) -> Limits | None:
    """Moved by the slider, or typed to the last digit; None where they are out of order."""
    then = (agreed.standing and agreed.standing.limits) or agreed.limits or UNUSUAL
    state, of = st.session_state, (agreed.standing and agreed.standing.recipe.id, then)
    # Another station, or other limits since: they begin anew. So too after another page, which left the controls empty.
    if state.get(OF) != of or SLIDER not in state:
        state.update({OF: of, SLIDER: (then.pass_below, then.reject_from), LOW: then.pass_below, HIGH: then.reject_from})
    left, low, high = st.columns([3, 1, 1], gap="medium", vertical_alignment="bottom")
    with left:
        st.slider(say("PASS below, REJECT from"), 0.0, 1.0, step=0.005, format="%.3f", key=SLIDER, on_change=_slid)
    with low:
        st.number_input(say("PASS below"), 0.0, 1.0, step=0.001, format="%.6g", key=LOW, on_change=_typed)
    with high:
        st.number_input(say("REJECT from"), 0.0, 1.0, step=0.001, format="%.6g", key=HIGH, on_change=_typed)
    return Limits(state[LOW], state[HIGH]) if state[LOW] <= state[HIGH] else None


def _slid() -> None:
    st.session_state[LOW], st.session_state[HIGH] = st.session_state[SLIDER]


def _typed() -> None:
    low, high = st.session_state[LOW], st.session_state[HIGH]
    if low <= high:
        st.session_state[SLIDER] = (low, high)


def _saving(room: Room, agreed: Agreed, limits: Limits, user: User) -> None:
    if not user.role.may(Action.SET_LIMITS):
        st.caption(known(ROLE).format(role=role_name(Action.SET_LIMITS.least)))
        return
    standing, why_not = agreed.standing, hindrance(agreed, room.config.plant.zone)
    if why_not is not None or standing is None:
        st.info(why_not or "", icon=":material/info:")
        if standing is not None and standing.recipe.set_by_file:
            st.code(recipe_lines(limits), language="yaml")
        return
    if st.button(
        say("Save for {station} …", station=standing.recipe.station),
        icon=":material/save:",
        key="save-limits",
        disabled=limits == standing.limits,
    ):
        st.dialog(say("Save these limits"), width="large")(_dialog)(room, agreed, standing, limits)


def _dialog(room: Room, agreed: Agreed, standing: Standing, limits: Limits) -> None:
    """What changes, what it costs, what becomes of the promise, and why."""
    current_user()
    if st.session_state.pop(SAVED, False):
        st.rerun()
    tell_what_became()
    rows = [_row(agreed, name, one) for name, one in ((say("Now"), standing.limits), (say("New"), limits)) if one is not None]
    heads = ["", say("Limits"), say("Miss rate"), say("Overkill of good parts"), say("Sent to review")]
    st.html(data_table(heads, rows))
    _draw_basis(agreed, outcomes(at_limits(agreed, limits)))
    lacking = promise_text(standing.model, limits.pass_below)
    if lacking is not None:
        st.warning(lacking, icon=":material/gpp_bad:")
    st.text_area(known(WHY), key=REASON, max_chars=500, height=80)
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        st.button(
            say("Save as a new version"), key="save-limits-now", type="primary", icon=":material/save:",
            on_click=partial(_save, room, agreed, standing, limits),
        )  # fmt: skip


def _row(agreed: Agreed, name: str, limits: Limits) -> list[str]:
    found = outcomes(at_limits(agreed, limits))
    figures = (_figure(found, one) for one in ("miss_rate", "overkill_rate", "review_rate"))
    return [name, limits_text(limits), *figures]


def _figure(found: Outcomes, name: str) -> str:
    rate = getattr(found, name)
    return f"{estimate_text(rate)}, {bound_text(rate)}"


def _save(room: Room, agreed: Agreed, standing: Standing, limits: Limits) -> None:
    def step(by: str) -> str:
        said = choose_limits(room, agreed, standing, limits, by=by, reason=reason_given(REASON))
        st.session_state[SAVED] = True
        return said

    write(step, empties=[REASON])
