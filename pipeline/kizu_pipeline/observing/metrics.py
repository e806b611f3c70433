"""The line's state in the words of Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from kizu_pipeline.observing.state import LineState

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics(Collector):
    """Every metric of one line, read from its state when somebody asks; none of Python's own."""

    def __init__(self, state: LineState) -> None:
        self._state = state
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The metrics as Prometheus reads them, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: what it collects is known to be free of doubles."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, each with the label `station`."""
        state = self._state.snapshot()
        station = state["station"]

        def gauge(name: str, text: str, value: float | None) -> Metric:
            family = GaugeMetricFamily(name, text, labels=["station"])
            if value is not None:
                family.add_metric([station], value)
            return family

        inspections = CounterMetricFamily("kizu_inspections", "Recorded inspections by verdict.", labels=["station", "verdict"])
        for verdict, count in state["verdicts"].items():
            inspections.add_metric([station, verdict], count)
        yield inspections

        buckets, sum_s = self._state.latencies()
        seconds = HistogramMetricFamily(
            "kizu_verdict_seconds", "Seconds from a picture's first sight to its recorded verdict.", labels=["station"]
        )
        named = [("+Inf" if math.isinf(bound) else repr(bound), count) for bound, count in buckets]
        seconds.add_metric([station], named, sum_value=sum_s)
        yield seconds

        quantiles = GaugeMetricFamily(
            "kizu_verdict_last_seconds",
            "The same: quantiles of the last 1,000, from none exceeded.",
            labels=["station", "quantile"],
        )
        for name, value in state["verdict_s"].items():
            if value is not None:
                quantiles.add_metric([station, f"0.{name[1:]}"], value)
        yield quantiles

        yield gauge("kizu_pictures_per_second", "Recorded inspections a second over the last minute.", state["pictures_per_s"])

        depth = GaugeMetricFamily("kizu_queue_depth", "What waits at a stage.", labels=["station", "stage"])
        age = GaugeMetricFamily(
            "kizu_queue_oldest_age_seconds", "How long its oldest item has waited.", labels=["station", "stage"]
        )
        for stage, queue in state["queues"].items():
            depth.add_metric([station, stage], queue["depth"])
            age.add_metric([station, stage], queue["oldest_age_s"] or 0.0)
        yield depth
        yield age

        events = CounterMetricFamily("kizu_line_events", "What happened on the line, by kind.", labels=["station", "event"])
        for event, count in state["events"].items():
            events.add_metric([station, event], count)
        yield events

        disk = GaugeMetricFamily("kizu_disk_used_ratio", "How full a file system is, 0 to 1.", labels=["station", "holds"])
        for holds, used in state["disk_used_percent"].items():
            disk.add_metric([station, holds], used / 100)
        yield disk

        yield gauge("kizu_alive", "1 while the line's loop turns.", state["alive"])
        yield gauge("kizu_ready", "1 while the line judges or would judge what comes.", state["ready"])
        yield gauge("kizu_heartbeat_age_seconds", "Since the line's loop turned last.", state["heartbeat_age_s"])
        yield gauge(
            "kizu_records_away_seconds",
            "For how long database or image store have been away; 0 while they answer.",
            state["records_away_s"] or 0.0,
        )
        yield gauge("kizu_uptime_seconds", "Since the service started.", state["uptime_s"])

        about = InfoMetricFamily("kizu_line", "What judges.", labels=["station"])
        told = {name: state[name] for name in ("model", "recipe", "device", "source", "software")}
        about.add_metric([station], {name: "" if value is None else str(value) for name, value in told.items()})
        yield about
