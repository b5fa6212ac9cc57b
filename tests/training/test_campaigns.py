"""Campaign files are read strictly and played in any estate."""

import json
from pathlib import Path

import pytest

from training.estate.campaigns import PACKAGED, CampaignError, read_campaign, read_campaigns
from training.simulation import simulate

STEP = """
[[steps]]
domain = "endpoint"
class = "process_activity"
activity = "Launch"
technique = "T1059.003"
tactic = "execution"
after = "10m"
[steps.fields]
device.hostname = "{desk}"
process.cmd_line = "spool {{x}} {tool} {count}"
"""
HEAD = """
title = "Printer worm"
description = "A worm finds a printer."
family = "worm"
stealth = 0.9
when = "night"
[roles]
clerk = {kind = "user", role = "hr"}
desk = {kind = "host", of = "clerk"}
robot = {kind = "principal"}
[names]
tool = "{random.hex7}{random.text3}"
"""
FLOW = """
[[steps]]
domain = "network"
class = "network_activity"
activity = "Refuse"
technique = "T1046"
tactic = "discovery"
after = "1h"
since = "start"
count = 10
every = "1m"
[steps.fields]
src_endpoint.ip = "{clerk.ip}"
dst_endpoint.ip = "{each.server.ip}"
src_endpoint.port = [40000, 40009]
"""
WEB = """
[[steps]]
domain = "cloud"
class = "api_activity"
activity = "Read"
technique = "T1087"
tactic = "discovery"
after = "1.5h"
[steps.fields]
"actor.user.name" = "{robot}"
api.operation = "{random.word}{random.number}{random.digit}{random.port}{each.user}{each.user.host}{each.user.ip}"
is_mfa = true
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "worm.toml"
    path.write_text(text)
    return path


def test_the_packaged_campaigns_are_of_many_families() -> None:
    campaigns = read_campaigns(PACKAGED)
    assert len({campaign.family for campaign in campaigns}) == len(campaigns) >= 8
    assert all(0 <= campaign.stealth <= 1 for campaign in campaigns)


def test_a_foreign_folder_is_played(tmp_path: Path) -> None:
    written(tmp_path, HEAD + STEP + FLOW + WEB)
    out = tmp_path / "logs"
    summary = simulate(out, seed=2, days=3, users=8, campaigns=tmp_path)
    (campaign,) = json.loads((out / "truth.json").read_text())["campaigns"]
    assert summary.campaigns == {"Printer worm": len(campaign["uids"])}
    assert [len(step["uids"]) for step in campaign["steps"]] == [1, 6, 1]
    lines = [json.loads(line) for line in (out / "endpoint.jsonl").read_text().splitlines()]
    (event,) = [line for line in lines if line["metadata"]["uid"] == campaign["uids"][0]]
    assert event["process"]["cmd_line"].startswith("spool {x} ")
    assert event["device"]["hostname"].lower().split(".")[0] == campaign["cast"]["desk"]


def test_stealth_makes_a_campaign_slower_and_rarer(tmp_path: Path) -> None:
    spans = {}
    for stealth in ("0.0", "0.4"):
        written(tmp_path, (HEAD + FLOW).replace("0.9", stealth).replace("0s", "5m"))
        simulate(tmp_path / "logs", seed=2, days=2, users=4, campaigns=tmp_path)
        (step,) = json.loads((tmp_path / "logs" / "truth.json").read_text())["campaigns"][0]["steps"]
        spans[stealth] = len(step["uids"])
    assert spans == {"0.0": 10, "0.4": 8}


@pytest.mark.parametrize(
    ("old", "new", "step", "field", "expected"),
    [
        ('"10m"', '"10 minutes"', 1, "after", "a duration"),
        ('"endpoint"', '"endpiont"', 1, "domain", "one of identity, network"),
        ('"process_activity"', '"file_hosting"', 1, "class", "one of process_activity"),
        ('"Launch"', '"Explode"', 1, "activity", "one of Launch"),
        ('"T1059.003"', '"1059"', 1, "technique", "ATT&CK"),
        ('"execution"', '"fun"', 1, "tactic", "one of reconnaissance"),
        ("{desk}", "{deks}", 1, "fields.device.hostname", "instead of {deks}"),
        ("{desk}", "", 1, "fields.device.hostname", "a text or a list"),
        ("device.hostname", "device.hostnaem", 1, "fields.device.hostnaem", "a field of endpoint events"),
        ('after = "10m"', 'after = "10m"\nsurprise = 1', 1, "surprise", "no such field"),
        ("[40000, 40009]", "[2, 1]", 2, "fields.src_endpoint.port", "a whole number or a range"),
        ("[40000, 40009]", '"many"', 2, "fields.src_endpoint.port", "a whole number or a range"),
        ("count = 10", "count = 0", 2, "count", "from 1 to 10000"),
        ('every = "1m"', "", 2, "every", "a duration"),
        ('since = "start"', 'since = "noon"', 2, "since", "one of previous, start"),
        ("is_mfa = true", 'is_mfa = "yes"', 3, "fields.is_mfa", "true or false"),
        ("stealth = 0.9", "stealth = 9", None, "stealth", "from 0 to 1"),
        ('"Printer worm"', '" "', None, "title", "a text"),
        ('"night"', '"noon"', None, "when", "one of working, night, any"),
        ('family = "worm"', 'family = "worm"\ncolour = "red"', None, "colour", "no such field"),
        ('{kind = "principal"}', '"principal"', None, "roles.robot", "a table such as"),
        ('{kind = "principal"}', '{kind = "pope"}', None, "roles.robot.kind", "one of user, host"),
        ('role = "hr"', 'role = "pope"', None, "roles.clerk.role", "one of"),
        ('of = "clerk"', 'of = "robot"', None, "roles.desk.of", "one of clerk"),
        ('of = "clerk"', 'of = "clerk", at = 3', None, "roles.desk.at", "no such field"),
        ("robot = {kind", "attacker = {kind", None, "roles.attacker", "a name of its own"),
        ('tool = "', 'desk = "', None, "names.desk", "a name of its own"),
        ("{random.hex7}", "{random.hexen}", None, "names.tool", "instead of {random.hexen}"),
        ("title =", "title", None, "(file)", "valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, step: int | None, field: str, expected: str) -> None:
    path = written(tmp_path, (HEAD + STEP + FLOW + WEB).replace(old, new))
    with pytest.raises(CampaignError) as caught:
        read_campaign(path)
    error = caught.value
    assert (error.file, error.step, error.field) == ("worm.toml", step, field)
    assert expected in error.expected
    assert str(error).startswith("worm.toml: " if step is None else f"worm.toml: step {step}: field '{field}'")


def test_a_campaign_needs_steps(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"field 'steps' is None, expected at least one"):
        read_campaign(written(tmp_path, HEAD))
