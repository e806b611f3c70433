"""Which inspections are audited and which are explained."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Literal

from kizu_db.values import ExplanationState, NewInspection
from kizu_inspect.results import Judgement, Verdict

__all__ = ["drawn_for_audit", "explanation_due", "picture_may_go"]


def drawn_for_audit(source: str, key: str, share: float) -> bool:
    """Whether this piece of work falls into the audit sample: true for the given share (0 to 1) of all of them.

    The draw is a hash of the identity, so a run that was cut off and repeated draws the same sample, and nobody can draw
    again until they like the outcome.
    """
    digest = hashlib.sha256(f"audit\0{source}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def explanation_due(judgement: Judgement, policy: Literal["flagged", "all", "on_demand"], *, audit: bool) -> ExplanationState:
    """PENDING where a map is to be made at once, else NONE. What was not judged has nothing to explain."""
    if judgement.verdict is Verdict.ERROR or judgement.target is None or policy == "on_demand":
        return ExplanationState.NONE
    if policy == "all" or judgement.verdict.flagged or audit:
        return ExplanationState.PENDING
    return ExplanationState.NONE


def picture_may_go(inspection: NewInspection, held_lots: Collection[str]) -> bool:
    """Whether the record is enough where the disk is nearly full: of a part that passed, and that nobody is to look at.

    `held_lots` are names; the empty one holds the parts of which no lot is known.
    """
    passed = inspection.judgement.verdict is Verdict.PASS
    due = inspection.audit or inspection.explanation_state is not ExplanationState.NONE
    return passed and not due and (inspection.lot or "") not in held_lots
