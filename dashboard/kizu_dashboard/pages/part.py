"""One inspection: the evidence, the verdict, and what people decided about it."""

from __future__ import annotations

import streamlit as st

from kizu_dashboard.beside import beside_of
from kizu_dashboard.blindness import hidden_from
from kizu_dashboard.components.viewer import draw_viewer
from kizu_dashboard.explaining import can_explain, explain_stored, methods_of
from kizu_dashboard.failing import error_text
from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.markup import empty_state, evidence, facts, part_head, region_table
from kizu_dashboard.pages.decision import current_desk, draw_decision, draw_reviews
from kizu_dashboard.pages.frame import current_room, current_user, remembered_list
from kizu_dashboard.pages.neighbours import draw_near_evidence, draw_neighbours
from kizu_dashboard.pictures import parse_uid
from kizu_dashboard.room import Room
from kizu_dashboard.wording import (
    FOOT_SENTENCE,
    SIZE_SENTENCE,
    map_name,
    method_name,
    moment,
    places_text,
    signal_text,
)
from kizu_db.permissions import Action
from kizu_db.values import InspectionRecord, User
from kizu_inspect.errors import KizuError

_BLIND = marked(
    "On the Review page it is to be judged by the photo alone, so nothing of it is told here until you have decided."
)


def main() -> None:
    """Draws the page."""
    room, user = current_room(), current_user()
    asked = st.query_params.get("uid")
    st.page_link("search.py", label=say("Back to Search"), icon=":material/arrow_back:", query_params=remembered_list())
    if asked is None:
        st.html(
            empty_state(say("No part is chosen"), say("Choose one from the list, or decide what waits on the Review page."))
        )
        return
    uid = parse_uid(asked) or ""
    with room.records.unit(read_only=True) as unit:
        record = unit.inspections.get(uid)
    if record is None:
        st.html(
            empty_state(
                say("No such inspection"),
                say("The address names an inspection that is not in the records. Choose one from the list."),
            )
        )
        return
    if uid in hidden_from(room, user.name):
        st.html(empty_state(say("You have this part before you"), known(_BLIND)))
        st.page_link("review.py", label=say("Decide there first"), icon=":material/fact_check:", query_params={"uid": uid})
        return
    _draw(room, record, user)


def _draw(room: Room, record: InspectionRecord, user: User) -> None:
    row, zone, desk = record.row, room.config.plant.zone, current_desk("part")
    desk.look_at(row.uid)
    places = [*places_text(row), moment(row.captured_at, zone), record.image_name]
    if row.part_generated:
        places.append(say("part id made up: the picture's name told none"))
    if row.audit:
        places.append(say("audit sample"))
    st.html(part_head(row.part, row.verdict, places))
    left, right = st.columns([1.7, 1], gap="medium")
    with left:
        method = _chosen_method(record)
        classes = desk.classes(record) if user.role.may(Action.REVIEW) else ()
        draw_viewer(record, method, beside=beside_of(room, record), classes=classes)
        if user.role.may(Action.REVIEW):
            _explain_on_demand(room, record, method, user)
        explanation = record.explained_by(method)
        if explanation is not None and explanation.regions:
            st.html(region_table(explanation.regions, mm_per_px=record.mm_per_px))
            st.caption(known(SIZE_SENTENCE))
        st.caption(known(FOOT_SENTENCE))
        draw_near_evidence(room, record, user.name)
        draw_neighbours(room, record, user)
    with right:
        if user.role.may(Action.REVIEW):
            draw_decision(desk, record, follow=False)
        st.html(evidence(record))
        draw_reviews(record, zone)
        _record_card(room, record)


def _chosen_method(record: InspectionRecord) -> str:
    """The method whose map is looked at: the line's, until another is chosen."""
    methods = methods_of(record)
    standing = record.explanation.heatmap.method if record.explanation is not None else record.method
    if len(methods) == 1:
        return standing
    made = {explanation.heatmap.method for explanation in record.explanations}
    chosen = st.segmented_control(
        say("Heatmap by"),
        methods,
        default=standing,
        format_func=lambda method: method_name(method) + ("" if method in made else " …"),
        help=say("The line made the first. A name with dots is made when you ask for it, and then kept."),
        key=f"method-{record.row.uid}",
    )
    return chosen or standing


def _explain_on_demand(room: Room, record: InspectionRecord, method: str, user: User) -> None:
    """A button where the map can be made now, and what came of it."""
    if not can_explain(record, method):
        return
    if record.explanation is None:
        label = say("Explain this part")
    else:
        label = say("Make the {method} heatmap", method=method_name(method))
    if st.button(label, icon=":material/local_fire_department:", key=f"explain-{record.row.uid}"):
        try:
            with st.spinner(say("Loading the model and making the heatmap…")):
                explain_stored(room, record.row.uid, method, by=user.name)
        except KizuError as error:
            st.error(_plain(error_text(error)), icon=":material/error:")
        else:
            st.rerun()


def _record_card(room: Room, record: InspectionRecord) -> None:
    row, zone = record.row, room.config.plant.zone
    entries = {
        say("Inspection"): row.uid,
        say("Captured"): moment(row.captured_at, zone),
        say("Judged"): moment(row.judged_at, zone),
    }
    if record.model is not None:
        entries[say("Model")] = f"{record.model.name} · SHA-256 {record.model.hash[:16]}…"
    if record.recipe is not None:
        entries[say("Recipe")] = say(
            "{station}, version {version}", station=record.recipe.station, version=record.recipe.version
        )
    if record.device:
        entries[say("Device")] = record.device
    if record.explanations:
        heatmaps = (explanation.heatmap for explanation in record.explanations)
        entries[say("Heatmap")] = " · ".join(
            say("{method}, full scale at {scale:.4g}", method=map_name(record, one.method), scale=one.scale) for one in heatmaps
        )
    if record.timings_ms:
        entries[say("Timings")] = " · ".join(f"{name} {value:.1f} ms" for name, value in record.timings_ms.items())
    if record.width_px and record.height_px:
        entries[say("Picture")] = f"{record.width_px} × {record.height_px} px · {record.image_name}"
    if row.image_sha256:
        entries[say("Picture hash")] = f"SHA-256 {row.image_sha256[:16]}…"
    if row.image_pruned_at is not None:
        entries[say("Picture let go")] = say(
            "{time}, by the plant's rules of retention", time=moment(row.image_pruned_at, zone)
        )
    if record.signal is not None:
        entries[say("Signal")] = signal_text(record.signal, zone)
    if record.measured:
        entries[say("Measured")] = " · ".join(f"{name} {value:.4g}" for name, value in record.measured.items())
    if record.novelty is not None:
        entries[say("Novelty")] = f"{record.novelty:.3g}"
    if record.reference_correlation is not None:
        entries[say("Fit of the reference")] = say("correlation {value:.3f}", value=record.reference_correlation)
    entries[say("Source")] = f"{record.source} · {record.source_key}"
    with st.expander(say("How it was judged"), icon=":material/fact_check:"):
        st.html(facts(entries))


def _plain(text: str) -> str:
    """Text as Markdown shows it letter by letter."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]()<>#+-.!|~$:" else character for character in text)


if __name__ == "__main__":
    main()
