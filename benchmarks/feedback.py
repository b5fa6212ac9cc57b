"""Feedback: what twenty answers do for the next week's ranking, and what an analyst who lies does to it.

    python -m benchmarks.feedback [--seeds 401 402 403 404 405] [--verdicts FOLDER] [--only clean cold faults lies]

Each seed simulates four weeks of 30 users with ten campaigns in the second half. Agents learn, without labels, what
comes before the first attack; the council hears that and the week up to the fourth, whose twenty highest threats are
answered; then it hears the fourth, which is judged with and without the answers: precision at 10 and average precision
of the threats that begin there, the same and the area under the ROC curve of all its episodes. A truthful analyst finds
true what at least half the evidence of is malicious. Cold: the council has not heard what came before. Faults: of each
agent in turn p is random, or its evidence doubled, while the council hears both weeks. Lies: an analyst says the
opposite, or says false of all that is true. Naive, beside it: sorts of things answered false are not heard, or agents
weigh as the share of what they told that was true. Differences are paired, with 95 % intervals by Student's t.
With a folder, verdicts are kept there, and read if they are there.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from agents.consensus.answers import Answer, answer_to
from agents.consensus.council import Council
from agents.consensus.guidance import NOTHING_SAID, Guidance
from agents.consensus.threats import Threat
from agents.consensus.trusting import Sway, guided_by
from benchmarks.consensus import by_entity, heard, timelines
from benchmarks.sharing import interval
from features.events import Domain
from features.logs import read_logs
from training.learning import learn_together
from training.simulation import MONDAY, simulate, split_time

_DAYS, _USERS, _CAMPAIGNS = 28, 30, 10
_NEXT = MONDAY + timedelta(days=21)
_ANSWERED, _MANY = 20, 50
_ALL, _TOP, _LIST = 100_000, 10, 20
_KEY = ("kind", "name", "start")
_NO_CAP = Sway(alone=0.5, agreed=0.0, full=0.5, low=0.01)

#: A threat and whether it is true; and what an analyst says of one that is or is not, None where he says nothing.
Shown = tuple[Threat, bool]
Says = Callable[[bool], bool | None]
Rule = Callable[[Sequence[Answer]], Guidance]


@dataclass(frozen=True)
class Life:
    """Verdicts before an estate's first attack, those after it, and which events are malicious."""

    before: pl.DataFrame
    after: pl.DataFrame


@dataclass(frozen=True)
class Weeks:
    """A council that heard two weeks, what it showed in the first of them, and the episodes of the second."""

    council: Council
    shown: list[Shown]
    truth: pl.DataFrame
    bad: frozenset[str]


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[401, 402, 403, 404, 405])
    parser.add_argument("--verdicts", type=Path)
    parser.add_argument("--only", nargs="+", default=["clean", "cold", "faults", "lies"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=180)
    lifted: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    lied: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
    for seed in track(arguments.seeds, "estates"):
        life = _kept(seed, arguments.verdicts) if arguments.verdicts else _lived(seed)
        for name, weeks in _conditions(life, seed, arguments.only):
            lifted[name].append(_lifted(weeks))
        if "lies" in arguments.only:
            for liar, moved_F in _lied(_weeks(life.before, life.after)):
                lied[liar].append(moved_F)
    if lifted:
        console.print(_lifted_table(lifted))
    if lied:
        console.print(_lied_table(lied))


def _kept(seed: int, folder: Path) -> Life:
    paths = [folder / f"{seed}-{name}.parquet" for name in ("before", "after")]
    if not all(path.exists() for path in paths):
        life = _lived(seed)
        folder.mkdir(parents=True, exist_ok=True)
        life.before.write_parquet(paths[0])
        life.after.write_parquet(paths[1])
    return Life(*(pl.read_parquet(path) for path in paths))


def _lived(seed: int) -> Life:
    """What agents that learned from what comes before the first attack say of it and of the rest, with `bad`."""
    with TemporaryDirectory() as folder:
        summary = simulate(Path(folder), seed=seed, days=_DAYS, users=_USERS, play=_CAMPAIGNS)
        events = read_logs(sorted(Path(folder).glob("*.jsonl"))).events
        campaigns = loads((Path(folder) / "truth.json").read_text())["campaigns"]
    at = pl.lit(split_time(summary))
    lesson = learn_together({name: frame.filter(pl.col("time") < at) for name, frame in events.items()}, seed=seed)
    before = pl.concat([learned.verdicts for learned in lesson.learned.values()]).sort("time", "seq")
    after = lesson.mesh.observe({name: frame.filter(pl.col("time") >= at) for name, frame in events.items()})
    bad = pl.Series([uid for campaign in campaigns for uid in campaign["uids"]])
    return Life(before, after.sort("time", "seq").with_columns(bad=pl.col("uid").is_in(bad.implode())))


def _conditions(life: Life, seed: int, only: Sequence[str]) -> Iterator[tuple[str, Weeks]]:
    if "clean" in only:
        yield "clean", _weeks(life.before, life.after)
    if "cold" in only:
        yield "cold", _weeks(life.before.clear(), life.after)
    for domain in Domain if "faults" in only else ():
        is_mine = pl.col("domain") == domain.value
        chance = pl.Series(np.random.default_rng(seed).uniform(1e-12, 1.0, life.after.height))
        random = pl.when(is_mine).then(-chance.log()).otherwise("evidence")
        doubled = pl.when(is_mine).then(2.0 * pl.col("evidence")).otherwise("evidence")
        yield "one agent's p random", _weeks(life.before, life.after.with_columns(evidence=random))
        yield "one agent's evidence doubled", _weeks(life.before, life.after.with_columns(evidence=doubled))


def _weeks(before: pl.DataFrame, after: pl.DataFrame) -> Weeks:
    answered, later = after.filter(pl.col("time") < _NEXT), after.filter(pl.col("time") >= _NEXT)
    bad = frozenset(after.filter("bad")["uid"])
    council = heard(before, answered)
    threats = [threat for threat in council.rank(_ALL) if threat.first_time >= answered["time"].min()]  # type: ignore[operator]  # datetimes
    first = before.height + answered.height
    council.hear(later.drop("bad").with_columns(seq=pl.int_range(first, first + later.height, dtype=pl.Int64)))
    truth = by_entity(later).group_by(_KEY).agg(pl.col("bad").any())
    return Weeks(council, [(threat, _is_true(threat, bad)) for threat in threats[:_MANY]], truth, bad)


def _is_true(threat: Threat, bad: frozenset[str]) -> bool:
    uids = threat.evidence["uid"]
    return 2 * sum(uid in bad for uid in uids) >= len(uids)


def _answers(shown: Sequence[Shown], says: Says, analysts: str) -> list[Answer]:
    return [
        answer_to(threat, word, analyst, _NEXT, "")
        for analyst in analysts
        for threat, is_true in shown
        if (word := says(is_true)) is not None
    ]


def _truly(is_true: bool) -> bool:
    return is_true


def _suppressed(answers: Sequence[Answer]) -> Guidance:
    """Sorts of things that were answered false are not heard."""
    return Guidance(sorts={told[:3]: 0.0 for answer in answers if not answer.is_true for told in answer.sorts})


def _by_share(answers: Sequence[Answer]) -> Guidance:
    """Agents weigh as the share of what they told that was true."""
    told: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for answer in answers:
        for domain, share in answer.domains.items():
            told[domain][bool(answer.is_true)] += share
    return Guidance(trust={domain: true / (false + true) for domain, (false, true) in told.items()})


_RULES: dict[str, tuple[str, Rule]] = {
    "one analyst": ("a", guided_by),
    "two analysts": ("ab", guided_by),
    "naive: sorts not heard": ("a", _suppressed),
    "naive: share that was true": ("a", _by_share),
}


def _lifted(weeks: Weeks) -> NDArray[np.float64]:
    """Figures without answers, and with them by each rule."""
    shown = weeks.shown[:_ANSWERED]
    guided = [rule(_answers(shown, _truly, analysts)) for analysts, rule in _RULES.values()]
    return np.array([_figures(weeks, guidance)[0] for guidance in (NOTHING_SAID, *guided)])


def _figures(weeks: Weeks, guidance: Guidance) -> tuple[tuple[float, ...], frozenset[str]]:
    """P at 10 and AP of threats, P at 10, AP and AUC of episodes; and the twenty highest, by id."""
    threats = weeks.council.rank(_ALL, guidance)
    later = [threat for threat in threats if threat.first_time >= _NEXT]
    is_true_N = np.array([_is_true(threat, weeks.bad) for threat in later], np.bool_)
    both = weeks.truth.join(timelines(threats), on=_KEY, how="left").with_columns(pl.col("score").fill_null(0.0))
    bad_E, score_E = (both.sort(_KEY)[name].to_numpy() for name in ("bad", "score"))
    top_K = np.argsort(-score_E, kind="stable")[:_TOP]
    ap = average_precision_score(is_true_N, -np.arange(is_true_N.size)) if is_true_N.any() else 0.0
    found = (is_true_N[:_TOP].sum() / _TOP, ap, bad_E[top_K].mean())
    figures = (*found, average_precision_score(bad_E, score_E), roc_auc_score(bad_E, score_E))
    return tuple(map(float, figures)), frozenset(threat.id for threat in later[:_LIST])


_LIES: dict[str, Says] = {
    "the opposite": lambda is_true: not is_true,
    "false of all that is true": lambda is_true: False if is_true else None,
}
_COMPANY = {"alone": "", "beside two who are truthful": "ab"}
_CAPS: dict[str, Rule] = {"capped": guided_by, "no caps": lambda answers: guided_by(answers, _NO_CAP, _NO_CAP)}


def _lied(weeks: Weeks) -> Iterator[tuple[tuple[str, str], NDArray[np.float64]]]:
    """By liar and caps, how much he moves the figures, and the share of the twenty highest that is left."""
    for (company, analysts), (caps, rule) in product(_COMPANY.items(), _CAPS.items()):
        honest = _answers(weeks.shown[:_ANSWERED], _truly, analysts)
        without_F, listed = _figures(weeks, rule(honest))
        for (name, says), many in product(_LIES.items(), (_ANSWERED, _MANY)):
            with_F, left = _figures(weeks, rule(honest + _answers(weeks.shown[:many], says, "z")))
            moved_F = np.append(np.subtract(with_F, without_F), len(listed & left) / max(1, len(listed)))
            yield (f"{name}, {many} answers, {company}", caps), moved_F


_FIGURES = ("P at 10, threats", "AP, threats", "P at 10, episodes", "AP, episodes", "AUC, episodes")


def _lifted_table(lifted: dict[str, list[NDArray[np.float64]]]) -> Table:
    table = Table("next week", "answers", *_FIGURES, box=MARKDOWN)
    for name, figures in lifted.items():
        figures_SRF = np.array(figures)
        table.add_row(f"{name} ({len(figures)})", "none", *(f"{one:.3f}" for one in figures_SRF[:, 0].mean(axis=0)))
        for r, rule in enumerate(_RULES, start=1):
            better_SF = figures_SRF[:, r] - figures_SRF[:, 0]
            table.add_row("", rule, *(interval(better_S) for better_S in better_SF.T))
    return table


def _lied_table(lied: dict[tuple[str, str], list[NDArray[np.float64]]]) -> Table:
    table = Table("liar", "caps", *_FIGURES, "left of the top 20", "worst AUC", box=MARKDOWN)
    for (name, caps), figures in lied.items():
        moved_SF = np.array(figures)
        told = [interval(moved_S) for moved_S in moved_SF[:, :-1].T]
        table.add_row(name, caps, *told, f"{moved_SF[:, -1].mean():.2f}", f"{moved_SF[:, -2].min():+.3f}")
    return table


if __name__ == "__main__":
    main()
