"""Measurements of a request, and their totals for Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
"""Upper bounds of the histogram of times, in seconds."""


@dataclass(slots=True)
class RequestStats:
    """Measurements of one request: seconds of each stage, and counts such as frames and bytes."""

    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the time of a block."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 3)


class Metrics:
    """The metrics of one service, in their own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "face_blur_requests", "Invocations by result", ["code"], registry=self._registry
        )
        self._seconds = Histogram(
            "face_blur_stage_seconds",
            "Time of each stage of an invocation",
            ["stage"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._counts = Counter(
            "face_blur_items", "Frames, tracks and bytes", ["kind"], registry=self._registry
        )
        self.present = Gauge(
            "face_blur_invocations_present", "Current invocations", registry=self._registry
        )
        self.working = Gauge(
            "face_blur_invocations_working",
            "Current invocations that use the device",
            registry=self._registry,
        )

    def add(self, code: str, stats: RequestStats) -> None:
        """Add a finished invocation."""
        self._requests.labels(code).inc()
        for stage, seconds in stats.seconds.items():
            self._seconds.labels(stage).observe(seconds)
        for kind, number in stats.counts.items():
            self._counts.labels(kind).inc(number)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
