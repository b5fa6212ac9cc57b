"""Strange things speak of ATT&CK tactics and techniques, told in the order of the kill chain or of time."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import agents.consensus.tactics
from agents.consensus.tactics import (
    chain_of,
    kill_chain,
    tactics_by_thing,
    tactics_of,
    techniques_by_thing,
    techniques_of,
)
from features.events import Domain

Said = Callable[..., pl.DataFrame]
RULES: list[dict[str, str]] = tomllib.loads(
    Path(agents.consensus.tactics.__file__).with_name("tactics.toml").read_text()
)["rule"]


def held(said: Said, *rows: dict[str, Any]) -> pl.DataFrame:
    """Things as evidence holds them, in the columns that speak of tactics."""
    first = pl.col("reasons").list.first()
    field, value = first.struct.field("field"), first.struct.field("value")
    return said(*({"host": "h", "evidence": 9.0} | row for row in rows)).with_columns(
        field=field, value=value, first_time="time"
    )


def told(said: Said, *rows: dict[str, Any]) -> tuple[str, ...]:
    return tactics_of(held(said, *rows))


def of_rule(rule: dict[str, str]) -> str:
    return f"{rule.get('domain', 'any')} {rule['technique']}"


def test_the_kill_chain_names_every_tactic_of_attack_once() -> None:
    assert len({*kill_chain()}) == len(kill_chain()) == 14
    assert all(re.fullmatch(r"TA00\d\d [A-Z][A-Za-z ]+", tactic) for tactic in kill_chain())
    assert kill_chain()[0] == "TA0043 Reconnaissance"
    assert kill_chain()[-1] == "TA0040 Impact"


@pytest.mark.parametrize("rule", RULES, ids=of_rule)
def test_a_rule_is_well_formed(rule: dict[str, str]) -> None:
    assert rule["tactic"] in kill_chain()
    assert re.fullmatch(r"T1\d{3} [A-Z].+|T1\d{3}\.\d{3} [A-Z].+: .+", rule["technique"])
    assert rule.get("domain", "endpoint") in {*Domain}
    assert rule.keys() <= {"tactic", "technique", "domain", "activity", "field", "text"}
    patterns = [pattern for name, pattern in rule.items() if name in ("activity", "field", "text")]
    assert patterns or "domain" in rule
    nothing = pl.select(pl.any_horizontal(pl.lit("").str.contains(pattern) for pattern in patterns or ["x"])).item()
    assert not nothing  # a pattern that fits nothing at all fits everything


def test_rules_stand_in_the_order_of_the_kill_chain() -> None:
    places = [kill_chain().index(rule["tactic"]) for rule in RULES]
    assert places == sorted(places)


def test_a_technique_bears_one_name() -> None:
    names: dict[str, set[str]] = {}
    for rule in RULES:
        number, _, name = rule["technique"].partition(" ")
        names.setdefault(number, set()).add(name)
    assert all(len(found) == 1 for found in names.values())


def test_text_rules_are_in_lower_case_as_the_text_they_look_at() -> None:
    texts = [re.sub(r"\\[A-Z]", "", rule["text"]) for rule in RULES if "text" in rule]
    assert texts == [text.lower() for text in texts]


@pytest.mark.parametrize(
    ("row", "tactic"),
    [
        ({"domain": "endpoint", "value": "mimikatz.exe"}, "TA0006 Credential Access"),
        ({"domain": "endpoint", "value": "x", "process": "C:\\Tools\\RCLONE.exe"}, "TA0010 Exfiltration"),
        ({"domain": "network", "field": "port given source", "value": "445"}, "TA0008 Lateral Movement"),
        ({"domain": "cloud", "value": "cloudtrail StopLogging"}, "TA0005 Defense Evasion"),
        ({"domain": "identity", "activity": "logon", "field": "network given user"}, "TA0001 Initial Access"),
    ],
)
def test_a_thing_speaks_of_its_tactic(row: dict[str, Any], tactic: str, said: Said) -> None:
    assert tactic in told(said, row)


def test_a_rule_fits_its_own_domain_only(said: Said) -> None:
    assert "TA0006 Credential Access" not in told(said, {"domain": "web", "field": "agent", "value": "mimikatz.exe"})


def test_tactics_are_told_once_in_the_order_of_the_kill_chain(said: Said) -> None:
    values = ["vssadmin", "rclone", "mimikatz", "powershell", "lsass", "whoami", "psexec"]
    found = told(said, *({"value": value, "domain": "endpoint"} for value in values))
    assert len(found) >= 6
    assert len(set(found)) == len(found)
    assert [*found] == [tactic for tactic in kill_chain() if tactic in found]


@pytest.mark.parametrize(
    ("row", "technique"),
    [
        ({"value": "mimikatz.exe"}, "T1003.001 OS Credential Dumping: LSASS Memory"),
        ({"value": "x", "process": "C:\\x\\powershell.exe"}, "T1059.001 Command and Scripting Interpreter: PowerShell"),
        ({"value": "c:\\windows\\system32\\vssadmin.exe"}, "T1490 Inhibit System Recovery"),
        (
            {"domain": "cloud", "value": "iam CreateAccessKey"},
            "T1098.001 Account Manipulation: Additional Cloud Credentials",
        ),
    ],
)
def test_a_thing_speaks_of_its_technique(row: dict[str, Any], technique: str, said: Said) -> None:
    assert technique in techniques_of(held(said, {"domain": "endpoint"} | row))


@pytest.mark.parametrize(
    ("alert", "tactic"),
    [
        ("ET SCAN Potential SSH Scan OUTBOUND", "TA0043 Reconnaissance"),
        ("SQL injection attempt", "TA0001 Initial Access"),
        ("Web shell uploaded to server", "TA0003 Persistence"),
        ("Three failed attempts to run sudo", "TA0004 Privilege Escalation"),
        ("sshd: brute force trying to get access", "TA0006 Credential Access"),
        ("ET TROJAN Beacon Checkin", "TA0011 Command and Control"),
        ("Suspicious DNS query length", "TA0011 Command and Control"),
    ],
)
@pytest.mark.parametrize("domain", ["web", "endpoint", "network"])
def test_an_alert_of_another_detector_speaks_in_any_domain(alert: str, tactic: str, domain: str, said: Said) -> None:
    row = {"domain": domain, "activity": "alert", "field": "alert", "value": alert}
    assert tactic in told(said, row)
    assert tactic not in told(said, row | {"activity": "read", "field": "name"})


ROWS = (
    {"domain": "endpoint", "value": "mimikatz", "at": 50},
    {"domain": "endpoint", "value": "schtasks.exe", "at": 20},
    {"domain": "endpoint", "value": "notepad.exe", "at": 0},
    {"domain": "cloud", "value": "s3 GetObject", "at": 90},
    {"domain": "endpoint", "value": "schtasks.exe lsass", "at": 70},
)


def test_each_thing_has_the_tactics_it_speaks_of_alone(said: Said) -> None:
    things = held(said, *ROWS)
    by_thing = tactics_by_thing(things).to_list()
    assert by_thing == [[*tactics_of(things[n : n + 1])] for n in range(things.height)]
    assert {tactic for found in by_thing for tactic in found} == {*tactics_of(things)}
    assert [] in by_thing


def test_each_thing_has_the_techniques_it_speaks_of_alone(said: Said) -> None:
    things = held(said, *ROWS)
    assert techniques_by_thing(things).to_list() == [[*techniques_of(things[n : n + 1])] for n in range(things.height)]


def test_the_chain_of_things_is_in_the_order_of_time(said: Said) -> None:
    things = held(said, *ROWS)
    assert chain_of(things) == ("TA0003 Persistence", "TA0006 Credential Access", "TA0009 Collection")
    assert {*chain_of(things)} == {*tactics_of(things)}
    assert chain_of(things.reverse()) == chain_of(things)


def test_what_came_at_once_is_told_in_the_order_of_the_kill_chain(said: Said) -> None:
    rows = [{"domain": "endpoint", "value": value, "at": 0} for value in ("vssadmin", "lsass", "powershell")]
    assert chain_of(held(said, *rows)) == ("TA0002 Execution", "TA0006 Credential Access", "TA0040 Impact")


def test_what_is_missing_speaks_of_nothing(said: Said) -> None:
    assert told(said, {"value": None, "domain": "endpoint", "activity": None}) == ()


def test_nothing_speaks_of_nothing(said: Said) -> None:
    nothing = held(said, {})[:0]
    assert tactics_of(nothing) == techniques_of(nothing) == chain_of(nothing) == ()
    assert tactics_by_thing(nothing).to_list() == []
