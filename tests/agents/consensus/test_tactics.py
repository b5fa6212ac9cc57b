"""Strange things speak of ATT&CK tactics, which are told in the order of the kill chain."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import agents.consensus.tactics
from agents.consensus.evidence import Evidence, noted
from agents.consensus.tactics import tactics_of
from features.events import Domain

Said = Callable[..., pl.DataFrame]
RULES: list[dict[str, str]] = tomllib.loads(
    Path(agents.consensus.tactics.__file__).with_name("tactics.toml").read_text()
)["rule"]
#: The tactics of ATT&CK for Enterprise in the order of its matrix (attack.mitre.org, version 17).
KILL_CHAIN = [
    "TA0043 Reconnaissance",
    "TA0042 Resource Development",
    "TA0001 Initial Access",
    "TA0002 Execution",
    "TA0003 Persistence",
    "TA0004 Privilege Escalation",
    "TA0005 Defense Evasion",
    "TA0006 Credential Access",
    "TA0007 Discovery",
    "TA0008 Lateral Movement",
    "TA0009 Collection",
    "TA0011 Command and Control",
    "TA0010 Exfiltration",
    "TA0040 Impact",
]


def told(said: Said, *rows: dict[str, Any]) -> tuple[str, ...]:
    evidence = Evidence()
    evidence.hear(noted(said(*({"host": "h", "evidence": 9.0} | row for row in rows))))
    return tactics_of(evidence.held())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule['domain']} {rule['tactic']}")
def test_a_rule_is_well_formed(rule: dict[str, str]) -> None:
    assert rule["tactic"] in KILL_CHAIN
    assert rule["domain"] in {*Domain}
    assert rule.keys() <= {"tactic", "domain", "activity", "field", "text"}
    patterns = [pattern for name, pattern in rule.items() if name not in ("tactic", "domain")]
    nothing = pl.select(pl.any_horizontal(pl.lit("").str.contains(pattern) for pattern in patterns or ["x"])).item()
    assert not nothing  # a pattern that fits nothing at all fits everything


def test_rules_stand_in_the_order_of_the_kill_chain() -> None:
    places = [KILL_CHAIN.index(rule["tactic"]) for rule in RULES]
    assert places == sorted(places)


def test_text_rules_are_in_lower_case_as_the_text_they_look_at() -> None:
    texts = [rule["text"].replace(r"\S", "").replace(r"\W", "") for rule in RULES if "text" in rule]
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
    assert [KILL_CHAIN.index(tactic) for tactic in found] == sorted(KILL_CHAIN.index(tactic) for tactic in found)


def test_what_is_missing_speaks_of_nothing(said: Said) -> None:
    assert told(said, {"value": None, "domain": "endpoint", "activity": None}) == ()


def test_nothing_speaks_of_nothing(said: Said) -> None:
    assert tactics_of(Evidence().held()) == ()
