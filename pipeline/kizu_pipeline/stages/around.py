"""What the stages of one run have in common."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from kizu_db.image_store import ImageStore
from kizu_db.records import Records
from kizu_pipeline.decoders import DecoderPool
from kizu_pipeline.line_signal.station_signal import LineSignal
from kizu_pipeline.observing.state import LineState
from kizu_pipeline.patience import Patience
from kizu_pipeline.publishing.station import Publishing
from kizu_pipeline.settings import RuntimeSettings, StationSettings
from kizu_pipeline.sources import Intake
from kizu_pipeline.spool import Spool
from kizu_pipeline.stages.attempts import Attempts
from kizu_pipeline.stages.conveyor import Pulse
from kizu_pipeline.stages.putting_away import PuttingAway
from kizu_pipeline.stages.views import PartViews

__all__ = ["Around"]


@dataclass(frozen=True)
class Around:
    """Everything that is open while a station runs."""

    station: StationSettings
    runtime: RuntimeSettings
    records: Records
    image_store: ImageStore
    intake: Intake
    decoders: DecoderPool
    publishing: Publishing
    signal: LineSignal
    state: LineState
    stop: threading.Event
    pulse: Pulse
    patience: Patience
    putting_away: PuttingAway
    attempts: Attempts
    views: PartViews
    spool: Spool | None
    """What the records cannot take for now; None where that is waited for."""

    @property
    def spooling(self) -> bool:
        """Whether the records are not to be asked: they did not answer lately, or what waits for them goes first."""
        return self.spool is not None and self.spool.active
