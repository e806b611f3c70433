"""How values are said in words, the same on every page and in every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from math import ceil, log10
from typing import Final
from zoneinfo import ZoneInfo

from kizu_db.values import DrawnBox, ExplanationState, InspectionRecord, InspectionRow, ModelRow, NewReview, Signal
from kizu_inspect.results import Heatmap, MapStatus, Region, RegionCheck, Verdict
from kizu_inspect.sums.audit_sample import Estimate
from kizu_inspect.sums.intervals import Share
from kizu_inspect.sums.scores import probability_text

__all__ = [
    "BLIND_SENTENCE",
    "FOOT_SENTENCE",
    "METHOD_NAMES",
    "SIZE_SENTENCE",
    "bound_text",
    "boxes_text",
    "check_text",
    "class_name",
    "disposition_text",
    "duration_text",
    "estimate_text",
    "interval_text",
    "map_name",
    "map_subject",
    "method_name",
    "moment",
    "no_map_reason",
    "promise_text",
    "reason_text",
    "recorded_class",
    "signal_text",
    "size_texts",
]

FOOT_SENTENCE: Final = "The heatmap shows what drove the model's decision. It is indicative, not a measurement."

BLIND_SENTENCE: Final = "Judge by the photo alone: this part was drawn to check the system, which must not be heard first."

SIZE_SENTENCE: Final = "Sizes are those of the heatmap's warm region, which is as a rule wider than a thin defect."

METHOD_NAMES: Final = {
    "cam": "CAM",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "score-cam": "Score-CAM",
    "lfi-cam": "LFI-CAM",
}

NO_PROMISE: Final = "This model promises no miss rate: its validation set was too small for one."

LOST_PROMISE: Final = (
    "The promise of this model, at most {rate:.1f} % of the defective parts missed, does not hold here: it was calibrated with "
    "PASS below {own}, and this is PASS below {used}."
)

STATUS_TEXTS: Final = {
    MapStatus.FLAT: "The map is flat: no place in the picture stands out for “{target}”.",
    MapStatus.ALL_NEGATIVE: "No evidence for “{target}”: everything in the picture speaks against it.",
    MapStatus.NON_FINITE: "The map could not be computed: it holds values that are no numbers.",
    MapStatus.NO_EVIDENCE_MAP: "No map: this model draws no evidence for “{target}”.",
}


def class_name(name: str) -> str:
    """A class as people read it: folders and labels write blanks as underscores."""
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
    return row.reason if row.verdict is Verdict.ERROR else row.reason.replace("_", " ")


def method_name(method: str) -> str:
    """The method as its paper writes it."""
    return METHOD_NAMES.get(method, method)


def map_name(record: InspectionRecord, method: str) -> str:
    """The method, and whether this inspection's maps are refined to pixels."""
    return method_name(method) + (", refined to pixels" if record.refined else "")


def map_subject(heatmap: Heatmap, *, refined: bool = False) -> str:
    """What the map shows: `evidence for scratch`; an attention map knows no class, unless it is `refined`, and some maps leave
    channels out."""
    if heatmap.method == "lfi-cam":
        return (
            f"where the network looked, and {class_name(heatmap.target)} hangs on it"
            if refined
            else "where the network looked, whatever the class"
        )
    left_out = " (channels with negative activations left out)" if heatmap.status is MapStatus.SIGNED_ACTIVATIONS else ""
    return f"evidence for {class_name(heatmap.target)}{left_out}"


def moment(when: datetime, zone: ZoneInfo) -> str:
    """A time in the plant's zone: `2026-11-24 09:03:11 KST`."""
    return when.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def duration_text(lasted: timedelta) -> str:
    """How long, as exactly as it matters: `0 s`, `48 s`, `12 min`, `2 h 5 min`, `3 d 4 h`; less than nothing is `0 s`."""
    seconds = max(0, int(lasted.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


def interval_text(share: Share) -> str:
    """Its 95 % interval, `92.1–95.4 %`; a dash of nothing."""
    low, high = share.interval
    return "–" if share.value is None else f"{100 * low:.1f}–{100 * high:.1f} %"


def estimate_text(rate: Estimate) -> str:
    """The value of a rate that rests on a sample: `1.2 %`, or `unknown`."""
    return "unknown" if rate.value is None else f"{100 * rate.value:.{_digits(rate.value)}f} %"


def bound_text(rate: Estimate) -> str:
    """Its one-sided 95 % bound: `at most 3.4 % (95 %)`."""
    return f"at most {100 * rate.upper:.{_digits(rate.upper)}f} % (95 %)"


def _digits(rate: float) -> int:
    """Rates of less than 1 % need a digit more."""
    return 2 if rate < 0.01 else 1


def signal_text(signal: Signal, zone: ZoneInfo) -> str:
    """What the line's control was told: `NG at 2026-11-24 09:03:11 KST · acknowledged · late: …`."""
    told = "nothing was sent" if signal.sent_at is None else f"{signal.sent} at {moment(signal.sent_at, zone)}"
    answered = [] if signal.sent_at is None else ["acknowledged" if signal.acknowledged_at is not None else "not acknowledged"]
    late = [] if signal.late_ms is None else [f"{signal.late_ms:.0f} ms after its deadline"]
    return " · ".join([told, *answered, *late, *([signal.note] if signal.note else [])])


def no_map_reason(record: InspectionRecord, method: str | None = None) -> str | None:
    """Why there is no map of this method (None: the line's) to look at, as a sentence; None where there is one."""
    explanation = record.explanation if method is None else record.explained_by(method)
    if explanation is not None:
        heatmap = explanation.heatmap
        if heatmap.status.has_map:
            return None
        return STATUS_TEXTS[heatmap.status].format(target=class_name(heatmap.target))
    if method is not None and method != record.method and record.probabilities:
        return f"No {method_name(method)} heatmap yet: it is made on demand."
    match record.row.explanation_state:
        case ExplanationState.PENDING:
            return "The heatmap is being made."
        case ExplanationState.FAILED:
            return f"The heatmap could not be made: {record.explanation_error or 'no reason recorded'}"
        case _ if not record.probabilities:
            return "No heatmap: this picture was not judged."
        case _:
            return "No heatmap yet: it is made on demand."


def check_text(check: RegionCheck) -> str:
    """What was asked of the model about the map's region, and what came out, in one sentence."""
    asked = (
        f"Without the heatmap's region the defect score is {probability_text(check.score_without)}, "
        f"of the region alone {probability_text(check.score_only)}"
    )
    if check.conflict:
        return f"{asked}: the part would not pass without it either, so the heatmap does not explain the verdict."
    return f"{asked}: the heatmap shows what the verdict rests on."


def promise_text(model: ModelRow | None, pass_below: float | None) -> str | None:
    """What is lacking of the promised miss rate with this PASS limit (None: the model's own); None where it holds."""
    kept = True if model is None else model.keeps_promise(pass_below)
    if model is None or kept:
        return None
    own = model.limits[0]
    if kept is None or model.promise is None or pass_below is None or own is None:
        return NO_PROMISE
    rate = 100 * float(model.promise["miss_rate"])
    return LOST_PROMISE.format(rate=rate, own=probability_text(own), used=probability_text(pass_below))


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
        return f"defective: {class_name(review.defect_class)}"
    return review.disposition
