"""The whole story of a training run, told to MLflow for whoever looks at it later."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from agents.agent import Agent
from agents.keeping import arrays_of, manifest_of
from agents.notebook import flavour_of
from agents.recipe import Recipe
from models import bundle
from models.registry import Registry, Run
from models.releases import NAME, Release, model_name, recipe_hash
from training.card import card, release_card
from training.learning import Learned
from training.lineage import Lineage

#: The experiment that all runs are of.
EXPERIMENT = "secmesh"


@dataclass(frozen=True)
class Story:
    """What is to be told of one agent's training."""

    recipe: Recipe
    lineage: Lineage
    settings: Mapping[str, object]
    learned: Learned

    @property
    def measures(self) -> dict[str, float]:
        """How it ended, and how much of the stream was called strange."""
        p_B = self.learned.verdicts["p"].to_numpy()
        shares = {f"share_p_{level}": float(np.mean(p_B <= level)) for level in (0.01, 0.001)}
        fit = self.learned.fit
        ends = {"final_loss": fit.loss[-1], "final_later_loss": fit.later_loss[-1]}
        return ends | shares

    @property
    def vocabulary(self) -> dict[str, int]:
        """How many values the encoder knows, by field."""
        return dict(zip(self.recipe.asked, self.learned.fit.offline.vocabulary.sizes, strict=True))

    @property
    def card(self) -> str:
        """The model's card."""
        return card(self.recipe, self.lineage, self.settings, self.measures, self.vocabulary)


def origin(command: str) -> dict[str, str]:
    """Tags that tell by which command and by which code a run was made, the code where git knows it.

    >>> origin("secmesh train")["mlflow.source.name"]
    'secmesh train'
    """
    return {"mlflow.source.name": command, "mlflow.source.type": "LOCAL"} | _commit(
        Path(__file__).with_name("__init__.py")
    )


def tell_data(recipe: Recipe, lineage: Lineage, run: Run) -> None:
    """Before an agent learns: from what, and by which recipe."""
    run.tag({"domain": recipe.domain.value, "recipe": recipe_hash(manifest_of(Agent(recipe)))})
    span = (lineage.since, lineage.until)
    run.log_input(f"{recipe.domain} events", lineage.digest, lineage.rows, span, "training")


def tell(story: Story, run: Run) -> None:
    """After it has learned: its curves, measures, figures and card."""
    fit = story.learned.fit
    run.log_params({f"vocabulary {field}": size for field, size in story.vocabulary.items()})
    run.log_batch({"loss": fit.loss, "later_loss": fit.later_loss})
    run.log_metrics(story.measures, step=len(fit.loss) - 1)
    run.log_text(story.card, "card.md")
    _draw(story, run)


def keep(story: Story, events: pl.DataFrame, registry: Registry, run: Run) -> int:
    """Register what the agent learned from `events`, as a notebook can open it, and return its version."""
    domain, agent = story.recipe.domain, story.learned.agent
    tags = {
        "recipe": recipe_hash(manifest_of(agent)),
        "digest": story.lineage.digest,
        "events": str(story.lineage.rows),
    }
    with TemporaryDirectory() as folder:
        bundle.write(Path(folder), arrays_of(agent), manifest_of(agent) | {"trained": _trained(story)})
        return registry.register(
            model_name(domain), Path(folder), run, opened=flavour_of(domain, events), tags=tags, described=story.card
        )


def tell_release(release: Release, registry: Registry, run: Run) -> None:
    """After a release was published by `run`: its members, here and on its own page."""
    told = release_card(release)
    run.log_text(told, "release.md")
    registry.describe(NAME, release.number, told)
    registry.tag(NAME, release.number, {str(domain): str(version) for domain, version in release.versions.items()})


def _trained(story: Story) -> dict[str, bundle.JSON]:
    """What a model tells of its own training to whoever loads it."""
    return {
        "digest": story.lineage.digest,
        "events": story.lineage.rows,
        "since": story.lineage.since.isoformat(),
        "until": story.lineage.until.isoformat(),
        "seed": int(str(story.settings["seed"])),
        "loss": story.learned.fit.loss,
        "later_loss": story.learned.fit.later_loss,
    }


def _draw(story: Story, run: Run) -> None:
    from training import plots  # matplotlib takes half a second that only a job has to spend

    fit, verdicts = story.learned.fit, story.learned.verdicts
    figures = {
        "learning": plots.learning({story.recipe.domain.value: (fit.loss, fit.later_loss)}),
        "scores": plots.scores(verdicts),
        "reliability": plots.reliability(verdicts),
        "fields": plots.telling_fields(verdicts),
    }
    for name, figure in figures.items():
        run.log_figure(figure, f"plots/{name}.png")


def _commit(file: Path) -> dict[str, str]:
    """The commit that `file` is of and whether the tree differs from it; nothing where git does not keep the file."""
    if _git(file, "ls-files", "--error-unmatch", file.name) is None or not (commit := _git(file, "rev-parse", "HEAD")):
        return {}
    is_dirty = bool(_git(file, "status", "--porcelain", "--untracked-files=no"))
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(is_dirty).lower()}


def _git(file: Path, *words: str) -> str | None:
    """What git says of the folder of `file`, or None where it says no or is not there."""
    if (git := shutil.which("git")) is None:
        return None
    asked = [git, "-C", str(file.parent), *words]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return None if done.returncode else done.stdout.strip()
