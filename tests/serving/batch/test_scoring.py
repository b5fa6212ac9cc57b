"""A verdict for each event, in the order of the input, the same for the same input, whatever else is in it."""

import gzip
import io
import json
import os
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from agents.keeping import fresh_mesh
from features.events import Domain
from features.files import UnreadablePath
from features.logs import read_logs
from features.reading import UnknownFormat
from models.bundle import ARRAYS, BundleRefused
from models.home import Home
from models.registry import NoRegistry, Registry
from serving.batch.outputs import UnusableOutput, check_output
from serving.batch.refusals import refusals_in_words
from serving.batch.scoring import (
    COLUMNS,
    in_input_order,
    judge,
    keep_verdicts,
    score,
)


@pytest.fixture
def untaught(tmp_path: Path) -> Registry:
    return Registry(Home.at(tmp_path / "none"))


def event(number: int, **more: object) -> str:
    ends = {"src_endpoint": {"ip": f"10.0.0.{number % 7}"}, "dst_endpoint": {"ip": "10.0.1.1", "port": 443}}
    return json.dumps(
        {"class_uid": 4001, "time": 1_700_000_000_000 + number, "metadata": {"uid": f"e{number}"}} | ends | more
    )


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def archived(path: Path, **members: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def told(*paths: Path, registry: Registry, format: str = "auto") -> list[str]:
    return refusals_in_words(score(paths, registry=registry, format=format).refused, format)


# Order


def test_verdicts_are_in_the_order_of_the_input_over_files_members_and_domains(
    tmp_path: Path, untaught: Registry
) -> None:
    dns = {"class_uid": 4003, "query": {"hostname": "example.org", "type": "A"}}
    late = written(tmp_path / "z", event(9), event(3, **dns), event(7))
    packed = archived(tmp_path / "a.tar.gz", y=f"{event(5)}\n{event(1)}\n", x=f"{event(4, **dns)}\n\n{event(2)}\n")
    verdicts = score([late, packed], registry=untaught).verdicts
    assert verdicts.select("source", "member", "line", "uid").rows() == [
        (str(late), None, 0, "e9"),
        (str(late), None, 1, "e3"),
        (str(late), None, 2, "e7"),
        (str(packed), "y", 0, "e5"),
        (str(packed), "y", 1, "e1"),
        (str(packed), "x", 0, "e4"),
        (str(packed), "x", 2, "e2"),
    ]
    assert verdicts.sort("seq")["uid"].to_list() == ["e1", "e2", "e3", "e4", "e5", "e7", "e9"]


def test_every_event_has_one_verdict_with_the_promised_columns(estate: Path, champion: Home) -> None:
    scored = score([estate], registry=Registry(champion))
    events = read_logs([estate]).events
    assert tuple(scored.verdicts.columns) == COLUMNS
    assert scored.verdicts.height == sum(frame.height for frame in events.values())
    assert set(scored.verdicts["domain"]) == set(Domain)
    assert scored.verdicts["p"].is_between(0, 1 + 1e-9).all()


def test_a_long_log_is_scored_in_batches_and_tells_how_far_it_is(
    estate: Path, champion: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [estate / f"{domain}.jsonl" for domain in ("web", "dns", "identity")]
    whole = score(logs, registry=Registry(champion)).verdicts
    monkeypatch.setattr("serving.batch.scoring._BATCH", 2000)
    steps: list[tuple[str, int, int | None]] = []
    batched = score(logs, registry=Registry(champion), told=lambda *step: steps.append(step)).verdicts
    assert [step for step, _, _ in steps] == ["reading"] * 3 + ["scoring"] * 4
    assert steps[2] == ("reading", whole.height, None)
    assert steps[-1] == ("scoring", whole.height, whole.height)
    online = ["source", "line", "uid", "seq", "p_online"]
    assert batched.select(online).equals(whole.select(online))


def test_a_path_can_go_by_another_name(tmp_path: Path, untaught: Registry) -> None:
    path = written(tmp_path / "spool", event(1), "nonsense", event(2))
    scored = score([path], registry=untaught, called={str(path): "-"})
    assert scored.verdicts["source"].to_list() == ["-", "-"]
    assert scored.refused["source"].to_list() == ["-"]


# Models


def test_the_champion_scores_with_both_models(estate: Path, champion: Home) -> None:
    scored = score([estate / "dns.jsonl"], registry=Registry(champion))
    assert (scored.release, scored.warnings) == (1, ())
    assert scored.verdicts["p_offline"].null_count() == 0
    assert scored.verdicts["release"].unique().to_list() == [1]


def test_without_a_registry_online_models_score_alone_and_one_line_says_so(estate: Path, untaught: Registry) -> None:
    scored = score([estate / "dns.jsonl"], registry=untaught)
    assert scored.release is None
    assert scored.verdicts["p_offline"].null_count() == scored.verdicts.height > 0
    (warning,) = scored.warnings
    assert str(untaught.database) in warning
    assert "secmesh train" in warning
    assert "online models score alone" in warning
    assert not untaught.home.mlruns.exists()


def test_a_registry_without_a_champion_says_so(estate: Path, registry: Registry) -> None:
    (warning,) = score([estate / "dns.jsonl"], registry=registry).warnings
    assert warning.startswith(f"no champion in {registry.database}: train")


def test_a_release_that_lacks_a_domain_says_which(
    estate: Path, champion: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.batch.scoring.mesh_from", lambda bundles, release: fresh_mesh())
    (warning,) = score([estate / "dns.jsonl", estate / "web.jsonl"], registry=Registry(champion)).warnings
    assert warning.startswith("release 1 has no model of dns, web: train it with `secmesh train dns web`")


def test_a_champion_that_was_changed_never_scores(estate: Path, champion: Home, tmp_path: Path) -> None:
    arrays = sorted(champion.mlruns.rglob(ARRAYS))[-1]
    good = arrays.read_bytes()
    arrays.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        with pytest.raises(BundleRefused, match="secmesh-"):
            score([estate], registry=Registry(champion))
    finally:
        arrays.write_bytes(good)


def test_a_champion_that_points_nowhere_never_scores(
    estate: Path, champion: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "alias", lambda self, name, alias: 99)
    with pytest.raises(NoRegistry, match="secmesh-release version 99"):
        score([estate], registry=Registry(champion))


# What is wrong with the input


def test_a_garbled_line_is_named_and_the_rest_is_scored(tmp_path: Path, untaught: Registry) -> None:
    path = written(tmp_path / "log", event(1), '{"class_uid": 40', event(2), '{"class_uid": 4001}', event(3))
    scored = score([path], registry=untaught)
    assert scored.verdicts["line"].to_list() == [0, 2, 4]
    broken, timeless = refusals_in_words(scored.refused)
    assert broken.startswith(f"{path}, line 1: line: expected one JSON object")
    assert broken.endswith("mend or drop the record [found '{\"class_uid\": 40']")
    assert timeless.startswith(f"{path}, line 3: time: the time is missing")


def test_a_truncated_file_is_named_and_what_came_before_is_scored(tmp_path: Path, untaught: Registry) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress("".join(f"{event(n)}\n" for n in range(5000)).encode())[:-3000])
    scored = score([path], registry=untaught)
    assert 100 < scored.verdicts.height < 5000
    assert refusals_in_words(scored.refused) == [
        f"{path}: file: the gzip data ends early; copy the file again, or leave it out"
    ]


def test_an_empty_file_is_named(tmp_path: Path, untaught: Registry) -> None:
    path = written(tmp_path / "log")
    (line,) = told(path, written(tmp_path / "good", event(1)), registry=untaught)
    assert line == f"{path}: file: the log is empty; expected at least one record, or leave it out"


def test_a_wrong_format_is_named_with_what_helps(tmp_path: Path, untaught: Registry) -> None:
    path = written(tmp_path / "log", event(1), event(2))
    (line,) = told(path, registry=untaught, format="zeek")
    assert line.startswith(f"{path}, line 0: ")
    assert "try --format auto" in line
    (unknown,) = told(written(tmp_path / "other", "hello"), registry=untaught)
    assert "; if it is one of them, name it with --format [found 'hello']" in unknown


def test_the_member_of_an_archive_is_named(tmp_path: Path, untaught: Registry) -> None:
    path = archived(tmp_path / "a.tar", good=f"{event(1)}\n", bad="hello\n")
    (line,) = told(path, registry=untaught)
    assert line.startswith(f"{path} (bad): format: no known log format")


def test_alike_refusals_are_told_once(tmp_path: Path, untaught: Registry) -> None:
    path = written(tmp_path / "log", event(1), *(f'{{"class_uid": 4001, "x": {n}}}' for n in range(1500)))
    (line,) = told(path, registry=untaught)
    assert line.endswith("[and 1,499 like it]")


def test_many_kinds_of_refusal_are_summed_up(tmp_path: Path, untaught: Registry) -> None:
    paths = [written(tmp_path / f"{n}", "hello") for n in range(13)]
    lines = told(*paths, registry=untaught)
    assert len(lines) == 11
    assert lines[-1] == "and 3 more, for 3 other reasons"


def test_a_folder_without_logs_says_so(tmp_path: Path, untaught: Registry) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    _, nothing = score([folder], registry=untaught).warnings
    assert nothing == f"{folder}: no log there; name a file, an archive or a folder that holds some"


def test_a_missing_path_and_an_unknown_format_are_refused_at_once(tmp_path: Path, untaught: Registry) -> None:
    with pytest.raises(UnreadablePath, match="no such file or folder"):
        score([tmp_path / "nowhere"], registry=untaught)
    with pytest.raises(UnknownFormat, match="known are auto"):
        score([written(tmp_path / "log", event(1))], registry=untaught, format="magic")


# Files


def test_the_same_input_twice_gives_the_same_bytes(estate: Path, champion: Home, tmp_path: Path) -> None:
    outputs = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for output in outputs:
        keep_verdicts(score([estate], registry=Registry(champion)), output)
    first, second = (output.read_bytes() for output in outputs)
    assert first == second
    assert tuple(pl.read_parquet(outputs[0]).columns) == COLUMNS


def test_refused_records_are_listed_beside_the_verdicts(tmp_path: Path, untaught: Registry) -> None:
    path = written(tmp_path / "log", event(1), "{")
    kept = keep_verdicts(score([path], registry=untaught), tmp_path / "verdicts.parquet")
    assert kept.refused == tmp_path / "verdicts.refused.ndjson"
    (record,) = map(json.loads, kept.refused.read_text().splitlines())
    assert (record["source"], record["member"], record["line"]) == (str(path), None, 1)
    assert set(record) == {"source", "member", "line", "field", "value", "reason"}
    assert "refused records are listed in" in kept.in_words()


def test_an_older_list_of_refused_records_goes(tmp_path: Path, untaught: Registry) -> None:
    (tmp_path / "v.refused.ndjson").write_text("old")
    scored = score([written(tmp_path / "log", event(1))], registry=untaught)
    kept = keep_verdicts(scored, tmp_path / "v.parquet")
    assert not (tmp_path / "v.refused.ndjson").exists()
    assert kept.in_words().endswith(f"no record was refused; the older {tmp_path}/v.refused.ndjson is gone")
    assert keep_verdicts(scored, tmp_path / "v.parquet").in_words().endswith("no record was refused")


def test_a_write_that_fails_leaves_the_older_file_and_no_crumbs(
    tmp_path: Path, untaught: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = score([written(tmp_path / "log", event(1))], registry=untaught)
    output = tmp_path / "out" / "v.parquet"
    output.parent.mkdir()
    output.write_text("older")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keep_verdicts(scored, output)
    assert [path.name for path in output.parent.iterdir()] == ["v.parquet"]
    assert output.read_text() == "older"


def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    log = written(tmp_path / "v.refused.ndjson", event(1))
    for output, reason in [
        (tmp_path, "is a folder"),
        (Path(), "is a folder"),
        (Path("/dev/null"), "not a regular file"),
        (log, "one of the logs"),
        (tmp_path / "v.parquet", "one of the logs"),
        (log / "v.parquet", "no folder can be made"),
    ]:
        with pytest.raises(UnusableOutput, match=reason):
            check_output(output, [log])


def test_the_folder_of_an_output_is_made(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b" / "v.parquet", [])
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UnusableOutput, match="not writable"):
        check_output(tmp_path / "v.parquet", [])


def test_a_mesh_is_judged_in_the_order_of_time(tmp_path: Path) -> None:
    logs = read_logs([written(tmp_path / "log", event(3), event(1))])
    verdicts = judge(fresh_mesh(), logs)
    assert verdicts["line"].to_list() == [1, 0]
    assert in_input_order(verdicts, logs.places)["line"].to_list() == [0, 1]
    began = datetime.fromtimestamp(1_700_000_000, UTC)
    assert verdicts["time"].to_list() == [began + timedelta(milliseconds=n) for n in (1, 3)]
