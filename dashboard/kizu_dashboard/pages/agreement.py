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
from kizu_dashboard.language.speaking import known, marked, say, say_count
from kizu_dashboard.markup import Cell, card_title, data_table, empty_state, tile_row
from kizu_dashboard.pages.administration.writing import tell_what_became
from kizu_dashboard.pages.drawing import draw_chart, draw_figures
from kizu_dashboard.pages.frame import current_room
from kizu_dashboard.pages.period import choose_analysed
from kizu_dashboard.pages.what_if import draw_what_if
from kizu_dashboard.room import Room
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.wording import GRADES, NO_CLASS, bound_text, class_name, estimate_text, interval_text, of_text, share_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.outcomes import Outcomes, outcomes

MOST_CLASSES: Final = 12
MOST_PAIRS: Final = 20
RULES: Final = (Verdict.REJECT, Verdict.REVIEW, Verdict.PASS)
NOT_REVIEWED: Final = (
    marked("Nothing was reviewed in this period"), marked("Decide what waits on the page Review, or choose a longer period."),
)  # fmt: skip
NOT_INSPECTED: Final = (
    marked("No inspections in this period"), marked("Choose a longer period, or check that the line is running."),
)  # fmt: skip
NO_AUDIT: Final = marked(
    "Misses are unknown: no PASS part of this period was drawn for a review, and without such an audit sample nobody sees what "
    "passed by mistake. Set audit_share in the recipe."
)
ESTIMATED: Final = marked(
    "Misses are estimated from the audit sample, PASS parts drawn at random, each of which stands for as many as its chance "
    "says. Bounds are one-sided, 95 % (Clopper and Pearson). Flagged parts that wait are taken for what reviewed ones are."
)
ALONE: Final = marked(
    "No inspection of this period was judged by two people on their own. Corrections do not count: who corrects has seen what "
    "was decided."
)


def main() -> None:
    """Draws the page."""
    room = current_room()
    tell_what_became()
    st.title(say("Agreement"), anchor=False)
    plant = room.config.plant
    st.caption(
        say(
            "{plant} · by the time of judging, in whole quarters of an hour · times in {zone}",
            plant=plant.name, zone=plant.timezone,
        )
    )  # fmt: skip
    _page(room)


def _page(room: Room) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        period, station = choose_analysed(room)
    if period is None:
        st.warning(say("The period ends before it starts."), icon=":material/event_busy:")
        return
    agreed = gather_agreement(room, period, station=station)
    if not agreed.reviewed:
        inspected = sum(agreed.verdicts.values())
        st.html(empty_state(*map(known, NOT_REVIEWED if inspected else NOT_INSPECTED)))
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
    escapes = say("{n:,} of {audited:,} audited PASS parts defective", n=found.escapes.escapes, audited=audited)
    overkill = say("{n:,} of {rejected:,} reviewed rejects good", n=found.overkill.escapes, rejected=rejected)
    st.html(
        tile_row(
            [
                (say("Miss rate"), estimate_text(found.miss_rate), f"{bound_text(found.miss_rate)} · {escapes}", red),
                (
                    say("Defective among passed"),
                    estimate_text(found.outgoing),
                    f"{bound_text(found.outgoing)} · {escapes}",
                    red,
                ),
                (
                    say("Overkill of good parts"),
                    estimate_text(found.overkill_rate),
                    f"{bound_text(found.overkill_rate)} · {overkill}",
                    LOOKS[Verdict.REVIEW].ink,
                ),
                (say("Flagged parts reviewed"), done.percent, of_text(done), green),
            ]
        )
    )
    if audited:
        st.caption(known(ESTIMATED))
    else:
        waiting = sum(agreed.waiting.values())
        unknown = (
            say(
                "Misses are unknown: of the PASS parts drawn for the audit sample none was reviewed yet. They wait: "
                "{waiting:,}.",
                waiting=waiting,
            )
            if waiting
            else known(NO_AUDIT)
        )
        st.warning(unknown, icon=":material/visibility_off:")


def _verdicts(room: Room, agreed: Agreed, station: str | None) -> None:
    with st.container(border=True, key="card-verdicts"):
        st.html(card_title(say("Model against reviewers")))
        st.caption(
            say("Reviewed inspections; a number opens them. PASS parts come from the audit sample, or somebody chose them.")
        )
        rows = []
        for verdict in (*RULES, Verdict.ERROR):
            counts = {one: agreed.reviewed.get((verdict, one), 0) for one in ("good", "defective")}
            total = Share(counts["defective"], sum(counts.values()))
            cells = [_count(room, agreed, n, station, verdicts=(verdict,), decision=one) for one, n in counts.items()]
            look = LOOKS[verdict]
            rows.append([f"{look.icon} {look.word}", *cells, total.percent, interval_text(total)])
        heads = [say("Verdict"), say("Good"), say("Defective"), say("Defective share"), say("95 % interval")]
        st.html(data_table(heads, rows))


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
        st.html(card_title(say("By defect class")))
        if not counts:
            st.caption(say("No flagged part of this period was reviewed."))
            return
        st.caption(say("Reviewed REVIEW and REJECT parts: what the model suspects (rows), what people decided (columns)."))
        if len(agreed.parts) == MOST_REVIEWED:
            st.caption(say("Of the newest {n:,} reviewed ones.", n=MOST_REVIEWED))
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
            rows.append([class_name(name), *cells, say("{share} of {n:,}", share=right.percent, n=total), interval_text(right)])
        columns = [known(GOOD) if name == GOOD else class_name(name) for name in decided[:MOST_CLASSES]]
        st.html(data_table([say("Suspected"), *columns, say("Confirmed"), say("95 % interval")], rows))
        left_out = max(0, len(suspected) - MOST_CLASSES) + max(0, len(decided) - MOST_CLASSES)
        if left_out:
            st.caption(say_count("{count} rarer class is left out.", "{count} rarer classes are left out.", left_out))


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
        st.html(card_title(say("Reviewer against reviewer")))
        if not pairs:
            st.caption(known(ALONE))
            return
        st.caption(
            say("Good or defective, of parts that both judged on their own. Acceptable from 90 % alike, marginal from 80 %.")
        )
        rows = [
            [
                f"{one} · {other}",
                say("{share} of {n:,}", share=found.alike.percent, n=found.alike.n),
                interval_text(found.alike),
                "–" if found.kappa is None else f"{found.kappa:.2f}",
                known(GRADES[found.grade]),
            ]
            for (one, other), found in list(pairs.items())[:MOST_PAIRS]
        ]
        heads = [say("Reviewers"), say("Alike"), say("95 % interval"), say("Cohen's κ"), say("Grade")]
        st.html(data_table(heads, rows))


def _calibration(agreed: Agreed) -> None:
    bins = calibration(agreed.parts)
    with st.container(border=True, key="card-calibration"):
        st.html(card_title(say("Calibration of the defect score")))
        if not bins:
            st.caption(say("No reviewed part of this period has a score that chance or the verdict put before a person."))
            return
        n = sum(one.defective.n for one in bins)
        st.caption(
            say(
                "{n:,} reviewed parts. Calibrated, as large a share is defective as the score says: points lie on the line.",
                n=n,
            )
        )
        told = "; ".join(
            say("score {low:.1f} to {high:.1f}: {share} defective", low=one.low, high=one.high, share=share_text(one.defective))
            for one in bins
        )
        draw_chart(reliability_chart(bins), key="calibration", told=told)
        rows = {
            f"{one.low:.1f}–{one.high:.1f}": [
                f"{one.score:.3f}", f"{one.defective.n:,}", f"{one.defective.hits:,}", one.defective.percent,
                interval_text(one.defective),
            ]
            for one in bins
        }  # fmt: skip
        heads = [say("Score"), say("Mean score"), say("Parts"), say("Defective"), say("Share"), say("95 % interval")]
        draw_figures(heads, rows, {}, key="calibration-figures")


if __name__ == "__main__":
    main()
