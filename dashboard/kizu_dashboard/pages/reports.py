"""The flagged parts of a period as files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import streamlit as st

from kizu_dashboard.failing import error_text
from kizu_dashboard.language.speaking import say, speaking
from kizu_dashboard.markup import card_title, empty_state, figure_tiles
from kizu_dashboard.pages.frame import current_room, current_user
from kizu_dashboard.reports.content import gather_report
from kizu_dashboard.reports.csv import csv_report
from kizu_dashboard.reports.pdf import pdf_report, printed_language
from kizu_dashboard.room import Room
from kizu_dashboard.wording import role_name
from kizu_db.permissions import Action
from kizu_inspect.errors import KizuError
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of


def main() -> None:
    """Draws the page."""
    room, user = current_room(), current_user()
    st.title(say("Reports"), anchor=False)
    st.caption(
        say("The flagged parts of a period (REVIEW, REJECT and ERROR), as a table for a spreadsheet or as a document to print.")
    )
    zone = room.config.plant.zone
    today = datetime.now(zone).date()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        first = st.date_input(say("From"), today - timedelta(days=6), key="from", format="YYYY-MM-DD", width=170)
        last = st.date_input(say("To, included"), today, key="to", format="YYYY-MM-DD", width=170)
        st.caption(say("Days of {zone}, by the time of judging", zone=zone.key), width="content")
    if first > last:
        st.warning(say("The period ends before it starts."), icon=":material/event_busy:")
        return
    since, until = _day(first, room), _day(last + timedelta(days=1), room)
    with room.records.unit(read_only=True) as unit:
        counts = unit.rollups.verdicts(since=since, until=until)
    flagged = sum(n for verdict, n in counts.items() if verdict is not Verdict.PASS)
    shares = {verdict: share_of(verdict, counts) for verdict in (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR)}
    st.html(figure_tiles(sum(counts.values()), first_pass_yield(counts), shares))
    if not flagged:
        st.html(
            empty_state(
                say("No flagged parts in this period"),
                say("Choose other days; a report without parts can be made all the same."),
            )
        )
    elif flagged > room.config.report.max_parts:
        st.info(
            say(
                "{flagged:,} parts are flagged; a PDF holds the newest {most:,}, a CSV all.",
                flagged=flagged,
                most=room.config.report.max_parts,
            ),
            icon=":material/info:",
        )

    if not user.role.may(Action.REPORT):
        least = role_name(Action.REPORT.least)
        st.caption(say("Reports are made by people with the role {role} or one above.", role=least))
        return

    def make(kind: str) -> bytes:
        with room.records.unit(read_only=True) as unit:
            unit.users.require(user.name, Action.REPORT)  # before the work, and again where it is recorded
        most = None if kind == "csv" else room.config.report.max_parts
        report = gather_report(room.records, room.config, since=since, until=until, most=most, made_by=user.name)
        font = room.config.report.font
        with speaking(printed_language(font)):
            data = csv_report(report) if kind == "csv" else pdf_report(report, room.images, font=font)
        with room.records.unit() as unit:
            unit.reports.add(kind, data, report.told, by=user.name, software=report.software)
        return data

    name = f"kizu-defects-{first.isoformat()}-to-{last.isoformat()}"
    state = (since, until, tuple(counts.items()), user.name)
    left, right = st.columns(2, gap="medium")
    with left:
        _offer(
            "CSV",
            say("One row for each flagged part, for a spreadsheet."),
            f"{name}.csv",
            "text/csv",
            state,
            lambda: make("csv"),
        )
    with right:
        _offer(
            "PDF", say("Photo, heatmap, probabilities and reviews of each flagged part."), f"{name}.pdf", "application/pdf",
            state, lambda: make("pdf"),
        )  # fmt: skip


def _day(day: date, room: Room) -> datetime:
    """The day's first moment in the plant's zone."""
    return datetime.combine(day, time.min, room.config.plant.zone)


def _offer(kind: str, about: str, file_name: str, mime: str, state: tuple[object, ...], make: Callable[[], bytes]) -> None:
    """A card that makes one kind of file on request and then offers it for download."""
    key = f"report-{kind}"
    with st.container(border=True, key=f"card-{kind.lower()}"):
        st.html(card_title(kind))
        st.caption(about)
        if st.button(say("Make {kind}", kind=kind), icon=":material/build:", key=f"make-{kind}"):
            try:
                with st.spinner(say("Making the {kind}…", kind=kind)):
                    st.session_state[key] = (state, make())
            except KizuError as error:
                st.session_state.pop(key, None)
                st.error(error_text(error), icon=":material/error:")
        made = st.session_state.get(key)
        # A file of other days, or from before the last inspection, must not be taken for this one.
        if made is not None and made[0] == state:
            st.download_button(
                say("Download {kind} ({size:,.0f} kB)", kind=kind, size=len(made[1]) / 1000),
                made[1],
                file_name=file_name,
                mime=mime,
                type="primary",
                icon=":material/download:",
                key=f"download-{kind}",
                on_click="ignore",
            )


if __name__ == "__main__":
    main()
