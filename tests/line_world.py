"""A station in a temporary folder, for the tests of the line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_db.settings import DatabaseSettings
from kizu_db.values import InspectionRecord
from kizu_inspect.picture.images import encode_png
from kizu_inspect.recipe import ExplanationSettings, Recipe
from kizu_inspect.synth import KINDS, draw_part
from kizu_pipeline.disk import DiskSettings
from kizu_pipeline.observing.settings import HttpSettings
from kizu_pipeline.publishing.settings import PublishTarget
from kizu_pipeline.service import run_station
from kizu_pipeline.settings import CameraSource, FolderSource, GenicamSource, RuntimeSettings, StationSettings
from kizu_pipeline.summary import RunSummary
from new_records import make_records

ALL_PASS = {"pass_below": 1.0, "reject_from": 1.0}
ALL_REVIEW = {"pass_below": 0.0, "reject_from": 1.0}
ALL_REJECT = {"pass_below": 0.0, "reject_from": 0.0}


def drawn_png(seed: int = 0) -> bytes:
    """A drawn part as PNG bytes."""
    return encode_png(draw_part(KINDS[seed % len(KINDS)], seed, size_px=64).image)


class LineWorld:
    """Folders, database and image store below `root`; the recipe judges with `bundle`."""

    def __init__(self, root: Path, bundle: Path, *, database: DatabaseSettings | None = None) -> None:
        self.root = root
        self.bundle = bundle
        self.incoming, self.done, self.quarantine = root / "incoming", root / "done", root / "quarantine"
        self.incoming.mkdir(exist_ok=True)
        self.images = ImageStore(root / "images")
        database = database or DatabaseSettings(url=f"sqlite:///{root / 'kizu.db'}")
        make_records(database)
        self.records = Records.open(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.records.close()

    def drop(self, name: str, data: bytes | None = None, *, seed: int = 0) -> Path:
        """Put a file into the watched folder."""
        path = self.incoming / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn_png(seed) if data is None else data)
        return path

    def folder(self, **changes: Any) -> FolderSource:
        """The settings of the watched folder."""
        settings = {"path": self.incoming, "done": self.done, "quarantine": self.quarantine, "settle_s": 0.0, "rescan_s": 0.05}
        return FolderSource(**{**settings, **changes})

    def run(
        self,
        *,
        source: FolderSource | CameraSource | GenicamSource | None = None,
        method: str = "grad-cam",
        policy: str = "flagged",
        once: bool = True,
        stop: threading.Event | None = None,
        progress: Callable[[int], None] = lambda _done: None,
        max_batch: int = 4,
        heartbeat: Path | None = None,
        publish: PublishTarget | None = None,
        http: HttpSettings | None = None,
        disk: DiskSettings | None = None,
        line: dict[str, Any] | None = None,
        runtime: dict[str, Any] | None = None,
        **recipe: Any,
    ) -> RunSummary:
        """Run the station; `recipe` overrides fields of its recipe, `line` and `runtime` add to those settings."""
        station = StationSettings(
            id="press-3",
            source=source or self.folder(),
            publish=publish,
            **(line or {}),
            recipe=Recipe(
                **{
                    "bundle": self.bundle,
                    "allow_no_promise": True,
                    "audit_share": 0.0,
                    "explanation": ExplanationSettings.model_validate({"method": method, "policy": policy}),
                    **recipe,
                }
            ),
        )
        settings = RuntimeSettings(
            device="cpu",
            max_batch=max_batch,
            heartbeat=heartbeat,
            decoders=1,
            http=http,
            disk=disk or DiskSettings(),
            **(runtime or {}),
        )
        return run_station(
            station, settings, self.records, self.images, once=once, stop=stop or threading.Event(), progress=progress
        )

    def inspections(self) -> list[InspectionRecord]:
        """All records, oldest first."""
        with self.records.unit(read_only=True) as unit:
            found = [unit.inspections.get(row.uid) for row in reversed(unit.inspections.latest(limit=10_000))]
        return [record for record in found if record is not None]

    def only(self) -> InspectionRecord:
        """The one record that there is."""
        (record,) = self.inspections()
        return record


def names_in(folder: Path) -> list[str]:
    """Every file below the folder, as sorted relative paths."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
