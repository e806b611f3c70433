"""The photo with the heatmap over it: opacity, regions and zoom change in the browser, without asking the server."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from kizu_dashboard.beside import Beside
from kizu_dashboard.components.assets import join_scripts, read_asset, texts_in
from kizu_dashboard.language.speaking import known
from kizu_dashboard.wording import BLIND_SENTENCE, class_name, map_name, map_subject, no_map_reason
from kizu_db.values import MOST_BOXES, InspectionRecord
from kizu_inspect.picture.heatmap import COLOUR_TABLES
from kizu_inspect.results import Region

__all__ = ["draw_viewer", "viewer_data"]

_SCRIPTS: Final = (
    "pressed.js",
    "viewer_regions.js",
    "viewer_beside.js",
    "viewer_drafts.js",
    "viewer_drawing.js",
    "viewer_map.js",
    "viewer.js",
)
_COLOURS = {name: base64.b64encode(table.tobytes()).decode("ascii") for name, table in COLOUR_TABLES.items()}

_mount = st.components.v2.component(
    "kizu_viewer",
    html=read_asset("viewer.html"),
    css=read_asset("viewer.css"),
    js=f"const COLOUR_TABLES = {json.dumps(_COLOURS)}\n" + join_scripts("speaking.js", *_SCRIPTS),
)


def draw_viewer(record: InspectionRecord, method: str, **how: Any) -> None:
    """Mounts the viewer for this inspection and the map of this method; `how` as for `viewer_data`."""
    _mount(key="viewer", data=viewer_data(record, method, **how))


def viewer_data(
    record: InspectionRecord,
    method: str,
    *,
    photo_first: bool = False,
    blind: bool = False,
    ahead: Sequence[str] = (),
    beside: Sequence[Beside] = (),
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """What the viewer is told: addresses, sizes and words; the pictures themselves come from their routes.

    `photo_first`: each part is shown without its map until that is asked for. `blind`: nothing is told of what the system
    thinks, nor of what people decided. `ahead`: inspections whose photos may be asked for next. `beside`: what the part can be
    compared with. `classes`: of the defects that may be drawn on a picture that is kept and whose size is known; empty where
    nothing may be.
    """
    told = _viewer_data(record, method) | {
        "photo_first": photo_first,
        "ahead": [f"/image/{uid}" for uid in ahead],
        "drawing": _drawing(record, classes, blind=blind),
        "beside": [{"address": one.address, "words": one.words} for one in beside],
        "texts": texts_in("viewer.html", *_SCRIPTS),
    }
    if blind:
        told |= {
            "heatmap": None,
            "method": None,
            "about": None,
            "peak": None,
            "regions": [],
            "people": [],
            "message": known(BLIND_SENTENCE),
        }
    return told


def _drawing(record: InspectionRecord, classes: Sequence[str], *, blind: bool) -> dict[str, Any] | None:
    """What may be drawn, a new box first as what the model suspects, which who is blind is not told."""
    if not classes or record.row.kept_image is None or record.width_px is None or record.height_px is None:
        return None
    suspected = record.row.target if not blind and record.row.verdict.flagged else None
    return {
        "classes": [{"name": name, "label": class_name(name)} for name in classes],
        "first": suspected if suspected in classes else classes[0],
        "most": MOST_BOXES,
    }


def _viewer_data(record: InspectionRecord, method: str) -> dict[str, Any]:
    uid, explanation, why = record.row.uid, record.explained_by(method), no_map_reason(record, method)
    heatmap = explanation.heatmap if explanation is not None else None
    geometry = heatmap.geometry if heatmap is not None else None
    return {
        "uid": uid,
        "part": record.row.part,
        "photo": None if record.row.kept_image is None else f"/image/{uid}",
        "heatmap": None if heatmap is None or why is not None else f"/heatmap/{uid}?{urlencode({'method': heatmap.method})}",
        "width": record.width_px or (geometry.width_px if geometry is not None else None),
        "height": record.height_px or (geometry.height_px if geometry is not None else None),
        "method": None if heatmap is None else map_name(record, heatmap.method),
        "about": None if heatmap is None else map_subject(heatmap, refined=record.refined),
        "peak": None if heatmap is None else heatmap.peak,
        "message": why,
        "people": [
            {**asdict(box), "label": class_name(box.defect_class)}
            for box in (record.standing_review.boxes if record.standing_review is not None else ())
        ],
        "regions": [_told(region) for region in (explanation.regions if explanation is not None else ())],
    }


def _told(region: Region) -> dict[str, Any]:
    """A region with its contour, [[x, y], …] in pixels; empty where the record has a box alone."""
    return {
        "x1": region.x1, "y1": region.y1, "x2": region.x2, "y2": region.y2,
        "defect_class": region.label, "label": class_name(region.label), "score": region.score,
        "contour": [list(corner) for corner in region.contour],
    }  # fmt: skip
