"""A Windows record becomes one event of the right domain, whoever exported it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.events import Domain, schema
from features.reading import read
from features.sources.windows import SOURCE

SYSMON, SECURITY = "Microsoft-Windows-Sysmon/Operational", "Security"
DATA = Path(__file__).parents[3] / "shared" / "data" / "endpoint" / "otrf"


def flat(code: int, channel: str = SECURITY, **fields: Any) -> dict[str, Any]:
    """One record as Get-WinEvent or NXLog export it."""
    envelope = {"EventID": code, "Channel": channel, "Hostname": "WS1.corp.com", "@timestamp": "2020-10-19T12:00:00.5Z"}
    return envelope | fields


def read_records(folder: Path, *records: dict[str, Any] | str) -> tuple[dict[Domain, pl.DataFrame], pl.DataFrame]:
    """The events and refusals of a log with these records."""
    path = folder / "log.json"
    path.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records))
    (chunk,) = read([path])
    return chunk.events, chunk.refused


def read_one(folder: Path, record: dict[str, Any]) -> tuple[Domain, dict[str, Any]]:
    """The only event's domain and the columns that say something."""
    events, refused = read_records(folder, record)
    assert refused.is_empty(), refused["reason"].to_list()
    ((domain, frame),) = events.items()
    assert frame.schema == schema(domain)
    (row,) = frame.to_dicts()
    return domain, {name: value for name, value in row.items() if value is not None}


def test_a_launch_has_the_parent_as_actor_and_the_new_process_as_process(tmp_path: Path) -> None:
    domain, event = read_one(
        tmp_path,
        flat(
            1,
            SYSMON,
            UtcTime="2020-10-19 12:00:00.100",
            Image="C:\\Windows\\System32\\cmd.exe",
            ParentImage="C:\\Windows\\explorer.exe",
            CommandLine="cmd /c Whoami",
            ProcessGuid="{AB}",
            ParentProcessGuid="{CD}",
            User="CORP\\Bob",
            IntegrityLevel="High",
        ),
    )
    assert domain == Domain.ENDPOINT
    assert event["activity_name"] == "launch"
    assert event["event_code"] == "sysmon/1"
    assert event["class_uid"] == 1007
    assert event["actor_process_file_path"] == "c:\\windows\\explorer.exe"
    assert event["process_file_path"] == "c:\\windows\\system32\\cmd.exe"
    assert (event["process_uid"], event["actor_process_uid"]) == ("{AB}", "{CD}")
    assert event["process_cmd_line"] == "cmd /c Whoami"
    assert event["process_integrity"] == "high"
    assert (event["device_hostname"], event["actor_user_name"]) == ("ws1", "bob")


def test_access_has_the_target_as_process(tmp_path: Path) -> None:
    _, event = read_one(
        tmp_path, flat(10, SYSMON, SourceImage="C:\\a.exe", TargetImage="C:\\lsass.exe", GrantedAccess="0x1410")
    )
    assert event["actor_process_file_path"] == "c:\\a.exe"
    assert event["process_file_path"] == "c:\\lsass.exe"
    assert (event["activity_name"], event["actual_permissions"]) == ("access", "0x1410")


@pytest.mark.parametrize(
    ("record", "column", "value"),
    [
        (flat(11, SYSMON, Image="C:\\a.exe", TargetFilename="C:\\X.txt"), "file_path", "c:\\x.txt"),
        (flat(17, SYSMON, Image="C:\\a.exe", PipeName="\\Pipe"), "file_path", "\\pipe"),
        (flat(7, SYSMON, Image="C:\\a.exe", ImageLoaded="C:\\D.dll"), "module_file_path", "c:\\d.dll"),
        (flat(13, SYSMON, Image="C:\\a.exe", TargetObject="HKLM\\X"), "reg_key_path", "hklm\\x"),
        (flat(12, SYSMON, EventTypeOrignal="DeleteKey"), "activity_name", "registry delete"),
        (flat(12, SYSMON, EventType="CreateKey"), "activity_name", "registry create"),
        (flat(4663, ObjectType="Key", ObjectName="\\REGISTRY\\MACHINE\\X"), "reg_key_path", "hklm\\x"),
        (flat(4663, ObjectType="File", ObjectName="C:\\X"), "file_path", "c:\\x"),
        (flat(4673, PrivilegeList="SeDebug\r\n\t\tSeTcb"), "actual_permissions", "SeDebug SeTcb"),
        (flat(4688, MandatoryLabel="S-1-16-12288"), "process_integrity", "high"),
        (flat(4688, SubjectUserName="WS1$", NewProcessName="C:\\N.exe"), "actor_user_name", "ws1$"),
        (
            flat(4104, "Microsoft-Windows-PowerShell/Operational", ScriptBlockText="x" * 5000),
            "script_content",
            "x" * 4096,
        ),
        (flat(6013, "System"), "activity_name", "other"),
        (flat(6013, "System"), "class_uid", 0),
        (flat(6013, "System"), "event_code", "system/6013"),
        (
            flat(800, "Windows PowerShell", param2="\tUserId=C\\Eve\n\tHostApplication=ps -enc A\n"),
            "process_cmd_line",
            "ps -enc A",
        ),
        (
            flat(4103, "Microsoft-Windows-PowerShell/Operational", ContextInfo="\n  User = C\\Eve\n"),
            "actor_user_name",
            "eve",
        ),
        (flat(7045, "System", AccountName="SYSTEM", ImagePath="C:\\S.exe"), "actor_user_name", "system"),
    ],
)
def test_endpoint_events_name_their_object(tmp_path: Path, record: dict[str, Any], column: str, value: object) -> None:
    domain, event = read_one(tmp_path, record)
    assert (domain, event[column]) == (Domain.ENDPOINT, value)


def test_sysmon_is_not_the_user_of_what_it_reports(tmp_path: Path) -> None:
    _, event = read_one(tmp_path, flat(10, SYSMON, AccountName="SYSTEM"))
    assert "actor_user_name" not in event


def test_a_logon_is_about_the_account_that_logged_on(tmp_path: Path) -> None:
    domain, event = read_one(
        tmp_path,
        flat(
            4625,
            SubjectUserName="-",
            TargetUserName="Bob@CORP.COM",
            LogonType="10",
            IpAddress="::ffff:10.0.0.7",
            WorkstationName="CLIENT9",
            AuthenticationPackageName="NTLM",
            SubStatus="0xc000006a",
            ProcessName="-",
        ),
    )
    assert domain == Domain.IDENTITY
    assert (event["user_name"], event.get("actor_user_name")) == ("bob", None)
    assert (event["logon_type"], event["auth_protocol"]) == ("remote interactive", "ntlm")
    assert (event["src_endpoint_ip"], event["src_endpoint_hostname"]) == ("10.0.0.7", "client9")
    assert (event["status"], event["status_detail"]) == ("failure", "0xc000006a")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            flat(4769, TargetUserName="a@B", ServiceName="SQL$", Status="0x0"),
            {"service_name": "sql$", "status": "success"},
        ),
        (flat(4768, TargetUserName="a", Status="0x6"), {"auth_protocol": "kerberos", "status": "failure"}),
        (flat(4776, TargetUserName="a", Status="0x0"), {"auth_protocol": "ntlm", "status": "success"}),
        (
            flat(4732, TargetUserName="Administrators", MemberName="CN=Eve,DC=x", SubjectUserName="adm"),
            {
                "group_name": "administrators",
                "user_name": "eve",
                "actor_user_name": "adm",
                "activity_name": "group change",
            },
        ),
        (flat(4799, TargetUserName="Users", SubjectUserName="adm"), {"group_name": "users", "user_name": "adm"}),
        (
            flat(4720, TargetUserName="new", SubjectUserName="adm"),
            {"user_name": "new", "activity_name": "account change"},
        ),
        (
            flat(5145, ShareName="\\\\*\\C$", RelativeTargetName="x.exe"),
            {"service_name": "\\\\*\\c$", "status_detail": "x.exe"},
        ),
        (flat(4672, SubjectUserName="adm", EventType="AUDIT_FAILURE"), {"user_name": "adm", "status": "failure"}),
    ],
)
def test_identity_events_name_account_service_and_outcome(
    tmp_path: Path, record: dict[str, Any], expected: dict[str, str]
) -> None:
    domain, event = read_one(tmp_path, record)
    assert domain == Domain.IDENTITY
    assert {name: event.get(name) for name in expected} == expected


def test_connections_have_addresses_ports_protocol_and_direction(tmp_path: Path) -> None:
    domain, event = read_one(
        tmp_path,
        flat(
            5156,
            SourceAddress="10.0.0.1",
            SourcePort="50000",
            DestAddress="10.0.0.2",
            DestPort=443,
            Protocol="6",
            Direction="%%14593",
            Application="\\device\\harddiskvolume2\\a.exe",
        ),
    )
    assert domain == Domain.NETWORK
    assert (event["src_endpoint_ip"], event["src_endpoint_port"]) == ("10.0.0.1", 50000)
    assert (event["dst_endpoint_ip"], event["dst_endpoint_port"]) == ("10.0.0.2", 443)
    assert (event["connection_info_protocol_name"], event["status_detail"]) == ("tcp", "outbound")
    assert event["actor_process_file_path"] == "c:\\a.exe"


def test_queries_are_dns(tmp_path: Path) -> None:
    domain, event = read_one(
        tmp_path,
        flat(
            22, SYSMON, QueryName="A.Corp.COM.", QueryStatus="9003", QueryResults="::ffff:1.2.3.4;", Image="C:\\a.exe"
        ),
    )
    assert domain == Domain.DNS
    assert (event["query_hostname"], event["rcode"], event["answers"]) == ("a.corp.com", "NXDOMAIN", "1.2.3.4")
    assert (
        read_one(tmp_path, flat(3010, "Microsoft-Windows-DNS-Client/Operational", QueryType="28"))[1]["query_type"]
        == "AAAA"
    )


LOGON = {"TargetUserName": "bob", "LogonType": "3"}
XML = (
    '<EventData xmlns="x">\r\n  <Data Name="TargetUserName">bob</Data>\r\n'
    '  <Data Name="LogonType">3</Data>\r\n</EventData>'
)


@pytest.mark.parametrize(
    "record",
    [
        flat(4624, **LOGON),
        {
            "@timestamp": "2020-10-19T12:00:00.5Z",
            "computer_name": "ws1",
            "event_id": 4624,
            "log_name": "Security",
            "event_data": LOGON,
        },
        {
            "@timestamp": "2020-10-19T12:00:00.5Z",
            "winlog": {"computer_name": "WS1", "event_id": "4624", "channel": "Security", "event_data": LOGON},
        },
        {
            "TimeGenerated": "2020-10-19T12:00:00.5Z",
            "Computer": "ws1",
            "EventID": 4624,
            "Channel": "Security",
            "EventData": json.dumps(LOGON),
        },
        {
            "TimeGenerated": "2020-10-19T12:00:00.5Z",
            "Computer": "ws1",
            "EventID": 4624,
            "Channel": "Security",
            "EventData": XML,
        },
        {
            "TimeGenerated": "2020-10-19T12:00:00.5Z",
            "Computer": "ws1",
            "EventID": 4624,
            "EventSourceName": "Microsoft-Windows-Security-Auditing",
            "EventData_dynamic": json.dumps(LOGON),
        },
    ],
    ids=["flat", "winlogbeat 6", "winlogbeat 7", "packed JSON", "packed XML", "dynamic"],
)
def test_every_exporter_tells_the_same_event(tmp_path: Path, record: dict[str, Any]) -> None:
    domain, event = read_one(tmp_path, record)
    assert domain == Domain.IDENTITY
    assert (event["event_code"], event["user_name"], event["logon_type"]) == ("security/4624", "bob", "network")
    assert event["device_hostname"] == "ws1"
    assert event["time"] == datetime(2020, 10, 19, 12, 0, 0, 500000, UTC)


def test_packed_xml_is_unescaped(tmp_path: Path) -> None:
    data = "<EventData><Data Name='CommandLine'>&quot;a&quot; &amp;lt; b</Data></EventData>"
    _, event = read_one(tmp_path, flat(4688, EventData=data))
    assert event["process_cmd_line"] == '"a" &lt; b'


def test_exporters_may_be_mixed_in_one_log(tmp_path: Path) -> None:
    stamp = {"@timestamp": "2020-10-19T12:00:00Z"}
    six = {"computer_name": "ws1", "event_id": 4624, "log_name": "Security", "event_data": LOGON}
    seven = {"winlog": {"computer_name": "WS1", "event_id": "4624", "channel": "Security", "event_data": LOGON}}
    events, refused = read_records(tmp_path, stamp | six, stamp | seven, flat(4624, **LOGON))
    assert refused.is_empty()
    assert events[Domain.IDENTITY]["user_name"].to_list() == ["bob"] * 3


def test_a_false_zone_is_put_right_by_sysmons_own_clock(tmp_path: Path) -> None:
    local, utc = "2020-10-19T08:00:00Z", "2020-10-19 12:00:00.250"
    events, _ = read_records(
        tmp_path,
        flat(4624, **{"@timestamp": local}),
        flat(7, SYSMON, **{"@timestamp": local, "UtcTime": utc}),
        flat(3, SYSMON, **{"@timestamp": local, "UtcTime": "2020-10-19 02:00:00.000"}),
        flat(22, SYSMON, **{"@timestamp": local, "UtcTime": "2020-10-19 11:59:59.000"}),
    )
    times = {str(domain): frame["time"][0].replace(tzinfo=UTC).isoformat() for domain, frame in events.items()}
    assert times == {
        "identity": "2020-10-19T12:00:00+00:00",
        "endpoint": "2020-10-19T12:00:00.250000+00:00",
        "network": "2020-10-19T12:00:00+00:00",
        "dns": "2020-10-19T11:59:59+00:00",
    }


def test_the_clock_is_looked_for_in_later_frames_but_not_for_ever() -> None:
    sysmon = json.dumps(flat(7, SYSMON, **{"@timestamp": "2020-10-19T08:00:00Z", "UtcTime": "2020-10-19 12:00:00"}))
    plain, told = pl.DataFrame({"line": [0], "text": ["{}"]}), pl.DataFrame({"line": [0] * 600, "text": [sysmon] * 600})
    assert SOURCE.begin("", iter([plain, told, plain])).shift.total_seconds() == 4 * 3600
    unread = iter([plain] * 8 + [told])
    assert SOURCE.begin("", unread).shift.total_seconds() == 0
    assert SOURCE.begin("", iter([])).shift.total_seconds() == 0


def test_records_that_are_wrong_are_refused_by_line_and_their_neighbours_kept(tmp_path: Path) -> None:
    events, refused = read_records(
        tmp_path,
        flat(4624, **LOGON),
        '{"EventID": 1, ',
        {"Channel": "Security", "message": "no code"},
        flat("many"),  # type: ignore[arg-type]
        flat(4624, **{"@timestamp": "soon"}),
        flat(5156, DestPort="70000"),
        "",
        flat(4634, **LOGON),
    )
    assert events[Domain.IDENTITY]["line"].to_list() == [0, 7]
    assert refused.select("line", "field").rows()[1:] == [
        (2, "EventID"),
        (3, "EventID"),
        (4, "time"),
        (5, "dst_endpoint_port"),
    ]
    assert refused["value"].to_list()[-2:] == ["soon", "70000"]
    assert refused["line"][0] == 1
    assert "expected one JSON object a line" in refused["reason"][0]


def test_record_number_channel_and_host_name_a_record(tmp_path: Path) -> None:
    _, named = read_one(tmp_path, flat(4624, RecordNumber=77))
    _, nameless = read_one(tmp_path, flat(4624))
    assert named["uid"] == "security:ws1.corp.com:77"
    assert len(nameless["uid"]) == 16


@pytest.mark.skipif(not DATA.exists(), reason="the shared real captures are not beside this project")
def test_real_captures_agree_with_their_labels() -> None:
    labels = pl.read_parquet(DATA / "labels.parquet")
    for capture in (
        "atomic/windows/credential_access/host/cmd_sam_copy_esentutl",
        "atomic/windows/defense_evasion/host/psh_cmstp_execution_bypassuac",
    ):
        chunks = list(read([DATA / "raw" / f"{capture}.zip"]))
        events = pl.concat(
            frame.select("line", "time", "device_hostname", domain=pl.lit(str(domain)))
            for chunk in chunks
            for domain, frame in chunk.events.items()
        )
        both = labels.filter(pl.col("capture") == capture).join(events, on="line", how="left", suffix="_read")
        assert both["domain"].replace("other", "endpoint").to_list() == both["domain_read"].to_list()
        assert both["host"].to_list() == both["device_hostname"].to_list()
        late = (both["ts"].dt.replace_time_zone("UTC") - both["time"]).dt.total_milliseconds().abs() > 1000
        assert late.sum() == 0
