"""A training job: past events in, a promoted release of what the agents learned out."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import polars as pl

from agents.agent import Agent
from agents.keeping import arrays_of, manifest_of
from agents.recipe import Recipe, recipe_of
from features.events import Domain
from features.logs import Events
from models import bundle
from models.registry import Registry, Run
from models.releases import Release, model_name, promote, publish
from training.card import card
from training.fitting import EPOCHS
from training.learning import Learned, learn
from training.lineage import Lineage, NothingToLearn, lineage_of

EXPERIMENT = "secmesh"

Told = Callable[[Domain, int, int], None]


def train(
    events: Events,
    registry: Registry,
    *,
    seed: int,
    told: Told = lambda domain, epoch, epochs: None,
    epochs: int = EPOCHS,
) -> Release:
    """Teach an agent for each domain that has events, and make what they learned, together, the champion.

    Domains without events come from the champion before. `told` hears of each epoch done. The same events and `seed`
    give the same models. Until all are registered nothing serves them, so a job that is stopped changes no champion.
    """
    taught = {domain: frame for domain, frame in events.items() if frame.height}
    if not taught:
        raise NothingToLearn("there is no event to learn from: give more logs, or simulate more days")
    settings = {"seed": seed, "epochs": epochs, "domains": " ".join(taught)}
    with registry.run(EXPERIMENT, "train", settings, {}) as job:
        versions = {}
        for domain, frame in taught.items():
            versions[domain] = _train(recipe_of(domain), frame, registry, job, seed=seed, epochs=epochs, told=told)
        release = publish(registry, job, versions)
        promote(registry, release)
    return release


def _train(
    recipe: Recipe, events: pl.DataFrame, registry: Registry, job: Run, *, seed: int, epochs: int, told: Told
) -> int:
    """Teach one agent and register what it learned, as a run below `job`; returns the version."""
    lineage = lineage_of(events)
    settings = {"domain": recipe.domain, "events": lineage.rows, "seed": seed, "epochs": epochs}
    settings |= {"recipe": signature(recipe)}
    tags = {"mlflow.parentRunId": job.run_id}
    with registry.run(EXPERIMENT, f"train {recipe.domain}", settings, tags) as run:
        span = (lineage.since, lineage.until)
        run.log_input(f"{recipe.domain} events", lineage.digest, lineage.rows, span, "training")
        began = perf_counter()
        learned = learn(
            recipe, events, seed=seed, epochs=epochs, told=lambda epoch: told(recipe.domain, epoch + 1, epochs)
        )
        measures = _measures(learned) | {"events_per_second": lineage.rows / (perf_counter() - began)}
        vocabulary = dict(zip(recipe.asked, learned.fit.offline.vocabulary.sizes, strict=True))
        run.log_params({f"vocabulary {field}": size for field, size in vocabulary.items()})
        run.log_batch({"loss": learned.fit.loss, "later_loss": learned.fit.later_loss})
        run.log_metrics(measures, step=epochs - 1)
        run.log_text(card(recipe, lineage, settings, measures, vocabulary), "card.md")
        _plot(learned, run)
        with TemporaryDirectory() as folder:
            kept = manifest_of(learned.agent) | {"trained": _trained(learned, lineage, seed)}
            bundle.write(Path(folder), arrays_of(learned.agent), kept)
            return registry.register(model_name(recipe.domain), Path(folder), run)


def signature(recipe: Recipe) -> str:
    """A short hash of all that stored state depends on in a recipe."""
    return hashlib.sha256(json.dumps(manifest_of(Agent(recipe)), sort_keys=True).encode()).hexdigest()[:16]


def _measures(learned: Learned) -> dict[str, float]:
    """How it ended, and how much of the stream was called strange."""
    p_B = learned.verdicts["p"].to_numpy()
    shares = {f"share_p_{level}": float(np.mean(p_B <= level)) for level in (0.01, 0.001)}
    return {"final_loss": learned.fit.loss[-1], "final_later_loss": learned.fit.later_loss[-1]} | shares


def _trained(learned: Learned, lineage: Lineage, seed: int) -> dict[str, bundle.JSON]:
    """What a model tells of its own training to whoever loads it."""
    return {
        "digest": lineage.digest,
        "events": lineage.rows,
        "since": lineage.since.isoformat(),
        "until": lineage.until.isoformat(),
        "seed": seed,
        "loss": learned.fit.loss,
        "later_loss": learned.fit.later_loss,
    }


def _plot(learned: Learned, run: Run) -> None:
    from training import plots  # matplotlib takes half a second that only a job has to spend

    domain = learned.agent.recipe.domain.value
    figures = {
        "learning": plots.learning({domain: (learned.fit.loss, learned.fit.later_loss)}),
        "scores": plots.scores(learned.verdicts),
        "reliability": plots.reliability(learned.verdicts),
        "fields": plots.telling_fields(learned.verdicts),
    }
    for name, figure in figures.items():
        run.log_figure(figure, f"plots/{name}.png")
