"""Which defects, when, at which station, in which lot, and where on the part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import streamlit as st

from kizu_dashboard.beside import Beside, beside_of
from kizu_dashboard.charts import control_chart, density_chart, pareto_chart, yield_chart
from kizu_dashboard.components.part_strip import draw_part_strip
from kizu_dashboard.filters import ListView
from kizu_dashboard.language.speaking import known, marked, say, say_count
from kizu_dashboard.markup import card_title, empty_state, figure_tiles, quiet
from kizu_dashboard.pages.drawing import draw_figures, draw_opening_chart, draw_picking_chart
from kizu_dashboard.pages.frame import current_room
from kizu_dashboard.pages.period import choose_analysed
from kizu_dashboard.periods import Period, period_between
from kizu_dashboard.quality import (
    CELLS,
    GROUPINGS,
    Grouping,
    Quality,
    cells_of,
    gather_quality,
    labels_of,
    most_seen,
    side_text,
    span_text,
)
from kizu_dashboard.room import Room
from kizu_dashboard.wording import NO_CLASS, class_name, interval_text, no_limits_text, share_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.control_charts import ControlChart, Rule, laney_chart, p_chart
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.yields import first_pass_yield, share_of

MOST_BARS: Final = 12
MOST_LOTS: Final = 12
MOST_STATIONS: Final = 20
MOST_SHOWN: Final = 12
RULES: Final = {
    Rule.BEYOND_LIMITS: marked("a point beyond 3σ"),
    Rule.ONE_SIDE: marked("9 points in a row on one side of the centre line"),
    Rule.STEADY: marked("6 points in a row rising or falling"),
    Rule.NEAR_LIMITS: marked("2 of 3 points beyond 2σ on one side"),
}
# The part of the address that names the cell whose parts are shown. (A text in quotes would be drawn on the page.)
CELL: Final = "cell"
DRAWN_OVER: Final = marked("Drawn over: {picture}.")
KINDS: Final = {"p′ (Laney)": laney_chart, "p": p_chart}


def main() -> None:
    """Draws the page."""
    room = current_room()
    st.title(say("Quality"), anchor=False)
    plant = room.config.plant
    st.caption(say("{plant} · by the time of judging · times in {zone}", plant=plant.name, zone=plant.timezone))
    _page(room)


def _page(room: Room) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        period, station = choose_analysed(room)
        grouping = st.segmented_control(
            say("Control chart by"),
            list(GROUPINGS),
            default="hour",
            format_func=known,
            key="by",
            bind="query-params",
            required=True,
        )
        kind = st.segmented_control(
            say("Chart"), list(KINDS), default="p′ (Laney)", key="chart", bind="query-params", required=True,
            help=say(
                "p′ takes the variation between groups into account; with thousands of parts a group, p signals nearly always"
            ),
        )  # fmt: skip
    if period is None:
        st.warning(say("The period ends before it starts."), icon=":material/event_busy:")
        return
    quality = gather_quality(room, period, station=station, grouping=grouping, now=datetime.now(UTC))
    if not sum(quality.verdicts.values()):
        st.html(
            empty_state(say("No inspections in this period"), say("Choose a longer period, or check that the line is running."))
        )
        return
    shares = {verdict: share_of(verdict, quality.verdicts) for verdict in (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR)}
    st.html(figure_tiles(sum(quality.verdicts.values()), first_pass_yield(quality.verdicts), shares))
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        _pareto(room, quality, period, station)
    with right:
        _stations(room, quality, period)
    _control(room, quality, station, grouping, kind)
    left, right = st.columns([1, 1.1], gap="medium")
    with left:
        _places(room, quality)
    with right:
        _lots(room, quality, period, station)


def _pareto(room: Room, quality: Quality, period: Period, station: str | None) -> None:
    rejects, bars = quality.verdicts[Verdict.REJECT], quality.bars
    with st.container(border=True, key="card-pareto"):
        st.html(card_title(say("Rejects by suspected defect class")))
        if not bars:
            st.caption(say("Nothing was rejected in this period."))
            return
        if len(bars) > MOST_BARS:
            drawn = {"shown": MOST_BARS, "classes": len(bars)}
            st.caption(say("{rejects:,} rejects, the first {shown} of {classes} classes drawn", rejects=rejects, **drawn))
        else:
            st.caption(say_count("{count:,} reject", "{count:,} rejects", rejects))
        opens = {bar.name: _rejects(room, period, station, bar.name) for bar in bars}
        told = say(
            "Pareto chart of {rejects:,} rejects. Most: {most}, {share}.",
            rejects=rejects, most=class_name(bars[0].name), share=share_text(bars[0].share),
        )  # fmt: skip
        draw_opening_chart(pareto_chart(bars[:MOST_BARS]), opens, key="pareto", told=told)
        rows = {
            bar.name: [f"{bar.share.hits:,}", bar.share.percent, interval_text(bar.share), bar.cumulative.percent]
            for bar in bars
        }
        draw_figures(
            [say("Class"), say("Rejects"), say("Share of {n:,}", n=rejects), say("95 % interval"), say("Cumulative")],
            rows,
            opens,
            key="pareto-figures",
            said=class_name,
        )


def _rejects(room: Room, period: Period, station: str | None, name: str) -> ListView:
    """Those of one class; where the model named none, all."""
    suspected = None if name == NO_CLASS else name
    return ListView(period, room.config.plant.zone, verdicts=(Verdict.REJECT,), suspected=suspected, station=station)


def _stations(room: Room, quality: Quality, period: Period) -> None:
    with st.container(border=True, key="card-stations"):
        st.html(card_title(say("First-pass yield by station")))
        if len(quality.stations) > MOST_STATIONS:
            drawn = {"shown": MOST_STATIONS, "stations": len(quality.stations)}
            st.caption(
                say(
                    "Passed of all inspections, with the 95 % interval (Wilson); the first {shown} of {stations} drawn", **drawn
                )
            )
        else:
            st.caption(say("Passed of all inspections, with the 95 % interval (Wilson)"))
        opens = {name: ListView(period, room.config.plant.zone, station=name) for name in quality.stations}
        _yields(list(quality.stations.items()), opens, say("Station"), key="stations", drawn=MOST_STATIONS)


def _lots(room: Room, quality: Quality, period: Period, station: str | None) -> None:
    with st.container(border=True, key="card-lots"):
        st.html(card_title(say("First-pass yield by lot")))
        lots = [(name or say("no lot"), share) for name, share in quality.lots]
        about = {"inspections": quality.of_lots, "shown": MOST_LOTS, "lots": len(lots)}
        st.caption(
            say(
                "Of the period's newest {inspections:,} inspections; newest lot first; the newest {shown} of {lots} drawn",
                **about,
            )
            if len(lots) > MOST_LOTS
            else say("Of the period's newest {inspections:,} inspections; newest lot first", **about)
        )
        opens = {name: ListView(period, room.config.plant.zone, lot=name, station=station) for name, _ in quality.lots if name}
        _yields(lots, opens, say("Lot"), key="lots", drawn=MOST_LOTS)


def _yields(shares: list[tuple[str, Share]], opens: dict[str, ListView], head: str, *, key: str, drawn: int) -> None:
    told = "; ".join(f"{name}: {share_text(share)}" for name, share in shares[:drawn])
    draw_opening_chart(yield_chart(shares[:drawn], say("passed")), opens, key=key, told=told)
    rows = {name: [f"{share.n:,}", f"{share.hits:,}", share.percent, interval_text(share)] for name, share in shares}
    heads = [head, say("Inspections"), say("Passed"), say("Yield"), say("95 % interval")]
    draw_figures(heads, rows, opens, key=f"{key}-figures")


def _control(room: Room, quality: Quality, station: str | None, grouping: Grouping, kind: str) -> None:
    zone = room.config.plant.zone
    groups = quality.groups
    chart = KINDS[kind]([group.rejected for group in groups])
    with st.container(border=True, key="card-control"):
        st.html(card_title(say("{kind} chart: rejected by {grouping}", kind=kind, grouping=known(grouping))))
        if not groups:
            st.caption(say("No whole hour of this period has an inspection."))
            return
        st.caption(say("Centre {share}. {limits}", share=share_text(chart.centre), limits=_limits_text(chart)))
        labels = labels_of(groups, grouping)
        opens = {
            label: ListView(period_between(group.start, group.end), zone, verdicts=(Verdict.REJECT,), station=station)
            for label, group in zip(labels, groups, strict=True)
        }
        signals = [f"{known(RULES[signal.rule])}: {span_text(labels, signal.indices)}" for signal in chart.signals]
        named = {"groups": len(groups), "signals": len(signals), "first": "; ".join(signals[:5])}
        told = say("Control chart of {groups} groups. {signals} signals. {first}", **named)
        draw_opening_chart(control_chart(labels, chart), opens, key="control", told=told)
        if signals:
            st.warning(
                say_count("{count} signal: {first}", "{count} signals: {first}", len(signals), first=" · ".join(signals[:5])),
                icon=":material/warning:",
            )
        rows = {}
        for label, point in zip(labels, chart.points, strict=True):
            limits = "–" if point.low is None or point.high is None else f"{100 * point.low:.2f}–{100 * point.high:.2f} %"
            rows[label] = [
                f"{point.share.n:,}",
                f"{point.share.hits:,}",
                point.share.percent,
                interval_text(point.share),
                limits,
            ]
        heads = [
            say("From"), say("Inspections"), say("Rejected"), say("Share"), say("95 % interval"), say("Limits of the chart"),
        ]  # fmt: skip
        draw_figures(heads, rows, opens, key="control-figures")


def _limits_text(chart: ControlChart) -> str:
    if chart.no_limits is not None:
        return no_limits_text(chart)
    if chart.sigma_z is None:
        return say("Limits at 3σ of the binomial distribution")
    return say("Limits at 3σ, widened by σ_z = {sigma:.2f} for the variation between groups", sigma=chart.sigma_z)


def _places(room: Room, quality: Quality) -> None:
    with st.container(border=True, key="card-places"):
        st.html(card_title(say("Where on the part the heatmaps' regions lie")))
        if not quality.places:
            st.caption(say("No flagged part of this period has a region."))
            return
        sides = {side_text(side): side for side in most_seen(quality.places)}
        name = (
            st.selectbox(say("Station and view"), list(sides), key="side", width=240) if len(sides) > 1 else next(iter(sides))
        )
        here = [place for place in quality.places if (place.station, place.view) == sides.get(name or "")]
        parts = len({place.uid for place in here})
        under = _picture_of(room, here[0].uid)
        said = say(
            "{regions:,} regions of {parts:,} parts at {place}, of the period's newest {flagged:,} flagged ones. Centres, in "
            "fractions of the picture.",
            regions=len(here), parts=parts, place=name, flagged=quality.of_places,
        )  # fmt: skip
        st.html(quiet(said))
        cells = cells_of(here)
        most = max(cells, key=lambda cell: len(cells[cell]))
        told = say(
            "Density of {regions} region centres in {cells} × {cells} cells; most, {most}, at {place}",
            regions=len(here), cells=CELLS, most=len(cells[most]), place=_cell_text(most),
        )  # fmt: skip
        counts = {cell: len(found) for cell, found in cells.items()}
        chart = density_chart(counts, CELLS, aspect=here[0].aspect, under=None if under is None else under.small)
        picked = draw_picking_chart(chart, key="places", told=told, width="content")
        if under is not None:
            st.html(quiet(known(DRAWN_OVER).format(picture=under.words)))
        ranked = sorted(cells, key=lambda cell: -len(cells[cell]))
        rows = {
            _cell_text(cell): [
                f"{len(cells[cell]):,}",
                (share := Share(len(cells[cell]), len(here))).percent,
                interval_text(share),
            ]
            for cell in ranked[:MOST_SHOWN]
        }
        opens = {_cell_text(cell): _CellView(cell) for cell in ranked[:MOST_SHOWN]}
        heads = [say("Across, down"), say("Regions"), say("Of {n:,}", n=len(here)), say("95 % interval")]
        draw_figures(heads, rows, opens, key="places-figures")
        if picked is not None:
            st.query_params[CELL] = picked
        asked = st.query_params.get(CELL)
        chosen = next((cell for cell in cells if f"{cell[0]},{cell[1]}" == asked), most)
        _parts_of_cell(room, [place.uid for place in cells[chosen]], _cell_text(chosen))


@dataclass(frozen=True)
class _CellView:
    """This page as it is now, with the parts of this cell."""

    cell: tuple[int, int]

    @property
    def href(self) -> str:
        """Its address."""
        kept = [(name, value) for name in st.query_params if name != CELL for value in st.query_params.get_all(name)]
        return "/quality?" + urlencode([*kept, (CELL, f"{self.cell[0]},{self.cell[1]}")])


def _picture_of(room: Room, uid: str) -> Beside | None:
    """What a part of this side looks like without a defect: the best picture that this one can be compared with."""
    with room.records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
    return next(iter(beside_of(room, record)), None) if record is not None else None


def _parts_of_cell(room: Room, uids: list[str], where: str) -> None:
    """A cell's parts, newest first; the fullest cell's until another is clicked."""
    shown = list(dict.fromkeys(uids))
    with room.records.unit(read_only=True) as unit:
        rows = unit.inspections.rows(shown[:MOST_SHOWN])
    st.caption(
        say(
            "Parts with a region at {place}: {shown} of {all:,}. Click a cell for its own.",
            place=where, shown=min(len(shown), MOST_SHOWN), all=len(shown),
        )
    )  # fmt: skip
    draw_part_strip(rows, room.config.plant.zone, key="cell-parts")


def _cell_text(cell: tuple[int, int]) -> str:
    """Where a cell lies: `45–50 %, 10–15 %`."""
    return ", ".join(f"{100 * at // CELLS}–{100 * (at + 1) // CELLS} %" for at in cell)


if __name__ == "__main__":
    main()
