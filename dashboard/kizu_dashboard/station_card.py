"""One station's card on the Live page, as HTML. Every text from outside is escaped here."""

from __future__ import annotations

from datetime import datetime
from html import escape

from kizu_dashboard.language.speaking import say
from kizu_dashboard.theme import LOOKS
from kizu_dashboard.watching import StationNow
from kizu_dashboard.wording import duration_text, spread_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.yields import first_pass_yield, share_of

__all__ = ["station_figures", "station_head"]


def station_head(station: StationNow, now: datetime, *, known: bool = True) -> str:
    """Its name, and in words whether it records what it should; not `known`: the records cannot be read now."""
    silence = station.silent_for(now)
    if not known:
        mark, kind = say("? not known now: these figures stand still"), "unknown"
    elif silence is None:
        ago = duration_text(now - station.newest)
        mark, kind = say("● recording · last part {duration} ago", duration=ago), "well"
    else:
        times = {"duration": duration_text(silence), "usual": duration_text(station.quiet_after)}
        mark, kind = say("▲ nothing recorded for {duration}; {usual} would be usual at most", **times), "silent"
    return (
        f'<div class="kz kz-head"><span class="kz-name">{escape(station.name)}</span>'
        f'<span class="kz-state kz-{kind}">{escape(mark)}</span></div>'
    )


def station_figures(station: StationNow, now: datetime) -> str:
    """First-pass yield with what it is a share of, what waits for a review, and how many inspections got which verdict."""
    share = first_pass_yield(station.counts)
    spread = say("nothing inspected in this time") if share.value is None else spread_text(share)
    counts = []
    for verdict in (Verdict.REJECT, Verdict.REVIEW, Verdict.ERROR, Verdict.PASS):
        look, of_all = LOOKS[verdict], share_of(verdict, station.counts)
        counts.append(
            f'<div class="kz-count" style="border-left-color:{look.ink}"><b class="kz-num">{of_all.hits:,}</b>'
            f'<span style="color:{look.ink}">{look.icon} {look.word}</span>'
            f'<span class="kz-quiet kz-num">{of_all.percent}</span></div>'
        )
    chief = _figure(say("First-pass yield, by inspections"), share.percent, spread)
    return (
        f'<div class="kz kz-station"><div class="kz-chief">{chief}'
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
        return _figure(say("Waiting for review"), "0", say("nothing waits"), "kz-waits")
    oldest = say("oldest {duration}", duration=duration_text(now - waiting.since))
    return _figure(say("Waiting for review"), f"{waiting.parts:,}", oldest, "kz-waits")
