"""What the line's stages tell of themselves, kept for whoever asks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kizu_db.engine import WAIT_S
from kizu_db.values import NewInspection
from kizu_inspect.results import Verdict
from kizu_inspect.versions import version_of
from kizu_pipeline.disk import DiskGuard
from kizu_pipeline.observing.figures import Latencies, Rate
from kizu_pipeline.sources.base import Queue, Work

__all__ = ["EVENTS", "LineState"]

EVENTS: Final = (
    "quarantined", "late", "records_retried", "camera_connected", "camera_lost", "frames_frozen", "frames_unfit",
    "frames_dropped", "intake_stopped", "pictures_not_kept", "rows_refused", "spooled", "views_missing", "receiver_away",
    "event_set_aside", "limits_taken",
)  # fmt: skip
"""What is counted from the start, so that a first one shows as a step; stages may count others."""

_LONGEST_TEXT: Final = 500


@dataclass(frozen=True)
class _Away:
    """Records that do not answer somebody."""

    since_s: float
    """Monotonic."""
    error: str
    judging: bool


class LineState:
    """The state of one run of one station. Any thread may tell and ask; neither waits for a disk or a network.

    Durations use the monotonic clock alone. The state works the same whether or not anybody can ask for it over HTTP.
    """

    def __init__(self, station: str, *, stop: threading.Event, alive_s: float = 30.0) -> None:
        """`alive_s`: for how many seconds the loop may take for a turn."""
        self.station = station
        self._stop = stop
        self._alive_s = alive_s
        self._lock = threading.Lock()
        self._started_s = self._beat_s = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._running = False
        self._ended = False
        self._about: dict[str, Any] = {"model": None, "device": None, "recipe": None, "source": None}
        self._verdicts: Counter[Verdict] = Counter()
        self._latencies = Latencies()
        self._rate = Rate(self._started_s)
        self._events: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))
        self._more_events: Callable[[], Mapping[str, int]] = dict
        self._queues: dict[str, Callable[[], Mapping[str, Queue]]] = {}
        self._hindrances: dict[str, Callable[[], str | None]] = {}
        self._away: dict[object, _Away] = {}
        self._asking = 0
        self._disk: DiskGuard | None = None
        self._last_error: dict[str, Any] | None = None

    def running(self, *, model: str, device: str, recipe: int, source: str) -> None:
        """The model is loaded, the source open and the records reached: the loop begins."""
        with self._lock:
            self._about = {"model": model, "device": device, "recipe": recipe, "source": source}
            self._running = True
            self._beat_s = time.monotonic()

    def limits_taken(self, recipe: int) -> None:
        """From now on the line judges by this version of its recipe."""
        with self._lock:
            self._about = self._about | {"recipe": recipe}
            self._events["limits_taken"] += 1

    def ended(self) -> None:
        """The loop has ended."""
        with self._lock:
            self._ended = True

    def turned(self, at_s: float) -> None:
        """Every stage has turned since then (monotonic, s)."""
        self._beat_s = at_s

    def judged(self, work: Work, inspection: NewInspection) -> None:
        """A verdict is recorded: count it, and how long the part has waited for it."""
        now_s = time.monotonic()
        with self._lock:
            self._verdicts[inspection.judgement.verdict] += 1
            self._events["quarantined"] += inspection.image_sha256 is None  # it could not be read
            self._latencies.add(max(0.0, now_s - work.seen_s))
            self._rate.add(now_s)

    def count(self, event: str, number: int = 1) -> None:
        """Count what happened; see `EVENTS`."""
        with self._lock:
            self._events[event] += number

    def count_also(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Ask this, whenever somebody wants to know, for events that a source counts itself."""
        self._more_events = counts

    def watch_queues(self, name: str, queues: Callable[[], Mapping[str, Queue]]) -> None:
        """Ask this, whenever somebody wants to know, for the queues of a stage by their names. A later one replaces it."""
        with self._lock:
            self._queues[name] = queues

    def not_ready_while(self, name: str, hindrance: Callable[[], str | None]) -> None:
        """Ask this, whenever somebody wants to know, why the line cannot judge now (None: it can)."""
        with self._lock:
            self._hindrances[name] = hindrance

    def records_away(self, who: object, error: str, *, judging: bool = False) -> None:
        """The database or the image store does not answer `who`, who goes on asking; the line judges meanwhile, or waits."""
        with self._lock:
            since_s = self._away[who].since_s if who in self._away else time.monotonic()
            self._away[who] = _Away(since_s, error[:_LONGEST_TEXT], judging)

    def records_back(self, who: object) -> None:
        """They answer again, or `who` asks no more."""
        with self._lock:
            self._away.pop(who, None)

    @contextmanager
    def asking_records(self) -> Iterator[None]:
        """A database that is locked may take its time within this block; the line is no less alive."""
        with self._lock:
            self._asking += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
                self._beat_s = time.monotonic()

    def watch_disk(self, disk: DiskGuard) -> None:
        """Ask this how full the file systems are, and whether the intake is stopped for that."""
        self._disk = disk
        self.not_ready_while("disk", disk.why_stopped)

    @property
    def drops_passed(self) -> bool:
        """Whether the disk is so full that pictures of parts that pass are not kept."""
        return self._disk is not None and self._disk.drops_passed

    def missing(self, inspection: NewInspection) -> None:
        """The row of a view that did not come is recorded."""
        with self._lock:
            self._verdicts[inspection.judgement.verdict] += 1
            self._events["views_missing"] += 1

    def failed(self, text: str) -> None:
        """Remember the last error."""
        error = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "text": text[:_LONGEST_TEXT]}
        with self._lock:
            self._last_error = error

    def dead_because(self) -> str | None:
        """Why the line does not live, None where it does: a loop that has not turned for too long, or has ended."""
        with self._lock:
            if self._ended:
                return "the line has ended"
            if not self._running:
                return None  # a large model may take minutes to load
            limit_s = self._alive_s + (WAIT_S if self._asking else 0.0)
            age_s = time.monotonic() - self._beat_s
        return f"the loop has not turned for {age_s:.0f} s (limit {limit_s:.0f} s)" if age_s > limit_s else None

    def not_ready_because(self) -> list[str]:
        """Every reason why the line does not judge now; empty where it does."""
        dead = self.dead_because()
        reasons = [dead] if dead is not None else []
        with self._lock:
            if not self._running and not self._ended:
                reasons.append("the model is being loaded, or the source opened")
            if self._stop.is_set():
                reasons.append("the service is to stop")
            reasons += dict.fromkeys(f"the records are away: {one.error}" for one in self._away.values() if not one.judging)
            hindrances = list(self._hindrances.values())
        return reasons + [reason for hindrance in hindrances if (reason := hindrance()) is not None]

    def latencies(self) -> tuple[list[tuple[float, int]], float]:
        """The histogram of seconds from first sight to the recorded verdict, cumulative, and the sum of them all."""
        with self._lock:
            return self._latencies.cumulative, self._latencies.sum_s

    def snapshot(self) -> dict[str, Any]:
        """All of it as plain JSON values; durations in seconds."""
        dead, reasons = self.dead_because(), self.not_ready_because()
        with self._lock:
            watched, more_events = list(self._queues.values()), self._more_events
        queues = {name: queue for ask in watched for name, queue in ask().items()}
        now_s = time.monotonic()
        with self._lock:
            p50, p95, p99 = self._latencies.quantiles_s((0.5, 0.95, 0.99))
            away_s = max((now_s - one.since_s for one in self._away.values()), default=None)
            stopping = self._stop.is_set()
            return {
                "state": "ended" if self._ended else "stopping" if stopping else self._name_of_state(dead, reasons),
                "alive": dead is None,
                "ready": not reasons,
                "reasons": reasons,
                "station": self.station,
                **self._about,
                "software": version_of("kizu"),
                "started_at": self._started_at.isoformat(timespec="seconds"),
                "uptime_s": round(now_s - self._started_s, 3),
                "heartbeat_age_s": round(now_s - self._beat_s, 3),
                "verdicts": {verdict.value: self._verdicts[verdict] for verdict in Verdict},
                "pictures_per_s": round(self._rate.per_s(now_s), 3),
                "verdict_s": {"p50": p50, "p95": p95, "p99": p99},
                "queues": {
                    name: {"depth": queue.depth, "oldest_age_s": _age(now_s, queue)} for name, queue in sorted(queues.items())
                },
                "events": dict(self._events) | dict(more_events()) | self._stops(),
                "records_away_s": None if away_s is None else round(away_s, 3),
                "disk_used_percent": {} if self._disk is None else {k: round(used, 2) for k, used in self._disk.used.items()},
                "last_error": self._last_error,
            }

    def _stops(self) -> dict[str, int]:
        return {} if self._disk is None else {"intake_stopped": self._disk.stops}

    def _name_of_state(self, dead: str | None, reasons: list[str]) -> str:
        if not self._running:
            return "starting"
        return "stuck" if dead is not None else "waiting" if reasons else "running"


def _age(now_s: float, queue: Queue) -> float | None:
    return None if queue.oldest_s is None or queue.depth == 0 else round(max(0.0, now_s - queue.oldest_s), 3)
