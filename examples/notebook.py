"""A data scientist's day: train, inspect, change a recipe, compare, promote, and see whether the attacks are found."""

# %% [markdown]
# # A day with secmesh
#
# This file is a notebook in plain text: each `# %%` begins a cell. VS Code, PyCharm and Spyder open it as it is,
# Jupyter does after `pip install jupytext`. It is a program, too: `python examples/notebook.py` runs all of it in
# about a minute. What it makes, figures included, is kept in a new folder below the one it is started in.
#
# We simulate a small company with attacks in its logs, train on the peaceful days, look at what was learned, change a
# recipe, train again, decide which release should serve, and then let it score the rest of the week. Only then do we
# look at the truth: no model ever sees a label.

# %%
import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from agents.consensus.council import Council
from agents.keeping import mesh_from
from agents.recipes import network
from features.events import Domain
from features.logs import cut, read_logs
from features.words.rarity import Rarity
from models import releases
from models.home import Home
from models.rare_rows import RareRows
from models.registry import Registry
from training import plots
from training.comparing import compare, table
from training.demo import truth_of
from training.jobs import train
from training.measuring import measure, ranking
from training.simulation import simulate, split_time

folder = Path(mkdtemp(prefix="day-", dir="."))
registry = Registry(Home.at(folder))
pl.Config(tbl_rows=12, tbl_cols=12, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, fmt_str_lengths=60)


def show(figure: Figure, name: str) -> None:
    """Keep a figure beside the models and, where there is a notebook, show it there."""
    path = folder / f"{name}.png"
    figure.savefig(path)
    with suppress(ImportError):
        from IPython.display import Image, display  # type: ignore[import-not-found]  # only a notebook has it

        display(Image(path))


# %% [markdown]
# ## The logs
#
# Eight people, their servers and their customers live for three days. Three attack campaigns are hidden among their
# events; `truth.json` tells which events are theirs, and stays shut until the end. We train on what came before the
# first attack. With logs of your own, `read_logs(["/var/log/zeek"])` is all there is to this cell.

# %%
summary = simulate(folder / "logs", seed=1, days=3, users=8)
events = read_logs([folder / "logs" / f"{domain}.jsonl" for domain in Domain]).events
first_attack = split_time(summary)
before = {domain: frame.filter(pl.col("time") < first_attack) for domain, frame in events.items()}
after = {domain: frame.filter(pl.col("time") >= first_attack) for domain, frame in events.items()}
print(
    pl.DataFrame([(d, before[d].height, after[d].height) for d in events], ["domain", "before", "after"], orient="row")
)

# %% [markdown]
# ## The first release
#
# One call trains an agent for each domain: an encoder that learns from the whole past what usually goes together, and
# online models that watch it go by once more. All six become one signed release. The first release has no champion to
# measure itself against, so the gate lets it through.

# %%
first = train(before, registry, seed=0)
print("\n".join(first.in_words()))

# %% [markdown]
# ## What MLflow knows of it
#
# Each agent is a run, nested in the run of the job, with its settings, the digest of its data, a curve for each epoch,
# figures and a card. `mlflow ui --backend-store-uri sqlite:///FOLDER/mlruns/mlflow.db` shows all this in a browser;
# here we read it as a frame.

# %%
import mlflow  # noqa: E402  # only after training has told it not to call home

mlflow.set_tracking_uri(f"sqlite:///{registry.database.resolve()}")
runs = pl.from_pandas(mlflow.search_runs(experiment_names=["secmesh"]))
agents = runs.filter(pl.col("params.domain").is_not_null())
print(agents.select("params.domain", "params.events", "metrics.loss", "metrics.later_loss", "metrics.share_p_0.01"))

# %% [markdown]
# Every run keeps its figures. Here we draw the learning curves of all agents in one: the loss on the events they
# learned from and on later ones, epoch by epoch. An agent that goes on gaining on the first alone learns by heart.


# %%
def curve(run_id: str, metric: str) -> list[float]:
    """A metric of a run, epoch by epoch."""
    return [point.value for point in mlflow.MlflowClient().get_metric_history(run_id, metric)]


ids = dict(agents.select("params.domain", "run_id").iter_rows())
print([artifact.path for artifact in mlflow.MlflowClient().list_artifacts(ids["network"], "plots")])
curves = {domain: (curve(run_id, "loss"), curve(run_id, "later_loss")) for domain, run_id in ids.items()}
show(plots.learning(curves), "learning of all agents")

# %% [markdown]
# ## A model in your hands
#
# MLflow opens a registered model by its name. It takes a Polars or pandas frame of events and gives a verdict for each;
# every call starts from what the model knew when it was registered. `p` is how often something usual is as strange as
# this, `evidence` is -log p, and `reasons` say which fields were strange and by how many nats.
#
# The first figure tells whether p keeps its promise: of a hundred usual events one should have p <= .01. The second
# shows how the scores lie, and what each of the two models had to say.

# %%
model = mlflow.pyfunc.load_model("models:/secmesh-network@champion")
verdicts = pl.from_pandas(model.predict(after[Domain.NETWORK].head(2000)))
strangest = verdicts.sort("evidence", descending=True).head(5)
for verdict in strangest.iter_rows(named=True):
    why = "; ".join(f"{reason['field']} {reason['value']}: {reason['nats']:.1f} nats" for reason in verdict["reasons"])
    print(f"{verdict['time']:%a %H:%M}  p = {verdict['p']:.1e}  {verdict['address']} to {verdict['peer']}  {why}")
show(plots.reliability(verdicts), "reliability on new events")
show(plots.scores(verdicts), "scores of new events")

# %% [markdown]
# ## A table of your own
#
# Not everything is a stream. `RareRows` is the offline detector for tables, a scikit-learn estimator like any other: it
# goes into a pipeline and a grid search. Here the search asks which of two sets of columns tells odd connections best.
# `fit` does not look at labels; the search does, to choose, so we lend it a handful of connections that we make up:
# real ones whose port and size were exchanged with those of others.

# %%
chance = np.random.default_rng(0)
columns = ["app_name", "dst_endpoint_port", "traffic_bytes_in", "traffic_bytes_out", "duration"]
real = before[Domain.NETWORK].select(columns).sample(1500, seed=0)
odd = real.sample(60, seed=1).with_columns(
    pl.Series("dst_endpoint_port", chance.integers(1024, 65535, 60)),
    pl.col("traffic_bytes_out").shuffle(seed=2) * 20,
)
rows = pl.concat([real, odd.cast(real.schema)])
is_odd = np.r_[np.zeros(real.height, bool), np.ones(odd.height, bool)]


def chosen(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The columns of those names."""
    return frame.select(names)


def how_pure(pipeline: Pipeline, X: pl.DataFrame, y: NDArray[np.bool_]) -> float:
    """The average precision of the ranking; scikit-learn hands over rows that `fit` never saw."""
    return float(average_precision_score(y, -pipeline.score_samples(X)))


search = GridSearchCV(
    make_pipeline(FunctionTransformer(chosen), RareRows(random_state=0)),
    {"functiontransformer__kw_args": [{"names": columns[:2]}, {"names": columns}]},
    scoring=how_pure,
    cv=3,
)
order = chance.permutation(rows.height)
search.fit(rows[order], is_odd[order])
for names, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"average precision {score:.2f} with {', '.join(names['functiontransformer__kw_args']['names'])}")

# %% [markdown]
# ## Another recipe
#
# What an agent looks at is declared in `agents/recipes/<domain>.py`, and that is the file to edit: add a line, save,
# `secmesh train network`. A scorer that runs reads the file anew when its new release arrives. Here we do the same in
# memory. The network agent should notice a source that talks to a network it never talks to:

# %%
told_before = network.RECIPE
told_more = replace(told_before, words=(*told_before.words, Rarity("peer network", given="source")))
network.RECIPE = told_more
second = train(before, registry, [Domain.NETWORK], seed=0)

# %% [markdown]
# ## What the gate said
#
# The challenger scored the newest tenth of the events in the shadow of the champion, and with them counterfeits: events
# made up by exchanging some fields of real ones. It is taken if it is worse in no domain, the ones that were not taught
# included, since agents read what the others know. Nobody can run the old network model by the new recipe, so in that
# domain the challenger is compared with an agent that knows nothing. `holds` says by which numbers it was judged.

# %%
print("\n".join(second.in_words()))
print(second.decision.table().filter(pl.col("domain") == "network").drop("domain"))

# %% [markdown]
# The two runs of the agent side by side; `release/1` and `release/2` would be the jobs, with what the gate measured.

# %%
Console(width=120).print(table(compare(registry, "network/1", "network/2")))

# %% [markdown]
# ## Promote, and take it back
#
# What the gate takes is the champion at once. What it refuses waits as the challenger, and needs a reason to be
# promoted, which is kept, signed, in the record of champions. To go back is one step. Whoever scores follows within
# seconds either way; a release is only ever read by the recipe that it was trained by.

# %%
reason = "we want to see new networks, and will watch the alarms"
if not second.decision.is_taken:
    releases.promote(registry, second.release, reason=reason)
network.RECIPE = told_before
print(f"release {releases.rollback(registry, reason='to show it').number} is the champion again")
network.RECIPE = told_more
releases.promote(registry, second.release, reason=reason)
members = ", ".join(f"{domain}/{version}" for domain, version in second.release.versions.items())
print(f"release {second.release.number} is the champion; its members: {members}")

# %% [markdown]
# ## The attacks
#
# The champion watches the rest of the week, batch by batch as it would arrive, and the council gathers what all six
# agents find strange into threats.

# %%
mesh, council = mesh_from(releases.load(registry, second.release), second.release.number), Council()
heard = pl.concat([mesh.observe(batch) for batch in cut(after, 4096)])
council.hear(heard)
threats = council.rank(most=10)

# %% [markdown]
# Now the truth may be opened. A threat is right if at least half of the events behind it belong to one campaign. Others
# are what happens in any company now and then, which the simulation plays, too: somebody travels, somebody is new.

# %%
truth = json.loads((folder / "logs" / "truth.json").read_text("utf-8"))["campaigns"]
attacks = {uid for campaign in truth for uid in campaign["uids"]}
right = [truth_of(threat.evidence["uid"], truth) for threat in threats]
for threat, name in zip(threats, right, strict=True):
    who = ", ".join(entity.name for entity in threat.entities[:3])
    print(f"{threat.rank:>2}. {threat.score:6.1f} nats  {who}: {name or '-'}")
    print("    " + "; ".join(f"{reason.activity}, {reason.field} {reason.value}" for reason in threat.reasons[:2]))

# %% [markdown]
# Event by event it is harder: most of what an attacker does looks like work. The curve shows how many of the events
# that are at least so strange are an attack's, and how many of the attacks' events are among them.

# %%
is_attack = heard["uid"].is_in(list(attacks)).to_numpy()
ranked = ranking(is_attack, heard["evidence"].to_numpy())
for name, value in measure(ranked, np.random.default_rng(0)).items():
    print(f"{name}: {value.in_words()}")
show(plots.precision_recall({"all domains": ranked}), "precision and recall")
spans = {c["name"]: (datetime.fromisoformat(c["start"]), datetime.fromisoformat(c["end"])) for c in truth}
show(plots.evidence_over_time(heard, spans, attacks), "evidence over time")
found = set(right) - {None}
print(f"{len(found)} of {len(truth)} attacks are among the first {len(threats)} threats; figures and models: {folder}")
