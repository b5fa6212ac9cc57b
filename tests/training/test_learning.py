"""How an agent learns from past events."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from agents.agent import Agent
from agents.keeping import arrays_of
from agents.recipe import recipe_of
from features.events import Domain, schema
from features.logs import Events
from training.learning import Before, LanguageLost, Learned, Lesson, learn, learn_together, watch

BEGINS = datetime(2026, 3, 2, 8, tzinfo=UTC)


def logons(rows: int) -> pl.DataFrame:
    """A few people who log on to their own hosts, a minute apart."""
    names = [f"user{n % 7}" for n in range(rows)]
    told = {
        "source": ["logons"] * rows,
        "line": list(range(rows)),
        "time": [BEGINS + timedelta(minutes=n) for n in range(rows)],
        "uid": [f"u{n}" for n in range(rows)],
        "activity_name": ["logon"] * rows,
        "user_name": names,
        "device_hostname": [name.replace("user", "host") for name in names],
    }
    columns = schema(Domain.IDENTITY)
    frame = pl.DataFrame(told, schema={name: columns[name] for name in told})
    return frame.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in columns.items() if name not in told
    ).select(columns.names())


def taught(events: pl.DataFrame, seed: int = 1) -> Learned:
    return learn(recipe_of(Domain.IDENTITY), events, seed=seed, epochs=2)


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_very_few_events_are_enough_to_learn_from(rows: int) -> None:
    learned = taught(logons(rows))
    assert learned.verdicts.height == rows
    assert learned.verdicts["p"].is_between(0, 1, closed="right").all()


def test_the_same_events_and_seed_teach_the_same() -> None:
    one, two = arrays_of(taught(logons(300)).agent), arrays_of(taught(logons(300)).agent)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_what_was_learned_is_finite_so_that_it_can_be_kept() -> None:
    assert all(np.isfinite(array).all() for array in arrays_of(taught(logons(3)).agent).values())


def test_a_verdict_on_an_early_event_knows_nothing_of_later_ones_online() -> None:
    whole, part = taught(logons(200)).verdicts, taught(logons(100)).verdicts
    assert whole["p_online"][:100].equals(part["p_online"])


def asked_names(rows: int) -> pl.DataFrame:
    """The same people's hosts ask for names, half a minute after the logons."""
    told = {
        "source": ["names"] * rows,
        "line": list(range(rows)),
        "time": [BEGINS + timedelta(minutes=n, seconds=30) for n in range(rows)],
        "uid": [f"d{n}" for n in range(rows)],
        "device_hostname": [f"host{n % 7}" for n in range(rows)],
        "query_hostname": [f"www.site{n % 7}.example" for n in range(rows)],
        "query_type": ["A"] * rows,
    }
    frame = pl.DataFrame({**dict.fromkeys(schema(Domain.DNS)), **told}, schema=schema(Domain.DNS))
    return frame.select(schema(Domain.DNS).names())


def both(rows: int) -> Events:
    return {Domain.IDENTITY: logons(rows), Domain.DNS: asked_names(rows)}


def together(events: Events, *domains: Domain, before: Before | None = None, shares: bool = True) -> Lesson:
    return learn_together(events, domains or tuple(Domain), before or Before({}, {}), seed=1, epochs=1, shares=shares)


def same(one: Agent, two: Agent) -> bool:
    ours, theirs = arrays_of(one), arrays_of(two)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_agents_that_learn_together_read_each_other() -> None:
    lesson = together(both(2100))
    languages = [lesson.mesh.agents[domain].language for domain in Domain]
    assert sum(language != 0 for language in languages) == len(set(languages) - {0}) == 2
    for domain, learned in lesson.learned.items():
        assert learned.agent.reader is not None
        assert learned.agent.reader.languages == tuple(languages)
        assert learned.agent.reader.own == list(Domain).index(domain)
        assert learned.verdicts["p_peers"].null_count() == 0
        assert learned.verdicts["domain"].unique().to_list() == [domain.value]
        assert learned.verdicts.height == 2100


def test_the_same_events_and_seed_teach_the_same_together() -> None:
    one, two = together(both(2100)), together(both(2100))
    assert all(same(one.learned[domain].agent, two.learned[domain].agent) for domain in both(1))


def test_where_agents_do_not_share_nobody_reads() -> None:
    for lesson in (together(both(2100), shares=False), together(both(500))):
        assert all(agent.reader is None for agent in lesson.mesh.agents.values())
        assert all(
            learned.verdicts["p_peers"].null_count() == len(learned.verdicts) for learned in lesson.learned.values()
        )


def test_only_what_is_to_be_taught_is_and_the_others_watch() -> None:
    old = together(both(300)).mesh.agents
    known = old[Domain.IDENTITY].state()["prudence.seen"][0]
    lesson = together(both(200), Domain.DNS, before=Before(old, {}))
    assert list(lesson.learned) == [Domain.DNS]
    assert lesson.mesh.agents[Domain.IDENTITY] is old[Domain.IDENTITY]
    assert lesson.mesh.agents[Domain.DNS] is lesson.learned[Domain.DNS].agent
    assert old[Domain.IDENTITY].state()["prudence.seen"][0] == known  # it has seen that past before


def test_a_domain_that_is_read_goes_on_speaking_as_before() -> None:
    first = together(both(300))
    agents = dict(first.mesh.agents)
    older = agents[Domain.DNS].offline
    assert older is not None
    others: dict[Domain, Agent] = {domain: agent for domain, agent in agents.items() if domain is not Domain.DNS}
    again = together(both(300), Domain.DNS, before=Before(others, {Domain.DNS: older}))
    anew = together(both(290), before=Before({}, {Domain.DNS: older}))  # nobody is left who reads it
    assert again.mesh.agents[Domain.DNS].language == older.language
    assert anew.mesh.agents[Domain.DNS].language not in (0, older.language)


def many_names(rows: int) -> pl.DataFrame:
    """So many different sites and names that few numbers cannot hold what is so of each."""
    chance = np.random.default_rng(1)
    picks = chance.integers(0, 150, (rows, 2)).tolist()
    names = [f"{'n' * (1 + label % 40)}.site{site}.x{site % 70}" for label, site in picks]
    return asked_names(rows).with_columns(query_hostname=pl.Series(names))


def test_an_encoder_that_cannot_say_what_others_read_is_refused_with_the_remedy() -> None:
    events = {Domain.DNS: many_names(1500)}
    older = learn_together(events, [Domain.DNS], seed=1, epochs=1).mesh.agents[Domain.DNS].offline
    assert older is not None
    watching = Before({Domain.IDENTITY: Agent(recipe_of(Domain.IDENTITY))}, {Domain.DNS: older})
    refusal = r"the new dns encoder loses \d+% of what .* more than 25%: train all domains together"
    with pytest.raises(LanguageLost, match=refusal):
        learn_together(events, [Domain.DNS], watching, seed=2, epochs=1)


def test_a_mesh_that_watches_learns_online_alone() -> None:
    mesh = together(both(300)).mesh
    agent, before = mesh.agents[Domain.DNS], arrays_of(mesh.agents[Domain.DNS])
    watch(mesh, both(50), [Domain.DNS, Domain.IDENTITY])
    after = arrays_of(agent)
    assert after["online.prudence.seen"][0] == before["online.prudence.seen"][0] + 50
    assert all(np.array_equal(before[name], after[name]) for name in before if name.startswith("offline."))
