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
from kizu_dashboard.markup import card_title, empty_state, figure_tiles, quiet
from kizu_dashboard.pages.drawing import draw_figures, draw_opening_chart, draw_picking_chart
from kizu_dashboard.pages.frame import current_room
from kizu_dashboard.pages.period import choose_analysed
from kizu_dashboard.periods import Period, period_between
from kizu_dashboard.quality import (
    CELLS,
    GROUPINGS,
    NO_CLASS,
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
from kizu_dashboard.wording import class_name, interval_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.control_charts import ControlChart, laney_chart, p_chart
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.yields import first_pass_yield, share_of

MOST_BARS: Final = 12
MOST_LOTS: Final = 12
MOST_STATIONS: Final = 20
MOST_SHOWN: Final = 12
# The part of the address that names the cell whose parts are shown. (A text in quotes would be drawn on the page.)
CELL: Final = "cell"
DRAWN_OVER: Final = "Drawn over: {picture}."
KINDS: Final = {"p′ (Laney)": laney_chart, "p": p_chart}


def main() -> None:
    """Draws the page."""
    room = current_room()
    st.title("Quality", anchor=False)
    st.caption(f"{room.config.plant.name} · by the time of judging · times in {room.config.plant.timezone}")
    _page(room)


def _page(room: Room) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        period, station = choose_analysed(room)
        grouping = st.segmented_control(
            "Control chart by", list(GROUPINGS), default="hour", key="by", bind="query-params", required=True
        )
        kind = st.segmented_control(
            "Chart", list(KINDS), default="p′ (Laney)", key="chart", bind="query-params", required=True,
            help="p′ takes the variation between groups into account; with thousands of parts a group, p signals nearly always",
        )  # fmt: skip
    if period is None:
        st.warning("The period ends before it starts.", icon=":material/event_busy:")
        return
    quality = gather_quality(room, period, station=station, grouping=grouping, now=datetime.now(UTC))
    if not sum(quality.verdicts.values()):
        st.html(empty_state("No inspections in this period", "Choose a longer period, or check that the line is running."))
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
        st.html(card_title("Rejects by suspected defect class"))
        if not bars:
            st.caption("Nothing was rejected in this period.")
            return
        shown = f", the first {MOST_BARS} of {len(bars)} classes drawn" if len(bars) > MOST_BARS else ""
        st.caption(f"{rejects:,} rejects{shown}")
        opens = {bar.name: _rejects(room, period, station, bar.name) for bar in bars}
        told = f"Pareto chart of {rejects:,} rejects. Most: {class_name(bars[0].name)}, {bars[0].share.text}."
        draw_opening_chart(pareto_chart(bars[:MOST_BARS]), opens, key="pareto", told=told)
        rows = {
            bar.name: [f"{bar.share.hits:,}", bar.share.percent, interval_text(bar.share), bar.cumulative.percent]
            for bar in bars
        }
        draw_figures(
            ["Class", "Rejects", f"Share of {rejects:,}", "95 % interval", "Cumulative"],
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
        st.html(card_title("First-pass yield by station"))
        drawn = f"; the first {MOST_STATIONS} of {len(quality.stations)} drawn" if len(quality.stations) > MOST_STATIONS else ""
        st.caption(f"Passed of all inspections, with the 95 % interval (Wilson){drawn}")
        opens = {name: ListView(period, room.config.plant.zone, station=name) for name in quality.stations}
        _yields(list(quality.stations.items()), opens, "Station", key="stations", drawn=MOST_STATIONS)


def _lots(room: Room, quality: Quality, period: Period, station: str | None) -> None:
    with st.container(border=True, key="card-lots"):
        st.html(card_title("First-pass yield by lot"))
        lots = [(name or "no lot", share) for name, share in quality.lots]
        drawn = f"; the newest {MOST_LOTS} of {len(lots)} drawn" if len(lots) > MOST_LOTS else ""
        st.caption(f"Of the period's newest {quality.of_lots:,} inspections; newest lot first{drawn}")
        opens = {name: ListView(period, room.config.plant.zone, lot=name, station=station) for name, _ in quality.lots if name}
        _yields(lots, opens, "Lot", key="lots", drawn=MOST_LOTS)


def _yields(shares: list[tuple[str, Share]], opens: dict[str, ListView], head: str, *, key: str, drawn: int) -> None:
    told = "; ".join(f"{name}: {share.text}" for name, share in shares[:drawn])
    draw_opening_chart(yield_chart(shares[:drawn], "passed"), opens, key=key, told=told)
    rows = {name: [f"{share.n:,}", f"{share.hits:,}", share.percent, interval_text(share)] for name, share in shares}
    draw_figures([head, "Inspections", "Passed", "Yield", "95 % interval"], rows, opens, key=f"{key}-figures")


def _control(room: Room, quality: Quality, station: str | None, grouping: Grouping, kind: str) -> None:
    zone = room.config.plant.zone
    groups = quality.groups
    chart = KINDS[kind]([group.rejected for group in groups])
    with st.container(border=True, key="card-control"):
        st.html(card_title(f"{kind} chart: rejected by {grouping}"))
        if not groups:
            st.caption("No whole hour of this period has an inspection.")
            return
        st.caption(f"Centre {chart.centre.text}. {_limits_text(chart)}")
        labels = labels_of(groups, grouping)
        opens = {
            label: ListView(period_between(group.start, group.end), zone, verdicts=(Verdict.REJECT,), station=station)
            for label, group in zip(labels, groups, strict=True)
        }
        signals = [f"{signal.rule.value}: {span_text(labels, signal.indices)}" for signal in chart.signals]
        told = f"Control chart of {len(groups)} groups. {len(signals)} signals. {'; '.join(signals[:5])}"
        draw_opening_chart(control_chart(labels, chart), opens, key="control", told=told)
        if signals:
            st.warning(
                f"{len(signals)} signal{'s' if len(signals) > 1 else ''}: " + " · ".join(signals[:5]), icon=":material/warning:"
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
        heads = ["From", "Inspections", "Rejected", "Share", "95 % interval", "Limits of the chart"]
        draw_figures(heads, rows, opens, key="control-figures")


def _limits_text(chart: ControlChart) -> str:
    if chart.no_limits is not None:
        return chart.no_limits[0].upper() + chart.no_limits[1:]
    if chart.sigma_z is None:
        return "Limits at 3σ of the binomial distribution"
    return f"Limits at 3σ, widened by σ_z = {chart.sigma_z:.2f} for the variation between groups"


def _places(room: Room, quality: Quality) -> None:
    with st.container(border=True, key="card-places"):
        st.html(card_title("Where on the part the heatmaps' regions lie"))
        if not quality.places:
            st.caption("No flagged part of this period has a region.")
            return
        sides = {side_text(side): side for side in most_seen(quality.places)}
        name = st.selectbox("Station and view", list(sides), key="side", width=240) if len(sides) > 1 else next(iter(sides))
        here = [place for place in quality.places if (place.station, place.view) == sides.get(name or "")]
        parts = len({place.uid for place in here})
        said = (
            f"{len(here):,} regions of {parts:,} parts at {name}, of the period's newest {quality.of_places:,} flagged ones. "
        )
        under = _picture_of(room, here[0].uid)
        st.html(quiet(said + "Centres, in fractions of the picture."))
        cells = cells_of(here)
        most = max(cells, key=lambda cell: len(cells[cell]))
        told = (
            f"Density of {len(here)} region centres in {CELLS} × {CELLS} cells; most, {len(cells[most])}, at {_cell_text(most)}"
        )
        counts = {cell: len(found) for cell, found in cells.items()}
        chart = density_chart(counts, CELLS, aspect=here[0].aspect, under=None if under is None else under.small)
        picked = draw_picking_chart(chart, key="places", told=told, width="content")
        if under is not None:
            st.html(quiet(DRAWN_OVER.format(picture=under.words)))
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
        draw_figures(["Across, down", "Regions", f"Of {len(here):,}", "95 % interval"], rows, opens, key="places-figures")
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
    st.caption(f"Parts with a region at {where}: {min(len(shown), MOST_SHOWN)} of {len(shown):,}. Click a cell for its own.")
    draw_part_strip(rows, room.config.plant.zone, key="cell-parts")


def _cell_text(cell: tuple[int, int]) -> str:
    """Where a cell lies: `45–50 %, 10–15 %`."""
    return ", ".join(f"{100 * at // CELLS}–{100 * (at + 1) // CELLS} %" for at in cell)


if __name__ == "__main__":
    main()
