"""The demo's page: whole in itself, and inert whatever the events say."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from agents.consensus.threats import Entity, Reason, Threat
from agents.verdicts import VERDICTS
from training.report import Story, write_report

EVIL = "<script>alert('x')</script>"
BEGINS = datetime(2026, 3, 6, 9, tzinfo=UTC)


def verdicts(rows: int = 200, name: str = "anna") -> pl.DataFrame:
    """Verdicts of one user on two domains, a minute apart."""
    told = {
        "time": [BEGINS + timedelta(minutes=n) for n in range(rows)],
        "domain": ["identity" if n % 2 else "web" for n in range(rows)],
        "uid": [f"u{n}" for n in range(rows)],
        "activity": [name] * rows,
        "user": [name] * rows,
        "p_online": [(n + 1) / (rows + 1) for n in range(rows)],
        "p": [(n + 1) / (rows + 1) for n in range(rows)],
        "evidence": [8.0 * n / rows for n in range(rows)],
        "reasons": [[{"field": "site given client", "value": name, "nats": 3.0}] for n in range(rows)],
    }
    frame = pl.DataFrame(told, schema_overrides={name: VERDICTS[name] for name in told})
    missing = [pl.lit(None, kind).alias(name) for name, kind in VERDICTS.items() if name not in told]
    return frame.with_columns(missing).select(VERDICTS.names())


def threat(rank: int = 1, name: str = "anna") -> Threat:
    witnesses = verdicts(60, name)
    return Threat(
        id=f"{rank:010x}",
        rank=rank,
        score=12.5,
        entities=tuple(Entity("user", name, 3.0) for _ in range(5)),
        first_time=BEGINS,
        last_time=BEGINS + timedelta(hours=1),
        domains={"identity": 8.0, "web": 4.5},
        tactics=("TA0001 Initial Access",),
        reasons=tuple(Reason("identity", name, f"site {n} given client", name, 4.0, *(name,) * 4) for n in range(6)),
        evidence=witnesses,
        timeline=pl.DataFrame(),
    )


def story(name: str = "anna", threats: int = 2, campaigns: int = 1) -> Story:
    acts = [
        {
            "name": f"{name} {n}",
            "start": BEGINS.isoformat(),
            "end": (BEGINS + timedelta(hours=2)).isoformat(),
            "techniques": ["T1003", "T1059.001"],
            "uids": ["u1", "u2"],
        }
        for n in range(campaigns)
    ]
    found: dict[str, int | None] = {f"{name} {n}": None if n else 1 for n in range(campaigns)}
    return Story(
        settings={"seed": 1, "days": 2, "users": 6},
        threats=[threat(rank, name) for rank in range(1, threats + 1)],
        truths=[f"{name} 0" if rank == 0 and campaigns else None for rank in range(threats)],
        campaigns=acts,
        found=found,
        verdicts=verdicts(name=name),
        lessons={
            domain: {
                "loss": [3.0, 2.0],
                "later_loss": [3.0, 2.5],
                "events": 10,
                "since": "2026-03-02T00:00:00+00:00",
                "until": "2026-03-03T00:00:00+00:00",
                "digest": "0" * 64,
            }
            for domain in ("identity", "web", "dns", "cloud")
        },
        trained=1000,
        seconds={"scoring": 2.0, "learning": 4.0},
        release=7,
    )


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(story: Story, folder: Path) -> Page:
    write_report(story, folder / "report.html")
    return Page(folder / "report.html")


def test_the_page_tells_how_many_attacks_are_high(tmp_path: Path) -> None:
    page = page_of(story(campaigns=2), tmp_path)
    assert "1 of 2 attacks among the 10 highest threats" in page.text
    assert "not found" in page.text
    assert "200" in page.text  # events scored


def test_every_threat_has_its_entities_reasons_and_truth(tmp_path: Path) -> None:
    page = page_of(story(threats=3), tmp_path)
    assert page.tags.count("article") == 3
    assert "site 0 anna, unusual for its client" in page.text
    assert "and 2 more" in page.text
    assert "2 more reasons" in page.text
    assert page.text.count("no attack") == 2


def test_markup_in_events_stays_text(tmp_path: Path) -> None:
    page = page_of(story(EVIL), tmp_path)
    assert "script" not in page.tags
    assert EVIL in page.text
    assert not any(name.startswith("on") for name, _ in page.attributes)


def test_controls_in_events_are_spelled_out(tmp_path: Path) -> None:
    page_of(story("bad\x1b[31m\u202ename $\\x$"), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert not {"\x1b", "\u202e"} & set(text)
    assert "\\x1b[31m\\u202ename" in text


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    page = page_of(story(), tmp_path)
    wanted = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action", "data")]
    assert all(value.startswith(("#", "data:")) for value in wanted)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(http" not in (tmp_path / "report.html").read_text()
    assert any("default-src 'none'" in value for _, value in page.attributes)


def test_every_plot_takes_the_colours_of_the_page(tmp_path: Path) -> None:
    page_of(story(), tmp_path)
    text = (tmp_path / "report.html").read_text()
    plots = text.split("<figure")[1:]
    assert len(plots) == 6
    assert all("<svg" in plot and "var(--ink)" in plot for plot in plots)


def test_the_same_story_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(story(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(("threats", "campaigns"), [(0, 0), (1, 0), (0, 1)])
def test_a_quiet_estate_has_a_page_too(tmp_path: Path, threats: int, campaigns: int) -> None:
    page = page_of(story(threats=threats, campaigns=campaigns), tmp_path)
    assert ("no attack was played" in page.text) == (not campaigns)
    assert ("nothing was strange enough" in page.text) == (not threats)


def test_only_the_strongest_threats_are_shown(tmp_path: Path) -> None:
    page = page_of(story(threats=25), tmp_path)
    assert page.tags.count("article") == 20
    assert "5 weaker threats are in threats.json" in page.text
