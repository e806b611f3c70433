"""How values are said in words, the same on every page and in every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from math import ceil, log10
from typing import Final
from zoneinfo import ZoneInfo

from kizu_dashboard.language.speaking import known, marked, say
from kizu_dashboard.reasons import reason_said
from kizu_db.permissions import Role
from kizu_db.values import DrawnBox, ExplanationState, InspectionRecord, InspectionRow, ModelRow, NewReview, Signal
from kizu_inspect.results import Heatmap, MapStatus, Region, RegionCheck, Verdict
from kizu_inspect.sums.agreement import Grade
from kizu_inspect.sums.audit_sample import Estimate
from kizu_inspect.sums.control_charts import ControlChart
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.scores import probability_text, standing_text

__all__ = [
    "BLIND_SENTENCE",
    "DECISIONS",
    "DISPOSITIONS",
    "FOOT_SENTENCE",
    "GRADES",
    "METHOD_NAMES",
    "NO_CLASS",
    "OTHER_DEFECT",
    "REVIEW_REASONS",
    "SIZE_SENTENCE",
    "TREATMENTS",
    "bound_text",
    "boxes_text",
    "check_text",
    "class_name",
    "comment_text",
    "disposition_text",
    "duration_text",
    "estimate_text",
    "forgotten_text",
    "interval_text",
    "map_name",
    "map_subject",
    "method_name",
    "moment",
    "no_limits_text",
    "no_map_reason",
    "of_text",
    "places_text",
    "promise_text",
    "reason_text",
    "recorded_class",
    "role_name",
    "share_text",
    "signal_text",
    "size_texts",
    "spread_text",
    "standing_said",
]

FOOT_SENTENCE: Final = marked("The heatmap shows what drove the model's decision. It is indicative, not a measurement.")

BLIND_SENTENCE: Final = marked(
    "Judge by the photo alone: this part was drawn to check the system, which must not be heard first."
)

SIZE_SENTENCE: Final = marked("Sizes are those of the heatmap's warm region, which is as a rule wider than a thin defect.")

METHOD_NAMES: Final = {
    "cam": "CAM",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "score-cam": "Score-CAM",
    "lfi-cam": "LFI-CAM",
}

NO_PROMISE: Final = marked("This model promises no miss rate: its validation set was too small for one.")

LOST_PROMISE: Final = marked(
    "The promise of this model, at most {rate:.1f} % of the defective parts missed, does not hold here: it was calibrated with "
    "PASS below {own}, and this is PASS below {used}."
)

STATUS_TEXTS: Final = {
    MapStatus.FLAT: marked("The map is flat: no place in the picture stands out for “{target}”."),
    MapStatus.ALL_NEGATIVE: marked("No evidence for “{target}”: everything in the picture speaks against it."),
    MapStatus.NON_FINITE: marked("The map could not be computed: it holds values that are no numbers."),
    MapStatus.NO_EVIDENCE_MAP: marked("No map: this model draws no evidence for “{target}”."),
}

DISPOSITIONS: Final = {"good": marked("good"), "defective": marked("defective")}
DECISIONS: Final = {"accept": marked("accept"), "override": marked("override")}
TREATMENTS: Final = {"accept": marked("use as is"), "rework": marked("rework"), "scrap": marked("scrap")}
ROLES: Final = {
    Role.VIEWER: marked("viewer"),
    Role.INSPECTOR: marked("inspector"),
    Role.ENGINEER: marked("engineer"),
    Role.ADMIN: marked("admin"),
}
GRADES: Final = {
    Grade.ACCEPTABLE: marked("acceptable"),
    Grade.MARGINAL: marked("marginal"),
    Grade.UNACCEPTABLE: marked("unacceptable"),
}
STANDINGS: Final = (
    marked("between the limits"),
    marked("far above the reject limit"),
    marked("above the reject limit"),
    marked("just above the reject limit"),
    marked("just below the pass limit"),
    marked("below the pass limit"),
    marked("far below the pass limit"),
)
"""What `standing_text` says."""

OTHER_DEFECT: Final = marked("other defect")
NO_CLASS: Final = marked("no class")
"""What stands for a class where the model has none; the records have it in English."""

REVIEW_REASONS: Final = {
    "good": [marked("dust or fibre"), marked("reflection or light"), marked("harmless mark"), marked("within limits")],
    "defective": [marked("overlooked by the model"), marked("map at another place"), marked("borderline, to be safe")],
}
"""What people say most often when they contradict the verdict, by what they call the part. Records have it in English, so that
the same reason is the same whoever gave it."""


def class_name(name: str) -> str:
    """A class as people read it: folders and labels write blanks as underscores. The plant's own names are not translated."""
    if name in (OTHER_DEFECT, NO_CLASS):
        return known(name)
    return name.replace("_", " ").strip() or name


def boxes_text(boxes: Sequence[DrawnBox]) -> str:
    """What a reviewer drew, counted by class: `2 × scratch, 1 × dent`."""
    counted = Counter(class_name(box.defect_class) for box in boxes)
    return ", ".join(f"{number} × {name}" for name, number in counted.items())


def recorded_class(asked: str, known: Collection[str]) -> str:
    """The class as the records write it, by how people read it; a text that is no `known` class stays as it is."""
    return asked if asked in known else next((name for name in known if class_name(name) == asked), asked)


def reason_text(row: InspectionRow) -> str:
    """Why the verdict is what it is, with classes as people read them. An error may name a file: it stays letter by letter."""
    return row.reason if row.verdict is Verdict.ERROR else reason_said(row.reason.replace("_", " "))


def method_name(method: str) -> str:
    """The method as its paper writes it."""
    return METHOD_NAMES.get(method, method)


def map_name(record: InspectionRecord, method: str) -> str:
    """The method, and whether this inspection's maps are refined to pixels."""
    name = method_name(method)
    return say("{method}, refined to pixels", method=name) if record.refined else name


def map_subject(heatmap: Heatmap, *, refined: bool = False) -> str:
    """What the map shows: `evidence for scratch`; an attention map knows no class, unless it is `refined`, and some maps leave
    channels out."""
    if heatmap.method == "lfi-cam":
        if refined:
            return say("where the network looked, and {target} hangs on it", target=class_name(heatmap.target))
        return say("where the network looked, whatever the class")
    if heatmap.status is MapStatus.SIGNED_ACTIVATIONS:
        return say("evidence for {target} (channels with negative activations left out)", target=class_name(heatmap.target))
    return say("evidence for {target}", target=class_name(heatmap.target))


def moment(when: datetime, zone: ZoneInfo) -> str:
    """A time in the plant's zone: `2026-11-24 09:03:11 KST`."""
    return when.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def forgotten_text(stations: Sequence[str]) -> str:
    """Of which stations nothing was heard for long."""
    return say("Nothing recorded for more than 7 days: {stations}", stations=", ".join(stations))


def duration_text(lasted: timedelta) -> str:
    """How long, as exactly as it matters: `0 s`, `48 s`, `12 min`, `2 h 5 min`, `3 d 4 h`; less than nothing is `0 s`."""
    seconds = max(0, int(lasted.total_seconds()))
    if seconds < 60:
        return say("{seconds} s", seconds=seconds)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if hours == 0:
        return say("{minutes} min", minutes=minutes)
    if days == 0:
        rest = minutes % 60
        return say("{hours} h {minutes} min", hours=hours, minutes=rest) if rest else say("{hours} h", hours=hours)
    rest = hours % 24
    return say("{days} d {hours} h", days=days, hours=rest) if rest else say("{days} d", days=days)


def interval_text(share: Share) -> str:
    """Its 95 % interval, `92.1–95.4 %`; a dash of nothing."""
    low, high = share.interval
    return "–" if share.value is None else f"{100 * low:.1f}–{100 * high:.1f} %"


def estimate_text(rate: Estimate) -> str:
    """The value of a rate that rests on a sample: `1.2 %`, or `unknown`."""
    return say("unknown") if rate.value is None else f"{100 * rate.value:.{_digits(rate.value)}f} %"


def bound_text(rate: Estimate) -> str:
    """Its one-sided 95 % bound: `at most 3.4 % (95 %)`."""
    return say("at most {bound} % (95 %)", bound=f"{100 * rate.upper:.{_digits(rate.upper)}f}")


def _digits(rate: float) -> int:
    """Rates of less than 1 % need a digit more."""
    return 2 if rate < 0.01 else 1


def signal_text(signal: Signal, zone: ZoneInfo) -> str:
    """What the line's control was told: `NG at 2026-11-24 09:03:11 KST · acknowledged · late: …`."""
    if signal.sent_at is None:
        told = [say("nothing was sent")]
    else:
        acknowledged = signal.acknowledged_at is not None
        told = [
            say("{signal} at {time}", signal=signal.sent, time=moment(signal.sent_at, zone)),
            say("acknowledged") if acknowledged else say("not acknowledged"),
        ]
    if signal.late_ms is not None:
        told.append(say("{ms:.0f} ms after its deadline", ms=signal.late_ms))
    return " · ".join([*told, *([signal.note] if signal.note else [])])


def no_limits_text(chart: ControlChart) -> str:
    """Why a control chart has no limits, as a sentence."""
    centre = chart.centre
    if centre.n == 0:
        return say("No limits: nothing was inspected")
    if centre.hits == 0:
        return say("No limits: none of {n:,} parts is defective", n=centre.n)
    if centre.hits == centre.n:
        return say("No limits: each of {n:,} parts is defective", n=centre.n)
    if len(chart.points) < 2:
        return say("No limits: the variation between groups takes two groups or more, there is 1")
    return say("No limits: σ_z is 0, each of {groups} groups has the same share", groups=len(chart.points))


def no_map_reason(record: InspectionRecord, method: str | None = None) -> str | None:
    """Why there is no map of this method (None: the line's) to look at, as a sentence; None where there is one."""
    explanation = record.explanation if method is None else record.explained_by(method)
    if explanation is not None:
        heatmap = explanation.heatmap
        if heatmap.status.has_map:
            return None
        return known(STATUS_TEXTS[heatmap.status]).format(target=class_name(heatmap.target))
    if method is not None and method != record.method and record.probabilities:
        return say("No {method} heatmap yet: it is made on demand.", method=method_name(method))
    match record.row.explanation_state:
        case ExplanationState.PENDING:
            return say("The heatmap is being made.")
        case ExplanationState.FAILED:
            why = record.explanation_error or say("no reason recorded")
            return say("The heatmap could not be made: {why}", why=why)
        case _ if not record.probabilities:
            return say("No heatmap: this picture was not judged.")
        case _:
            return say("No heatmap yet: it is made on demand.")


def check_text(check: RegionCheck) -> str:
    """What was asked of the model about the map's region, and what came out, in one sentence."""
    scores = {"without": probability_text(check.score_without), "alone": probability_text(check.score_only)}
    if check.conflict:
        return say(
            "Without the heatmap's region the defect score is {without}, of the region alone {alone}: the part would not pass "
            "without it either, so the heatmap does not explain the verdict.",
            **scores,
        )
    return say(
        "Without the heatmap's region the defect score is {without}, of the region alone {alone}: the heatmap shows what the "
        "verdict rests on.",
        **scores,
    )


def promise_text(model: ModelRow | None, pass_below: float | None) -> str | None:
    """What is lacking of the promised miss rate with this PASS limit (None: the model's own); None where it holds."""
    kept = True if model is None else model.keeps_promise(pass_below)
    if model is None or kept:
        return None
    own = model.limits[0]
    if kept is None or model.promise is None or pass_below is None or own is None:
        return known(NO_PROMISE)
    rate = 100 * float(model.promise["miss_rate"])
    return known(LOST_PROMISE).format(rate=rate, own=probability_text(own), used=probability_text(pass_below))


def size_texts(region: Region, mm_per_px: float | None) -> tuple[tuple[str, str], ...]:
    """Its length × width and its area: in mm where a pixel's size is known, then in px; none where the record has no sizes."""
    if region.length_px is None or region.width_px is None or region.area_px is None:
        return ()
    in_px = (f"{region.length_px:.0f} × {region.width_px:.0f} px", f"{region.area_px} px²")
    size = None if mm_per_px is None else region.in_mm(mm_per_px)
    if mm_per_px is None or size is None:
        return (in_px,)
    digits = max(0, ceil(-log10(mm_per_px)))  # a pixel's size is seen, and not much less
    in_mm = (f"{size.length_mm:.{digits}f} × {size.width_mm:.{digits}f} mm", f"{size.area_mm2:.{digits}f} mm²")
    return (in_mm, in_px)


def disposition_text(review: NewReview) -> str:
    """`good`, or `defective: scratch`."""
    if review.disposition == "defective" and review.defect_class:
        return say("defective: {defect}", defect=class_name(review.defect_class))
    return known(DISPOSITIONS[review.disposition])


def comment_text(review: NewReview) -> str:
    """What the reviewer said; a usual reason, which is its first line, in the reader's language."""
    first, end, rest = review.reason.partition("\n")
    usual = any(first in reasons for reasons in REVIEW_REASONS.values())
    return f"{known(first) if usual else first}{end}{rest}"


def places_text(row: InspectionRow) -> list[str]:
    """Where it was inspected: `press-3`, `lot L7`, `view top`, as far as it is known."""
    lot = [say("lot {lot}", lot=row.lot)] if row.lot else []
    return [row.station, *lot, *([say("view {view}", view=row.view)] if row.view else [])]


def role_name(role: Role) -> str:
    """What a person is here for: `inspector`."""
    return known(ROLES[role])


def share_text(share: Share) -> str:
    """`93.1 % (27 of 29; 95 % interval 78.0 to 98.1 %)`."""
    if share.value is None:
        return say("– (0 of 0)")
    low, high = share.interval
    return say(
        "{share} ({hits:,} of {n:,}; 95 % interval {low:.1f} to {high:.1f} %)",
        share=share.percent, hits=share.hits, n=share.n, low=100 * low, high=100 * high,
    )  # fmt: skip


def of_text(share: Share) -> str:
    """`27 of 29`."""
    return say("{hits:,} of {n:,}", hits=share.hits, n=share.n)


def spread_text(share: Share) -> str:
    """What a share rests on: `27 of 29 · 95 % 78.0–98.1 %`."""
    low, high = share.interval
    return say(
        "{hits:,} of {n:,} · 95 % {low:.1f}–{high:.1f} %", hits=share.hits, n=share.n, low=100 * low, high=100 * high
    )  # fmt: skip


def standing_said(score: float, *, pass_below: float, reject_from: float) -> str:
    """Where a score stands to the limits, in words."""
    return known(standing_text(score, pass_below=pass_below, reject_from=reject_from))
