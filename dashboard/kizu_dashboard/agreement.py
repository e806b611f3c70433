"""The figures of the Agreement page: the model against reviewers, reviewers against each other, and other limits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Final

from kizu_dashboard.periods import Period
from kizu_dashboard.room import Room
from kizu_dashboard.thresholds import Limits, Standing, limits_of, read_standing
from kizu_dashboard.wording import NO_CLASS
from kizu_db.values import AuditStratum, Disposition, Opinion, ReviewedPart
from kizu_inspect.results import Verdict
from kizu_inspect.sums.agreement import PairAgreement, pair_agreement
from kizu_inspect.sums.calibration import ReliabilityBin, reliability
from kizu_inspect.sums.outcomes import Drawn, Outcome

__all__ = [
    "GOOD",
    "MOST_REVIEWED",
    "Agreed",
    "as_judged",
    "at_limits",
    "by_class",
    "calibration",
    "gather_agreement",
    "pairs_of",
]

MOST_REVIEWED: Final = 5_000
MOST_OPINIONS: Final = 5_000
GOOD: Final = "good"
_FLAGGED: Final = (Verdict.REVIEW, Verdict.REJECT)


@dataclass(frozen=True)
class Agreed:
    """What the records say of a period of whole quarters of an hour."""

    period: Period
    verdicts: Mapping[Verdict, int]
    """Of all inspections."""
    reviewed: Mapping[tuple[Verdict, Disposition], int]
    """Of the reviewed ones, whoever chose them."""
    strata: tuple[AuditStratum, ...]
    waiting: Mapping[float, int]
    """How many of the audit sample wait, by its chance."""
    parts: tuple[ReviewedPart, ...]
    """The newest reviewed ones, MOST_REVIEWED at most."""
    opinions: tuple[Opinion, ...]
    limits: Limits | None
    """By which the newest inspection was judged; None where they are not on record."""
    standing: Standing | None
    """Of the station that is looked at, or the only one there is; None of several, and of one without a recipe."""
    newest_recipe: int | None
    """By which version the newest inspection was judged; None where that is not on record."""


def gather_agreement(room: Room, period: Period, *, station: str | None) -> Agreed:
    """Reads it all in one state of the records. Raises RecordError, RecordsAway like `Records.unit`."""
    whole = period.in_quarters()
    with room.records.unit(read_only=True) as unit:
        verdicts = unit.rollups.verdicts(since=whole.since, until=whole.until, station=station)
        reviewed = unit.rollups.reviewed(since=whole.since, until=whole.until, station=station)
        strata = unit.rollups.audit_strata(since=whole.since, until=whole.until, station=station)
        waiting = unit.analysis.audit_waiting(since=whole.since, until=whole.until, station=station)
        parts = unit.analysis.reviewed(since=whole.since, until=whole.until, station=station, limit=MOST_REVIEWED)
        opinions = unit.analysis.opinions(since=whole.since, until=whole.until, station=station, limit=MOST_OPINIONS)
        newest = unit.inspections.latest(station=station, verdicts=(Verdict.PASS, *_FLAGGED), limit=1)
        record = unit.inspections.get(newest[0].uid) if newest else None
        stations = unit.stations.names() if station is None else [station]
        standing = read_standing(unit, stations[0]) if len(stations) == 1 else None
    limits = None if record is None else limits_of(record)
    newest_recipe = None if record is None or record.recipe is None else record.recipe.id
    return Agreed(
        whole, verdicts, reviewed, tuple(strata), waiting, tuple(parts), tuple(opinions), limits, standing, newest_recipe
    )


def as_judged(agreed: Agreed) -> list[Drawn]:
    """All parts by their verdict, what is known of each kind, and how it was chosen for a review; ERROR stays out."""
    passed: dict[float, dict[Outcome, int]] = {
        one.probability: {(Verdict.PASS, True): one.escapes, (Verdict.PASS, False): one.reviewed - one.escapes}
        for one in agreed.strata
    }
    flagged: dict[Verdict, dict[Outcome, int]] = {
        verdict: {
            (verdict, True): agreed.reviewed.get((verdict, "defective"), 0),
            (verdict, False): agreed.reviewed.get((verdict, "good"), 0),
        }
        for verdict in _FLAGGED
    }
    return _drawn(agreed, passed, flagged, fixed=True)


def at_limits(agreed: Agreed, limits: Limits) -> list[Drawn]:
    """The same parts, but the reviewed ones with the verdict that these limits would have given their score."""
    passed: dict[float, Counter[Outcome]] = defaultdict(Counter)
    flagged: dict[Verdict, Counter[Outcome]] = defaultdict(Counter)
    for part in agreed.parts:
        if part.score is None or not _was_to_be_reviewed(part):
            continue
        outcome = (_verdict_at(part.score, limits), part.disposition == "defective")
        counted = passed[part.audit_probability] if part.verdict is Verdict.PASS else flagged[part.verdict]
        counted[outcome] += 1
    return _drawn(agreed, passed, flagged, fixed=False)


def _drawn(
    agreed: Agreed,
    passed: Mapping[float, Mapping[Outcome, int]],
    flagged: Mapping[Verdict, Mapping[Outcome, int]],
    *,
    fixed: bool,
) -> list[Drawn]:
    found = []
    for one in agreed.strata:
        drawn = one.reviewed + agreed.waiting.get(one.probability, 0)
        counts = passed.get(one.probability, {})
        found.append(Drawn(one.passes, one.probability, drawn, counts, Verdict.PASS if fixed else None))
    undrawn = agreed.verdicts[Verdict.PASS] - sum(one.passes for one in agreed.strata)
    if undrawn > 0:
        found.append(Drawn(undrawn, 0.0, 0, {}, Verdict.PASS if fixed else None))
    for verdict in _FLAGGED:
        total = agreed.verdicts[verdict]
        found.append(Drawn(total, 1.0, total, flagged.get(verdict, {}), verdict if fixed else None))
    return found


def _was_to_be_reviewed(part: ReviewedPart) -> bool:
    """Whether chance or the verdict put it before a person: a PASS part that somebody chose says nothing of the others."""
    return part.verdict in _FLAGGED or (part.verdict is Verdict.PASS and part.audit)


def _verdict_at(score: float, limits: Limits) -> Verdict:
    if score < limits.pass_below:
        return Verdict.PASS
    return Verdict.REJECT if score >= limits.reject_from else Verdict.REVIEW


def by_class(parts: Iterable[ReviewedPart]) -> dict[tuple[str, str], int]:
    """Of the reviewed REVIEW and REJECT parts, how many have which (suspected class, decision: GOOD or a class)."""
    found: Counter[tuple[str, str]] = Counter()
    for part in parts:
        if part.verdict in _FLAGGED:
            decided = GOOD if part.disposition == "good" else part.decided_class or NO_CLASS
            found[part.suspected or NO_CLASS, decided] += 1
    return dict(found)


def calibration(parts: Iterable[ReviewedPart]) -> tuple[ReliabilityBin, ...]:
    """Scores beside what reviewers found; of PASS parts the audit sample alone."""
    scored = [
        (part.score, part.disposition == "defective") for part in parts if part.score is not None and _was_to_be_reviewed(part)
    ]
    return reliability([score for score, _ in scored], [bad for _, bad in scored])


def pairs_of(opinions: Sequence[Opinion]) -> dict[tuple[str, str], PairAgreement]:
    """Each two reviewers that judged the same inspections, by name, and how they agree; `opinions` come by inspection."""
    said: dict[tuple[str, str], list[tuple[Disposition, Disposition]]] = defaultdict(list)
    for _, group in groupby(opinions, key=lambda opinion: opinion.inspection):
        ranked = sorted(group, key=lambda opinion: opinion.reviewer)
        for one, other in combinations(ranked, 2):
            said[one.reviewer, other.reviewer].append((one.disposition, other.disposition))
    return {
        names: pair_agreement([first for first, _ in both], [second for _, second in both])
        for names, both in sorted(said.items(), key=lambda item: (-len(item[1]), item[0]))
    }
