"""Whether the model, the reviewers and the limits agree with what the parts are."""

from __future__ import annotations

from typing import Final

import streamlit as st

from kizu_dashboard.agreement import (
    GOOD,
    MOST_REVIEWED,
    Agreed,
    as_judged,
    by_class,
    calibration,
    gather_agreement,
    pairs_of,
)
from kizu_dashboard.charts import reliability_chart
from kizu_dashboard.filters import ListView
from kizu_dashboard.markup import Cell, card_title, data_table, empty_state, tile_row
from kizu_dashboard.pages.administration.writing import tell_what_became
from kizu_dashboard.pages.drawing import draw_chart, draw_figures
from kizu_dashboard.pages.frame import current_room
from kizu_dashboard.pages.period import choose_analysed
from kizu_dashboard.pages.what_if import draw_what_if
from kizu_dashboard.quality import NO_CLASS
from kizu_dashboard.room import Room
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import bound_text, class_name, estimate_text, interval_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.outcomes import Outcomes, outcomes

MOST_CLASSES: Final = 12
MOST_PAIRS: Final = 20
RULES: Final = (Verdict.REJECT, Verdict.REVIEW, Verdict.PASS)
NOT_REVIEWED: Final = (
    "Nothing was reviewed in this period", "Decide what waits on the page Review, or choose a longer period."
)  # fmt: skip
NOT_INSPECTED: Final = ("No inspections in this period", "Choose a longer period, or check that the line is running.")
NO_AUDIT: Final = (
    "Misses are unknown: no PASS part of this period was drawn for a review, and without such an audit sample nobody sees what "
    "passed by mistake. Set audit_share in the recipe."
)
AUDIT_WAITS: Final = "Misses are unknown: of the PASS parts drawn for the audit sample none was reviewed yet. They wait: "
ESTIMATED: Final = (
    "Misses are estimated from the audit sample, PASS parts drawn at random, each of which stands for as many as its chance "
    "says. Bounds are one-sided, 95 % (Clopper and Pearson). Flagged parts that wait are taken for what reviewed ones are."
)
ALONE: Final = (
    "No inspection of this period was judged by two people on their own. Corrections do not count: who corrects has seen what "
    "was decided."
)


def main() -> None:
    """Draws the page."""
    room = current_room()
    tell_what_became()
    st.title("Agreement", anchor=False)
    plant = room.config.plant
    st.caption(f"{plant.name} · by the time of judging, in whole quarters of an hour · times in {plant.timezone}")
    _page(room)


def _page(room: Room) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        period, station = choose_analysed(room)
    if period is None:
        st.warning("The period ends before it starts.", icon=":material/event_busy:")
        return
    agreed = gather_agreement(room, period, station=station)
    if not agreed.reviewed:
        inspected = sum(agreed.verdicts.values())
        st.html(empty_state(*(NOT_REVIEWED if inspected else NOT_INSPECTED)))
        return
    _tiles(agreed, outcomes(as_judged(agreed)))
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        _verdicts(room, agreed, station)
        _reviewers(agreed)
    with right:
        _classes(room, agreed, station)
        _calibration(agreed)
    draw_what_if(room, agreed)


def _tiles(agreed: Agreed, found: Outcomes) -> None:
    audited = sum(one.reviewed for one in agreed.strata)
    rejected = sum(agreed.reviewed.get((Verdict.REJECT, one), 0) for one in ("good", "defective"))
    reviewed = sum(n for (verdict, _), n in agreed.reviewed.items() if verdict is not Verdict.PASS)
    to_review = sum(n for verdict, n in agreed.verdicts.items() if verdict is not Verdict.PASS)
    done, red, green = Share(reviewed, to_review), LOOKS[Verdict.REJECT].ink, LOOKS[Verdict.PASS].ink
    escapes = f"{found.escapes.escapes:,} of {audited:,} audited PASS parts defective"
    st.html(
        tile_row(
            [
                ("Miss rate", estimate_text(found.miss_rate), f"{bound_text(found.miss_rate)} · {escapes}", red),
                ("Defective among passed", estimate_text(found.outgoing), f"{bound_text(found.outgoing)} · {escapes}", red),
                (
                    "Overkill of good parts",
                    estimate_text(found.overkill_rate),
                    f"{bound_text(found.overkill_rate)} · {found.overkill.escapes:,} of {rejected:,} reviewed rejects good",
                    LOOKS[Verdict.REVIEW].ink,
                ),
                ("Flagged parts reviewed", done.percent, f"{done.hits:,} of {done.n:,}", green),
            ]
        )
    )
    if audited:
        st.caption(ESTIMATED)
    else:
        waiting = sum(agreed.waiting.values())
        st.warning(f"{AUDIT_WAITS}{waiting:,}." if waiting else NO_AUDIT, icon=":material/visibility_off:")


def _verdicts(room: Room, agreed: Agreed, station: str | None) -> None:
    with st.container(border=True, key="card-verdicts"):
        st.html(card_title("Model against reviewers"))
        st.caption("Reviewed inspections; a number opens them. PASS parts come from the audit sample, or somebody chose them.")
        rows = []
        for verdict in (*RULES, Verdict.ERROR):
            counts = {one: agreed.reviewed.get((verdict, one), 0) for one in ("good", "defective")}
            total = Share(counts["defective"], sum(counts.values()))
            cells = [_count(room, agreed, n, station, verdicts=(verdict,), decision=one) for one, n in counts.items()]
            look = LOOKS[verdict]
            rows.append([f"{look.icon} {look.word}", *cells, total.percent, interval_text(total)])
        st.html(data_table(["Verdict", "Good", "Defective", "Defective share", "95 % interval"], rows))


def _count(
    room: Room,
    agreed: Agreed,
    n: int,
    station: str | None,
    *,
    verdicts: tuple[Verdict, ...],
    decision: str,
    suspected: str | None = None,
) -> Cell:
    """A count that opens its inspections; a plain nought."""
    view = ListView(
        agreed.period, room.config.plant.zone, verdicts=verdicts, decision=decision, suspected=suspected, station=station
    )
    return (f"{n:,}", view.href) if n else "0"


def _classes(room: Room, agreed: Agreed, station: str | None) -> None:
    counts = by_class(agreed.parts)
    with st.container(border=True, key="card-classes"):
        st.html(card_title("By defect class"))
        if not counts:
            st.caption("No flagged part of this period was reviewed.")
            return
        newest = f" Of the newest {MOST_REVIEWED:,} reviewed ones." if len(agreed.parts) == MOST_REVIEWED else ""
        st.caption(f"Reviewed REVIEW and REJECT parts: what the model suspects (rows), what people decided (columns).{newest}")
        suspected = _ranked(counts, 0)
        decided = [GOOD, *(name for name in _ranked(counts, 1) if name != GOOD)]
        rows = []
        for name in suspected[:MOST_CLASSES]:
            total = sum(n for (row, _), n in counts.items() if row == name)
            cells = [
                _count(
                    room, agreed, counts.get((name, column), 0), station, verdicts=(Verdict.REJECT, Verdict.REVIEW),
                    decision=_decision(column), suspected=name if name != NO_CLASS else None,
                )
                for column in decided[:MOST_CLASSES]
            ]  # fmt: skip
            right = Share(counts.get((name, name), 0), total)
            rows.append([class_name(name), *cells, f"{right.percent} of {total:,}", interval_text(right)])
        st.html(data_table(["Suspected", *map(class_name, decided[:MOST_CLASSES]), "Confirmed", "95 % interval"], rows))
        left_out = max(0, len(suspected) - MOST_CLASSES) + max(0, len(decided) - MOST_CLASSES)
        if left_out:
            st.caption(f"{left_out} rarer classes are left out.")


def _decision(column: str) -> str:
    """A column of the table as the list's filter says it."""
    if column == GOOD:
        return GOOD
    return "defective" if column == NO_CLASS else f"defective: {column}"


def _ranked(counts: dict[tuple[str, str], int], side: int) -> list[str]:
    """The classes of this side, the most frequent first."""
    totals: dict[str, int] = {}
    for names, n in counts.items():
        totals[names[side]] = totals.get(names[side], 0) + n
    return sorted(totals, key=lambda name: (-totals[name], name))


def _reviewers(agreed: Agreed) -> None:
    pairs = pairs_of(agreed.opinions)
    with st.container(border=True, key="card-reviewers"):
        st.html(card_title("Reviewer against reviewer"))
        if not pairs:
            st.caption(ALONE)
            return
        st.caption("Good or defective, of parts that both judged on their own. Acceptable from 90 % alike, marginal from 80 %.")
        rows = [
            [
                f"{one} · {other}",
                f"{found.alike.percent} of {found.alike.n:,}",
                interval_text(found.alike),
                "–" if found.kappa is None else f"{found.kappa:.2f}",
                found.grade.value,
            ]
            for (one, other), found in list(pairs.items())[:MOST_PAIRS]
        ]
        st.html(data_table(["Reviewers", "Alike", "95 % interval", "Cohen's κ", "Grade"], rows))


def _calibration(agreed: Agreed) -> None:
    bins = calibration(agreed.parts)
    with st.container(border=True, key="card-calibration"):
        st.html(card_title("Calibration of the defect score"))
        if not bins:
            st.caption("No reviewed part of this period has a score that chance or the verdict put before a person.")
            return
        n = sum(one.defective.n for one in bins)
        st.caption(
            f"{n:,} reviewed parts. Calibrated, as large a share is defective as the score says: points lie on the line."
        )
        told = "; ".join(f"score {one.low:.1f} to {one.high:.1f}: {one.defective.text} defective" for one in bins)
        draw_chart(reliability_chart(bins), key="calibration", told=told)
        rows = {
            f"{one.low:.1f}–{one.high:.1f}": [
                f"{one.score:.3f}", f"{one.defective.n:,}", f"{one.defective.hits:,}", one.defective.percent,
                interval_text(one.defective),
            ]
            for one in bins
        }  # fmt: skip
        heads = ["Score", "Mean score", "Parts", "Defective", "Share", "95 % interval"]
        draw_figures(heads, rows, {}, key="calibration-figures")


if __name__ == "__main__":
    main()
