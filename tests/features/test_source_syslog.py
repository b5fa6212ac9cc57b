"""Syslog messages become what their programs tell, in every form a line has, with the year found without a clock."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import Domain, schema
from features.reading import read, sources
from features.sources.syslog import COMMAND_CHARS, SOURCE, YEAR

DATA = Path(__file__).parents[3] / "shared" / "data" / "identity" / "ssh"

MESSAGE = "Accepted publickey for Ann from 10.0.0.9 port 5022 ssh2: RSA SHA256:abc"
OLD = f"Oct 11 22:14:15 web1 sshd[77]: {MESSAGE}"
ISO = f"{YEAR}-10-11T22:14:15+00:00 web1 sshd[77]: {MESSAGE}"
NEW = f"<34>1 {YEAR}-10-11T22:14:15Z web1.corp.com sshd 77 - - {MESSAGE}"

EVENT = {
    "line": 0,
    "time": datetime(YEAR, 10, 11, 22, 14, 15, tzinfo=UTC),
    "class_uid": 3002,
    "activity_name": "logon",
    "event_code": "syslog/sshd",
    "status": "success",
    "device_hostname": "web1",
    "src_endpoint_ip": "10.0.0.9",
    "user_name": "ann",
    "auth_protocol": "publickey",
    "service_name": "sshd",
    "actor_process_file_path": "sshd",
}


def read_text(folder: Path, text: str, name: str = "auth.log") -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    (folder / name).write_text(text)
    (chunk,) = read([folder / name])
    for domain, frame in chunk.events.items():
        assert frame.schema == schema(domain)
    return chunk.events, chunk.refused


def one(folder: Path, line: str, domain: Domain = Domain.IDENTITY) -> dict[str, Any]:
    """The only event, and what its columns say, but for where it came from."""
    events, refused = read_text(folder, line + "\n")
    assert refused.is_empty(), refused["reason"].to_list()
    assert list(events) == [domain]
    (row,) = events[domain].drop("source", "uid").to_dicts()
    return {column: value for column, value in row.items() if value is not None}


@pytest.mark.parametrize(
    "line",
    [
        OLD,
        f"<38>{OLD}",
        ISO,
        f"<38>{ISO}",
        ISO.replace("22:14:15+00:00", "23:14:15+0100"),
        NEW,
        NEW.replace(" - - ", r' ID47 [a@1 b="x\] y" c="\""][d] ' + "\ufeff"),
        NEW.replace("Z web1.corp.com", "+00:00 WEB1"),
        OLD.replace("sshd[77]", "/usr/sbin/sshd[77]"),
        OLD.replace("sshd[77]", "sshd(pam_unix)[77]"),
        OLD.replace(MESSAGE, f"message repeated 5 times: [ {MESSAGE}]"),
    ],
)
def test_a_logon_is_read_in_every_form(tmp_path: Path, line: str) -> None:
    assert one(tmp_path, line) == EVENT


def test_the_newer_name_of_the_ssh_daemon_is_known(tmp_path: Path) -> None:
    assert one(tmp_path, OLD.replace("sshd[", "sshd-session["))["activity_name"] == "logon"


PAM = "pam_unix(sshd:auth): "


@pytest.mark.parametrize(
    ("program", "message", "expected"),
    [
        ("sshd", "Failed password for root from 1.2.3.4 port 5 ssh2", "logon failure user=root ip=1.2.3.4"),
        (
            "sshd",
            "Failed none for invalid user a b from 1.2.3.4 port 5",
            "logon failure user=a_b ip=1.2.3.4 why=invalid_user",
        ),
        ("sshd", "Failed password for root from evil.org port 5 ssh2", "logon failure user=root name=evil"),
        ("sshd", "Invalid user  from 1.2.3.4", "authentication_failure failure ip=1.2.3.4 why=Invalid_user"),
        ("sshd", "Invalid user pi from ::1 port 5", "authentication_failure failure user=pi ip=::1 why=Invalid_user"),
        (
            "sshd",
            "input_userauth_request: invalid user pi [preauth]",
            "authentication_failure failure user=pi why=invalid_user",
        ),
        (
            "sshd",
            "error: maximum authentication attempts exceeded for invalid user pi from 1.2.3.4 port 5 ssh2 [preauth]",
            "authentication_failure failure user=pi ip=1.2.3.4 why=maximum_authentication_attempts_exceeded",
        ),
        ("sshd", "Disconnected from 1.2.3.4 port 5", "logoff success ip=1.2.3.4"),
        ("sshd", "Disconnected from user bob 1.2.3.4 port 5", "logoff success user=bob ip=1.2.3.4"),
        ("sshd", "Disconnected from 1.2.3.4 port 5 [preauth]", "disconnect ip=1.2.3.4"),
        ("sshd", "Received disconnect from 1.2.3.4: 11: Bye Bye [preauth]", "disconnect ip=1.2.3.4"),
        ("sshd", "Received disconnect from ::1 port 5:11: bye", "disconnect ip=::1"),
        ("sshd", "Connection closed by 1.2.3.4", "disconnect ip=1.2.3.4"),
        (
            "sshd",
            "Connection reset by authenticating user bob 1.2.3.4 port 5 [preauth]",
            "disconnect user=bob ip=1.2.3.4",
        ),
        ("sshd", "Connection from 1.2.3.4 port 5 on 10.0.0.1 port 22", "connect ip=1.2.3.4"),
        (
            "sshd",
            "fatal: Unable to negotiate with 1.2.3.4 port 5: no matching cipher",
            "handshake_failure failure ip=1.2.3.4 why=Unable_to_negotiate",
        ),
        (
            "sshd",
            "Bad protocol version identification 'x from 6.6.6.6 port 1' from 1.2.3.4 port 5",
            "handshake_failure failure ip=1.2.3.4 why=Bad_protocol_version",
        ),
        (
            "sshd",
            "Did not receive identification string from 1.2.3.4",
            "handshake_failure failure ip=1.2.3.4 why=Did_not_receive_identification",
        ),
        (
            "sshd",
            PAM + "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=1.2.3.4  user=root",
            "authentication_failure failure user=root ip=1.2.3.4",
        ),
        (
            "sshd(pam_unix)",
            "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=1.2.3.4 ",
            "authentication_failure failure ip=1.2.3.4",
        ),
        (
            "sshd",
            "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=a.b  user=root",
            "authentication_failure failure user=root name=a",
        ),
        ("sshd", PAM + "check pass; user unknown", "authentication_failure failure why=user_unknown"),
        (
            "cron",
            "pam_unix(cron:session): session opened for user root by (uid=0)",
            "session_open success user=root",
        ),
        (
            "sudo",
            "pam_unix(sudo:session): session opened for user root(uid=0) by ann(uid=1000)",
            "session_open success user=root actor=ann",
        ),
        ("su(pam_unix)", "session closed for user news", "session_close success user=news"),
        ("su", "Successful su for root by ann", "logon success user=root actor=ann"),
        ("su", "FAILED su for root by ann", "logon failure user=root actor=ann"),
        ("su", "(to root) ann on pts/0", "logon success user=root actor=ann"),
        ("su", "FAILED SU (to root) ann on pts/0", "logon failure user=root actor=ann"),
        (
            "useradd",
            "new user: name=eve, UID=1, GID=1, home=/home/eve",
            "account_change success user=eve why=new_user",
        ),
        (
            "useradd",
            "failed adding user 'eve', data deleted",
            "account_change failure user=eve why=failed_adding_user",
        ),
        ("userdel", "delete user 'eve'", "account_change success user=eve why=delete_user"),
        ("usermod", "unlock user 'eve' password", "account_change success user=eve why=unlock_user"),
        (
            "chage",
            "changed password expiry for eve",
            "account_change success user=eve why=changed_password_expiry",
        ),
        (
            "chpasswd",
            "pam_unix(chpasswd:chauthtok): password changed for eve",
            "account_change success user=eve why=password_changed",
        ),
        (
            "chpasswd",
            'pam_unix(chpasswd:chauthtok): user "eve" does not exist in /etc/passwd',
            "account_change failure user=eve why=does_not_exist",
        ),
        ("usermod", "add 'eve' to shadow group 'sudo'", "group_change success user=eve group=sudo why=add"),
        (
            "gpasswd",
            "user eve added by root to group sudo",
            "group_change success user=eve actor=root group=sudo why=added",
        ),
        ("groupadd", "new group: name=dev, GID=1", "group_change success group=dev why=new_group"),
        (
            "groupadd",
            "group added to /etc/group: name=dev, GID=1",
            "group_change success group=dev why=group_added",
        ),
        ("userdel", "removed group 'dev' owned by 'dev'", "group_change success group=dev why=removed_group"),
        ("groupdel", "group 'dev' removed from /etc/group", "group_change success group=dev why=group"),
    ],
)
def test_messages_about_who_somebody_is(tmp_path: Path, program: str, message: str, expected: str) -> None:
    event = one(tmp_path, f"Jan  2 03:04:05 web1 {program}[77]: {message}")
    columns = {
        "user": "user_name",
        "actor": "actor_user_name",
        "ip": "src_endpoint_ip",
        "name": "src_endpoint_hostname",
        "group": "group_name",
        "why": "status_detail",
    }
    told = [f"{name}={event[column]}" for name, column in columns.items() if column in event]
    words = [event["activity_name"], *([event["status"]] if "status" in event else []), *told]
    assert " ".join(word.replace(" ", "_") for word in words) == expected


SUDO = "TTY=pts/1 ; PWD=/home/ann ; USER=root ; COMMAND="


@pytest.mark.parametrize(
    ("program", "message", "expected"),
    [
        ("sudo", f"  ann : {SUDO}/bin/ls -l", ("launch", "success", "ann", "/bin/ls -l", "/bin/ls")),
        (
            "sudo",
            f"  ann : {SUDO}/bin/sh -c x ; COMMAND=y",
            ("launch", "success", "ann", "/bin/sh -c x ; COMMAND=y", "/bin/sh"),
        ),
        (
            "sudo",
            "ann : TTY=a ; PWD=/ ; USER=bob ; ENV=A=1 ; COMMAND=/bin/id",
            ("launch", "success", "ann", "/bin/id", "/bin/id"),
        ),
        ("sudo", f"eve : user NOT in sudoers ; {SUDO}/bin/su", ("launch", "failure", "eve", "/bin/su", "/bin/su")),
        (
            "/USR/SBIN/CRON",
            "(root) CMD (   cd / && run-parts)",
            ("launch", "success", "root", "cd / && run-parts", "cd"),
        ),
        ("crontab", "(eve) REPLACE (eve)", ("task change", "success", "eve", None, None)),
        ("kernel", "[ 12.5] usb 1-1: new device", ("other", None, None, None, None)),
        ("sshd", "Server listening on :: port 22.", ("other", None, None, None, None)),
        ("bash", "Accepted password for root from 1.2.3.4 port 5 ssh2", ("other", None, None, None, None)),
    ],
)
def test_messages_about_what_a_machine_does(
    tmp_path: Path, program: str, message: str, expected: tuple[str | None, ...]
) -> None:
    event = one(tmp_path, f"Jan  2 03:04:05 web1 {program}[77]: {message}", Domain.ENDPOINT)
    columns = ("activity_name", "status", "actor_user_name", "process_cmd_line", "process_file_path")
    assert tuple(event.get(column) for column in columns) == expected
    name = program.lower().rpartition("/")[2]
    assert (event["event_code"], event["actor_process_file_path"]) == (f"syslog/{name}", name)
    assert event["actor_process_uid"] == "77"


def test_a_command_is_kept_up_to_its_limit(tmp_path: Path) -> None:
    event = one(tmp_path, f"Jan  2 03:04:05 web1 sudo: ann : {SUDO}{'x' * 9000}", Domain.ENDPOINT)
    assert len(event["process_cmd_line"]) == COMMAND_CHARS


@pytest.mark.parametrize(
    "line", ["Jan  2 03:04:05 web1 last message repeated 2 times", "<1>1 2003-10-11T22:14:15Z web1 - - - -"]
)
def test_a_message_without_a_program_is_one(tmp_path: Path, line: str) -> None:
    event = one(tmp_path, line, Domain.ENDPOINT)
    assert (event["event_code"], "actor_process_file_path" in event) == ("syslog/-", False)


@pytest.mark.parametrize(
    "name",
    ["root from 6.6.6.6 port 1 ssh2", "x port 1 ssh2: from 6.6.6.6", "Accepted password for root from 6.6.6.6 port 2"],
)
def test_a_name_cannot_forge_an_address(tmp_path: Path, name: str) -> None:
    event = one(tmp_path, f"Jan  2 03:04:05 web1 sshd[1]: Failed password for invalid user {name} from 1.2.3.4 port 5")
    assert (event["status"], event["src_endpoint_ip"]) == ("failure", "1.2.3.4")


def stamps(folder: Path, name: str, *days: str) -> list[str]:
    events, _ = read_text(folder, "".join(f"{day} 00:00:00 web1 app: x\n" for day in days), name)
    return [f"{time:%Y-%m-%d}" for time in events[Domain.ENDPOINT]["time"]]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("auth.log", YEAR),
        ("auth.log.1", YEAR),
        ("auth-1200345.log", YEAR),
        ("auth-2019.log", 2019),
        ("auth.log-20200228", 2020),
        ("auth.log-20200227", 2019),
        ("auth_2020-01-05_web1.log", 2019),
    ],
)
def test_the_year_is_in_the_name_or_a_fixed_one(tmp_path: Path, name: str, first: int) -> None:
    assert stamps(tmp_path, name, "Feb 28") == [f"{first}-02-28"]


def test_the_first_stamp_is_not_after_the_day_in_the_name(tmp_path: Path) -> None:
    assert stamps(tmp_path, "auth.log-20200105", "Dec 29", "Jan  5") == ["2019-12-29", "2020-01-05"]
    assert stamps(tmp_path, "auth.log-20200106", "Jan  5", "Jan  6") == ["2020-01-05", "2020-01-06"]


def test_months_that_run_backwards_are_a_new_year_and_a_late_line_is_of_the_old_one(tmp_path: Path) -> None:
    days = ("Nov 30", "Dec 31", "Jan  1", "Dec 31", "Jan  2", "Feb  1", "Jan 31")
    years = [int(stamp[:4]) for stamp in stamps(tmp_path, "a-2019.log", *days)]
    assert years == [2019, 2019, 2020, 2019, 2020, 2020, 2020]


def test_lines_of_no_form_are_refused_and_their_neighbours_kept(tmp_path: Path) -> None:
    lines = [OLD, "hello", "Oct 32 22:14:15 web1 a: b", "", "<34>1 - web1 a - - - b", "Okt 11 22:14:15 web1 a: b", ISO]
    events, refused = read_text(tmp_path, "\n".join(lines))
    assert events[Domain.IDENTITY]["line"].to_list() == [0, 6]
    assert refused.select("line", "field", "value").rows() == [
        (1, "line", "hello"),
        (2, "time", "Oct 32 22:14:15"),
        (4, "time", "-"),
        (5, "line", "Okt 11 22:14:15 web1 a: b"),
    ]
    assert refused["reason"][0].startswith("expected RFC 3164 (Oct 11 22:14:15 host app[1]: text)")


def test_no_lines_change_nothing() -> None:
    calendar = SOURCE.begin("auth.log", iter([]))
    nothing = pl.DataFrame(schema={"line": pl.Int64, "text": pl.String})
    assert (SOURCE.parse(nothing, calendar).events, SOURCE.goes_on(nothing, calendar)) == ({}, calendar)


@pytest.mark.parametrize("line", [OLD, f"<38>{OLD}", ISO, NEW, f'Oct 11 22:14:15 h nginx: 1.1.1.1 - - [1] "{MESSAGE}"'])
def test_a_syslog_is_known_by_syslog_alone(line: str) -> None:
    assert [name for name, source in sources().items() if source.recognises([line])] == ["syslog"]


@pytest.mark.parametrize(
    "line",
    [
        '{"message": "' + OLD + '"}',
        "2024-01-05T10:00:00Z,1,2",
        "2024-01-05T10:00:00Z level=info msg=x",
        "Oct 11 22:14:15",
        "<1> a b",
    ],
)
def test_what_only_begins_like_a_syslog_is_none(line: str) -> None:
    assert not SOURCE.recognises([line])


LINES = st.lists(
    st.sampled_from([OLD, ISO, NEW, "?", "Dec 31 23:59:59 h a: b", "Jan  1 00:00:00 h a: b", "Jul  1 00:00:00 h a: b"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12, deadline=None)  # each example reads two logs, under whatever load there is
@given(LINES, st.integers(0, 12))
def test_any_cut_gives_the_same_times(texts: list[str], cut: int) -> None:
    lines = pl.DataFrame({"text": texts}).with_row_index("line")

    def times(*frames: pl.DataFrame) -> list[tuple[int, datetime]]:
        calendar, rows = SOURCE.begin("a", iter([lines])), []
        for frame in frames:
            drafts, calendar = SOURCE.parse(frame, calendar), SOURCE.goes_on(frame, calendar)
            rows += [row for events in drafts.events.values() for row in events.select("line", "time").rows()]
        return sorted(rows)

    assert times(lines[:cut], lines[cut:]) == times(lines)


NAME = st.from_regex(r"[a-z_][a-z0-9_-]{0,12}", fullmatch=True)
LOGONS = st.fixed_dictionaries(
    {
        "time": st.integers(10**14, 4 * 10**15).map(
            lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
        ),
        "host": NAME,
        "user": st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Zs"]), min_size=1),
        "peer": st.ip_addresses().map(str),
        "how": st.sampled_from(["password", "publickey", "keyboard-interactive/pam"]),
        "succeeds": st.booleans(),
        "pid": st.integers(1, 4_194_304),
    }
)
FORMS = {
    "rsyslog": "{time:%Y-%m-%dT%H:%M:%S.%f}+00:00 {host} sshd[{pid}]: {message}",
    "rfc 5424": "<38>1 {time:%Y-%m-%dT%H:%M:%S.%f}Z {host} sshd {pid} - - {message}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@settings(max_examples=20, deadline=None)  # the first example compiles what the others use
@given(st.lists(LOGONS, min_size=1, max_size=5))
def test_what_was_written_is_read(form: str, logons: list[dict[str, Any]]) -> None:
    message = "{outcome} {how} for {user} from {peer} port 5022 ssh2"
    says = [
        message.format(outcome="Accepted" if values["succeeds"] else "Failed", **values).strip() for values in logons
    ]
    texts = [form.format(message=said, **values) for said, values in zip(says, logons, strict=True)]
    lines = pl.DataFrame({"text": texts}).with_row_index("line")
    drafts = SOURCE.parse(lines, SOURCE.begin("auth.log", iter([lines])))
    assert drafts.refused.is_empty()
    assert drafts.events[Domain.IDENTITY].select(
        "time", "device_hostname", "user_name", "src_endpoint_ip", "auth_protocol", "status"
    ).rows() == [
        (
            values["time"],
            *(values[name] for name in ("host", "user", "peer", "how")),
            "success" if values["succeeds"] else "failure",
        )
        for values in logons
    ]


@pytest.mark.skipif(not DATA.exists(), reason="the shared real logs are not beside this project")
def test_a_real_log_is_read_without_a_refusal() -> None:
    chunks = list(read([DATA]))
    assert sum(chunk.refused.height for chunk in chunks) == 0
    assert sum(frame.height for chunk in chunks for frame in chunk.events.values()) == 7121
