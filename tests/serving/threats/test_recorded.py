"""A threat's record is read back as the same threat."""

import msgspec
import pytest

from agents.consensus.threats import Reason
from serving.threats.recorded import recorded
from tests.serving.dockets import docket
from tests.serving.threats.threats import threat as made_up


def test_what_was_told_is_read_back() -> None:
    for threat in docket("ws01", "ws02", "ws03").council.rank(10):
        record = msgspec.json.encode(threat.record())
        found = recorded(record)
        assert msgspec.json.encode(found.record()) == record
        assert found.evidence.schema == threat.evidence.schema
        assert found.evidence.equals(threat.evidence)
        assert found.timeline.equals(threat.timeline)
        assert (found.first_time, found.entities, found.reasons) == (
            threat.first_time,
            threat.entities,
            threat.reasons,
        )


def test_what_events_leave_out_is_left_out() -> None:
    bare = Reason("web", None, None, None, 4.0, None, None, None, None)
    assert recorded(msgspec.json.encode(made_up(reasons=(bare,), p=None).record())).reasons == (bare,)


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b'{"id": 7}'])
def test_what_is_no_threat_is_refused(record: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        recorded(record)
