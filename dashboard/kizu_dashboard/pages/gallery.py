"""The gallery on the page Search: pictures side by side, and one answer for those that were selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from kizu_dashboard.bulk_answers import Fate, GroupAnswer, Situation
from kizu_dashboard.bulk_deciding import Bulk
from kizu_dashboard.components.gallery import draw_gallery, sent_choice
from kizu_dashboard.deciding import LONGEST_REASON
from kizu_dashboard.language.speaking import known, marked, say, say_count
from kizu_dashboard.markup import became, data_table, quiet
from kizu_dashboard.pages.decision import reviewer_now
from kizu_dashboard.pages.failing import telling_failures
from kizu_dashboard.room import Room
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import TREATMENTS, class_name
from kizu_db.permissions import Action
from kizu_db.values import InspectionRow, User

__all__ = ["draw_pictures"]

_ANSWERS: Final = {
    "confirm": marked("Confirm the verdict: {count} of {chosen}"),
    "good": marked("Good: {count} of {chosen}"),
    "defective": marked("{name}: {count} of {chosen}"),
    "unsure": marked("Cannot tell: {count} of {chosen}"),
}
"""Each with the number of parts for which it counts."""
_HIGHEST_PX: Final = 260
"""Of the table of parts; the rest of it is scrolled to, so that the button stays on the screen."""


def draw_pictures(room: Room, rows: Sequence[InspectionRow], user: User, *, heat: bool) -> str | None:
    """Draws the gallery, with the choice of parts for who may review; the id of the inspection that was opened, or None."""
    zone = room.config.plant.zone
    bulk: Bulk = st.session_state.setdefault(f"bulk {user.name}", Bulk(room, user.name))
    _draw_outcome(bulk)
    if not user.role.may(Action.REVIEW):
        return draw_gallery(rows, zone, heat=heat, selecting=False)
    opened = draw_gallery(
        rows, zone, heat=heat, selecting=True, turn=bulk.lay_out(rows), done=bulk.done, on_choice=lambda: _chosen(bulk)
    )
    if bulk.group is not None:
        st.dialog(say("Decide for the selected parts"), width="large", on_dismiss=bulk.cancel)(_confirm)(bulk)
    return opened


def _draw_outcome(bulk: Bulk) -> None:
    """What became of the last answer, and the way back."""
    if bulk.group is None and bulk.notice is not None:
        st.html(became(bulk.notice, well=False))
    if bulk.became is not None:
        st.html(became(bulk.became.said, well=True))
        if bulk.became.left:
            with st.expander(say("Left out: {count}", count=len(bulk.became.left)), expanded=True):
                st.html(data_table((say("Part"), say("Why nothing was stored")), bulk.became.left))
    if bulk.can_undo:
        undo = say("Undo: decide the last group again")
        st.button(undo, icon=":material/undo:", key="bulk-undo", on_click=_act, args=(bulk, bulk.take_back))


def _confirm(bulk: Bulk) -> None:
    """One answer, what it would mean for each part, and only then the button that stores it."""
    with telling_failures():
        situation = bulk.situation()
        if situation is None:  # stored or given up: the page goes on without the dialog
            st.rerun()
        _ask(bulk, situation)


def _ask(bulk: Bulk, situation: Situation) -> None:
    group = bulk.group
    if group is None:
        return
    means = {one.question: (one, situation.fates(one)) for one in situation.answers}
    if group.again:
        st.html(quiet(say("These parts were decided together. The new answer replaces the old one, which stays on record.")))
    question = st.radio(
        say("The parts are"), list(means), index=None, horizontal=True, key=f"bulk-answer-{group.nonce}",
        format_func=lambda one: _label(*means[one]),
    )  # fmt: skip
    if question is None:
        st.html(quiet(say("Choose an answer to see what it would mean for each part. Nothing is stored before you say so.")))
        fates = means[next(iter(means))][1]
        rows = [(one.part, _verdict(one), "") for one in fates]
    else:
        answer, fates = means[question]
        bulk.look_at(answer, fates)
        rows = [(one.part, _verdict(one), one.left_out or _would(one)) for one in sorted(fates, key=_left_last)]
    with st.container(height=min(_HIGHEST_PX, 80 + 31 * len(rows)), key="bulk-parts"):
        st.html(data_table((say("Part"), say("Verdict"), say("What would be recorded")), rows))
    if question is not None:
        _form(bulk, group.nonce, means[question][0], fates)
    if bulk.notice is not None:
        st.html(became(bulk.notice, well=False))
    st.button(say("Cancel"), key="bulk-cancel", on_click=bulk.cancel)


def _form(bulk: Bulk, nonce: str, answer: GroupAnswer, fates: Sequence[Fate]) -> None:
    """The reason is sent with the press of the button: what was typed last counts."""
    counts = sum(one.left_out is None for one in fates)
    needed = sum(one.needs_reason for one in fates)
    with st.form(f"bulk-form-{nonce}", border=False):
        why = say_count(
            "Why? The answer contradicts the verdict of {count} part.",
            "Why? The answer contradicts the verdict of {count} parts.",
            needed,
        )
        label = why if needed else say("Comment, stored with each of them")
        st.text_area(label, max_chars=LONGEST_REASON, height=68, key=f"bulk-reason-{nonce}")
        if answer.kind != "unsure":
            st.selectbox(
                say("Then"), list(TREATMENTS), index=None, placeholder=say("Not said"), key=f"bulk-then-{nonce}", width=200,
                format_func=lambda one: known(TREATMENTS[one]),
            )  # fmt: skip
        st.form_submit_button(
            say_count("Store for {counts} of {count} part", "Store for {counts} of {count} parts", len(fates), counts=counts),
            type="primary", disabled=counts == 0, key=f"bulk-store-{nonce}",
            on_click=_act, args=(bulk, lambda: _store(bulk, nonce, answer)),
        )  # fmt: skip


def _store(bulk: Bulk, nonce: str, answer: GroupAnswer) -> None:
    """With what the form holds now, which came with the press."""
    bulk.store(
        GroupAnswer(
            answer.kind, answer.defect_class, st.session_state.get(f"bulk-reason-{nonce}") or "",
            None if answer.kind == "unsure" else st.session_state.get(f"bulk-then-{nonce}"),
        )
    )  # fmt: skip


def _label(answer: GroupAnswer, fates: Sequence[Fate]) -> str:
    counts = sum(one.left_out is None for one in fates)
    name = class_name(answer.defect_class or "")
    return known(_ANSWERS[answer.kind]).format(name=name[:1].upper() + name[1:], count=counts, chosen=len(fates))


def _verdict(one: Fate) -> str:
    return "–" if one.verdict is None else f"{LOOKS[one.verdict].icon} {LOOKS[one.verdict].word}"


def _would(one: Fate) -> str:
    return say("{would}, against the verdict", would=one.would) if one.needs_reason else one.would


def _left_last(one: Fate) -> bool:
    return one.left_out is not None


def _chosen(bulk: Bulk) -> None:
    sent = sent_choice()
    _act(bulk, lambda: bulk.choose(sent))


def _act(bulk: Bulk, step: Callable[[], None]) -> None:
    """Take the step as who is signed in now: nothing here is left from the run before."""
    if reviewer_now(bulk) is not None:
        step()
