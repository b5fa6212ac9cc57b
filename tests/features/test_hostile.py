"""Records meant to harm are refused or admitted as harmless data, and their good neighbours never notice."""

import gzip
import importlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from features import unpacking
from features.admission import SHOWN_CHARS
from features.events import TIME, Domain, schema
from features.files import LINE_BYTES
from features.reading import Chunk, read
from features.records import Wanted
from features.source import REFUSED

MOST = 2**53
TEN_MEGABYTES = 10 << 20

Record = dict[str, Any]

# Good neighbours


def _clock(number: int) -> str:
    return f"2023-11-14T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"


def _cloudtrail(number: int) -> Record:
    return {
        "eventTime": f"{_clock(number)}Z", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
        "eventID": f"e{number}", "sourceIPAddress": "10.0.0.1", "userIdentity": {"type": "IAMUser", "userName": "ann"},
        "requestParameters": {"userName": "bob"}, "additionalEventData": {"MFAUsed": "Yes"},
    }  # fmt: skip


def _ocsf(number: int) -> Record:
    return {
        "class_uid": 4001, "time": 1_700_000_000_000 + number, "metadata": {"uid": f"e{number}"},
        "src_endpoint": {"ip": "10.0.0.1", "port": 5000}, "dst_endpoint": {"ip": "10.0.0.2", "port": 443},
        "actor": {"user": {"name": "ann"}},
    }  # fmt: skip


def _office365(number: int) -> Record:
    return {
        "CreationTime": _clock(number), "Id": f"e{number}", "Operation": "FileDeleted", "RecordType": 6,
        "UserId": "ann@example.com", "Workload": "OneDrive", "ClientIP": "10.0.0.1", "ExtendedProperties": [],
    }  # fmt: skip


def _suricata(number: int) -> Record:
    return {
        "timestamp": f"{_clock(number)}.000000+0000", "flow_id": number, "event_type": "flow", "src_ip": "10.0.0.1",
        "src_port": 5000, "dest_ip": "10.0.0.2", "dest_port": 443, "proto": "TCP", "flow": {"state": "closed"},
    }  # fmt: skip


def _wazuh(number: int) -> Record:
    return {
        "timestamp": f"{_clock(number)}.000+0000", "id": f"e{number}", "agent": {"name": "web1"},
        "rule": {"id": "5710", "level": 5, "groups": ["firewall"], "description": "dropped"},
        "data": {"srcip": "10.0.0.1", "srcport": "5000", "dstip": "10.0.0.2", "dstport": "443"},
        "decoder": {"name": "iptables"},
    }  # fmt: skip


def _windows(number: int) -> Record:
    return {
        "@timestamp": f"{_clock(number)}.000Z", "EventID": 5156, "Channel": "Security", "Hostname": "pc1.example.com",
        "RecordNumber": number, "SourceAddress": "10.0.0.1", "SourcePort": "5000", "DestAddress": "10.0.0.2",
        "DestPort": "443", "Application": r"c:\windows\a.exe",
    }  # fmt: skip


def _zeek(number: int) -> Record:
    return {
        "_path": "conn", "ts": 1_700_000_000 + number, "uid": f"e{number}", "id.orig_h": "10.0.0.1",
        "id.orig_p": 5000, "id.resp_h": "10.0.0.2", "id.resp_p": 443, "proto": "tcp", "conn_state": "SF",
    }  # fmt: skip


@dataclass(frozen=True)
class Json:
    """A format of JSON lines: a good record, where its time and a port are (none: it has no port), and a duplicate."""

    good: Callable[[int], Record]
    time: str
    port: str | None
    twice: str

    def line(self, number: int) -> bytes:
        return json.dumps(self.good(number)).encode()


JSON = {
    "cloudtrail": Json(_cloudtrail, "eventTime", None, '"userIdentity.userName": "eve"'),
    "ocsf": Json(_ocsf, "time", "dst_endpoint.port", '"actor": {"user.name": "eve"}, "actor.user": {"name": "eve"}'),
    "office365": Json(_office365, "CreationTime", None, '"UserId": "eve"'),
    "suricata": Json(_suricata, "timestamp", "dest_port", '"flow.state": "new"'),
    "wazuh": Json(_wazuh, "timestamp", "data.dstport", '"data.srcip": "6.6.6.6"'),
    "windows": Json(_windows, "@timestamp", "DestPort", r'"\u0045ventID": 1'),
    "zeek": Json(_zeek, "ts", "id.resp_p", '"id": {"orig_h": "6.6.6.6"}'),
}


def syslog_line(number: int) -> bytes:
    return f"Nov 14 {_clock(number)[11:]} web1 sshd[{number}]: Accepted publickey for ann from 10.0.0.1 port 5".encode()


def weblog_line(number: int) -> bytes:
    return (
        f'10.0.0.1 - ann [14/Nov/2023:{_clock(number)[11:]} +0000] "GET /{number} HTTP/1.1" 200 23 "-" "curl"'.encode()
    )


TSV_HEADER = b"#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tproto\n"
CSV_HEADER = b"RecordType,AuditData,UserIds\n"


def tsv_line(number: int) -> bytes:
    return f"{1_700_000_000 + number}\te{number}\t10.0.0.1\t5000\ttcp".encode()


def csv_cell(record: str) -> bytes:
    return ('6,"' + record.replace('"', '""') + '",ann').encode()


def csv_line(number: int) -> bytes:
    return csv_cell(json.dumps(_office365(number)))


HEADERS = {"zeek TSV": TSV_HEADER, "office365 CSV": CSV_HEADER}
LINES: dict[str, Callable[[int], bytes]] = {
    **{name: kind.line for name, kind in JSON.items()},
    "syslog": syslog_line,
    "weblog": weblog_line,
    "zeek TSV": tsv_line,
    "office365 CSV": csv_line,
}

# Hostile records

REFUSE, EITHER = "refused", "refused, or admitted with harmless values"


@dataclass(frozen=True)
class Family:
    """Hostile records of one kind, of one format, and what must become of each."""

    name: str
    format: str
    outcome: str
    records: list[bytes]


def put(record: Record, path: str, value: object) -> Record:
    """The record with a value at a path, in place of all that is there or above it."""
    if path in record or "." not in path:
        return record | {path: value}
    key, _, below = path.partition(".")
    inner = record.get(key)
    return record | {key: put(inner if isinstance(inner, dict) else {}, below, value)}


def raw(record: Record, path: str, written: str) -> bytes:
    """The record with something at a path that is perhaps no JSON."""
    return json.dumps(put(record, path, "@here@")).replace('"@here@"', written).encode()


def with_more(record: Record, more: str) -> bytes:
    return f"{json.dumps(record)[:-1]}, {more}}}".encode()


def wanted(format: str) -> Wanted:
    found: Wanted = vars(importlib.import_module(f"features.sources.{format}"))["_WANTED"]
    return found


#: What is written in the place of a value, and what must become of it.
VALUES: dict[str, tuple[str, list[str]]] = {
    "no numbers": (REFUSE, "NaN Infinity -Infinity nan 0x10 01 +1 1. .5 1e - True None undefined".split()),
    "long numbers": (REFUSE, ["9" * 65, "1." + "0" * 64, "1e" + "9" * 70, "-" + "1" * 100_000]),
    "half surrogates": (REFUSE, [r'"\ud800"', r'"\udfff"', r'"\ud800\u0041"', r'"\udc00\ud800"', r'"\uD83D"']),
    "bad escapes": (REFUSE, [r'"\x41"', r'"\u12"', r'"\u00g0"', '"\\', r'"\a"', r'"\u"', r'"\U0001F600"']),
    "raw controls": (REFUSE, ['"a\0b"', '"\x1b[31mred"', '"a\x07"', '"a\x0bb"', '"a\rb"', '"a\tb"']),
    "escaped controls": (EITHER, [r'"a\u0000b"', r'"\u001b[2J"', r'"\u009b31m"', r'"a\r\nb"', r'"\u007f"']),
    "invisible letters": (EITHER, ['"\u202eexe.a"', '"a\u200bb"', '"\ufeffa"', '"\u2066\u2069"', '"a\u0301\u0301"']),
    "big numbers": (EITHER, ["1e999", "-1e999", "1e308", "9" * 64, "-0", "1E+2", "9007199254740993", str(2**64)]),
    "long text": (EITHER, ['"' + "x" * 50_000 + '"', '"' + r"\u00e9" * 9_000 + '"', '"' + "ü." * 2_000 + '"']),
    "deep values": (REFUSE, ["[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40, "[" * 9_000, '{"":' * 5_000]),
}  # fmt: skip


def json_families(format: str, chance: random.Random) -> Iterator[Family]:
    kind = JSON[format]
    good = kind.good(9_999)
    plan = wanted(format).plan
    names = [name for name in plan.columns if name not in wanted(format).whole]
    paths = [wanted(format).fields[name][0] for name in names]
    flat = [path for path in paths if "[" not in path and not any(other.startswith(path + ".") for other in paths)]

    def family(name: str, outcome: str, records: list[bytes]) -> Family:
        return Family(name, format, outcome, records)

    for name, (outcome, texts) in VALUES.items():
        fields = [*chance.sample(flat, 4), "nobody.asked"]
        yield family(name, outcome, [raw(good, path, text) for path in fields for text in texts])
    boxes = ["[]", "{}", "[1]", '{"a": "b"}', '[["x"]]']
    is_packed = {"EventData", "EventData_dynamic"}
    yield family(
        "boxes where text is due",
        REFUSE,
        [raw(good, path, chance.choice(boxes)) for path in flat if path not in is_packed],
    )
    others = ["true", "false", "0", "-1", "1.5", '""', '"x"', "null"]
    yield family("values of other kinds", EITHER, [raw(good, path, chance.choice(others)) for path in flat])
    hidden = wanted(format).hidden
    above = {path.rpartition(".")[0] for path in flat if path.count(".") == 1 and path not in good} - {"", *hidden}
    held = [path for path in sorted(above) if path.isalpha() and path != "id" and path not in flat]
    yield family(
        "text where a box is due", REFUSE, [raw(good, path, text) for path in held for text in ("1", '"x"', "true")]
    )
    line = kind.line(9_999)
    yield family("half lines", REFUSE, [line[:size] for size in range(1, len(line))])
    first = json.dumps(next(iter(good)))
    escaped = '"' + "".join(f"\\u{ord(char):04x}" for char in first[1:-1]) + '"'
    twice = [
        kind.twice,
        f"{first}: 1",
        f"{escaped}: 1",
        f"{escaped}: null",
        '"x": {"a": 1, "\\u0061": 2}',
        '"": 1, "": 1',
    ]
    yield family("fields named twice", REFUSE, [with_more(good, more) for more in twice])
    many = ", ".join(f'"k{number}": 1' for number in range(2049))
    yield family("thousands of fields", REFUSE, [with_more(good, many), with_more(good, f'"x": {{{many}}}')])
    keys = ["", "\\u0000", "a.b.c", "[]", "[0]", "\u202e", ".", "..", "x" * 5_000, "*", "$ref", "__proto__"]
    yield family("odd names", EITHER, [with_more(good, f'"{key}": {{"{key}": 1}}') for key in keys])
    times = ["-1", "1e30", '"0000-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"', '"2023-13-45T99:99:99Z"', '""']
    times += [
        "null",
        "true",
        '"soon"',
        '"-2023-01-01T00:00:00Z"',
        '"+262143-01-01T00:00:00Z"',
        "1e999",
        '"NaN"',
        '"inf"',
    ]
    yield family("impossible times", REFUSE, [raw(good, kind.time, text) for text in times])
    if kind.port:
        ports = ["65536", "-1", "1.5", '"http"', "1e999", "99999999999", '"0x50"', '"80 "' + " ", "true", '"٣x"']
        yield family("impossible ports", REFUSE, [raw(good, kind.port, text) for text in ports if "80" not in text])
    broken = [line[:1] + part + line[1:] for part in BAD_UTF8] + [b"\xef\xbb\xbf" + line, line + b"\xff"]
    yield family("bytes between the values", REFUSE, broken)
    inside = [raw(good, chance.choice(flat), '"@"').replace(b'"@"', b'"a' + part + b'"') for part in BAD_UTF8]
    yield family("bytes that are no UTF-8", EITHER, inside)
    shapes = [
        b"[]",
        b"[1]",
        b"null",
        b"1",
        b'"x"',
        b"{}{}",
        line + line,
        line + b"]",
        b"[" + line,
        b",",
        b"}",
        line + b",",
    ]
    yield family(
        "other JSON", REFUSE, [*shapes, b"{,}", b"{1:2}", b"{'a':1}", b'{"a" 1}', b'{"a":1,}', b"//", b"{/**/}"]
    )
    huge = [raw(good, flat[0], "1" * TEN_MEGABYTES), raw(good, flat[0], '"' + "x" * TEN_MEGABYTES + '"')]
    yield family("ten megabytes", REFUSE, huge)


BAD_UTF8 = [
    *(b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\x80", b"\xc0\xaf", b"\xe0\x80\xaf"),
    *(b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80"),
]


def text_families(format: str) -> Iterator[Family]:
    """What any text may bring."""
    line = LINES[format](9_999)
    places = [len(line) * part // 7 for part in range(1, 7)]

    def spoilt(parts: list[bytes]) -> list[bytes]:
        return [line[:place] + part + line[place:] for part in parts for place in places]

    yield Family("raw controls", format, REFUSE, spoilt([b"\0", b"\x1b[31m", b"\x07", b"\r", b"\x0b", b"\x08"]))
    odd = ["\u202e", "\u200b", "\ufeff", "\u2066", "\u009b31m", "\u0430", "\u2028", "\x7f", "٣"]
    yield Family("invisible letters", format, EITHER, spoilt([text.encode() for text in odd]))
    yield Family("bytes that are no UTF-8", format, EITHER, spoilt(BAD_UTF8))
    yield Family("half lines", format, EITHER, [line[:size] for size in range(1, len(line))])
    yield Family("long text", format, EITHER, spoilt([b"x" * 40_000, b' "' * 9_000, b"[" * 9_000, b" : " * 9_000]))
    yield Family("ten megabytes", format, REFUSE, [b"x" * TEN_MEGABYTES, line + b" " * LINE_BYTES])


def other_families() -> Iterator[Family]:
    """What only one format can be harmed by."""
    stamps = ["Feb 31 10:00:00", "Nov 99 10:00:00", "Nov 14 25:00:00", "Nov 14 10:61:00", "Nov  0 10:00:00"]
    stamps += ["Foo 14 10:00:00", "<9999>Nov 14 10:00:00", "<-1>Nov 14 10:00:00", "Nov 14 10:00", "<1>1 never"]
    stamps += ["2023-02-30T10:00:00Z", "0000-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "<1>1 2023-11-14T99:00:00Z"]
    yield Family("impossible stamps", "syslog", REFUSE, [f"{stamp} web1 sshd[1]: x".encode() for stamp in stamps])
    odd = ["<000>", "<999>", "<1>1 - - - - - -", '<1>1 2023-11-14T10:00:00Z h a 1 - [x y="\\"]"] m', "<>", "<1>" * 9]
    yield Family("odd priorities", "syslog", EITHER, [f"{text}Nov 14 10:00:00 web1 a: b".encode() for text in odd])
    start, end = '10.0.0.1 - ann [14/Nov/2023:10:00:00 +0000] "GET / HTTP/1.1', '" 200 23 "-" "curl"'
    whole = start + end
    lost = [whole.replace("[", ""), whole.replace("]", ""), whole.replace("[", "[["), whole.replace("]", "]]")]
    lost += [start + '"' + end, start + "\\" + end, start, whole[:-1], whole + '"x"', whole.replace("GET", 'G"ET')]
    lost += [whole.replace("14/Nov", stamp) for stamp in ("31/Feb", "99/Nov", "14/Foo", "0/Nov")]
    lost += [whole.replace("2023", year) for year in ("0000", "9999", "-1", "99999999999")]
    lost += [whole.replace(" 23 ", f" {size} ") for size in ("-5", "1e9", "9" * 30, "23.5", "x")]
    lost += [whole.replace(" 200 ", f" {code} ") for code in ("-1", "2000", "OK", "")]
    yield Family("quotes and brackets", "weblog", EITHER, [text.encode() for text in lost])
    rows = [b"\t" * size for size in (1, 3, 5, 10_000)] + [tsv_line(1) + b"\tmore", b"-\t-\t-\t-\t-", b" \t \t \t \t "]
    rows += [tsv_line(1).replace(b"1700000001", time) for time in (b"-1", b"1e30", b"x", b"", b"nan", b"inf")]
    rows += [tsv_line(1).replace(b"5000", port) for port in (b"65536", b"-1", b"1.5", b"x", b"nan")]
    yield Family("rows of another shape", "zeek TSV", REFUSE, rows)
    entry = json.dumps(_office365(1))
    cells = [entry.replace('"', '"""'), "{", "{}", "}" + entry, entry + "{", "[" + entry + "]", entry[:-1], ""]
    lines = [csv_cell(cell) for cell in cells] + [b'6,"', b'"' * 9, b"," * 10_000, b'6,"{}"', b"6,{},7"]
    yield Family("cells of another shape", "office365 CSV", REFUSE, lines)
    yield Family("entries without their table", "office365 CSV", EITHER, [entry.encode(), entry.encode() + b",x"])
    packed = [
        "<", "<Data", '<Data Name="User">', '<Data Name="User"><Data Name="User">' * 99, "<!ENTITY b 'c'>",
        "<Data Name='User'>&lol;&amp;lt;</Data>", "{", "{}", '{"User": []}', '{"User": 1, "User": 2}', "[" * 999,
        '{"a":' * 999, '{"User": "\\ud800"}', "{}{}", '{"UtcTime": "9999-12-31 00:00:00"}', "\0", '{"User": "\\u0000"}',
    ]  # fmt: skip
    records = [json.dumps(_windows(1) | {name: text}) for text in packed for name in ("EventData", "EventData_dynamic")]
    yield Family("packed data", "windows", EITHER, [record.encode() for record in records])


def families() -> list[Family]:
    chance = random.Random(7)  # noqa: S311
    found = [family for format in JSON for family in json_families(format, chance)]
    found += [
        family for format in ("syslog", "weblog", "zeek TSV", "office365 CSV") for family in text_families(format)
    ]
    return [family for family in [*found, *other_families()] if family.records]


FAMILIES = families()


def read_all(path: Path, text: bytes) -> list[Chunk]:
    path.write_bytes(text)
    return list(read([path]))


def rows_of(chunks: list[Chunk]) -> dict[Domain, pl.DataFrame]:
    domains = {domain for chunk in chunks for domain in chunk.events}
    return {domain: pl.concat([c.events[domain] for c in chunks if domain in c.events]) for domain in domains}


def refused_of(chunks: list[Chunk]) -> pl.DataFrame:
    return pl.concat([chunk.refused for chunk in chunks])


def assert_harmless(frame: pl.DataFrame, domain: Domain) -> None:
    assert frame.schema == schema(domain)
    assert frame["time"].dtype == TIME
    assert frame["time"].dt.year().is_between(1970, 2099).all()
    for column in frame.select(pl.col(pl.Int64, pl.Int32, pl.Float64)).iter_columns():
        assert (
            column.drop_nulls().cast(pl.Float64).is_between(0, 65_535 if column.name.endswith("_port") else MOST).all()
        ), column.name


def assert_told(refused: pl.DataFrame, path: Path) -> None:
    """Each refusal says where, what and why, and is harmless to look at."""
    assert refused.schema == REFUSED
    assert refused["source"].unique().to_list() in ([str(path)], [])
    for line, field, value, reason in refused.select("line", "field", "value", "reason").iter_rows():
        assert (line is not None, bool(field), bool(reason)) == (True, True, True)
        assert value is None or (len(value) <= SHOWN_CHARS and value.isprintable())
        assert reason.isprintable()


def test_there_are_five_thousand_of_them() -> None:
    assert sum(len(family.records) for family in FAMILIES) >= 5000
    assert families() == FAMILIES


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: f"{family.format}, {family.name}")
def test_a_hostile_record_is_refused_or_harmless_and_its_neighbours_are_kept(tmp_path: Path, family: Family) -> None:
    header, good = HEADERS.get(family.format, b""), LINES[family.format]
    goods = [good(number) for number in range(len(family.records) + 1)]
    alone = rows_of(read_all(tmp_path / "log", header + b"\n".join(goods) + b"\n"))
    mixed = [line for pair in zip(goods, family.records, strict=False) for line in pair] + [goods[-1]]
    chunks = read_all(tmp_path / "log", header + b"\n".join(mixed) + b"\n")
    events, refused = rows_of(chunks), refused_of(chunks)
    first = header.count(b"\n")
    for domain, frame in alone.items():
        kept = events[domain].filter((pl.col("line") - first) % 2 == 0)
        assert kept.drop("line").equals(frame.drop("line"))
    for domain, frame in events.items():
        assert_harmless(frame, domain)
    assert_told(refused, tmp_path / "log")
    assert not ((refused["line"] - first) % 2 == 0).any()
    hostile = {first + 1 + 2 * number for number in range(len(family.records))}
    admitted = [line for frame in events.values() for line in frame["line"] if line in hostile]
    is_blank = {first + 1 + 2 * number for number, record in enumerate(family.records) if not record.strip()}
    assert sorted([*admitted, *refused["line"]]) == sorted(hostile - is_blank)
    assert family.outcome == EITHER or admitted == []


ROW = b"1700000000\te1\t10.0.0.1\t5000\ttcp"
HEADER_TRICKS = [
    b"#separator", b"#separator ", b"#separator \\x", b"#separator \\xZZ", b"#separator \\", b"#separator \\N{DASH}",
    b"#separator \\ud800", b"#separator \\x00", b"#separator \\x0a", b"#separator " + b"x" * 50_000, b"#separator ,",
    b"#fields", b"#fields\t", b"#fields\tts\tts\tts\tts\tts", b"#fields,ts,uid,id.orig_h,id.orig_p,proto",
    b"#fields\t" + b"\t".join(b"f%d" % number for number in range(10_000)), b"#fields\tts", b"#unset_field",
    b"#unset_field\t", b"#unset_field\ttcp", b"#unset_field\t10.0.0.1", b"#path", b"#path\t", b"#path\tstats",
    b"#path\t../../etc/passwd", b"#path\t" + b"x" * 50_000, b"#path\t\xe2\x80\xae", b"#", b"##", b"#\t\t", b"#types\tx",
    b"#fields\tlabel\tlabel\tlabel\tlabel\tlabel", b"#set_separator\t\t", b"ts,uid", b"ts,uid" + b"," * 9_999,
]  # fmt: skip


@pytest.mark.parametrize("trick", HEADER_TRICKS, ids=lambda trick: repr(trick[:30]))
def test_a_hostile_header_of_zeek_harms_no_row_under_another_header(tmp_path: Path, trick: bytes) -> None:
    good = TSV_HEADER + b"\n".join(map(tsv_line, range(3))) + b"\n"
    alone = rows_of(read_all(tmp_path / "log", good + good))[Domain.NETWORK]
    chunks = read_all(tmp_path / "log", good + trick + b"\n" + ROW + b"\n" + good)
    kept = rows_of(chunks)[Domain.NETWORK]
    is_between = kept["line"].is_between(7, 8)
    assert kept.filter(~is_between).drop("line").equals(alone.drop("line"))
    assert_harmless(kept, Domain.NETWORK)
    assert_told(refused_of(chunks).drop_nulls("line"), tmp_path / "log")


@pytest.mark.parametrize("trick", HEADER_TRICKS, ids=lambda trick: repr(trick[:30]))
def test_a_header_between_records_of_json_harms_none(tmp_path: Path, trick: bytes) -> None:
    lines = [JSON["zeek"].line(number) for number in range(4)]
    alone = rows_of(read_all(tmp_path / "log", b"\n".join(lines)))[Domain.NETWORK]
    mixed = rows_of(read_all(tmp_path / "log", b"\n".join([trick, *lines[:2], trick, *lines[2:]])))[Domain.NETWORK]
    assert mixed.drop("line").equals(alone.drop("line"))


def test_an_export_with_thousands_of_columns_is_no_export(tmp_path: Path) -> None:
    header = b",".join(b"c%d" % number for number in range(10_000)) + b",AuditData\n"
    (row,) = refused_of(read_all(tmp_path / "log", header + csv_line(1))).to_dicts()
    assert (row["line"], row["field"]) == (None, "format")


@pytest.mark.parametrize("rows", [131_070, 200_000])
def test_many_records_come_to_an_end_however_they_fall_to_the_processors(tmp_path: Path, rows: int) -> None:
    chunks = read_all(tmp_path / "log", JSON["ocsf"].line(0) + b'\n{"class_uid":1}' * (rows - 1))
    assert sum(chunk.records for chunk in chunks) == rows


def test_records_of_many_fields_far_apart_come_to_an_end(tmp_path: Path) -> None:
    many = b"{" + b",".join(b'"k%d":1' % number for number in range(2048)) + b"}\n"
    text = JSON["ocsf"].line(0) + b"\n" + (many + b"{}\n" * 65_534) * 8
    assert sum(chunk.records for chunk in read_all(tmp_path / "log", text)) == text.count(b"\n")


def test_one_impossible_clock_does_not_move_a_log_of_windows(tmp_path: Path) -> None:
    sysmon = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "UtcTime": "1975-01-01 00:00:00"}
    lines = [JSON["windows"].line(number) for number in range(3)]
    alone = rows_of(read_all(tmp_path / "log", b"\n".join(lines)))[Domain.NETWORK]
    forged = json.dumps(_windows(9) | sysmon).encode()
    mixed = rows_of(read_all(tmp_path / "log", b"\n".join([forged, *lines])))[Domain.NETWORK]
    assert mixed["time"].to_list() == alone["time"].to_list()


def test_a_stamp_that_is_refused_moves_no_year(tmp_path: Path) -> None:
    lines = [b"Aug 14 99:00:00 a b: c", b"Dec 77 10:00:00 a b: c"]
    good = [syslog_line(number).replace(b"Nov", b"Mar") for number in range(2)]
    (frame,) = rows_of(read_all(tmp_path / "log", b"\n".join([good[0], *lines, good[1]]))).values()
    assert frame["time"].dt.year().to_list() == [2024, 2024]


# Archives


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zeros(size: int) -> bytes:
    return bytes(size)


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed.getvalue()


def entry(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header of a tar archive that claims what it likes."""
    header = tarfile.TarInfo(name)
    header.size, header.type = size, kind
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def tarred(*parts: bytes) -> bytes:
    return b"".join(part.ljust(-(-len(part) // 512) * 512, b"\0") for part in parts) + bytes(1024)


def unpacked(path: Path) -> tuple[dict[str | None, int], list[str], int]:
    """The bytes of each member, the damages, and the biggest block."""
    sizes: dict[str | None, int] = {}
    damages: list[str] = []
    biggest = 0
    for name, blocks in unpacking.contents(path):
        sizes[name] = 0
        try:
            for block in blocks:
                sizes[name] += len(block)
                biggest = max(biggest, len(block))
        except unpacking.Damaged as damage:
            damages.append(str(damage))
    return sizes, damages, biggest


LINE = LINES["ocsf"]
GOOD = b"\n".join(LINE(number) for number in range(3)) + b"\n"


def uids(path: Path) -> list[str]:
    return [uid for chunk in read([path]) for frame in chunk.events.values() for uid in frame["uid"]]


def bomb(size: int) -> bytes:
    """So many zeros in gzip, twice over: a million to one."""
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as outer, gzip.open(outer, "wb") as inner:
        for _ in range(size >> 20):
            inner.write(bytes(1 << 20))
    return packed.getvalue()


BOMB = bomb(256 << 20)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", lambda: BOMB),
        ("zstandard", lambda: zstandard.compress(bytes(512 << 20))),
        ("zip", lambda: zipped({"a": BOMB})),
        ("tar", lambda: tarred(entry("a", len(BOMB)), BOMB)),
    ],
)
def test_a_bomb_is_damage_once_it_is_out_of_all_proportion(
    tmp_path: Path, name: str, pack: Callable[[], bytes]
) -> None:
    sizes, (damage,), biggest = unpacked(written(tmp_path / name, pack()))
    assert sum(sizes.values()) < 160 << 20
    assert biggest <= 64 << 20
    assert damage == "unpacks to more than 1000 times its size; if it is a log, unpack it by hand"


def test_a_log_whose_lines_repeat_is_no_bomb(tmp_path: Path) -> None:
    text = b"".join(LINE(number % 50) + b"\n" for number in range(1000)) * 600
    packed = gzip.compress(text)
    assert len(text) > 100 << 20
    assert len(text) > 140 * len(packed)
    assert unpacked(written(tmp_path / "log", packed))[:2] == ({None: len(text)}, [])


def test_what_is_before_a_bomb_is_kept_and_so_are_the_members_behind_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", zipped({"a": GOOD, "b": BOMB, "c": GOOD}))
    assert uids(path) == ["e0", "e1", "e2"] * 2
    reasons = refused_of(list(read([path])))
    assert reasons["member"].to_list() == ["b"]


def test_good_lines_at_the_head_of_a_bomb_come_out(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as outer, gzip.open(outer, "wb") as inner:
        inner.write(GOOD)
        for _ in range(256):
            inner.write((b" " * 1023 + b"\n") * 1024)
    path = written(tmp_path / "a.gz", packed.getvalue())
    assert uids(path) == ["e0", "e1", "e2"]
    assert "times its size" in refused_of(list(read([path])))["reason"][0]


def test_what_is_packed_over_and_over_is_damage_at_some_depth(tmp_path: Path) -> None:
    packed = GOOD
    for _ in range(unpacking.MOST_LAYERS):
        packed = gzip.compress(packed)
    assert uids(written(tmp_path / "deep", packed)) == ["e0", "e1", "e2"]
    assert unpacked(written(tmp_path / "deeper", gzip.compress(packed))) == (
        {None: 0},
        ["packed more than 4 times over; if it is a log, unpack it by hand"],
        0,
    )


def test_thousands_of_empty_packings_cost_nothing(tmp_path: Path) -> None:
    packed = gzip.compress(b"") * 200_000 + gzip.compress(GOOD)
    assert uids(written(tmp_path / "a", packed)) == ["e0", "e1", "e2"]


def test_a_zip_that_lies_about_a_size_loses_that_member_alone(tmp_path: Path) -> None:
    content = GOOD * 100
    for lie in (3, len(content) - 1, 2**31):
        packed = zipped({"a": content, "b": GOOD})
        size = len(content).to_bytes(4, "little")
        assert packed.count(size) == 2
        path = written(tmp_path / "a.zip", packed.replace(size, lie.to_bytes(4, "little")))
        assert uids(path)[-3:] == ["e0", "e1", "e2"]


def test_zip_members_that_lie_over_each_other_are_not_read(tmp_path: Path) -> None:
    packed = zipped({"a": random.Random(1).randbytes(9_000), "b": b"x"})  # noqa: S311
    archive = zipfile.ZipFile(io.BytesIO(packed))
    directory = packed[archive.start_dir :]
    first = directory[: 46 + 1]
    count = 30
    end = (
        directory[-22:-14]
        + count.to_bytes(2, "little") * 2
        + (len(first) * count).to_bytes(4, "little")
        + directory[-6:]
    )
    path = written(tmp_path / "a.zip", packed[: archive.start_dir] + first * count + end)
    assert unpacked(path)[1] == ["the members of the zip archive lie over each other; pack the logs again"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_member_that_cannot_be_unpacked_in_pieces_is_told_of(tmp_path: Path, method: int) -> None:
    path = written(tmp_path / "a.zip", zipped({"a": GOOD}, method))
    assert "method" in unpacked(path)[1][0]


def test_a_zip_of_thousands_of_members_gives_each(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", zipped({f"{number}": b"" for number in range(20_000)}, zipfile.ZIP_STORED))
    assert len(unpacked(path)[0]) == 20_000


def test_a_zip_member_without_a_name_is_read(tmp_path: Path) -> None:
    packed = zipped({"name": GOOD})
    assert packed.count(b"name") == 2
    path = written(tmp_path / "a.zip", packed.replace(b"name", b"\0ame"))
    assert uids(path) == ["e0", "e1", "e2"]


def test_a_zip_whose_names_are_no_text_is_told_of(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", zipped({"ä": GOOD}).replace("ä".encode(), b"\xff\xfe"))
    assert len(refused_of(list(read([path])))) == 1


NAMES = {"../../etc/passwd": "../../etc/passwd", "a\x1b[31mb": r"a\x1b[31mb", "\u202egpj.exe": r"\u202egpj.exe"}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_members_are_harmless_to_look_at(tmp_path: Path, name: str) -> None:
    for packed in (zipped({name: GOOD}), tarred(entry(name, len(GOOD)), GOOD)):
        (chunk,) = read([written(tmp_path / "a", packed)])
        assert chunk.events[Domain.NETWORK]["member"].unique().to_list() == [NAMES[name]]


def test_a_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    (chunk,) = read([written(tmp_path / "a", tarred(entry("a\udcff", len(GOOD)), GOOD))])
    assert chunk.events[Domain.NETWORK]["member"].unique().to_list() == [r"a\udcff"]
    (chunk,) = read([written(tmp_path / "b\udcff", GOOD)])
    assert chunk.events[Domain.NETWORK]["source"].unique().to_list() == [str(tmp_path / r"b\udcff")]


FAR = 1 << 62
TAR_TRICKS = {
    "a member of exabytes": entry("x", FAR),
    "an unknown kind of exabytes": entry("x", FAR, b"Z"),
    "a name of exabytes": entry("x", FAR, tarfile.GNUTYPE_LONGNAME),
    "a header of gigabytes": entry("x", 1 << 31, tarfile.XHDTYPE),
    "a sparse file": entry("x", 512, tarfile.GNUTYPE_SPARSE),
    "a negative size": entry("x", -1),
    "names of names": entry("x", 5, tarfile.GNUTYPE_LONGNAME).ljust(1024, b"x") * 5_000,
    "settings of settings": (entry("x", 12, tarfile.XHDTYPE) + b"12 path=abc\n".ljust(512, b"\0")) * 5_000,
    "a size in settings": entry("x", 24, tarfile.XHDTYPE)
    + b"24 size=99999999999999\n\n".ljust(512, b"\0")
    + entry("y", 1),
    "settings that are none": entry("x", 512, tarfile.XHDTYPE) + b"\xff" * 512 + entry("y", 0),
}


@pytest.mark.parametrize("trick", TAR_TRICKS)
def test_a_hostile_header_of_a_tar_is_damage_and_what_is_before_it_is_kept(tmp_path: Path, trick: str) -> None:
    path = written(tmp_path / "a.tar", tarred(entry("good", len(GOOD)), GOOD, TAR_TRICKS[trick]))
    assert uids(path) == ["e0", "e1", "e2"]
    assert refused_of(list(read([path]))).height == 1


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    path = written(tmp_path / "a.tar", tarred(entry("/dev/sda", 0, kind), entry("good", len(GOOD)), GOOD))
    assert list(unpacked(path)[0]) == ["good"]
