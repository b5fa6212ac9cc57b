"""The endpoint keeps to its own OpenAPI document, for requests that keep to it too and for requests that do not."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from serving.access.keys import add, keys_path
from serving.access.policy import Role
from serving.api import gate
from serving.api.endpoint import WAYS
from serving.api.gate import Way
from tests.serving.posting import home_of, taking

schemathesis = pytest.importorskip("schemathesis", reason="is in the extra `api`: pip install -e .[api]")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

MODES = ("POSITIVE", "NEGATIVE")
#: All but the stream, whose answer never ends, and readiness, which is a fault where no detector is at work.
ASKED = [way for way in WAYS if way.path not in ("/v1/stream", "/readyz")]
#: Cases of each operation and mode, of as many as all of them are to make up.
EXAMPLES = int(os.environ.get("SECMESH_API_CASES", "400")) // (len(ASKED) * len(MODES))

#: A schema cannot say what a line of a log is, so texts that keep to it may all be refused.
UNSAID = [checks.positive_data_acceptance]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """The document as it is served, and a key to whatever it tells of."""
    home = home_of(tmp_path_factory.mktemp("schema") / "home")
    key = add(keys_path(home), "tester", Role.ADMIN, datetime.now(UTC), token_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "STRANGERS", gate.REQUESTS)  # whoever asks without a key asks as often as all the others
        with taking(home) as service:
            yield schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json"), key


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ASKED, ids=lambda way: f"{way.method} {way.path}")
def test_every_answer_is_one_that_the_document_tells_of(schema: tuple[Any, str], way: Way, mode: str) -> None:
    document, key = schema
    operation = document[way.path][way.method]
    if mode == "NEGATIVE" and not way.asks and not way.takes:
        pytest.skip("nothing can be wrong in a request that says nothing")

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    def keeps_to_it(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, excluded_checks=UNSAID)

    keeps_to_it()
