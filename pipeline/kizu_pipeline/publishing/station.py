"""What the line's service holds of publishing: events go into the outbox with their rows, and out of it by themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kizu_db.records import Records, Unit
from kizu_db.values import NewInspection
from kizu_inspect.results import Explanation
from kizu_pipeline.publishing.base import Publisher
from kizu_pipeline.publishing.delivery import Delivery
from kizu_pipeline.publishing.events import (
    EXPLANATION,
    INSPECTION,
    PART,
    explanation_payload,
    inspection_payload,
    part_payload,
)
from kizu_pipeline.publishing.settings import PublishTarget, WebhookTarget

if TYPE_CHECKING:
    from kizu_pipeline.observing.state import LineState
    from kizu_pipeline.settings import StationSettings
    from kizu_pipeline.stages.part_state import JudgedPart

__all__ = ["Publishing", "open_publishing"]

DRAIN_S: Final = 2.0
"""For how long a service that was asked to stop delivers what waits; the next start delivers the rest."""


class Publishing:
    """The station's way to its receiver; without one it does nothing."""

    def __init__(self, station: StationSettings, delivery: Delivery | None) -> None:
        self._station = station
        self._delivery = delivery

    def add(self, unit: Unit, uid: str, inspection: NewInspection) -> None:
        """Put the event of this new inspection into the outbox, in the unit that records it: there is none without the other.

        It waits for no receiver.
        """
        if self._delivery is None:
            return
        payload = inspection_payload(uid, inspection, review_signal=self._station.review_signal)
        unit.outbox.add(self._station.id, INSPECTION, payload)
        self._delivery.notify()

    def add_part(self, unit: Unit, part: JudgedPart) -> None:
        """Put the event of this part into the outbox, in the unit that records the last of its views."""
        if self._delivery is None:
            return
        unit.outbox.add(self._station.id, PART, part_payload(part, review_signal=self._station.review_signal))
        self._delivery.notify()

    def add_explanation(self, unit: Unit, uid: str, outcome: Explanation | str) -> None:
        """Put the event of this explanation, or of why there is none, into the outbox, where the station wants such events."""
        if self._delivery is None or self._station.publish is None or not self._station.publish.explanations:
            return
        unit.outbox.add(self._station.id, EXPLANATION, explanation_payload(uid, outcome))
        self._delivery.notify()


@contextmanager
def open_publishing(
    station: StationSettings, records: Records, *, once: bool, stop: threading.Event, state: LineState | None = None
) -> Iterator[Publishing]:
    """Deliver the station's events while the block lasts, and for a short time after it.

    With `once` that is until nothing waits or the receiver is away, unless `stop` is set. `state` is told of what waits.
    Raises ConfigError: a secret or a certificate that cannot be read, a library that is not installed.
    """
    target = station.publish
    if target is None:
        yield Publishing(station, None)
        return
    delivery = Delivery(
        _publisher(target, station.id),
        records,
        station=station.id,
        max_attempts=target.max_attempts,
        keep_days=target.keep_days,
        stop=stop,
        count=state.count if state is not None else lambda _event: None,
    )
    delivery.start()
    if state is not None:
        state.watch_queues("publishing", delivery.queues)
    patient = False
    try:
        yield Publishing(station, delivery)
        patient = once
    finally:
        delivery.finish(drain_s=DRAIN_S, patient=patient)


def _publisher(target: PublishTarget, station: str) -> Publisher:
    # Each library is loaded only where it is used: one of them need not be installed.
    if isinstance(target, WebhookTarget):
        from kizu_pipeline.publishing.webhook import Webhook

        return Webhook(target)
    from kizu_pipeline.publishing.mqtt import Mqtt

    return Mqtt(target, station=station)
