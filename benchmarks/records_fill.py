"""A plant's records of any size, drawn from a seed and written past the repositories, in bulk: for `records.py`."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from kizu_db.engine import make_engine
from kizu_db.records import Records
from kizu_db.repositories.audit_trail import GENESIS, canonical_json, canonical_time, chain_hash
from kizu_db.settings import DatabaseSettings
from kizu_db.tables import Base
from kizu_db.uid import UidSource

__all__ = ["CLASSES", "END", "MODEL", "STATIONS", "Plant", "fill", "plant_of"]

END = datetime(2026, 10, 1, tzinfo=UTC)
STATIONS = ("press-1", "press-2", "press-3", "press-4")
MODEL = "4b1d" * 16
CLASSES = ("dent", "missing hole", "scratch", "stain")
VERDICTS = ("PASS", "REVIEW", "REJECT", "ERROR")
SHARES = (0.95, 0.02, 0.028, 0.002)
AUDIT_SHARE = 0.01
REVIEWED = 0.6
DAY_INSPECTIONS = 33_000
_AT_ONCE = 20_000
_GRID = (np.linspace(0, 1, 1600).reshape(40, 40)).astype("<f2").tobytes()


@dataclass(frozen=True)
class Plant:
    """What the queries choose from."""

    inspections: int
    begin: datetime
    """When the first one was judged; the last ended at END."""

    def moment(self, share: float) -> datetime:
        """A moment of the plant's time: 0 its begin, 1 its end."""
        return self.begin + (END - self.begin) * share


def plant_of(inspections: int) -> Plant:
    """As long a time as DAY_INSPECTIONS a day take."""
    return Plant(inspections, END - timedelta(days=inspections / DAY_INSPECTIONS))


def fill(settings: DatabaseSettings, inspections: int) -> None:
    """Fill empty records: two views a part, a thousand parts a lot, four stations; 5 % are flagged and have a map.

    Of the flagged ones, and of the audit sample (1 % of what passed), 60 % are reviewed. The rollups are counted by the
    repositories themselves.
    """
    plant = plant_of(inspections)
    engine = make_engine(settings)
    with closing(engine.raw_connection()) as raw:
        writer = _Sqlite(raw.driver_connection) if settings.file is not None else _Postgresql(raw.driver_connection)
        _fill(writer, plant)
        raw.commit()
    with engine.connect() as connection:
        _settle(connection)
    engine.dispose()
    with Records.open(settings) as records, records.unit() as unit:
        unit.rollups.rebuild()
    engine = make_engine(settings)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if settings.file is None:
            connection.exec_driver_sql("VACUUM ANALYZE")
            with suppress(DBAPIError):  # not every user may; without it the server still clears up while it is measured
                connection.exec_driver_sql("CHECKPOINT")
    with engine.begin() as connection:
        if settings.file is not None:
            connection.exec_driver_sql("ANALYZE")
    engine.dispose()


class _Sqlite:
    """Rows by executemany."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        connection.execute("PRAGMA cache_size = -1000000")
        connection.execute("BEGIN IMMEDIATE")

    def write(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            names = list(rows[0])
            places = ", ".join(f":{name}" for name in names)
            self._connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows)

    def time(self, when: datetime) -> Any:
        return when.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


class _Postgresql:
    """Rows by COPY."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def write(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            names = list(rows[0])
            with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row([row[name] for name in names])

    def time(self, when: datetime) -> Any:
        return when


def _fill(writer: _Sqlite | _Postgresql, plant: Plant) -> None:
    begun = writer.time(plant.begin)
    draw = random.Random(0)
    writer.write("station", [{"name": name, "created_at": begun} for name in STATIONS])
    writer.write("view", [{"station": name, "name": view} for name in STATIONS for view in ("side", "top")])
    parts = -(-plant.inspections // 2)
    writer.write("lot", [{"name": _lot(number), "held": False} for number in range(0, parts + 1000, 1000)])
    kept = {
        "hash": MODEL, "name": "plates", "classes": json.dumps(["good", *CLASSES]), "good": "good", "path": "bundles/plates",
        "spec": json.dumps({"thresholds": {"pass_below": 0.2, "reject_from": 0.6}}), "registered_at": begun,
    }  # fmt: skip
    writer.write("model", [kept])
    trail = _Trail(writer)
    trail.add(plant.begin, "kizu", "model.register", "model", kept["hash"], None, {
        **{name: kept[name] for name in ("hash", "name", "good", "path")}, "classes": ["good", *CLASSES], "promise": None,
        "spec": json.loads(kept["spec"]), "registered_at": canonical_time(plant.begin),
    })  # fmt: skip
    serials = ({"id": n, **_part(n)} for n in range(1, parts + 1))
    while some := list(islice(serials, _AT_ONCE)):
        writer.write("part", some)
    rows = _inspections(writer, plant, draw, trail)
    while some := list(islice(rows, _AT_ONCE)):
        for table in ("inspection", "heatmap", "region", "review", "review_queue", "quarantine"):
            writer.write(table, [row for found in some for row in found.get(table, ())])
        trail.flush()


def _lot(part: int) -> str:
    return f"L{part // 1000:05}"


def _part(number: int) -> dict[str, Any]:
    serial = f"P-{number:08}"
    folded = serial.casefold()
    lot = _lot(number)
    return {"serial": serial, "lot": lot, "generated": False, "serial_folded": folded, "serial_reversed": folded[::-1]}


class _Trail:
    """The audit chain, in bulk."""

    def __init__(self, writer: _Sqlite | _Postgresql) -> None:
        self._writer = writer
        self._rows: list[dict[str, Any]] = []
        self._last = (0, GENESIS)

    def add(
        self, at: datetime, actor: str, action: str, subject: str, subject_id: object, before: str | None, after: dict[str, Any]
    ) -> None:
        number, previous = self._last[0] + 1, self._last[1]
        told = (actor, action, subject, str(subject_id), before, canonical_json(after), "")
        link = chain_hash(previous, number, canonical_time(at), *told)
        names = ("actor", "action", "subject", "subject_id", "before", "after", "reason")
        row = {"id": number, "at": self._writer.time(at), **dict(zip(names, told, strict=True))}
        self._rows.append(row | {"previous_hash": previous, "hash": link})
        self._last = (number, link)

    def flush(self) -> None:
        self._writer.write("audit_event", self._rows)
        self._rows.clear()


def _inspections(
    writer: _Sqlite | _Postgresql, plant: Plant, draw: random.Random, trail: _Trail
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    step = (END - plant.begin) / plant.inspections
    clock = [0]
    new_uid = UidSource(lambda: clock[0])
    reviews = 0
    for number in range(1, plant.inspections + 1):
        at = plant.begin + step * number
        clock[0] = int(at.timestamp() * 1e9)
        verdict = draw.choices(VERDICTS, SHARES)[0]
        target = draw.choice(CLASSES) if verdict != "ERROR" else None
        low, high = {"PASS": (0.0, 0.2), "REVIEW": (0.2, 0.6), "REJECT": (0.6, 1.0), "ERROR": (0, 0)}[verdict]
        score = draw.uniform(low, high) if target else None
        audit = verdict == "PASS" and draw.random() < AUDIT_SHARE
        waits = audit or verdict != "PASS"
        reviewed = waits and draw.random() < REVIEWED
        truly = draw.random() < (0.01 if verdict == "PASS" else 0.9)
        disposition = ("defective" if truly else "good") if reviewed else None
        flagged = verdict in ("REVIEW", "REJECT")
        station, view, uid = STATIONS[number % 4], ("side", "top")[number % 2], new_uid()
        conflict = flagged and draw.random() < 0.05
        row = {
            "id": number, "uid": uid, "part_id": (number + 1) // 2, "view": view, "station": station,
            "source": "folder incoming", "source_key": f"P-{(number + 1) // 2:08}_{view}.png|123456|{clock[0]}",
            "captured_at": writer.time(at),
            "judged_at": writer.time(at), "verdict": verdict, "reason": f"defect score {score or 0:.3f}",
            "probabilities": json.dumps({"good": 1 - score, target: score} if score is not None else {}),
            "predicted": target, "target": target,
            "score": score, "novelty": draw.random(), "width_px": 640, "height_px": 480,
            "image_sha256": hashlib.sha256(uid.encode()).hexdigest(), "image_name": f"{uid}.png", "model_hash": MODEL,
            "device": "cpu", "timings_ms": '{"decode": 3.5, "judge": 11.25, "store": 0.5}',
            "explanation_state": "done" if flagged else "none", "explanation_conflict": conflict, "audit": audit,
            "audit_probability": AUDIT_SHARE if verdict == "PASS" else None, "disposition": disposition,
            "defect_class": target if disposition == "defective" else None,
        }  # fmt: skip
        found: dict[str, list[dict[str, Any]]] = {"inspection": [row]}
        if flagged:
            found["heatmap"] = [{
                "id": number, "inspection_id": number, "method": "grad-cam", "target": target, "status": "ok", "grid": _GRID,
                "grid_rows": 40, "grid_columns": 40, "maximum": 3.0, "scale": 2.5, "origin_x_px": 7.5, "origin_y_px": 5.5,
                "step_x_px": 16.0, "step_y_px": 12.0, "width_px": 640, "height_px": 480, "score_without": 0.1,
                "score_only": 0.8, "conflict": conflict, "made_at": writer.time(at),
            }]  # fmt: skip
            box = {"x1": 10, "y1": 20, "x2": 60, "y2": 80, "label": target, "score": 1.2, "share": 0.5}
            found["region"] = [{"heatmap_id": number, "ordinal": n, **box} for n in range(2)]
        if reviewed:
            reviews += 1
            told = {
                "id": reviews, "reviewer": draw.choice(("Kim", "Mina", "Ana")), "disposition": disposition,
                "defect_class": row["defect_class"], "decision": "accept" if truly == (verdict != "PASS") else "override",
                "reason": "", "shown_ms": 2300, "nonce": uid, "supersedes": None, "treatment": None,
            }  # fmt: skip
            when = at + timedelta(hours=1)
            found["review"] = [told | {"inspection_id": number, "reviewed_at": writer.time(when)}]
            content = told | {"inspection": uid, "reviewed_at": canonical_time(when)}
            trail.add(when, str(told["reviewer"]), "review.add", "review", reviews, None, content)
        elif waits:
            certainty = abs(2 * score - 1) if score is not None else 0.0
            found["review_queue"] = [
                {
                    "inspection_id": number,
                    "station": station,
                    "verdict": verdict,
                    "defect_class": target,
                    "certainty": certainty,
                }
            ]
        yield found


def _settle(connection: Connection) -> None:
    """Numbers given by hand: the next ones follow them."""
    if connection.dialect.name == "postgresql":
        for name in ("part", "inspection", "heatmap", "review"):
            assert name in Base.metadata.tables
            connection.execute(text(f"SELECT setval('{name}_id_seq', (SELECT max(id) FROM {name}))"))
        connection.commit()
