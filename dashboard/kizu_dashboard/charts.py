"""The charts, in the dashboard's colours; each is drawn in the browser from what it is told, and loads nothing.

They are drawn as SVG, whose colours are CSS: they follow the theme without being drawn anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

import altair as alt
import pandas as pd

from kizu_dashboard.language.speaking import say
from kizu_dashboard.theme import LOOKS, colour
from kizu_dashboard.wording import class_name, of_text
from kizu_inspect.results import Verdict
from kizu_inspect.sums.calibration import ReliabilityBin
from kizu_inspect.sums.control_charts import ControlChart
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.pareto import ParetoBar

__all__ = [
    "OPENED",
    "PICKED",
    "control_chart",
    "density_chart",
    "minutes_chart",
    "pareto_chart",
    "reliability_chart",
    "yield_chart",
]

QUIET: Final = colour("quiet")
BLUE: Final = colour("main")
AMBER: Final = LOOKS[Verdict.REVIEW].ink
RED: Final = LOOKS[Verdict.REJECT].ink

OPENED: Final = "opened"
"""The name of the selection by which a mark is clicked."""
PICKED: Final = "key"
"""The field that tells the marks of a chart apart."""

PERCENT: Final = ".1%"
DENSITY_PX: Final = 400
"""The longer side of the picture over which regions are counted."""


def framed(chart: Any, *, height_px: int, width_px: int | None = None) -> Any:
    """The chart with the house's axes and without a frame, as wide as its place; with `width_px` that wide between its axes."""
    wide = {} if width_px is None else {"width": width_px}
    line = colour("mark")
    axis = {"labelColor": QUIET, "titleColor": QUIET, "gridColor": colour("track"), "domainColor": line, "tickColor": line}
    return (
        chart.properties(
            height=height_px,
            **wide,
            background="transparent",
            autosize=alt.AutoSizeParams(type="fit" if width_px is None else "pad", contains="padding"),
            usermeta={"embedOptions": {"renderer": "svg"}},
        )
        .configure(font="Source Sans, sans-serif", padding=4)
        .configure_view(stroke=None)
        .configure_axis(**axis, labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .configure_legend(labelColor=QUIET, titleColor=QUIET)
    )


def minutes_chart(rejects: Sequence[int]) -> Any:
    """Rejects of each of the last minutes, oldest first, up to now."""
    ago = [number - len(rejects) for number in range(len(rejects))]
    frame = pd.DataFrame({"minute": ago, "rejects": list(rejects)})
    now, ago_words = json.dumps(say("now")), json.dumps(say("{minutes} min", minutes="#"))
    x = alt.X(
        "minute:Q",
        title=None,
        axis=alt.Axis(
            grid=False,
            values=[-60, -45, -30, -15, 0],
            labelExpr=f"datum.value == 0 ? {now} : replace({ago_words}, '#', abs(datum.value))",
        ),
    )
    y = alt.Y("rejects:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=3), scale=alt.Scale(domain=[0, max(3, *rejects)]))
    hint = [alt.Tooltip("minute:Q", title=say("minute")), alt.Tooltip("rejects:Q", title=say("rejects"))]
    area = alt.Chart(frame).mark_area(color=RED, opacity=0.12, interpolate="step-after").encode(x=x, y=y)
    line = alt.Chart(frame).mark_line(color=RED, strokeWidth=2, interpolate="step-after").encode(x=x, y=y, tooltip=hint)
    return framed(area + line, height_px=120)


def _clicked() -> Any:
    return alt.selection_point(name=OPENED, fields=[PICKED], on="click", empty=False)


def pareto_chart(bars: Sequence[ParetoBar]) -> Any:
    """Counts by class, falling, and the cumulative share of all of them."""
    said = {bar.name: class_name(bar.name) for bar in bars}
    rows = [
        {
            PICKED: bar.name,
            "class": said[bar.name],
            "n": bar.share.hits,
            "share": bar.share.value,
            "cumulative": bar.cumulative.value,
        }
        for bar in bars
    ]
    names = alt.Axis(labelAngle=-30 if len(bars) > 4 else 0, labelLimit=110, labelExpr=f"{json.dumps(said)}[datum.value]")
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X(f"{PICKED}:N", sort=None, title=None, axis=names),
        tooltip=[
            alt.Tooltip("class:N", title=say("class")),
            alt.Tooltip("n:Q", title=say("rejects")),
            alt.Tooltip("share:Q", title=say("share"), format=PERCENT),
            alt.Tooltip("cumulative:Q", title=say("cumulative"), format=PERCENT),
        ],
    )
    columns = base.mark_bar(color=BLUE, cursor="pointer").encode(
        y=alt.Y("n:Q", title=say("rejects"), axis=alt.Axis(tickMinStep=1))
    )
    line = base.mark_line(color=AMBER, point={"color": AMBER}, strokeWidth=1.5).encode(
        y=alt.Y(
            "cumulative:Q", title=say("cumulative"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", grid=False)
        )
    )
    return framed(alt.layer(columns.add_params(_clicked()), line).resolve_scale(y="independent"), height_px=260)


def control_chart(labels: Sequence[str], chart: ControlChart) -> Any:
    """The groups' shares in the order of time, with centre line and limits; points of a signal differ in shape and colour."""
    in_control, signal = kinds = [say("in control"), say("signal")]
    signalled = {index for one in chart.signals for index in one.indices}
    rows = [
        {
            PICKED: label,
            "share": point.share.value,
            "low": point.low,
            "high": point.high,
            "of": of_text(point.share),
            "kind": signal if index in signalled else in_control,
        }
        for index, (label, point) in enumerate(zip(labels, chart.points, strict=True))
    ]
    hint = [
        alt.Tooltip(f"{PICKED}:N", title=say("from")),
        alt.Tooltip("share:Q", title=say("rejected"), format=".2%"),
        alt.Tooltip("of:N", title=say("parts")),
        alt.Tooltip("low:Q", title=say("lower limit"), format=".2%"),
        alt.Tooltip("high:Q", title=say("upper limit"), format=".2%"),
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X(
            f"{PICKED}:O", sort=None, title=None, axis=alt.Axis(labelOverlap="greedy", labelAngle=0, grid=False, ticks=False)
        )
    )
    # Limits of a group of few parts are wide: they may leave the picture, so that the shares stay readable.
    highs = [point.high for point in chart.points if point.high is not None]
    shares = [point.share.hits / point.share.n for point in chart.points]
    top = 1.15 * max(*shares, median(highs) if highs else 0.0) or 1.0
    scale = alt.Scale(domain=[0, min(1.0, top)], nice=False)
    y = alt.Y("share:Q", title=say("rejected"), axis=alt.Axis(format=PERCENT), scale=scale)
    line = base.mark_line(color=colour("mark"), strokeWidth=1).encode(y=y)
    points = base.mark_point(filled=True, opacity=1, cursor="pointer").encode(
        y=y,
        tooltip=hint,
        size=alt.Size("kind:N", scale=alt.Scale(domain=kinds, range=[28, 80]), legend=None),
        color=alt.Color(
            "kind:N", title=None, scale=alt.Scale(domain=kinds, range=[BLUE, RED]), legend=alt.Legend(orient="top")
        ),
        shape=alt.Shape("kind:N", title=None, scale=alt.Scale(domain=kinds, range=["circle", "diamond"])),
    )
    layers = [line, points.add_params(_clicked())]
    if chart.centre.value is not None:
        layers.insert(0, alt.Chart(pd.DataFrame({"y": [chart.centre.value]})).mark_rule(color=QUIET).encode(y="y:Q"))
    if chart.no_limits is None:
        layers = [_limit(base, end) for end in ("low", "high")] + layers
    return framed(alt.layer(*layers), height_px=280)


def _limit(base: Any, end: str) -> Any:
    return base.mark_line(color=RED, strokeDash=[4, 3], strokeWidth=1, interpolate="step", clip=True).encode(y=f"{end}:Q")


def yield_chart(shares: Sequence[tuple[str, Share]], title: str) -> Any:
    """Shares with their 95 % intervals, below each other."""
    rows = [
        {PICKED: name, "share": share.value, "low": share.interval[0], "high": share.interval[1],
         "of": of_text(share)}
        for name, share in shares
    ]  # fmt: skip
    base = alt.Chart(pd.DataFrame(rows)).encode(y=alt.Y(f"{PICKED}:N", sort=None, title=None, axis=alt.Axis(labelLimit=140)))
    least, most = min(share.interval[0] for _, share in shares), max(share.interval[1] for _, share in shares)
    x = alt.X(
        "low:Q",
        title=title,
        axis=alt.Axis(format=".0%" if most - least > 0.08 else PERCENT, tickCount=5),
        scale=alt.Scale(zero=False, domain=[least, most], nice=True, clamp=True),
    )
    bars = base.mark_rule(color=BLUE, strokeWidth=2).encode(x=x, x2="high:Q")
    hint = [
        alt.Tooltip(f"{PICKED}:N", title=" "),
        alt.Tooltip("share:Q", title=say("yield"), format=".2%"),
        alt.Tooltip("of:N", title=say("passed")),
        alt.Tooltip("low:Q", title=say("95 % from"), format=".2%"),
        alt.Tooltip("high:Q", title=say("to"), format=".2%"),
    ]
    points = base.mark_point(filled=True, size=80, color=BLUE, opacity=1, cursor="pointer").encode(x="share:Q", tooltip=hint)
    return framed(bars + points.add_params(_clicked()), height_px=max(110, 28 * len(rows) + 50))


def density_chart(counts: Mapping[tuple[int, int], int], cells: int, *, aspect: float, under: str | None = None) -> Any:
    """How many regions have their centre in each cell of the picture; `aspect` is its width over its height.

    `under` is the address of a picture of the part, over which the cells are drawn.
    """
    rows = [
        {
            PICKED: f"{column},{row}",
            "x": column / cells,
            "x2": (column + 1) / cells,
            "y": row / cells,
            "y2": (row + 1) / cells,
            "n": n,
        }
        for (column, row), n in counts.items()
    ]
    width, height = (DENSITY_PX, round(DENSITY_PX / aspect)) if aspect > 1 else (round(DENSITY_PX * aspect), DENSITY_PX)
    axis = alt.Axis(format=".0%", tickCount=4, grid=under is None)
    # Colours of the theme cannot be mixed by the chart: a cell of few regions lets what is below through.
    shade = alt.Opacity(
        "n:Q",
        title=say("regions"),
        scale=alt.Scale(range=[0.35 if under else 0.2, 1]),
        legend=alt.Legend(orient="top", format=",d", values=sorted({min(counts.values()), max(counts.values())})),
    )
    # Over a photo, dark or light in both themes, a bright cell with a dark rim.
    marks = {"color": colour("signal"), "stroke": colour("dark"), "strokeWidth": 1} if under else {"color": RED}
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect(cursor="pointer", **marks)
        .encode(
            x=alt.X("x:Q", title=say("across the picture"), axis=axis, scale=alt.Scale(domain=[0, 1], nice=False)),
            x2="x2:Q",
            y=alt.Y("y:Q", title=say("down"), axis=axis, scale=alt.Scale(domain=[1, 0], nice=False)),
            y2="y2:Q",
            opacity=shade,
            tooltip=[alt.Tooltip("n:Q", title=say("regions"))],
        )
        .add_params(_clicked())
    )
    if under is not None:
        photo = alt.Chart(pd.DataFrame({"url": [under]})).encode(url="url:N", x=alt.value(0), y=alt.value(0))
        chart = photo.mark_image(width=width, height=height, aspect=False, align="left", baseline="top") + chart
    return framed(chart, height_px=height, width_px=width)


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Any:
    """The share of defective parts of each bin of scores, with its 95 % interval, beside the line of a calibrated score."""
    rows = [
        {"score": one.score, "share": one.defective.value, "low": one.defective.interval[0], "high": one.defective.interval[1],
         "of": of_text(one.defective)}
        for one in bins
    ]  # fmt: skip
    axis, scale = alt.Axis(format=".0%", tickCount=5), alt.Scale(domain=[0, 1], nice=False)
    base = alt.Chart(pd.DataFrame(rows)).encode(x=alt.X("score:Q", title=say("defect score"), axis=axis, scale=scale))
    y = alt.Y("low:Q", title=say("defective"), axis=axis, scale=scale)
    hint = [
        alt.Tooltip("score:Q", title=say("mean score"), format=".3f"),
        alt.Tooltip("share:Q", title=say("defective"), format=PERCENT),
        alt.Tooltip("of:N", title=say("parts")),
    ]
    even = alt.Chart(pd.DataFrame({"score": [0, 1], "share": [0, 1]})).mark_line(color=QUIET, strokeDash=[4, 3], strokeWidth=1)
    line = even.encode(x=alt.X("score:Q", title=say("defect score")), y=alt.Y("share:Q", title=say("defective")))
    bars = base.mark_rule(color=BLUE, strokeWidth=2).encode(y=y, y2="high:Q")
    points = base.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(y="share:Q", tooltip=hint)
    return framed(alt.layer(line, bars, points), height_px=300)
