"""The panel in which a person decides by one key or click; it answers for the part that it shows, and once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st

from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in
from kizu_dashboard.deciding import LONGEST_REASON, Proposal, opinion
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.reviewing import Desk
from kizu_dashboard.wording import DISPOSITIONS, REVIEW_REASONS, class_name, comment_text, disposition_text
from kizu_db.values import Escalation, InspectionRecord, Review
from kizu_inspect.results import Verdict

__all__ = ["draw_panel", "panel_data", "sent_answer"]

_KEY: Final = "decision"
_FILES: Final = ("decision.html", "decision.js", "keys.js")

_SECOND: Final = marked("In a second look, blind to the first: {decision} by {reviewer}.")
_SECOND_WITH_REASON: Final = marked("In a second look, blind to the first: {decision} by {reviewer}: {reason}")

_mount = st.components.v2.component(
    "kizu_decision",
    html=read_asset("decision.html"),
    css=read_asset("decision.css"),
    js=join_scripts("speaking.js", "making.js", "pressed.js", "keys.js", "decision.js"),
)


def draw_panel(
    desk: Desk,
    record: InspectionRecord,
    escalations: Sequence[Escalation],
    seconds: Sequence[Review],
    on_answer: Callable[[], None],
) -> None:
    """Mounts the panel for the part on the desk; `on_answer` is called when one came, which `sent_answer` then gives."""
    desk.present(record)
    _mount(key=_KEY, data=panel_data(desk, record, escalations, seconds), on_answered_change=on_answer)


def sent_answer() -> object:
    """What the browser sent, from the state of this very run."""
    state = st.session_state.get(_KEY)
    return None if state is None else state.get("answered")


def panel_data(
    desk: Desk, record: InspectionRecord, escalations: Sequence[Escalation], seconds: Sequence[Review] = ()
) -> dict[str, Any]:
    """What the panel is told. To who is blind to the verdict it says nothing of it, in a second look nor of any decision."""
    shown = desk.shown
    again = shown is not None and shown.look == "second"
    blind, standing, said = desk.is_blind(record), None if again else record.standing_review, opinion(record)
    confirm = None if said is None or blind else _said(said)
    contradicted = None if said is None or blind else "defective" if said.disposition == "good" else "good"
    suspected = record.row.target if record.row.verdict.flagged and not blind else None
    return {
        "uid": record.row.uid,
        "nonce": "" if shown is None else shown.nonce,
        "turn": desk.turn,
        "confirm": confirm,
        "classes": [
            {"name": name, "label": class_name(name), "suspected": name == suspected} for name in desk.classes(record)
        ],
        "needs_reason": [] if contradicted is None else [contradicted],
        "reasons": [{"reason": one, "label": known(one)} for one in REVIEW_REASONS.get(contradicted or "", ())],
        "longest_reason": LONGEST_REASON,
        "can_escalate": standing is None
        and not (shown is not None and shown.taken_back)
        and (again or record.row.audit or record.row.verdict is not Verdict.PASS),
        "can_skip": shown is not None and shown.claimed,
        "can_undo": desk.can_undo,
        "standing": None if standing is None
        else say(
            "Decided: {decision} by {reviewer}. A correction is kept beside it.",
            decision=disposition_text(standing), reviewer=standing.reviewer,
        ),
        "escalated": " · ".join(_left_over(one) for one in escalations) or None,
        "second": None if again or not seconds else _second_said(seconds[-1]),
        "notice": desk.notice,
        "told": desk.told,
        "texts": texts_in(*_FILES),
    }  # fmt: skip


def _said(proposal: Proposal) -> str:
    word, name = known(DISPOSITIONS[proposal.disposition]), proposal.defect_class
    return word if name is None else f"{word}, {class_name(name)}"


def _second_said(review: Review) -> str:
    words = {"decision": disposition_text(review), "reviewer": review.reviewer, "reason": comment_text(review)}
    return known(_SECOND_WITH_REASON if review.reason else _SECOND).format(**words)


def _left_over(escalation: Escalation) -> str:
    if escalation.why:
        return say("{name} could not tell: {why}", name=escalation.by, why=escalation.why)
    return say("{name} could not tell", name=escalation.by)
