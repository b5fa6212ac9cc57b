"""OCSF events as JSON lines, in a plain loop."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.plain.entities import REFUSED, Draft, Event, domain_named, finished, moment, text
from features.events import ORIGIN, Domain, schema
from features.sources.ocsf import DOMAINS, PATHS

_STATUSES = {"1": "success", "2": "failure"}
_AFTER_COLON = re.compile(r": (.+)$")
_STEP = re.compile(r"[^.\[\]]+|\[\]")

Record = dict[str, Any]
Steps = tuple[str | int, ...]


def _steps(path: str) -> Steps:
    """The keys and indices of a dotted path."""
    return tuple(int(step) if step.isdigit() else step for step in _STEP.findall(path))


#: The columns of each domain, and where to find them, best first.
_COLUMNS: dict[Domain, list[tuple[str, list[Steps]]]] = {
    domain: [(name, [_steps(path) for path in PATHS[name]]) for name in schema(domain) if name not in ORIGIN]
    for domain in Domain
}


def events(lines: Iterable[str], _name: str) -> Iterator[tuple[str, Event]]:
    """Domain and event of each record; what the door would refuse is left out."""
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
            class_uid = int(record.get("class_uid", -1))
            domain = _domain_of_finding(record) if class_uid == 2004 else DOMAINS.get(class_uid)
            if domain is None:
                continue
            draft = {name: _first(record, paths) for name, paths in _COLUMNS[domain]}
            draft |= {"line": number} | _derived(record, draft)
            event = finished(_finding(record, draft) if class_uid == 2004 else draft, line)
        except REFUSED:
            continue
        yield domain.value, event


def _first(record: Record, paths: list[Steps]) -> Any:
    for steps in paths:
        found = _at(record, steps)
        if found is not None:
            return found
    return None


def _at(found: Any, steps: Steps) -> Any:
    """The value at a path, of which `[]` gathers a list."""
    for number, step in enumerate(steps):
        if step == "[]":
            return ",".join(each for one in found if (each := _at(one, steps[number + 1 :])) is not None)
        found = found.get(step) if step != 0 else found[0] if found else None
        if found is None:
            return None
    return found


def _derived(record: Record, draft: Draft) -> Draft:
    derived: Draft = {"time": moment(draft["time"])}
    if draft["activity_name"] is None:
        told = _AFTER_COLON.search(record.get("type_name") or "")
        derived["activity_name"] = told and told[1]
    if draft["status"] is None:
        derived["status"] = _STATUSES.get(str(record.get("status_id")))
    if draft.get("duration") is not None:
        derived["duration"] = float(draft["duration"]) / 1000
    if isinstance(draft.get("script_content"), dict):
        derived["script_content"] = draft["script_content"].get("value")
    return derived


def _domain_of_finding(record: Record) -> Domain:
    info, metadata = record.get("finding_info") or {}, record.get("metadata") or {}
    product = metadata.get("product") or {}
    sources = info.get("data_sources")
    return domain_named(
        None if sources is None else text(sources),
        _spoken(product.get("name"), (product.get("feature") or {}).get("name")),
        _spoken(info.get("types"), info.get("title")),
    )


def _spoken(*values: Any) -> str:
    return " ".join(text(value) for value in values if value is not None)


def _finding(record: Record, draft: Draft) -> Draft:
    """A draft with what a finding says in its own way; its status is no outcome."""
    title, log = (record.get("finding_info") or {}).get("title"), (record.get("metadata") or {}).get("log_name")
    host, address, user = (_observed(record, type_id) for type_id in (1, 2, 4))
    own = {
        "activity_name": "alert",
        "event_code": title if log is None else log,
        "device_hostname": host,
        "dst_endpoint_hostname": host if draft["device_hostname"] is None else draft["device_hostname"],
        "src_endpoint_ip": address,
        "user_name": user,
        "actor_user_name": user,
        "api_operation": title,
    }
    filled = {name: value for name, value in own.items() if name in draft and draft[name] is None}
    return draft | filled | {"status": None}


def _observed(record: Record, type_id: int) -> str | None:
    """The first observable of a kind."""
    observables = record.get("observables") or []
    return next((each["value"] for each in observables if each.get("type_id") == type_id and each.get("value")), None)
