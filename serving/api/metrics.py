"""What the service tells Prometheus of itself: counts, positions and times, and never who or what they were about.

Every label has a fixed set of values, so that neither a tenant, a principal nor an entity can become one, and the
number of series never grows.
"""

from collections.abc import Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

#: The media type of a page of metrics.
MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

#: What stands for a route that nobody knows.
OTHER = "other"

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)  # G25 asks at 0.05, 0.25 and 2


class Shed(StrEnum):
    """Why a request was not taken though its sender may send such."""

    RATE = "rate"
    QUEUE = "queue"
    SIZE = "size"
    SLOW = "slow"
    DISK = "disk"
    STOPPING = "stopping"


class Stage(StrEnum):
    """How far an event has come."""

    LOGGED = "logged"
    DETECTED = "detected"
    RANKED = "ranked"


class Metrics:
    """All metrics of one service, in `registry`; `routes` are the templates of its paths, as `/v1/threats/{id}`."""

    def __init__(self, registry: CollectorRegistry, routes: Iterable[str]) -> None:
        self._registry, self._routes = registry, (*routes, OTHER)
        self._accepted = Counter("secmesh_events_accepted", "Events that are in the log.", registry=registry)
        self._refused = Counter("secmesh_records_refused", "Records that could not be read.", registry=registry)
        self._duplicates = Counter("secmesh_events_duplicate", "Events that came again.", registry=registry)
        self._answers = Counter("secmesh_requests", "Requests answered.", ("route", "status"), registry=registry)
        self._shed = Counter("secmesh_requests_shed", "Requests not taken.", ("reason",), registry=registry)
        self._queue = Gauge("secmesh_queue_bytes", "Bytes of posts that wait.", registry=registry)
        self._position = Gauge("secmesh_position", "Events that have come so far.", ("stage",), registry=registry)
        self._lag = Gauge("secmesh_lag_seconds", "Age of the oldest event not yet ranked.", registry=registry)
        self._release = Gauge("secmesh_release", "The release that scores; 0 is none.", registry=registry)
        self._refused_release = Gauge("secmesh_release_refused", "The release refused; 0 is none.", registry=registry)
        self._seconds = Histogram(
            "secmesh_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self._visible = Histogram(
            "secmesh_event_visible_seconds", "Time from accepted to ranked.", buckets=_SECONDS, registry=registry
        )
        self._begin()

    def posted(self, accepted: int, refused: int, duplicates: int) -> None:
        """A post is in the log: so many of its records were new events, could not be read, or had come before."""
        self._accepted.inc(accepted)
        self._refused.inc(refused)
        self._duplicates.inc(duplicates)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request of a route's template was answered, with an HTTP status, after so many seconds."""
        known = route if route in self._routes else OTHER
        self._answers.labels(known, f"{status // 100}xx").inc()
        self._seconds.labels(known).observe(seconds)

    def shed(self, reason: Shed) -> None:
        """A request was not taken."""
        self._shed.labels(reason).inc()

    def waiting(self, size: int) -> None:
        """So many bytes of posts wait now."""
        self._queue.set(size)

    def came(self, stage: Stage, position: int) -> None:
        """All events up to a position of the log have come to that stage."""
        self._position.labels(stage).set(position)

    def visible(self, seconds: float) -> None:
        """An event is in the ranking, so long after it was accepted."""
        self._visible.observe(seconds)

    def lags(self, seconds: float) -> None:
        """The oldest event not yet ranked is so old."""
        self._lag.set(seconds)

    def scores(self, release: int | None, refused: int | None) -> None:
        """Which release scores, and which was refused last."""
        self._release.set(release or 0)
        self._refused_release.set(refused or 0)

    def page(self) -> bytes:
        """All metrics, as Prometheus reads them; see MEDIA_TYPE."""
        return generate_latest(self._registry)

    def _begin(self) -> None:
        """Have every series there will ever be at 0."""
        for route in self._routes:
            self._seconds.labels(route)
            for status in _CLASSES:
                self._answers.labels(route, status)
        for reason in Shed:
            self._shed.labels(reason)
        for stage in Stage:
            self._position.labels(stage)
