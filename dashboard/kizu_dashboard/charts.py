"""The charts, in the dashboard's colours; each is drawn in the browser from what it is told, and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from kizu_dashboard.theme import LOOKS
from kizu_inspect.results import Verdict

__all__ = ["minutes_chart"]

INK: Final = "#1b2733"
QUIET: Final = "#5c6b7a"
GRID: Final = "#e6eaee"
BLUE: Final = "#1f5f8b"
RED: Final = LOOKS[Verdict.REJECT].ink


def framed(chart: Any, *, height_px: int) -> Any:
    """The chart with the house's axes and without a frame."""
    axis = {"labelColor": QUIET, "titleColor": QUIET, "gridColor": GRID, "domainColor": "#c3ccd5", "tickColor": "#c3ccd5"}
    return (
        chart.properties(height=height_px, background="#ffffff", autosize=alt.AutoSizeParams(type="fit", contains="padding"))
        .configure(font="Source Sans, sans-serif", padding=4)
        .configure_view(stroke=None)
        .configure_axis(**axis, labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .configure_legend(labelColor=QUIET, titleColor=QUIET)
    )


def minutes_chart(rejects: Sequence[int]) -> Any:
    """Rejects of each of the last minutes, oldest first, up to now."""
    ago = [number - len(rejects) for number in range(len(rejects))]
    frame = pd.DataFrame({"minute": ago, "rejects": list(rejects)})
    x = alt.X(
        "minute:Q",
        title=None,
        axis=alt.Axis(grid=False, tickCount=6, labelExpr="datum.value == 0 ? 'now' : abs(datum.value) + ' min'"),
    )
    y = alt.Y("rejects:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=3), scale=alt.Scale(domain=[0, max(3, *rejects)]))
    hint = [alt.Tooltip("minute:Q", title="minute"), alt.Tooltip("rejects:Q", title="rejects")]
    area = alt.Chart(frame).mark_area(color=RED, opacity=0.12, interpolate="step-after").encode(x=x, y=y)
    line = alt.Chart(frame).mark_line(color=RED, strokeWidth=2, interpolate="step-after").encode(x=x, y=y, tooltip=hint)
    return framed(area + line, height_px=120)
