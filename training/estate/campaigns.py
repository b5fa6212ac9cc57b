"""Campaign files: what an attacker does, step by step, read strictly from TOML."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from features.events import Domain
from features.mistakes import AskedWrong
from training.estate.inhabitants import ROLES, SERVER_NAMES
from training.estate.records import ACTIVITIES, CLASSES, KINDS, PATHS

PACKAGED = Path(__file__).parents[1] / "campaigns"

Template = str | bool | tuple[str, ...] | tuple[int, int]

#: Kind of role -> what may follow its name in a placeholder ("" for the name alone).
ROLE_TOKENS: dict[str, tuple[str, ...]] = {
    "user": ("", ".host", ".ip", ".home"),
    "host": ("", ".ip"),
    "server": ("", ".ip"),
    "account": ("",),
    "principal": ("",),
    "site": ("", ".ip"),
}
WORLD_TOKENS = frozenset(
    "attacker.ip attacker.ip2 attacker.ip3 attacker.domain attacker.domain2 attacker.agent "
    "estate.domain estate.account estate.region estate.egress "
    "random.word random.number random.digit random.port each.user each.user.host each.user.ip "
    "each.server each.server.ip count".split()
)
RANDOM_TEXT = re.compile(r"random\.(hex|text)([1-9]\d{0,2})")
NAME = re.compile(r"(?!(attacker|estate|random|each|count)$)[a-z][a-z_]*")
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
TACTICS = (
    "reconnaissance resource-development initial-access execution persistence privilege-escalation defense-evasion "
    "credential-access discovery lateral-movement collection command-and-control exfiltration impact"
).split()


class CampaignError(AskedWrong):
    """A campaign file says something that cannot be played; tells file, step, field, value and what was expected."""

    def __init__(self, file: str, step: int | None, field: str, value: object, expected: str) -> None:
        place = file if step is None else f"{file}: step {step}"
        super().__init__(f"{place}: field '{field}' is {value!r}, expected {expected}")
        self.file, self.step, self.field, self.value, self.expected = file, step, field, value, expected


@dataclass(frozen=True)
class Role:
    """A part in a campaign, given to somebody or something of the estate at every run."""

    name: str
    kind: str
    role: str
    of: str


@dataclass(frozen=True)
class Step:
    """Events of one kind; times in milliseconds, `after` counted from the step before or the campaign's start."""

    number: int
    domain: Domain
    class_name: str
    activity: str
    technique: str
    tactic: str
    after: int
    since: str
    count: int
    every: int
    jitter: float
    fields: Mapping[str, Template]


@dataclass(frozen=True)
class Campaign:
    """What one campaign file says."""

    file: str
    title: str
    description: str
    family: str
    stealth: float
    when: str
    roles: tuple[Role, ...]
    names: Mapping[str, str]
    steps: tuple[Step, ...]


def read_campaigns(folder: Path) -> list[Campaign]:
    """The campaigns of all `*.toml` files in `folder`, by file name; raises CampaignError."""
    if not folder.is_dir():
        raise CampaignError(str(folder), None, "(folder)", str(folder), "a folder of campaign files")
    return [read_campaign(path) for path in sorted(folder.glob("*.toml"))]


def read_campaign(path: Path) -> Campaign:
    """The campaign in the file `path`; raises CampaignError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CampaignError(path.name, None, "(file)", str(error), "valid TOML in UTF-8") from None
    top = _Table(path.name, None, table)
    roles = _roles(top)
    names = _names(top, {role.name for role in roles})
    campaign = Campaign(
        file=path.name,
        title=top.take("title", _is_text, "a text"),
        description=top.take("description", _is_text, "a text"),
        family=top.take("family", _is_text, "a text"),
        stealth=float(top.take("stealth", _is_share, "a number from 0 to 1")),
        when=top.one_of("when", ("working", "night", "any"), "any"),
        roles=roles,
        names=names,
        steps=_steps(top, _tokens(roles) | set(names)),
    )
    top.refuse_the_rest()
    return campaign


@dataclass(frozen=True)
class _Table:
    """A TOML table whose fields are taken out one by one, each checked."""

    file: str
    step: int | None
    values: dict[str, Any]

    def error(self, field: str, value: object, expected: str) -> CampaignError:
        return CampaignError(self.file, self.step, field, value, expected)

    def take(self, field: str, right: Callable[[Any], bool], expected: str, default: Any = None) -> Any:
        value = self.values.pop(field, default)
        if value is default and default is not None:
            return value
        if not right(value):
            raise self.error(field, value, expected)
        return value

    def one_of(self, field: str, choices: tuple[str, ...], default: str | None = None) -> str:
        return str(self.take(field, lambda value: value in choices, f"one of {', '.join(choices)}", default))

    def duration(self, field: str, default: str | None = None) -> int:
        expected = "a duration such as '500ms', '90s', '25m', '2h' or '1d'"
        text = self.take(field, lambda v: isinstance(v, str) and bool(DURATION.fullmatch(v)), expected, default)
        number, unit = DURATION.fullmatch(text).groups()  # type: ignore[union-attr]  # `take` has matched it
        return round(float(number) * UNITS[unit])

    def check_placeholders(self, field: str, template: str, tokens: frozenset[str] | set[str]) -> None:
        for match in PLACEHOLDER.finditer(template):
            token = match.group(1)
            if token is not None and token not in tokens and not RANDOM_TEXT.fullmatch(token):
                known = ", ".join(sorted(tokens))
                raise self.error(
                    field, template, f"a known placeholder instead of {{{token}}} ({known}, random.hex8, random.text8)"
                )

    def refuse_the_rest(self) -> None:
        for field, value in self.values.items():
            raise self.error(field, value, "no such field")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_text_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(table, dict) for table in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000


def _names(top: _Table, taken: set[str]) -> dict[str, str]:
    names: dict[str, str] = top.take("names", _is_text_table, "a table of texts", {})
    for name, template in names.items():
        _check_name(top, f"names.{name}", name, taken)
        top.check_placeholders(f"names.{name}", template, WORLD_TOKENS)
    return names


def _check_name(table: _Table, field: str, name: str, taken: set[str]) -> None:
    if not NAME.fullmatch(name) or name in taken:
        raise table.error(
            field, name, "a name of its own in small letters, not attacker, estate, random, each or count"
        )


def _roles(top: _Table) -> tuple[Role, ...]:
    roles: dict[str, Role] = {}
    for name, values in top.take("roles", lambda value: isinstance(value, dict), "a table of roles", {}).items():
        if not isinstance(values, dict):
            raise top.error(f"roles.{name}", values, "a table such as {kind = 'user', role = 'finance'}")
        _check_name(top, f"roles.{name}", name, taken=set())
        table = _Table(top.file, None, {f"roles.{name}.{field}": value for field, value in values.items()})
        roles[name] = _role(table, name, tuple(n for n, role in roles.items() if role.kind == "user"))
    return tuple(roles.values())


def _role(table: _Table, name: str, users: tuple[str, ...]) -> Role:
    sort = table.one_of(f"roles.{name}.kind", tuple(ROLE_TOKENS))
    choices = {"user": tuple(ROLES), "server": tuple(SERVER_NAMES)}.get(sort, ())
    role = table.one_of(f"roles.{name}.role", ("", *choices), "")
    of = table.one_of(f"roles.{name}.of", users) if sort == "host" else ""
    table.refuse_the_rest()
    return Role(name, sort, role, of)


def _tokens(roles: tuple[Role, ...]) -> set[str]:
    return {role.name + tail for role in roles for tail in ROLE_TOKENS[role.kind]} | WORLD_TOKENS


def _steps(top: _Table, tokens: set[str]) -> tuple[Step, ...]:
    tables = top.take("steps", _is_tables, "at least one [[steps]] table")
    return tuple(_step(_Table(top.file, number, table), tokens) for number, table in enumerate(tables, start=1))


def _step(table: _Table, tokens: set[str]) -> Step:
    domain = Domain(table.one_of("domain", tuple(Domain)))
    class_name = table.one_of("class", tuple(CLASSES[domain]))
    technique = "an ATT&CK technique such as T1059 or T1003.001"
    count = table.take("count", _is_count, "a whole number from 1 to 10000", 1)
    step = Step(
        number=table.step or 0,
        domain=domain,
        class_name=class_name,
        activity=table.one_of("activity", (*ACTIVITIES[class_name], "Other")),
        technique=table.take("technique", lambda v: bool(re.fullmatch(r"T\d{4}(\.\d{3})?", str(v))), technique),
        tactic=table.one_of("tactic", tuple(TACTICS)),
        after=table.duration("after"),
        since=table.one_of("since", ("previous", "start"), "previous"),
        count=count,
        every=table.duration("every", None if count > 1 else "0s"),
        jitter=float(table.take("jitter", _is_share, "a number from 0 to 1", 0.0)),
        fields=_fields(table, domain, tokens),
    )
    table.refuse_the_rest()
    return step


def _fields(table: _Table, domain: Domain, tokens: set[str]) -> dict[str, Template]:
    nested = table.take("fields", lambda v: isinstance(v, dict) and bool(v), "a table of event fields")
    return {path: _template(table, domain, path, value, tokens) for path, value in _flat(nested).items()}


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _template(table: _Table, domain: Domain, path: str, value: Any, tokens: set[str]) -> Template:
    known = (*PATHS[domain], "metadata.event_code")
    if path not in known:
        raise table.error(f"fields.{path}", value, f"a field of {domain} events ({', '.join(known)})")
    if KINDS[domain][path] == pl.String:
        return _text(table, path, value, tokens)
    if KINDS[domain][path] == pl.Boolean:
        return bool(_checked(table, path, value, isinstance(value, bool), "true or false"))
    return _number(table, path, value)


def _text(table: _Table, path: str, value: Any, tokens: set[str]) -> Template:
    texts = value if isinstance(value, list) else [value]
    _checked(table, path, value, bool(texts) and all(_is_text(text) for text in texts), "a text or a list of texts")
    for text in texts:
        table.check_placeholders(f"fields.{path}", text, tokens)
    return tuple(texts) if isinstance(value, list) else str(value)


def _number(table: _Table, path: str, value: Any) -> Template:
    numbers = value if isinstance(value, list) else [value]
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    right = whole and (len(numbers) == 1 or (len(numbers) == 2 and numbers[0] <= numbers[1]))
    _checked(table, path, value, right, "a whole number or a range [lowest, highest]")
    return (numbers[0], numbers[-1])


def _checked(table: _Table, path: str, value: Any, right: bool, expected: str) -> Any:
    if not right:
        raise table.error(f"fields.{path}", value, expected)
    return value
