"""What must hold for any bytes at the door: one check for each parser, with small valid samples to begin from."""

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import polars as pl
import zstandard

from features.admission import within_limits
from features.events import schema
from features.evtx import event_lines
from features.files import Member
from features.lines import BLANK, lines_of
from features.reading import chunk_of, head_of, sources
from features.records import Wanted, by_path, json_records
from features.source import REFUSED
from features.unpacking import FREE_BYTES, MOST_RATIO, Blocks, Damaged, contents
from tests.features.evtx_files import Event, evtx

#: Lines that are headers of a log, and no records.
_HEADERS = {"zeek": "^(?:#|ts,uid)", "office365": "^#TYPE"}
_SLACK = 64 << 20


@dataclass(frozen=True)
class Target:
    """A check, samples to begin from, words that may stand in one, and whether the kernels are guided (and slow)."""

    check: Callable[[bytes], None]
    samples: Sequence[bytes]
    words: Sequence[bytes] = ()
    is_guided: bool = False


def check_source(name: str, data: bytes) -> None:
    """Every line that holds something is an event or a refusal, once; frames have their exact columns."""
    source = sources()[name]
    frames = list(Member("log", None, iter([data])).lines())
    source.recognises(head_of(next(iter(frames), None)) or [""])
    context = source.begin("log", iter(frames))
    for lines in frames:
        chunk = chunk_of(lines, source, context, "log", None)
        assert chunk.refused.schema == REFUSED
        for domain, events in chunk.events.items():
            assert events.schema == schema(domain)
        found = [
            line for frame in (*chunk.events.values(), chunk.refused) for line in frame["line"] if line is not None
        ]
        is_table = pl.col("text") == getattr(context, "header", "\0")
        is_header = pl.col("text").str.contains(_HEADERS.get(name, "^\0")) | is_table
        held = lines.filter(pl.col("kind") != BLANK)
        assert len(found) == len(set(found))
        assert set(found) <= set(held["line"])
        is_told_whole = chunk.refused["line"].null_count() > 0
        assert is_told_whole or set(held.filter(~is_header)["line"]) <= set(found)
        context = source.goes_on(within_limits(lines)[0], context)


_WANTED = Wanted(
    {"a": ("a", "x.a"), "b": ("b",), "c": ("l[0].c",), "w": ("w",), "h": ("h.in",)}
    | by_path(["l[].c", "o.p", "o.l[].e"]),
    whole=("w",),
    hidden=("h",),
    unset=("", "-"),
)


def check_records(data: bytes) -> None:
    """What is taken for a record is one to msgspec too, and has the same text where the field is flat."""
    lines = lines_of(data, 0)
    records = json_records(within_limits(lines)[0], _WANTED)
    for text, b in records.fields.select("text", "b").iter_rows():
        decoded = msgspec.json.decode(text)
        assert isinstance(decoded, dict)
        if isinstance(decoded.get("b"), str):
            assert decoded["b"] in (b, "", "-")
    assert not set(records.refused["line"]) & set(records.fields["line"])
    for name, elements in records.elements.items():
        assert elements.height == 0 or elements["row"].max() < records.fields.height, name  # type: ignore[operator]


def check_lines(data: bytes) -> None:
    """The lines are those that Python sees, whatever is no UTF-8."""
    text = data.decode("utf-8", "replace")
    expected = text.removesuffix("\n").split("\n") if text else []
    ends = [line.removesuffix("\r") for line in expected]
    found = lines_of(data, 3)
    assert found["line"].to_list() == list(range(3, 3 + len(expected)))
    assert all(one in (line, end) for one, line, end in zip(found["text"], expected, ends, strict=True))


def check_unpacking(data: bytes) -> None:
    """What comes out of a file is damage, names that can be shown, and no more bytes than are allowed."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        size = 0
        for name, blocks in contents(Path(file.name)):
            assert name is None or name.isprintable()
            size += _bytes_before_damage(blocks)
        assert size <= len(data) * MOST_RATIO + FREE_BYTES + _SLACK


def _bytes_before_damage(blocks: Blocks) -> int:
    size = 0
    with suppress(Damaged):
        for block in blocks:
            size += len(block)
    return size


def check_evtx(data: bytes) -> None:
    """Whatever is garbled, what comes out are lines of JSON objects."""
    for lines in event_lines(io.BytesIO(data)):
        for line in lines.splitlines():
            assert isinstance(msgspec.json.decode(line), dict)


def _tar(entries: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _zip(method: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("a/conn.log", b"one\ntwo\n")
        archive.writestr("b", gzip.compress(b"x"))
    return packed.getvalue()


_TIME = "2023-11-14T10:00:00Z"
_JSON_WORDS = (
    b'"',
    b'":',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"null",
    b"1e999",
    b"-",
    b"\n",
)

_JSON: dict[str, list[object]] = {
    "cloudtrail": [
        {"eventTime": _TIME, "eventSource": "s3", "eventName": "GetObject", "userIdentity": {"userName": "ann"},
         "requestParameters": {"bucketName": "b"}, "resources": [{"ARN": "a"}]},
    ],
    "ocsf": [
        {"class_uid": 4001, "time": 1_700_000_000_000, "src_endpoint": {"ip": "10.0.0.1", "port": 1}, "duration": 5},
        {"class_uid": 2004, "time": _TIME, "finding_info": {"title": "t", "types": ["a"]}, "device": {"name": "h"},
         "observables": [{"type_id": 1, "value": "h"}], "evidences": [{"process": {"name": "p"}}]},
    ],
    "office365": [
        {"CreationTime": _TIME, "Id": "1", "Operation": "UserLoggedIn", "RecordType": 15, "UserId": "ann",
         "ExtendedProperties": [{"Name": "RequestType", "Value": "x"}]},
    ],
    "suricata": [
        {"timestamp": _TIME, "event_type": "dns", "src_ip": "10.0.0.1", "src_port": 53, "dest_ip": "10.0.0.2",
         "dns": {"type": "answer", "rrname": "a.b", "answers": [{"rdata": "1.1.1.1"}], "grouped": {"A": ["1.1.1.1"]}}},
        {"timestamp": _TIME, "event_type": "http", "src_ip": "10.0.0.1", "http": {"url": "/a?b", "status": 200}},
    ],
    "wazuh": [
        {"timestamp": _TIME, "rule": {"id": "1", "level": 3, "groups": ["web"]}, "agent": {"name": "h"},
         "data": {"srcip": "10.0.0.1", "url": "/a?b", "id": "200"}},
    ],
    "windows": [
        {"@timestamp": _TIME, "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "h",
         "UtcTime": "2023-11-14 10:00:00.000", "Image": "c:\\a.exe", "User": "ann"},
        {"TimeGenerated": _TIME, "EventID": 4624, "Computer": "h", "SourceName": "security",
         "EventData": '<Data Name="TargetUserName">ann</Data>', "EventData_dynamic": '{"LogonType": 3}'},
    ],
    "zeek": [
        {"_path": "conn", "ts": 1_700_000_000, "uid": "C", "id.orig_h": "10.0.0.1", "id.resp_p": 443},
        {"_path": "dns", "ts": _TIME, "uid": "C", "id_orig_h": "10.0.0.1", "query": "a.b", "answers": ["1", "2"]},
    ],
}  # fmt: skip

_TEXT: dict[str, list[bytes]] = {
    "office365": [b'RecordType,AuditData,UserIds\n6,"{""Operation"":""New-X"",""UserId"":""ann""}",ann\n'],
    "syslog": [
        b"Nov 14 10:00:00 web1 sshd[1]: Accepted publickey for ann from 10.0.0.1 port 5 ssh2\n",
        b"<34>1 2023-11-14T10:00:00Z web1 su - ID47 [a b=\"c\"] 'su root' failed\n",
        b"2023-11-14T10:00:00+01:00 web1 CRON[1]: (root) CMD (ls)\nDec 31 23:59:59 web1 a: b\n",
    ],
    "weblog": [b'a.b:80 10.0.0.1 - ann [14/Nov/2023:10:00:00 +0000] "GET /a?b HTTP/1.1" 200 23 "-" "curl"\n'],
    "zeek": [
        b"#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tproto\n1.5\tC\t10.0.0.1\ttcp\n",
        b"ts,uid,id.orig_h,id.resp_h\n1700000000,C,10.0.0.1,10.0.0.2\n",
    ],
}  # fmt: skip

_WORDS: dict[str, tuple[bytes, ...]] = {
    "office365": (b"#TYPE", b"AuditData", b'""', b'","'),
    "syslog": tuple(b"Jan Dec <1> <1>1 sshd[1]: from port user sudo su: COMMAND= CMD 99 Z +00:00".split()),
    "weblog": (b'" "', b"[", b"]", b'\\"', b" - ", b"HTTP/1.1", b"Feb", b"+9999"),
    "zeek": (b"#separator ", b"#fields\t", b"#path\t", b"#unset_field\t", b"\\x09", b"\t", b"ts,uid", b"dns", b"http"),
}


def _source(name: str) -> Target:
    records = [json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in _JSON.get(name, [])]
    words = (*(_JSON_WORDS if records else ()), *_WORDS.get(name, ()))
    return Target(partial(check_source, name), [*records, *_TEXT.get(name, ())], words)


_LOG = evtx([Event(4624, "Security", (("TargetUserName", "ann"), ("LogonType", "3")))])
_RECORDS = [
    b'{"a":1,"b":"c\\u00e9","l":[{"c":1},{"c":2}],"o":{"l":[{"e":"f"}],"p":null},"w":[1,{}],"h":{"in":true}}\n',
    b'{"b":"\\ud83d\\ude00"}\n{"b":"\\ud83d\\ude00\\ud83d\\ude00"}\n',
    b'{"x":{"a":"-"},"h":"text","o.p":1.5e3}\n{"l":[]}\n',
]

TARGETS: dict[str, Target] = {
    **{name: _source(name) for name in sorted({*_JSON, *_TEXT})},
    "records": Target(check_records, _RECORDS, (*_JSON_WORDS, b'"a"', b'"o.p"', b'"x.a"', b"\\ud83d\\ude00"), True),
    "lines": Target(check_lines, [b"a\r\nb\tc\n\x00\xc3\xa9\xf0\x9f\x98\x80\n \n"], (b"\r\n", b"\xe2\x80\xa8"), True),
    "unpacking": Target(
        check_unpacking,
        [
            *(gzip.compress(b"a\n", mtime=0), gzip.compress(gzip.compress(b"a\n", mtime=0), mtime=0)),
            *(zstandard.compress(b"a\n"), _zip(zipfile.ZIP_DEFLATED), _zip(zipfile.ZIP_STORED)),
            *(_zip(zipfile.ZIP_DEFLATED)[:-40], _tar({"a": b"one\n", "b" * 150: b"two\n"})),
        ],
        (
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"\x1f\x8b\x08",
            b"\x28\xb5\x2f\xfd",
            b"ustar",
            b"GNU.sparse.map=",
        ),
    ),
    "evtx": Target(check_evtx, [_LOG, _LOG[:9000]], (b"ElfChnk\0", b"\x2a\x2a\0\0")),
}
