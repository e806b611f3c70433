"""By which limits a station judged: since when, by whom, why, how many parts; and a step back to an earlier version."""

from __future__ import annotations

from typing import Final

import streamlit as st

from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.limits import chosen_by, seen_text
from kizu_dashboard.markup import card_title, data_table, empty_state
from kizu_dashboard.pages.administration.writing import WHY, chosen, reason_given, write
from kizu_dashboard.room import Room
from kizu_dashboard.thresholds import limits_in_force
from kizu_dashboard.wording import moment, promise_text
from kizu_db.repositories.limits import ChosenBy
from kizu_db.values import ModelRow, RecipeRow, User
from kizu_inspect.sums.scores import probability_text

__all__ = ["draw_limits"]

MOST: Final = 30
MOST_COUNTED: Final = 100_000
WHICH, REASON = "limits-version", "limits-again-why"
AGAIN: Final = marked(
    "Saved as version {version} of the recipe of {station}, with the limits of version {earlier}. A running line takes it "
    "within a minute."
)


def draw_limits(room: Room, _: User) -> None:
    """Draws the section."""
    with room.records.unit(read_only=True) as unit:
        stations = unit.stations.names()
    station = None
    if stations:
        station = st.selectbox(say("Station"), stations, key="limits-station", bind="query-params", width=240)
    if station is None:
        st.html(empty_state(say("No station has a recipe yet"), say("Limits stand here once a line has run.")))
        return
    with room.records.unit(read_only=True) as unit:
        versions = unit.recipes.newest(station, limit=MOST)
        judged = {one.id: unit.limits.judged_by(one.id, most=MOST_COUNTED) for one in versions}
        hashes = {one.model_hash for one in versions if one.model_hash is not None}
        models = {key: model for key in hashes if (model := unit.models.get(key)) is not None}
    if not versions:
        st.html(empty_state(say("This station has no recipe yet"), say("Limits stand here once its line has run.")))
        return
    with st.container(border=True, key="card-limits"):
        st.html(card_title(say("Versions of the recipe, with their limits")))
        all_of_them = len(versions) < MOST
        st.caption(say("Newest first.") if all_of_them else say("Newest first, the newest {count}.", count=MOST))
        st.caption(say("A change of anything in the recipe is a version of its own."))
        heads = [
            say("Version"), say("Since"), say("By"), say("PASS below"), say("REJECT from"), say("Parts judged"), say("Why"),
            say("Seen"), say("Promise"),
        ]  # fmt: skip
        st.html(data_table(heads, [_row(one, models.get(one.model_hash or ""), judged[one.id], room) for one in versions]))
    _take_again(room, station, versions)


def _row(version: RecipeRow, model: ModelRow | None, judged: int, room: Room) -> list[str]:
    limits, who = limits_in_force(version, model), version.chosen
    low, high = ("–", "–") if limits is None else map(probability_text, (limits.pass_below, limits.reject_from))
    lacking = promise_text(model, version.limits[0])
    return [
        f"{version.version}",
        moment(version.created_at, room.config.plant.zone),
        chosen_by(version),
        low,
        high,
        say("{count:,} or more", count=MOST_COUNTED) if judged == MOST_COUNTED else f"{judged:,}",
        who.reason if who is not None else "–",
        seen_text(who.seen) if who is not None else "–",
        say("holds") if lacking is None else lacking,
    ]


def _take_again(room: Room, station: str, versions: list[RecipeRow]) -> None:
    latest = versions[0]
    earlier = {one.version: one for one in versions[1:] if one.limits != latest.limits and one.model_hash == latest.model_hash}
    if latest.set_by_file or not earlier:
        return
    with st.container(border=True, key="card-limits-again"), st.form("limits-again", border=False, enter_to_submit=False):
        st.html(card_title(say("Take earlier limits again")))
        st.selectbox(say("Version"), list(earlier), index=None, placeholder=say("Choose a version"), key=WHICH, width=240)
        st.text_input(known(WHY), key=REASON, max_chars=500)
        st.form_submit_button(
            say("Take these limits again"), key="take-limits", icon=":material/history:", on_click=_again,
            args=(room, station, latest.version),
        )  # fmt: skip


def _again(room: Room, station: str, after: int) -> None:
    def step(by: str) -> str:
        earlier, reason = int(chosen(WHICH, marked("Choose a version"))), reason_given(REASON)
        with room.records.unit() as unit:
            new = unit.limits.take_again(station, earlier, by=ChosenBy(by, reason, after))
        return known(AGAIN).format(version=new.version, station=station, earlier=earlier)

    write(step, empties=[REASON])
