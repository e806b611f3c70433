"""The decision about the part that is shown, and the decisions made before."""

from __future__ import annotations

import time
import uuid
from zoneinfo import ZoneInfo

import streamlit as st

from kizu_dashboard.deciding import OTHER_DEFECT, Outcome, Proposal, accepted, decide, defect_classes, next_waiting, problems
from kizu_dashboard.markup import card_title, facts
from kizu_dashboard.pages.frame import user_now
from kizu_dashboard.room import Room
from kizu_dashboard.wording import disposition_text, moment
from kizu_db.values import InspectionRecord, NewReview
from kizu_inspect.errors import NotAllowed, RecordError

__all__ = ["draw_decision", "draw_reviews"]

ACCEPT, OVERRIDE = "accept", "override"
GOOD = "good"


def draw_decision(room: Room, record: InspectionRecord) -> None:
    """The card in which a person decides; the decision is stored as a new review, then the next part is shown."""
    uid, standing = record.row.uid, record.standing_review
    # One form a part and a state of its reviews: its nonce makes a repeated click the same review.
    form = f"{uid}-{standing.id if standing is not None else 0}"
    shown = st.session_state.setdefault("shown-form", {})
    if shown.get("form") != form:
        shown |= {"form": form, "nonce": uuid.uuid4().hex, "since": time.monotonic()}
    with st.container(border=True, key="card-decision"):
        st.html(card_title("Correct the decision" if standing is not None else "Decision"))
        if standing is not None:
            st.caption(f"Decided: {disposition_text(standing)} by {standing.reviewer}. A correction is kept beside it.")
        _notices(form)
        decision, proposal = _choice(record, form)
        st.text_area("Reason", key=f"reason-{form}", height=70, max_chars=2000, placeholder=_reason_hint(decision))
        st.button(
            "Record and show next",
            type="primary",
            icon=":material/check:",
            width="stretch",
            disabled=decision is None or proposal is None,
            on_click=_record,
            key=f"record-{form}",
            args=(room, record, form, shown["nonce"], shown["since"]),
        )


def _choice(record: InspectionRecord, form: str) -> tuple[str | None, Proposal | None]:
    """Draws what can be chosen, and says what is."""
    proposal = accepted(record)
    words = (
        {OVERRIDE: "Decide on the part"} if proposal is None else {ACCEPT: f"Accept: {_text(proposal)}", OVERRIDE: "Override"}
    )
    decision = st.segmented_control(
        "Decision",
        list(words),
        format_func=lambda word: words[word],
        key=f"decision-{form}",
        label_visibility="collapsed",
        width="stretch",
    )
    if proposal is None:
        st.caption("This image was not judged, so there is no verdict to accept.")
    if decision == OVERRIDE:
        st.selectbox(
            "The part is",
            [name for name in (GOOD, *defect_classes(record)) if proposal is None or name != _key(proposal)],
            index=None,
            format_func=lambda name: "good" if name == GOOD else f"defective: {name}",
            placeholder="Good, or which defect",
            key=f"class-{form}",
        )
    return _chosen(record, form)


def _chosen(record: InspectionRecord, form: str) -> tuple[str | None, Proposal | None]:
    """Accept or override as the form now has it, and what that says of the part; None for what is not chosen."""
    decision: str | None = st.session_state.get(f"decision-{form}")
    if decision != OVERRIDE:
        return decision, accepted(record) if decision == ACCEPT else None
    chosen: str | None = st.session_state.get(f"class-{form}")
    if chosen is None:
        return decision, None
    return decision, Proposal("good") if chosen == GOOD else Proposal("defective", chosen)


def _key(proposal: Proposal) -> str:
    return GOOD if proposal.disposition == "good" else proposal.defect_class or OTHER_DEFECT


def _text(proposal: Proposal) -> str:
    return proposal.disposition if proposal.defect_class is None else f"{proposal.disposition}, {proposal.defect_class}"


def _reason_hint(decision: str | None) -> str:
    return "Required for an override" if decision == OVERRIDE else "Optional"


def _record(room: Room, record: InspectionRecord, form: str, nonce: str, since: float) -> None:
    """Stores what the form says about the part it was drawn for, and goes on to the next part.

    Who decides and what they filled in is asked here and now: when the button was drawn the last of it was not known yet.
    """
    user = user_now()
    if user is None:
        return  # the page, which is drawn next, says that the sign-in has ended
    decision, proposal = _chosen(record, form)
    if proposal is None:
        st.session_state["decision-notice"] = (form, ["Choose a decision."])
        return
    uid, standing = record.row.uid, record.standing_review
    review = NewReview(
        uid_inspection=uid,
        reviewer=user.name,
        disposition=proposal.disposition,
        defect_class=proposal.defect_class,
        decision="accept" if decision == ACCEPT else "override",
        reason=str(st.session_state.get(f"reason-{form}") or "").strip(),
        shown_ms=round(1000 * (time.monotonic() - since)),
        nonce=nonce,
        supersedes=None if standing is None else standing.id,
    )
    lacking = problems(review)
    if lacking:
        st.session_state["decision-notice"] = (form, lacking)
        return
    try:
        outcome = decide(room, review)
    except (RecordError, NotAllowed) as error:
        st.session_state["decision-notice"] = (form, [f"Not stored: {error}"])
        return
    if outcome is Outcome.OVERTAKEN:
        st.toast(
            f"{record.row.part}: somebody else decided meanwhile; nothing was stored.",
            icon=":material/warning:",
            duration="long",
        )
    elif outcome is Outcome.STORED:
        st.toast(f"{record.row.part}: recorded as {disposition_text_of(proposal)}.", icon=":material/check:")
    following = next_waiting(room, after=uid)
    if following is not None:
        st.query_params["uid"] = following
    else:
        st.toast("No other part waits for a decision.", icon=":material/done_all:")


def disposition_text_of(proposal: Proposal) -> str:
    """`good`, or `defective: scratch`."""
    return proposal.disposition if proposal.defect_class is None else f"{proposal.disposition}: {proposal.defect_class}"


def _notices(form: str) -> None:
    """What is missing in the form, once, where it was sent."""
    of, sentences = st.session_state.pop("decision-notice", (None, []))
    if of == form:
        st.warning(" ".join(sentences), icon=":material/edit_note:")


def draw_reviews(record: InspectionRecord, zone: ZoneInfo) -> None:
    """Every review, the standing one first; corrected ones stay readable."""
    if not record.reviews:
        return
    superseded = {review.supersedes for review in record.reviews}
    with st.container(border=True, key="card-reviews"):
        st.html(card_title("Reviews"))
        for review in reversed(record.reviews):
            entries = {
                "Decision": f"{review.decision}, {disposition_text(review)}"
                + (" (corrected)" if review.id in superseded else ""),
                "By": f"{review.reviewer}, {moment(review.reviewed_at, zone)}",
            }
            if review.reason:
                entries["Reason"] = review.reason
            if review.shown_ms is not None:
                entries["Looked at"] = f"{review.shown_ms / 1000:.1f} s"
            st.html(facts(entries))
