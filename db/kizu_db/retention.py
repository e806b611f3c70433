"""Letting go what was kept long enough, in small pieces beside a running line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kizu_db.image_store import ImageStore
from kizu_db.permissions import Action
from kizu_db.records import Records, Unit
from kizu_db.repositories.retention import Retention
from kizu_db.settings import RetentionSettings
from kizu_db.values import AuditEvent, DueInspection, RetentionEnds
from kizu_inspect.results import Verdict

__all__ = ["Pruned", "prune", "what_is_due"]

_AT_ONCE = 100
_LISTED_AT_ONCE = 5000
_LEAST_PAUSE_S = 0.002
_ABOUT_TO_BE_RECORDED = timedelta(hours=1)
_LOOK_BACK = timedelta(days=3)


@dataclass
class Pruned:
    """What went, or what would go."""

    records: int = 0
    """Inspections with all that hangs on them."""
    passed_images: int = 0
    """Other inspections that passed, and lose their picture."""
    flagged_images: int = 0
    """Other inspections that did not pass, and lose their picture."""
    files: int = 0
    """Pictures removed from the image store; fewer than images where several inspections share one."""
    freed_bytes: int = 0


def what_is_due(
    records: Records, settings: RetentionSettings, *, now: datetime | None = None, most: int | None = None
) -> Pruned:
    """What `prune` would let go at this moment (default: now); changes nothing. Files are not counted.

    With `most` the count of records ends once it is reached, and so does that of pictures: there may be more.
    """
    found, ends = Pruned(), settings.ends(now or datetime.now(UTC))
    at_once = _LISTED_AT_ONCE if most is None else min(_LISTED_AT_ONCE, most)
    gone: set[int] = set()
    for due in _listed(records, lambda unit, after: unit.retention.due_records(ends, after=after, limit=at_once)):
        found.records += len(due)
        gone.update(one.number for one in due)
        if most is not None and found.records >= most:
            break
    for due in _listed(records, lambda unit, after: unit.retention.due_images(ends, after=after, limit=at_once)):
        _count_images(found, [one for one in due if one.number not in gone])
        if most is not None and found.passed_images + found.flagged_images >= most:
            break
    return found


def prune(
    records: Records,
    store: ImageStore,
    settings: RetentionSettings,
    *,
    by: str,
    reason: str = "retention",
    now: datetime | None = None,
    progress: Callable[[Pruned], None] | None = None,
) -> Pruned:
    """Let go what is due: records with their pictures first, then pictures.

    Each piece is one short transaction that also writes its audit event; a pause of its own length follows, so that a line
    that waits comes next. A picture's file goes only after its piece is on the disk: killed at any instant, the records are
    whole, and the next prune (within three days) first removes the files that were left. Raises NotAllowed, RecordError.
    """
    with records.unit(read_only=True) as unit:
        unit.users.require(by, Action.PRUNE)
        # Left by a prune that was killed, or because a line had just put them again.
        left = {name for event in unit.trail.since("retention", datetime.now(UTC) - _LOOK_BACK) for name in _images_of(event)}
    done, ends = Pruned(), settings.ends(now or datetime.now(UTC))
    _remove_files(records, store, sorted(name for name in left if store.has(name)), done)

    for due in _pieces(records, ends, Retention.due_records, Retention.drop_records, by, reason):
        done.records += len(due)
        _remove_files(records, store, [one.image_sha256 for one in due], done)
        if progress is not None:
            progress(done)
    for due in _pieces(records, ends, Retention.due_images, Retention.drop_images, by, reason):
        _count_images(done, due)
        _remove_files(records, store, [one.image_sha256 for one in due], done)
        if progress is not None:
            progress(done)
    return done


def _pieces(
    records: Records,
    ends: RetentionEnds,
    due_of: Callable[..., list[DueInspection]],
    drop: Callable[..., None],
    by: str,
    reason: str,
) -> Iterator[list[DueInspection]]:
    """Let go piece by piece what `due_of` finds; what went, each time it is on the disk."""
    for listed in _listed(records, lambda unit, after: due_of(unit.retention, ends, after=after, limit=_AT_ONCE)):
        with _then_pause(records) as unit:
            # A lot may be held since, a part reviewed.
            due = due_of(unit.retention, ends, among=[one.number for one in listed], limit=_AT_ONCE)
            if due:
                drop(unit.retention, due, by=by, reason=reason)
        yield due


def _listed(
    records: Records, page: Callable[[Unit, DueInspection | None], list[DueInspection]]
) -> Iterator[list[DueInspection]]:
    """All that is due, page by page, oldest first; each page is read in a unit of its own."""
    after: DueInspection | None = None
    while True:
        with records.unit(read_only=True) as unit:
            due = page(unit, after)
        if not due:
            return
        yield due
        after = due[-1]


@contextmanager
def _then_pause(records: Records) -> Iterator[Unit]:
    """A unit, and then a pause in which whoever waits for the database comes first."""
    started = time.monotonic()
    with records.unit() as unit:
        yield unit
    time.sleep(max(_LEAST_PAUSE_S, time.monotonic() - started))


def _images_of(event: AuditEvent) -> Iterator[str]:
    """The pictures that a prune let go."""
    for kind in ("inspections", "images"):
        yield from (name for name in (event.before or {}).get(kind, {}).values() if name is not None)


def _count_images(pruned: Pruned, due: Sequence[DueInspection]) -> None:
    passed = sum(one.verdict is Verdict.PASS for one in due)
    pruned.passed_images += passed
    pruned.flagged_images += len(due) - passed


def _remove_files(records: Records, store: ImageStore, names: Iterable[str | None], pruned: Pruned) -> None:
    """Remove the pictures that no inspection has any more."""
    with records.unit(read_only=True) as unit:
        free = [name for name in dict.fromkeys(names) if name is not None and not unit.retention.image_is_kept(name)]
    for name in free:
        size = store.remove(name, unless_put_within=_ABOUT_TO_BE_RECORDED)
        if size is not None:
            pruned.files += 1
            pruned.freed_bytes += size
