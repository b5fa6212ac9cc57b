"""A registered model, opened by MLflow as a notebook does."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest

from agents.agent import Agent
from agents.keeping import arrays_of, manifest_of
from agents.notebook import GIVES, EventsRefused, Watcher, events_of, flavour_of
from agents.recipe import recipe_of
from features.events import Domain, schema
from models import bundle
from models.bundle import BundleRefused
from models.home import Home
from models.registry import CHAMPION, Registry
from models.releases import model_name

DOMAIN = Domain.ENDPOINT

Stream = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def events(stream: Stream) -> pl.DataFrame:
    return stream(DOMAIN, seed=7, rows=300, strange=5)


@pytest.fixture(scope="module")
def kept(events: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of an agent that has seen the first of the events."""
    folder = tmp_path_factory.mktemp("kept")
    agent = Agent(recipe_of(DOMAIN))
    agent.observe(events.head(200).with_row_index("seq").cast({"seq": pl.Int64}))
    bundle.write(folder, arrays_of(agent), manifest_of(agent))
    return folder


@pytest.fixture(scope="module")
def registered(
    kept: Path, events: pl.DataFrame, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A home with that agent as champion, which is the current directory, as it is for a notebook beside `mlruns`."""
    root, before = tmp_path_factory.mktemp("home"), Path.cwd()
    registry = Registry(Home.at(root))
    registry.home.mlruns.mkdir()
    shutil.copy(template, registry.database)
    with registry.run("notebook", "learn", {}, {}) as run:
        version = registry.register(model_name(DOMAIN), kept, run, opened=flavour_of(DOMAIN, events))
        registry.promote(model_name(DOMAIN), version, CHAMPION)
    os.chdir(root)
    yield registry
    os.chdir(before)


@pytest.fixture(scope="module")
def opened(registered: Registry) -> Iterator[Any]:
    """What MLflow makes of it, told no more than where the default store is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlruns/mlflow.db")
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        yield mlflow.pyfunc.load_model(f"models:/{model_name(DOMAIN)}@champion")


@pytest.fixture
def watcher(kept: Path) -> Watcher:
    return Watcher(bundle.read(kept), DOMAIN)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames of verdicts say the same, whatever their index."""
    return bool(pl.from_pandas(one).equals(pl.from_pandas(other)))


def test_mlflow_opens_the_champion_and_gives_a_verdict_for_each_event(opened: Any, events: pl.DataFrame) -> None:
    told = opened.predict(events.tail(100))
    assert list(told.columns) == list(GIVES)
    assert told["uid"].tolist() == events.tail(100)["uid"].to_list()
    assert told["evidence"].tail(5).min() > told["evidence"].head(90).median()
    assert any(told["reasons"].map(len) > 0)


def test_a_call_leaves_no_trace_in_the_next(opened: Any, events: pl.DataFrame) -> None:
    first = opened.predict(events.tail(100))
    opened.predict(events.head(50))
    assert same(opened.predict(events.tail(100)), first)


def test_pandas_and_polars_frames_get_the_same_verdicts(opened: Any, events: pl.DataFrame) -> None:
    frame = events.tail(100).to_pandas().set_index(pd.Index(range(500, 600)))
    told = opened.predict(frame)
    assert told.index.tolist() == list(range(500, 600))
    assert same(told, opened.predict(events.tail(100)))


def test_the_verdicts_are_those_of_the_agent_that_was_kept(opened: Any, events: pl.DataFrame) -> None:
    agent = Agent(recipe_of(DOMAIN))
    agent.observe(events.head(200).with_row_index("seq").cast({"seq": pl.Int64}))
    agent.wake()
    expected = agent.observe(events.tail(100).with_row_index("seq").cast({"seq": pl.Int64}))
    assert np.array_equal(opened.predict(events.tail(100))["p"].to_numpy(), expected["p"].to_numpy())


def test_the_model_shows_an_example_that_it_takes_and_its_columns(opened: Any, events: pl.DataFrame) -> None:
    assert len(opened.predict(opened.input_example)) == 5
    assert opened.metadata.signature.inputs.input_names() == schema(DOMAIN).names()
    assert opened.metadata.signature.inputs.required_input_names() == ["time"]
    assert opened.metadata.signature.outputs.input_names() == GIVES.names()


def test_an_example_leaves_out_what_may_hold_secrets(opened: Any) -> None:
    assert opened.input_example["process_cmd_line"].isna().all()
    assert opened.input_example["activity_name"].notna().any()


def test_opening_a_model_leaves_its_bundle_as_it_was_judged(opened: Any, registered: Registry, kept: Path) -> None:
    fetched = registered.fetch(model_name(DOMAIN), 1)
    assert bundle.read(fetched).sha256 == bundle.read(kept).sha256
    assert {path.suffix for path in fetched.parent.rglob("*") if path.is_file()} <= {"", ".json", ".safetensors"}


def test_a_model_that_was_tampered_with_is_not_opened(registered: Registry, opened: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(registered.fetch(model_name(DOMAIN), 1).parent, tmp_path / "copy")
    with (copy / "bundle" / bundle.ARRAYS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleRefused, match="sha256"):
        mlflow.pyfunc.load_model(str(copy))


def test_what_is_no_model_of_a_domain_is_not_opened(registered: Registry, opened: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(registered.fetch(model_name(DOMAIN), 1).parent, tmp_path / "copy")
    shutil.rmtree(copy / "bundle")
    bundle.write(copy / "bundle", {}, {"kind": "release"})
    with pytest.raises(BundleRefused, match="expected the model of a domain"):
        mlflow.pyfunc.load_model(str(copy))


def test_events_in_any_order_get_verdicts_row_for_row(watcher: Watcher, events: pl.DataFrame) -> None:
    newest = events.tail(100).unique("time", keep="first", maintain_order=True)
    mixed = newest[np.random.default_rng(0).permutation(newest.height)]
    told = watcher.predict(mixed).sort_values("time")
    straight = watcher.predict(newest)
    assert told["uid"].tolist() == straight["uid"].tolist()
    assert told["p"].tolist() == straight["p"].tolist()


def test_a_column_that_is_not_there_is_null_and_others_are_ignored(events: pl.DataFrame) -> None:
    taken = events_of(DOMAIN, events.drop("uid").with_columns(extra=1))
    assert taken.schema == schema(DOMAIN)
    assert taken["uid"].null_count() == events.height


def test_times_without_a_zone_are_utc_and_may_be_text(events: pl.DataFrame) -> None:
    naive = events.with_columns(pl.col("time").dt.replace_time_zone(None))
    text = events.with_columns(pl.col("time").dt.to_string("iso:strict"))
    elsewhere = events.with_columns(pl.col("time").dt.convert_time_zone("Asia/Tokyo"))
    for frame in (naive, text, elsewhere, naive.to_pandas()):
        assert events_of(DOMAIN, frame)["time"].equals(events["time"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: frame.drop("time"), "no column 'time'"),
        (lambda frame: frame.with_columns(time=pl.lit("soon")), "column 'time': expected Datetime.*found"),
        (lambda frame: frame.with_columns(time=pl.lit(5)), "column 'time': expected Datetime.*found Int"),
        (lambda frame: frame.with_columns(time=None), "column 'time': expected a time in every row, found 300"),
        (lambda frame: frame.with_columns(line=pl.lit("x")), "column 'line': expected Int64, found String"),
        (lambda frame: frame.with_columns(uid=pl.lit([1])), "column 'uid': expected String, found List"),
        (lambda frame: frame.select("time", "uid"), "none of endpoint's own columns: expected some of .*file_path"),
        (lambda frame: frame.to_pandas().assign(uid=[1, "x"] * 150), "column 'uid': expected String, found object"),
    ],
)
def test_a_frame_of_something_else_is_refused_by_its_column(
    events: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame], told: str
) -> None:
    with pytest.raises(EventsRefused, match=told):
        events_of(DOMAIN, change(events))


@pytest.mark.parametrize("domain", list(Domain))
def test_every_domain_has_an_example_that_is_one_of_its_events(domain: Domain, stream: Stream) -> None:
    shown = flavour_of(domain, stream(domain, seed=1, rows=20), rows=3)
    assert shown.takes == shown.example.schema == schema(domain)
    assert events_of(domain, shown.example).equals(shown.example)
