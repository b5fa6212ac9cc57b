"""A training job: past events in, a release of what the agents learned out, which is promoted if the gate lets it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.keeping import check_inherited, offline_before, part_of_mesh_from
from agents.recipe import recipe_of
from agents.terminal import Told as Heard
from features.events import Domain
from features.logs import Events
from models.bundle import Bundle, BundleRefused
from models.registry import NoRegistry, Registry, Run
from models.releases import Release, champion, load, note, promote, publish
from models.signing import KeyRefused
from training.counting import Counted
from training.fitting import EPOCHS, Fit, Settings, device_of, fit_counted
from training.gate import Decision, Reigning, judge, reigning
from training.learning import NOTHING, Before, Learned, Lesson, learn_together, watch
from training.lineage import NothingToLearn
from training.past import Past, past_of
from training.progress import adding, unheard
from training.story import EXPERIMENT, Story, keep, origin, tell, tell_data, tell_release

Told = Callable[[Domain, int, int], None]

#: The share of the events, the newest, that a challenger is judged by before it learns from them.
_NEWEST = 0.1
#: At most so many, as they are in memory all at once.
_MOST_NEWEST = 1 << 18


@dataclass(frozen=True)
class Outcome:
    """The release that a job made, and why it became the champion or did not."""

    release: Release
    decision: Decision

    def in_words(self) -> list[str]:
        """The gate's verdict, and what to do next."""
        number = self.release.number
        if self.decision.is_taken:
            return [
                *self.decision.in_words(),
                f"release {number} is the champion; next: `secmesh rank` with newer logs",
            ]
        remedy = f"`secmesh compare` shows the runs, `secmesh promote {number} --reason WHY` takes it all the same"
        return [*self.decision.in_words(), f"release {number} is the challenger, and the champion stays; {remedy}"]


def train(
    past: Events | Past,
    registry: Registry,
    domains: Collection[Domain] = tuple(Domain),
    *,
    seed: int,
    told: Told = lambda domain, epoch, epochs: None,
    heard: Heard = unheard,
    epochs: int = EPOCHS,
    sweep: int = 0,
    device: str = "cpu",
    folder: Path | None = None,
    is_compared: bool = True,
) -> Outcome:
    """Teach an agent for each of `domains` that has events in the `past`, and make them, together, the challenger.

    They become the champion if they are no worse than the one before on the newest events, or if nobody wants to know
    (`is_compared`), which leaves nothing of the one before. Domains that are not taught come from the champion before.
    Each domain's settings are the best of `sweep` trials, if any. `told` hears of each epoch done, `heard` of all else
    that takes long. The same events and `seed` give the same models on a CPU. Until all are registered nothing serves
    them, so a job that is stopped changes no champion; below `folder` it leaves what it has done, and the same job goes
    on there. Raises NothingToLearn, NoDevice, and what `learn_together` and `fit_counted` raise.
    """
    past, device = past_of(past), device_of(device)
    taught = [domain for domain in past.rows if domain in domains]
    if not taught:
        raise NothingToLearn("there is no event to learn from: give more logs, or simulate more days")
    settings = {"seed": seed, "epochs": epochs, "domains": " ".join(taught), "device": device, "sweep": sweep}
    with registry.run(EXPERIMENT, "train", settings, origin("secmesh train")) as job, job.watched():
        known, before = _before(registry) if is_compared else (None, NOTHING)
        older, newest = _parted(past, taught) if known else (past, {})
        teacher = _Teacher(registry, job, seed, epochs, sweep, device, folder, told, heard)
        watched = adding(heard, "watching", sum(older.rows.values()))
        lesson = learn_together(older, taught, before, seed=seed, teach=teacher.teach, watched=watched)
        decision = _decided(known, lesson, newest, seed)
        check_inherited(_inherited(registry, lesson), {d: learned.agent for d, learned in lesson.learned.items()})
        versions = {d: _keep(learned, past, settings, registry, job) for d, learned in lesson.learned.items()}
        release = publish(registry, job, versions, decision.metrics())
        _tell(release, decision, registry, job)
        if decision.is_taken:
            promote(registry, release)
    return Outcome(release, decision)


@dataclass(frozen=True)
class _Teacher:
    """Fits encoders as a job was asked to, each after a sweep for its settings if there is to be one."""

    registry: Registry
    job: Run
    seed: int
    epochs: int
    sweep: int
    device: str
    folder: Path | None
    told: Told
    heard: Heard

    def teach(self, domain: Domain, counted: Counted) -> Fit:
        """A domain's encoder; one that is below the folder already goes on from there."""
        settings = self._swept(domain, counted) if self.sweep else Settings(epochs=self.epochs)
        return fit_counted(
            counted,
            recipe_of(domain).asks,
            settings,
            seed=self.seed,
            device=self.device,
            keep=self.folder / "fits" if self.folder else None,
            told=lambda epoch: self.told(domain, epoch.number + 1, settings.epochs),
        )

    def _swept(self, domain: Domain, counted: Counted) -> Settings:
        from training.sweeping import Sweep  # optuna takes a second that only a sweep has to spend

        folder = self.folder / "sweeps" if self.folder else None
        sweep = Sweep(counted, recipe_of(domain).asks, seed=self.seed, folder=folder, device=self.device)
        with self.registry.run(EXPERIMENT, f"sweep {domain}", {"domain": domain}, _below(self.job)) as run:
            return sweep.run(
                self.sweep,
                self.registry,
                EXPERIMENT,
                run,
                lambda trial, trials, best: self.heard(f"sweeping {domain}", trial, trials),
            )


def _before(registry: Registry) -> tuple[Reigning | None, Before]:
    """The champion's mesh where there is a champion, and what it leaves to the new agents."""
    try:
        base = champion(registry)
    except (NoRegistry, BundleRefused, KeyRefused):  # what is refused hands nothing on
        base = None
    if base is None:
        return None, NOTHING
    bundles = load(registry, base)
    known = reigning(bundles, base.number)
    kept = {domain: bundle for domain, bundle in bundles.items() if domain not in known.notes}
    agents = part_of_mesh_from(kept, base.number).agents  # not those of the champion's mesh, which is to be compared
    encoders = {d: found for d, kept in bundles.items() if (found := offline_before(kept, recipe_of(d)))}
    return known, Before({domain: agents[domain] for domain in kept}, encoders)


def _inherited(registry: Registry, lesson: Lesson) -> dict[Domain, Bundle]:
    """The champion's models that a release with what was learned would hold, too."""
    try:
        base = champion(registry)
        bundles = load(registry, base) if base else {}
    except (NoRegistry, BundleRefused, KeyRefused):  # what is refused hands nothing on
        return {}
    return {domain: bundle for domain, bundle in bundles.items() if domain not in lesson.learned}


def _parted(past: Past, taught: Collection[Domain]) -> tuple[Past, Events]:
    """The older events and the newest; none are newest where nothing would be left to learn from."""
    older, newest = past.parted(min(int(_NEWEST * sum(past.rows.values())), _MOST_NEWEST))
    return (older, newest) if any(domain in older.rows for domain in taught) else (past, {})


def _decided(known: Reigning | None, lesson: Lesson, newest: Events, seed: int) -> Decision:
    """The gate's word; then the new agents watch the newest events, too.

    Where the champion learned from these before, they watch first, so that neither side is at an advantage.
    """
    if known is None:
        return judge(None, lesson.mesh, newest, seed=seed)
    begins = min((frame["time"][0] for frame in newest.values()), default=None)
    has_seen = known.until is not None and begins is not None and known.until >= begins
    if has_seen:
        watch(lesson.mesh, newest, lesson.learned)
    decision = judge(known.mesh, lesson.mesh, newest, seed=seed, notes=known.notes)
    if not has_seen:
        watch(lesson.mesh, newest, lesson.learned)
    return decision


def _keep(learned: Learned, past: Past, settings: Mapping[str, object], registry: Registry, job: Run) -> int:
    """Register one agent, with its story, as a run below `job`; returns the version."""
    recipe, fitted = learned.agent.recipe, learned.fit
    lineage = past.lineage(recipe.domain)
    told = {**settings, **asdict(fitted.settings), "domain": recipe.domain, "events": lineage.rows}
    told["epochs done"] = len(fitted.loss)
    with registry.run(EXPERIMENT, f"train {recipe.domain}", told, _below(job)) as run:
        story = Story(recipe, lineage, told, learned)
        tell_data(recipe, lineage, run)
        tell(story, run)
        return keep(story, next(past.slices(recipe.domain)), registry, run)


def _below(job: Run) -> dict[str, str]:
    return origin("secmesh train") | {"mlflow.parentRunId": job.run_id}


def _tell(release: Release, decision: Decision, registry: Registry, job: Run) -> None:
    tell_release(release, registry, job)
    job.log_metrics(decision.metrics())
    job.log_text("\n".join(decision.in_words()), "gate.txt")
    note(registry, release, is_taken=decision.is_taken, reason=decision.reason)
