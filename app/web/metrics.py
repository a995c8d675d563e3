"""Numbers for Prometheus: how many requests, how long, how much."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)


class Metrics:
    """The numbers of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "face_blur_requests", "Invocations by their result", ["code"], registry=self._registry
        )
        self._seconds = Histogram(
            "face_blur_stage_seconds", "Time of a stage of an invocation", ["stage"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._counts = Counter(
            "face_blur_items", "Frames, tracks and bytes", ["kind"], registry=self._registry
        )
        self.present = Gauge(
            "face_blur_invocations_present", "Invocations now", registry=self._registry
        )
        self.working = Gauge(
            "face_blur_invocations_working", "Those that have the device", registry=self._registry
        )

    def count(self, code: str, seconds: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Add an invocation that has ended."""
        self._requests.labels(code).inc()
        for stage, time in seconds.items():
            self._seconds.labels(stage).observe(time)
        for kind, number in counts.items():
            self._counts.labels(kind).inc(number)

    def text(self) -> bytes:
        """All numbers, as Prometheus reads them."""
        return generate_latest(self._registry)
