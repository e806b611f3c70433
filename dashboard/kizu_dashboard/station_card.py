"""One station's card on the Live page, as HTML. Every text from outside is escaped here."""

from __future__ import annotations

from datetime import datetime
from html import escape

from kizu_dashboard.theme import LOOKS
from kizu_dashboard.watching import StationNow
from kizu_dashboard.wording import duration_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

__all__ = ["station_figures", "station_head"]


def station_head(station: StationNow, now: datetime, *, known: bool = True) -> str:
    """Its name, and in words whether it records what it should; not `known`: the records cannot be read now."""
    silence = station.silent_for(now)
    if not known:
        mark, kind = "? not known now: these figures stand still", "unknown"
    elif silence is None:
        mark, kind = f"● recording · last part {duration_text(now - station.newest)} ago", "well"
    else:
        usual = duration_text(station.quiet_after)
        mark, kind = f"▲ nothing recorded for {duration_text(silence)}; {usual} would be usual at most", "silent"
    return (
        f'<div class="kz kz-head"><span class="kz-name">{escape(station.name)}</span>'
        f'<span class="kz-state kz-{kind}">{escape(mark)}</span></div>'
    )


def station_figures(station: StationNow, now: datetime) -> str:
    """First-pass yield with what it is a share of, what waits for a review, and how many inspections got which verdict."""
    share = first_pass_yield(station.counts)
    if share.value is None:
        spread = "nothing inspected in this time"
    else:
        low, high = share.interval
        spread = f"{share.hits:,} of {share.n:,} · 95 % {100 * low:.1f}–{100 * high:.1f} %"
    counts = []
    for verdict in (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR, Verdict.PASS):
        look, of_all = LOOKS[verdict], share_of(verdict, station.counts)
        counts.append(
            f'<div class="kz-count" style="border-left-color:{look.ink}"><b class="kz-num">{of_all.hits:,}</b>'
            f'<span style="color:{look.ink}">{look.icon} {look.word}</span>'
            f'<span class="kz-quiet kz-num">{of_all.percent}</span></div>'
        )
    return (
        f'<div class="kz kz-station"><div class="kz-chief">{_figure("First-pass yield, by inspections", share.percent, spread)}'
        f'{_waiting(station, now)}</div><div class="kz-counts">{"".join(counts)}</div></div>'
    )


def _figure(label: str, value: str, note: str, kind: str = "") -> str:
    return (
        f'<div class="kz-yield {kind}"><span class="kz-label">{label}</span><b class="kz-num">{value}</b>'
        f'<span class="kz-quiet kz-num">{note}</span></div>'
    )


def _waiting(station: StationNow, now: datetime) -> str:
    waiting = station.waiting
    if waiting is None:
        return _figure("Waiting for review", "0", "nothing waits", "kz-waits")
    return _figure("Waiting for review", f"{waiting.parts:,}", f"oldest {duration_text(now - waiting.since)}", "kz-waits")
