"""Agents of one mesh read what the others know of an event's entities, each as of the moment before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from agents.keeping import arrays_of, fresh_mesh, manifest_of, mesh_from, offline_before, part_of_mesh_from
from agents.mesh import Mesh
from agents.recipe import recipe_of
from agents.succeeding import go_on, heirs_of, succeed
from features.events import Domain, schema
from features.logs import Events, in_order
from models.bundle import Bundle, BundleRefused, read, write
from training.learning import Before, Lesson, learn_together

Stream = Callable[..., pl.DataFrame]
IDENTITY, CLOUD = Domain.IDENTITY, Domain.CLOUD
BOTH = (IDENTITY, CLOUD)
BEGINS = datetime(2026, 3, 2, 8, tzinfo=UTC)
ROWS, PEOPLE, ROLES = 2400, 12, 3
laws = settings(max_examples=5, deadline=None, derandomize=True)


def rows_of(domain: Domain, told: Mapping[str, Sequence[object]], seconds: list[float]) -> pl.DataFrame:
    """Events that tell this and nothing else."""
    rows = len(seconds)
    times = [BEGINS + timedelta(seconds=second) for second in seconds]
    fixed = {
        "source": ["log"] * rows,
        "line": [*range(rows)],
        "time": times,
        "uid": [f"{domain}-{n}" for n in range(rows)],
    }
    return pl.DataFrame({**dict.fromkeys(schema(domain)), **fixed, **told}, schema=schema(domain))


def logons(role_N: list[int], person_N: list[int], seconds: list[float]) -> pl.DataFrame:
    """People log on to a host of their role."""
    told = {
        "activity_name": ["logon"] * len(seconds),
        "status": ["success"] * len(seconds),
        "user_name": [f"user{person}" for person in person_N],
        "device_hostname": [f"host{role}" for role in role_N],
        "logon_type": [("interactive", "network", "batch")[role] for role in role_N],
    }
    return rows_of(IDENTITY, told, seconds)


def calls(role_N: list[int], person_N: list[int], seconds: list[float]) -> pl.DataFrame:
    """People call what their role calls for; whoever it was, only the name tells."""
    told = {
        "actor_user_name": [f"user{person}" for person in person_N],
        "actor_user_type": ["person"] * len(seconds),
        "api_service_name": [("s3", "ec2", "iam")[role] for role in role_N],
        "api_operation": [("GetObject", "RunInstances", "ListUsers")[role] for role in role_N],
        "cloud_region": [f"region{role}" for role in role_N],
    }
    return rows_of(CLOUD, told, seconds)


def estate(seed: int, rows: int = ROWS, begin: float = 0.0) -> Events:
    """Twelve people of three roles who log on and call what their role does."""
    chance, events = np.random.default_rng(seed), {}
    for domain, make in ((IDENTITY, logons), (CLOUD, calls)):
        person_N = chance.integers(0, PEOPLE, rows)
        seconds = begin + np.sort(chance.uniform(0, 30.0 * rows, rows)).round()
        events[domain] = make((person_N % ROLES).tolist(), person_N.tolist(), seconds.tolist())
    return events


def pieces(events: Events, cuts: list[int]) -> list[Events]:
    """The log cut at any places of its order."""
    order = in_order(events)
    found: list[Events] = []
    for a, b in pairwise([0, *sorted(min(at, order.height) for at in cuts), order.height]):
        rows = {domain: order[a:b].filter(domain=domain.value)["row"] for domain in events}
        found.append({domain: events[domain][picked] for domain, picked in rows.items() if picked.len()})
    return found


@dataclass(frozen=True)
class Kept:
    """What was learned together, and the two agents that can read each other as they were kept."""

    lesson: Lesson
    bundles: Mapping[Domain, Bundle]
    folder: Path

    def mesh(self) -> Mesh:
        """The agents as they were when they had learned."""
        return mesh_from(self.bundles, release=1)


def bundled(lesson: Lesson, folder: Path) -> dict[Domain, Bundle]:
    bundles = {}
    for domain, learned in lesson.learned.items():
        write(folder / domain, arrays_of(learned.agent), manifest_of(learned.agent))
        bundles[domain] = read(folder / domain)
    return bundles


@pytest.fixture(scope="module")
def past() -> Events:
    return estate(1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, past: Events) -> Kept:
    lesson, folder = learn_together(past, BOTH, seed=1, epochs=3), tmp_path_factory.mktemp("kept")
    return Kept(lesson, bundled(lesson, folder), folder)


@pytest.fixture(scope="module")
def later() -> Events:
    return estate(2, 60, begin=30.0 * ROWS)


def log_of(stream: Stream, seed: int, rows: int, strange: int = 0) -> Events:
    return {domain: stream(domain, seed, rows, strange) for domain in Domain}


def observed(mesh: Mesh, batches: list[Events]) -> pl.DataFrame:
    return pl.concat([mesh.observe(batch) for batch in batches])


@laws
@given(seed=st.integers(0, 100), cuts=st.lists(st.integers(0, 240), min_size=1, max_size=6))
def test_any_cut_gives_the_same_verdicts_where_nobody_was_taught(seed: int, cuts: list[int], stream: Stream) -> None:
    events, one, other = log_of(stream, seed, 40, strange=3), fresh_mesh(), fresh_mesh()
    assert_frame_equal(observed(one, pieces(events, cuts)), other.observe(events), check_exact=True)
    ours, theirs = one.state(), other.state()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours if ".acquaintances." in name)


@laws
@given(cuts=st.lists(st.integers(0, 120), min_size=1, max_size=6))
def test_any_cut_gives_the_same_verdicts_where_agents_read_each_other(
    cuts: list[int], kept: Kept, later: Events
) -> None:
    whole = kept.mesh().observe(later)
    assert whole["p_peers"].null_count() == 0
    assert whole["p_peers"].n_unique() > 20
    assert_frame_equal(observed(kept.mesh(), pieces(later, cuts)), whole, check_exact=True)


@laws
@given(at=st.integers(0, 120))
def test_a_mesh_goes_on_exactly_from_what_was_kept_in_the_middle(at: int, kept: Kept, later: Events) -> None:
    one, other = kept.mesh(), kept.mesh()
    before, after = pieces(later, [at])
    one.observe(before)
    other.observe(estate(5, 20))  # of which nothing may be left
    other.restore(one.state())
    assert_frame_equal(other.observe(after), one.observe(after), check_exact=True)
    ours, theirs = one.state(), other.state()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_contexts_are_row_for_row_with_the_events_of_each_agent(stream: Stream) -> None:
    events = log_of(stream, 3, 30)
    whole = fresh_mesh().look(events).contexts
    mesh, told = fresh_mesh(), dict.fromkeys(Domain, b"")
    for batch in pieces(events, list(range(0, 180, 7))):
        for domain, context in mesh.look(batch).contexts.items():
            assert context is not None
            told[domain] += context.told_NDC.tobytes()
    for domain, context in whole.items():
        assert context is not None
        assert context.told_NDC.shape[0] == events[domain].height
        assert context.told_NDC.any()
        assert told[domain] == context.told_NDC.tobytes()


def test_a_domain_by_itself_hears_nothing(stream: Stream) -> None:
    context = fresh_mesh().look({CLOUD: stream(CLOUD, 1, 40)}).contexts[CLOUD]
    assert context is not None
    assert not context.told_NDC.any()
    assert not context.alarm_ND.any()


def test_a_mesh_that_does_not_share_says_nothing_of_peers_and_the_same_of_all_else(kept: Kept, later: Events) -> None:
    alone, together = Mesh(kept.mesh().agents, shares=False).observe(later), kept.mesh().observe(later)
    assert alone["p_peers"].null_count() == alone.height
    own = ("seq", "domain", "p_online", "p_offline", "history", "reasons")
    assert_frame_equal(alone.select(own), together.select(own), check_exact=True)
    assert not alone["p"].equals(together["p"])


def test_agents_that_have_no_reader_say_what_they_say_alone(stream: Stream) -> None:
    events = log_of(stream, 4, 25)
    alone, together = Mesh(fresh_mesh().agents, shares=False).observe(events), fresh_mesh().observe(events)
    assert_frame_equal(alone, together, check_exact=True)
    assert together["p_peers"].null_count() == together.height


def test_the_same_address_is_the_same_entity_at_either_end_and_in_every_domain(stream: Stream) -> None:
    mesh = fresh_mesh()
    web = stream(Domain.WEB, 1, 1).with_columns(src_endpoint_ip=pl.lit("10.9.9.9"))
    out = stream(Domain.NETWORK, 1, 2).with_columns(
        time=web["time"][0], device_hostname=pl.lit(None, pl.String), actor_user_name=pl.lit(None, pl.String),
        src_endpoint_ip=pl.lit("10.1.1.1"), dst_endpoint_ip=pl.Series(["10.9.9.9", "10.9.9.8"]),
    )  # fmt: skip
    mesh.look({Domain.WEB: web})
    context = mesh.look({Domain.NETWORK: out}).contexts[Domain.NETWORK]
    assert context is not None
    assert context.told_NDC[:, list(Domain).index(Domain.WEB), -1].round(3).tolist() == [pytest.approx(0.693), 0.0]


def test_who_just_did_something_strange_elsewhere_is_judged_by_it(kept: Kept, later: Events) -> None:
    """The same call by the same person, after somebody logged on strangely: they themselves, or another."""
    at = 30.0 * (ROWS + 65)
    call, verdicts = calls([0], [0], [at + 60.0]), {}
    for person in (0, 3):
        odd = logons([0], [person], [at]).with_columns(
            device_hostname=pl.lit("vault"), logon_type=pl.lit("debug"), auth_protocol=pl.lit("NTLM"),
            status=pl.lit("failure"), src_endpoint_ip=pl.lit("203.0.113.7"),
        )  # fmt: skip
        mesh = kept.mesh()
        mesh.observe(later)
        mesh.observe({IDENTITY: odd})
        verdicts[person] = mesh.observe({CLOUD: call}).row(0, named=True)
    assert verdicts[0]["p_online"] == verdicts[3]["p_online"]
    assert verdicts[0]["p_offline"] == verdicts[3]["p_offline"]
    assert verdicts[0]["p_peers"] < 0.2 * verdicts[3]["p_peers"]
    assert verdicts[0]["evidence"] > verdicts[3]["evidence"]


def test_who_does_in_the_cloud_what_others_log_on_for_is_strange_to_the_reader(kept: Kept, later: Events) -> None:
    at = 30.0 * (ROWS + 65)
    said = []
    for role in (0, 1):
        mesh = kept.mesh()
        mesh.observe(later)
        said.append(mesh.observe({CLOUD: calls([role], [0], [at])})["p_peers"][0])
    as_usual, of_another_role = said
    assert of_another_role < 0.2 * as_usual


def speaking_otherwise(bundle: Bundle) -> Bundle:
    """The same model, but that it says to speak another language."""
    number = np.asarray(bundle.arrays["offline.encoder.language"] + 1)
    return replace(bundle, arrays={**bundle.arrays, "offline.encoder.language": number})


def test_a_release_whose_peers_speak_another_language_is_refused_by_the_names_of_both(kept: Kept) -> None:
    bundles = {**kept.bundles, CLOUD: speaking_otherwise(kept.bundles[CLOUD])}
    refusal = "the identity model was fitted to read another cloud model than the one beside it: train all domains"
    with pytest.raises(BundleRefused, match=refusal):
        mesh_from(bundles, release=2)
    with pytest.raises(BundleRefused, match=refusal):
        heirs_of(kept.mesh().agents, bundles, 2)
    with pytest.raises(BundleRefused, match=refusal):
        mesh_from({IDENTITY: kept.bundles[IDENTITY]}, release=2)


def test_a_part_of_a_mesh_leaves_out_the_reader_that_cannot_read(kept: Kept, later: Events) -> None:
    bundles = {**kept.bundles, CLOUD: speaking_otherwise(kept.bundles[CLOUD])}
    mesh = part_of_mesh_from(bundles, release=2)
    assert mesh.agents[IDENTITY].reader is None
    assert mesh.agents[CLOUD].reader is not None
    verdicts = mesh.observe(later)
    assert verdicts.filter(domain="identity")["p_peers"].null_count() == 60
    assert verdicts.filter(domain="cloud")["p_peers"].null_count() == 0


def test_a_part_of_a_mesh_that_can_read_is_the_mesh(kept: Kept, later: Events) -> None:
    part = part_of_mesh_from(kept.bundles, release=1)
    assert_frame_equal(part.observe(later), kept.mesh().observe(later), check_exact=True)


def test_that_an_agent_itself_speaks_another_language_matters_to_its_peers_alone(kept: Kept) -> None:
    unread = {name: array for name, array in kept.bundles[CLOUD].arrays.items() if not name.startswith("reader.")}
    bundles = {IDENTITY: speaking_otherwise(kept.bundles[IDENTITY]), CLOUD: replace(kept.bundles[CLOUD], arrays=unread)}
    assert mesh_from(bundles, release=2).agents[IDENTITY].reader is not None


def before(kept: Kept) -> Before:
    """What a job finds that teaches some domains anew."""
    agents = part_of_mesh_from(kept.bundles, release=1).agents
    encoders = {d: found for d, bundle in kept.bundles.items() if (found := offline_before(bundle, recipe_of(d)))}
    return Before(agents, encoders)


def test_a_partial_retraining_speaks_the_old_language_and_its_release_loads(
    kept: Kept, past: Events, later: Events, tmp_path: Path
) -> None:
    lesson = learn_together(past, [CLOUD], before(kept), seed=2, epochs=3)
    assert list(lesson.learned) == [CLOUD]
    new, old = (lesson.learned[CLOUD].agent, kept.lesson.learned[CLOUD].agent)
    assert new.language == old.language != 0
    assert not np.array_equal(arrays_of(new)["offline.encoder.place"], arrays_of(old)["offline.encoder.place"])
    mesh = mesh_from({**kept.bundles, **bundled(lesson, tmp_path)}, release=2)
    assert mesh.observe(later)["p_peers"].null_count() == 0
    looked = [one.look(later).sights[CLOUD].vector_BW for one in (mesh, kept.mesh())]
    away = np.square(looked[0] - looked[1]).sum() / np.square(looked[1] - looked[1].mean(axis=0)).sum()
    assert away < 0.2


def test_all_taught_together_need_not_speak_what_was_spoken_before(kept: Kept, past: Events) -> None:
    fewer = {domain: frame[:300] for domain, frame in past.items()}
    both = replace(before(kept), agents={domain: kept.mesh().agents[domain] for domain in BOTH})
    lesson = learn_together(fewer, BOTH, both, seed=3, epochs=1)
    for domain, learned in lesson.learned.items():
        assert learned.agent.language not in (0, kept.lesson.learned[domain].agent.language)
        assert learned.agent.reader is None


def test_what_peers_may_read_goes_on_where_the_language_does(kept: Kept, later: Events) -> None:
    mesh = kept.mesh()
    mesh.observe(later)
    state, recipes = mesh.state(), {domain.value: manifest_of(agent) for domain, agent in mesh.agents.items()}
    known = mesh.agents[CLOUD].acquaintances.state()
    succeed(mesh, heirs_of(mesh.agents, kept.bundles, 2), is_first=False)
    assert all(np.array_equal(known[name], array) for name, array in mesh.agents[CLOUD].acquaintances.state().items())
    again = mesh_from(kept.bundles, release=2)
    go_on(again, state, recipes, is_first=False)
    rest = estate(6, 30, begin=30.0 * (ROWS + 70))
    assert_frame_equal(again.observe(rest), mesh.observe(rest), check_exact=True)
