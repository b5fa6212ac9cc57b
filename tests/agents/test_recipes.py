"""Every recipe keeps these laws by existing."""

import pkgutil
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

import agents.recipes
from agents.agent import Agent
from agents.recipe import Recipe, recipe_of
from agents.verdicts import VERDICTS
from features.events import ORIGIN, Domain, schema
from features.featurizer import Featurizer
from features.missing import MISSING
from features.words.burst import Burst
from features.words.rarity import Rarity
from models.offline import Ask

Stream = Callable[..., pl.DataFrame]
each_domain = pytest.mark.parametrize("domain", list(Domain))


@pytest.fixture(scope="module")
def bare(stream: Stream) -> Callable[[Domain], pl.DataFrame]:
    """Events of which nothing is known but when and where from."""

    def make(domain: Domain) -> pl.DataFrame:
        known = {*ORIGIN, "time", "uid"}
        nothing = [pl.lit(None, kind).alias(name) for name, kind in schema(domain).items() if name not in known]
        return stream(domain, 1, 5).with_columns(nothing)

    return make


def test_every_domain_has_a_recipe_and_every_recipe_a_domain() -> None:
    assert {module.name for module in pkgutil.iter_modules(agents.recipes.__path__)} == {*Domain}


@each_domain
def test_a_recipe_is_of_the_domain_it_is_named_after(domain: Domain) -> None:
    assert recipe_of(domain).domain == domain


@each_domain
def test_a_recipe_declares_each_word_and_question_once(domain: Domain) -> None:
    recipe = recipe_of(domain)
    assert len({word.name for word in recipe.all_words}) == len(recipe.all_words) > 0
    assert len({ask.name for ask in recipe.asks}) == len(recipe.asks) > 0


@each_domain
def test_a_question_does_not_give_away_its_answer(domain: Domain) -> None:
    assert all(ask.field not in ask.given for ask in recipe_of(domain).asks)


@each_domain
def test_the_encoder_reads_what_the_questions_speak_of(domain: Domain) -> None:
    recipe = recipe_of(domain)
    assert set(recipe.asked) == {name for ask in recipe.asks for name in (ask.field, *ask.given)}
    assert set(recipe.asked) <= recipe.fields.keys()


@each_domain
@pytest.mark.parametrize("rows", [0, 1, 40])
def test_fields_are_texts_a_row_an_event(domain: Domain, rows: int, stream: Stream) -> None:
    recipe = recipe_of(domain)
    found = Featurizer(recipe.fields, recipe.all_words, slots=64).observe(stream(domain, 1, rows))
    assert found.fields.schema == dict.fromkeys([*recipe.fields, MISSING], pl.String())
    assert found.fields.height == rows
    assert found.x_BF.shape == (rows, len(recipe.all_words))


@each_domain
def test_every_field_tells_something_of_some_event(domain: Domain, stream: Stream) -> None:
    recipe = recipe_of(domain)
    events = stream(domain, 1, 300)
    alerts = events.with_columns(activity_name=pl.lit("alert"), event_code="uid")
    fields = pl.concat([events, alerts]).select(expression.alias(name) for name, expression in recipe.fields.items())
    assert {name: fields[name].drop_nulls().n_unique() > 1 for name in fields.columns} == dict.fromkeys(
        recipe.fields, True
    )


@each_domain
def test_events_of_which_nothing_is_known_have_a_verdict(
    domain: Domain, bare: Callable[[Domain], pl.DataFrame]
) -> None:
    events = bare(domain).with_columns(seq=pl.int_range(pl.len()))
    verdicts = Agent(recipe_of(domain)).observe(events)
    assert verdicts.schema == VERDICTS
    assert verdicts["p"].is_between(0, 1, closed="right").all()


@pytest.mark.parametrize(
    ("words", "asks", "missing"),
    [
        ((Rarity("colour"),), (), "colour"),
        ((Rarity("user", given="shape"),), (), "shape"),
        ((Burst("user", per="taste"),), (), "taste"),
        ((), (Ask("user", ("smell",)),), "smell"),
        ((), (Ask("sound", ("user",)),), "sound"),
    ],
)
def test_a_field_spoken_of_but_not_declared_is_named(
    words: tuple[Rarity | Burst, ...], asks: tuple[Ask, ...], missing: str
) -> None:
    with pytest.raises(ValueError, match=f"cloud: no field '{missing}'"):
        Recipe(Domain.CLOUD, "user", {"kind": pl.col("status"), "user": pl.col("actor_user_name")}, words, asks)


def test_a_recipe_without_a_kind_is_refused() -> None:
    recipe = recipe_of(Domain.DNS)
    with pytest.raises(ValueError, match="no field 'kind'"):
        replace(recipe, fields={name: field for name, field in recipe.fields.items() if name != "kind"})
