"""What a row may hold on every database, said before one refuses it; and what can be kept of a row that was refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from kizu_db.tables.base import clean_text
from kizu_db.values import ExplanationState, NewInspection
from kizu_inspect.errors import RecordRefused
from kizu_inspect.results import Judgement, Verdict

__all__ = ["KEY_BYTES", "in_reach", "require_finite", "require_recordable", "with_safe_names", "without_figures"]

FIRST: Final = datetime(2, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9998, 12, 31, tzinfo=UTC)
KEY_BYTES: Final = 2600
"""PostgreSQL indexes no longer ones: 2,704 bytes a key with all its columns and what it adds."""
_HIGHEST: Final = 2**31 - 1
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHOWN: Final = 60
_LONGEST: Final = 600


def in_reach(when: datetime) -> bool:
    """Whether the moment (aware) is one in every time zone, and so can be recorded, shown and searched for."""
    return FIRST <= when.replace(tzinfo=UTC) <= LAST


def require_finite(values: Mapping[str, float | None], what: str) -> None:
    """Raise RecordRefused for a NaN or an infinity: the databases disagree about them, and none means anything here."""
    for name, value in values.items():
        if value is not None and not _is_finite(value):
            raise RecordRefused(f"{what} has a {name} that is no number", found=_shown(value), expected="a finite number")


def require_recordable(new: NewInspection) -> None:
    """Raise RecordRefused for what one of the databases would refuse, or give back and no page could show."""
    judgement = new.judgement
    figures: dict[str, float | None] = {
        "score": judgement.score,
        "novelty": judgement.novelty,
        "reference_correlation": judgement.reference_correlation,
        "audit_probability": new.audit_probability,
    }
    require_finite({**figures, **judgement.probabilities, **new.timings_ms, **(new.measured or {})}, "An inspection")
    if new.audit_probability is not None and not 0 <= new.audit_probability <= 1:
        raise RecordRefused("The audit_probability of an inspection is none", found=new.audit_probability, expected="0 to 1")
    for name, pixels in (("width_px", judgement.width_px), ("height_px", judgement.height_px)):
        if pixels is not None and not 0 <= pixels <= _HIGHEST:
            raise RecordRefused(
                f"The {name} of an inspection is impossible", found=_shown(pixels), expected=f"at most {_HIGHEST}"
            )
    for name, when in (("captured_at", new.captured_at), ("judged_at", new.judged_at)):
        if when.tzinfo is None or not in_reach(when):
            raise RecordRefused(
                f"The {name} of an inspection is out of reach", found=when.isoformat(),
                expected="a time with its zone, between the years 2 and 9998",
            )  # fmt: skip
    for name, sha256 in (("image_sha256", new.image_sha256), ("model_hash", new.model_hash)):
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise RecordRefused(f"The {name} of an inspection is none", found=_shown(sha256), expected="64 hexadecimal digits")
    lot = new.lot or ""
    for name, text in {
        "part and lot": new.part + lot,
        "part in lower case": new.part.casefold(),
        "view": new.station + (new.view or ""),
        "source and source_key": new.source + new.source_key,
        "target": new.station + (judgement.target or ""),
    }.items():
        if (length := len(clean_text(text).encode())) > KEY_BYTES:
            raise RecordRefused(
                f"The {name} of an inspection cannot be searched for", found=f"{length} bytes: {_shown(text)}",
                expected=f"at most {KEY_BYTES}", next_step="Use shorter names.",
            )  # fmt: skip


def without_figures(new: NewInspection, reason: str) -> NewInspection:
    """The row as an ERROR for this reason, with the names that it had and nothing of what was measured or judged."""
    reason = clean_text(reason)
    return replace(
        new,
        judgement=Judgement(verdict=Verdict.ERROR, reason=reason),
        error=reason,
        captured_at=new.captured_at if new.captured_at.tzinfo is not None and in_reach(new.captured_at) else new.judged_at,
        image_name=clean_text(new.image_name)[:_LONGEST],
        timings_ms={},
        measured=None,
        explanation_state=ExplanationState.NONE,
        audit=False,
        audit_probability=None,
    )


def with_safe_names(new: NewInspection, reason: str, *, part: str) -> NewInspection:
    """The same where the names may be at fault: under this part that was made up, and nothing else but what identifies it."""
    return replace(
        without_figures(new, reason),
        part=part,
        part_generated=True,
        view=None,
        lot=None,
        captured_at=new.judged_at,
        image_name=new.image_name.encode("ascii", "backslashreplace").decode().replace("\0", "?")[:_LONGEST],
        image_sha256=new.image_sha256 if new.image_sha256 and _SHA256.fullmatch(new.image_sha256) else None,
        model_hash=None,
        recipe_id=None,
        device=None,
    )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int of more than 308 figures
        return False


def _shown(value: object) -> str:
    try:
        text = ascii(value)
    except ValueError:  # an int of more than 4,300 figures, which Python does not write down
        text = "a huge number"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
