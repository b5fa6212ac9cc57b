"""The metrics tell what happened, and not to whom: whatever is told, the series stay the same."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from serving.api.metrics import MEDIA_TYPE, Metrics, Shed, Stage

ROUTES = ("/v1/events", "/v1/threats/{id}")
CANARY = "canary-7f3a"
laws = settings(max_examples=50, deadline=None, derandomize=True)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]

counts = st.integers(0, 10**6)
times = st.floats(0, 100)
answers = st.lists(st.tuples(st.sampled_from([*ROUTES, CANARY, ""]), st.integers(100, 599), times), max_size=20)


def fresh() -> Metrics:
    return Metrics(CollectorRegistry(), ROUTES)


def read(metrics: Metrics) -> Series:
    families = text_string_to_metric_families(metrics.page().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@laws
@given(posts=st.lists(st.tuples(counts, counts, counts), max_size=9))
def test_posts_add_up(posts: list[tuple[int, int, int]]) -> None:
    metrics = fresh()
    for post in posts:
        metrics.posted(*post)
    names = ("secmesh_events_accepted_total", "secmesh_records_refused_total", "secmesh_events_duplicate_total")
    assert [read(metrics)[name, ()] for name in names] == [sum(post[n] for post in posts) for n in range(3)]


@laws
@given(told=answers)
def test_each_answer_counts_once_under_its_route_and_class(told: list[tuple[str, int, float]]) -> None:
    metrics = fresh()
    for answer in told:
        metrics.answered(*answer)
    expected = Counter((route if route in ROUTES else "other", f"{status // 100}xx") for route, status, _ in told)
    series = read(metrics)
    found = {labels: value for (name, labels), value in series.items() if name == "secmesh_requests_total"}
    assert {(dict(labels)["route"], dict(labels)["status"]): n for labels, n in found.items() if n} == expected
    timed = sum(value for (name, _), value in series.items() if name == "secmesh_request_seconds_count")
    assert timed == len(told)


@laws
@given(told=answers, reasons=st.lists(st.sampled_from(Shed)), positions=st.lists(counts, min_size=3, max_size=3))
def test_nothing_that_is_told_makes_a_new_series(
    told: list[tuple[str, int, float]], reasons: list[Shed], positions: list[int]
) -> None:
    metrics = fresh()
    before = set(read(metrics))
    for answer in told:
        metrics.answered(*answer)
    for reason in reasons:
        metrics.shed(reason)
    for stage, position in zip(Stage, positions, strict=True):
        metrics.came(stage, position)
    metrics.visible(0.1)
    metrics.waiting(7)
    metrics.lags(0.5)
    metrics.scores(3, None)
    assert set(read(metrics)) == before
    assert CANARY.encode() not in metrics.page()


def test_what_is_so_now_is_told_as_it_is() -> None:
    metrics = fresh()
    for number, stage in enumerate(Stage):
        metrics.came(stage, 100 - number)
    metrics.scores(3, 4)
    metrics.scores(5, None)
    metrics.waiting(7)
    metrics.lags(0.5)
    metrics.shed(Shed.QUEUE)
    series = read(metrics)
    assert [series["secmesh_position", (("stage", stage),)] for stage in ("logged", "detected", "ranked")] == [
        100,
        99,
        98,
    ]
    assert (series["secmesh_release", ()], series["secmesh_release_refused", ()]) == (5, 0)
    assert (series["secmesh_queue_bytes", ()], series["secmesh_lag_seconds", ()]) == (7, 0.5)
    assert series["secmesh_requests_shed_total", (("reason", "queue"),)] == 1


@laws
@given(seconds=st.lists(times, max_size=20))
def test_goals_of_latency_can_be_read_off(seconds: list[float]) -> None:
    metrics = fresh()
    for each in seconds:
        metrics.visible(each)
    series = read(metrics)
    for goal in (0.25, 2.0):
        name, labels = "secmesh_event_visible_seconds_bucket", (("le", str(goal)),)
        assert series[name, labels] == sum(each <= goal for each in seconds)


def test_two_services_in_one_process_count_each_for_itself() -> None:
    one, other = fresh(), fresh()
    one.posted(1, 2, 3)
    assert read(other)["secmesh_events_accepted_total", ()] == 0


def test_a_page_is_what_prometheus_asks_for() -> None:
    assert MEDIA_TYPE.startswith("text/plain; version=0.0.4")
