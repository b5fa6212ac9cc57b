"""A service goes on where it stopped, with the release that scored and the same threats to the byte."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from models.home import Home
from models.registry import Registry
from models.releases import find, promote
from tests.serving.posting import Served, served, wait_until


def releases_of(service: Served, lines: Sequence[str]) -> list[int | None]:
    """The releases of the verdicts on a post of these lines."""
    _, told = service.ask("POST", "/v1/events?score=true", "\n".join(lines))
    return [verdict["release"] for verdict in told["verdicts"]]


def test_a_promoted_release_takes_over_between_two_posts_and_all_of_it_outlives_the_service(
    twice: Registry, estate: Path, tmp_path: Path
) -> None:
    home, lines = Home.at(tmp_path / "home"), (estate / "network.jsonl").read_text().splitlines()
    with served(home) as service:
        wait_until(lambda: service.ask("GET", "/v1/release")[1]["release"] == 1)
        assert releases_of(service, lines[:1000]) == [1] * 1000
        promote(twice, find(twice, 2), reason="a test")
        found = [1]
        for start in range(1000, len(lines) - 10, 10):
            (release,) = set(releases_of(service, lines[start : start + 10]))
            found.append(release or 0)
            if release == 2:
                break
            time.sleep(0.1)
        assert found == sorted(found)
        assert found[-1] == 2
        wait_until(service.is_ranked)
        place, threats = service.place(), service.ask("GET", "/v1/threats")
        assert threats[1]["threats"]
    with served(home) as service:
        assert service.place() == place
        wait_until(service.is_ranked)
        assert service.ask("GET", "/v1/threats") == threats
        assert service.ask("GET", "/v1/release")[1]["release"] == 2
        assert releases_of(service, lines[-10:]) == [2] * 10


def test_a_promotion_while_three_post_loses_doubles_and_mixes_nothing(
    twice: Registry, estate: Path, tmp_path: Path
) -> None:
    lines = (estate / "network.jsonl").read_text().splitlines()
    parts = [lines[start : start + 20] for start in range(0, len(lines), 20)]
    answers: list[tuple[int, int, set[int | None]]] = []

    def post(mine: Sequence[Sequence[str]]) -> None:
        for part in mine:
            _, told = service.ask("POST", "/v1/events?format=ocsf&score=true", "\n".join(part))
            answers.append((told["position"], len(part), {verdict["release"] for verdict in told["verdicts"]}))
            if any(2 in releases for *_, releases in answers[-4:]):
                return

    with served(Home.at(tmp_path / "home")) as service:
        wait_until(lambda: service.ask("GET", "/v1/release")[1]["release"] == 1)
        clients = [threading.Thread(target=post, args=(parts[n::3],)) for n in range(3)]
        for client in clients:
            client.start()
        wait_until(lambda: len(answers) > 3)
        promote(twice, find(twice, 2), reason="a test")
        for client in clients:
            client.join()
        assert service.place()[1] == sum(count for _, count, _ in answers)
    scored = [releases for *_, releases in sorted(answers, key=lambda answer: answer[0])]
    assert all(len(releases) == 1 for releases in scored)
    assert [release for releases in scored for release in releases] == [1] * scored.count({1}) + [2] * scored.count({2})
    assert {1} in scored
    assert {2} in scored
