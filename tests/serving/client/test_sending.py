"""What is in logs is sent once, as it grows, and goes on where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from features.logs import read_logs
from serving.api.told import ARROW
from serving.client import sending
from serving.client.client import Client
from serving.client.sending import Sent, count, send, streamed
from tests.serving.posting import Served, event, home_of, taking

WHERE = "places"


@dataclass
class Desk:
    """A log beside a service that takes it."""

    service: Served
    folder: Path
    said: list[str] = field(default_factory=list)
    looks: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "app.log"

    def append(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def send(self, *, follow: bool = False, stop_after: int | None = None) -> Sent:
        """Send until there is nothing more, or if it follows until it paused so often."""

        def pause(seconds: float) -> bool:
            self.looks += 1
            return stop_after is not None and self.looks >= stop_after

        self.looks = 0
        with Client(self.service.url) as client:
            return send(
                [str(self.log)],
                client,
                self.folder / WHERE,
                pause=pause,
                say=lambda lines, kind: self.said.extend(lines),
                follow=follow,
            )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with taking(home_of(tmp_path / "home")) as service:
        yield Desk(service, tmp_path)


def test_a_growing_log_is_sent_once_and_goes_on_where_it_stopped(desk: Desk) -> None:
    desk.append(*(event(n) for n in range(30)))
    assert desk.send() == Sent(events=30)
    assert desk.send() == Sent()
    desk.append(event(30), "{", event(31))
    assert desk.send() == Sent(events=2, refused=1)
    assert desk.service.place()[1] == 32
    assert any("JSON" in line for line in desk.said)


def test_what_was_sent_before_its_place_was_kept_is_known_there_though_the_log_has_grown(desk: Desk) -> None:
    desk.append(*(event(n) for n in range(30)))
    desk.send()
    (desk.folder / WHERE).unlink()
    desk.append(event(30))
    assert desk.send() == Sent(events=31, repeated=30)
    assert desk.service.place()[1] == 31


def test_what_comes_while_it_follows_is_sent_too(desk: Desk) -> None:
    desk.append(event(0))
    sent = desk.send(follow=True, stop_after=3)
    desk.append(event(1))
    assert sent.events + desk.send(follow=True, stop_after=3).events == 2


def test_a_log_is_cut_into_batches_of_which_each_is_sent_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BATCH_EVENTS", 7)
    desk.append(*(event(n) for n in range(30)))
    assert desk.send(stop_after=1) == Sent(events=30)
    assert desk.service.place() == (5, 30)


def test_a_batch_too_large_for_one_post_is_sent_in_halves(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.append(*(event(n) for n in range(8)))
    (frame,) = read_logs([desk.log]).events.values()
    monkeypatch.setattr(sending, "BATCH_BYTES", len(streamed(frame)) - 1)
    assert desk.send() == Sent(events=8)
    assert desk.service.place() == (2, 8)


def test_events_that_the_service_cannot_take_are_counted_as_refused(desk: Desk) -> None:
    desk.append(event(0))
    (frame,) = read_logs([desk.log]).events.values()
    broken = frame.with_columns(time=frame["time"].dt.offset_by("500y"))
    with Client(desk.service.url) as client:
        taken, sent = client.post(streamed(broken), kind=ARROW), Sent()
    count(taken, sent, lambda lines, kind: desk.said.extend(lines))
    assert sent == Sent(refused=1)
    assert desk.said[0].startswith("refused there: time")
