"""What people do at their desks: programs, files, modules, registry keys."""

import numpy as np
import polars as pl

from features.events import Domain
from training.estate import catalogue
from training.estate.activities import endpoint, launches
from training.estate.chance import hex_ids
from training.estate.life import Life, Streams
from training.estate.rhythm import pick, tastes

_REGISTRY_HABITS = (("registry_value_activity", "Set", "13", 9.0), ("registry_key_activity", "Create", "12", 2.0))


def programs(life: Life) -> Streams:
    rng, who = life.chance("programs"), life.person
    browser = catalogue.Program(catalogue.BROWSER_PATHS[who.browser], catalogue.EXPLORER, "--single-argument")
    usual = (browser, *catalogue.OFFICE_PROGRAMS[:4], *catalogue.ROLE_PROGRAMS[who.role])
    every_one = (*usual, *catalogue.OFFICE_PROGRAMS[4:], *catalogue.ROLE_PROGRAMS["developer"][:2])
    liking = tastes(life.chance("liking"), len(every_one), steep=0.9)
    time_N = life.rhythm.moments(rng, 45)
    servers = [server.name for server in life.estate.serving("file", "web", "build", "database", "domain-controller")]
    chosen = pick(rng, every_one, len(time_N), liking)
    yield Domain.ENDPOINT, launches(rng, time_N, chosen, who.host, who.name, servers)


def documents(life: Life) -> Streams:
    """Files written and read, modules loaded, registry keys set by the programs of a person."""
    rng, who = life.chance("documents"), life.person
    writers = [program.path for program in (*catalogue.OFFICE_PROGRAMS[:6], *catalogue.ROLE_PROGRAMS[who.role])]
    writers = [path.replace("{user}", who.name) for path in writers]
    liking = tastes(rng, len(writers))
    time_N = life.rhythm.moments(rng, 26)
    count = len(time_N)
    folders = [folder.replace("{user}", who.name) for folder in catalogue.DOC_FOLDERS]
    kinds = ["docx", "xlsx", "pdf", "tmp", "png", "zip", "txt", "json"]
    stems = ["".join(pair) for pair in rng.choice(catalogue.SYLLABLES, (count, 2))]
    paths = [
        f"{folder}{stem}{n}.{end}"
        for folder, stem, n, end in zip(
            pick(rng, folders, count), stems, rng.integers(1, 99, count), pick(rng, kinds, count), strict=True
        )
    ]
    activity = pick(
        rng, ["Create", "Update", "Read", "Delete", "Rename"], count, np.array([0.38, 0.3, 0.2, 0.07, 0.05])
    )
    process = pick(rng, writers, count, liking)
    yield (
        Domain.ENDPOINT,
        endpoint(rng, "file_activity", activity, "11", time_N, who.host, who.name, process, {"file.path": paths}),
    )
    time_N = life.rhythm.moments(rng, 12)
    modules = [catalogue.SYSTEM32 + name for name in pick(rng, catalogue.MODULES, len(time_N), tastes(rng, 8))]
    process = pick(rng, writers, len(time_N), liking)
    yield (
        Domain.ENDPOINT,
        endpoint(
            rng, "module_activity", "Load", "7", time_N, who.host, who.name, process, {"module.file.path": modules}
        ),
    )
    for class_name, act, code, mean in _REGISTRY_HABITS:
        time_N = life.rhythm.moments(rng, mean)
        yield Domain.ENDPOINT, _registry(life, rng, (class_name, act, code), time_N, writers)


def _registry(
    life: Life, rng: np.random.Generator, event: tuple[str, str, str], time_N: np.ndarray, writers: list[str]
) -> pl.DataFrame:
    keys = pick(rng, catalogue.REGISTRY, len(time_N), tastes(rng, len(catalogue.REGISTRY)))
    names = [f"{key}\\{name}" for key, name in zip(keys, hex_ids(rng, len(keys), 4), strict=True)]
    process = pick(rng, writers, len(time_N))
    return endpoint(
        rng,
        *event,
        time_N,
        life.person.host,
        life.person.name,
        process,
        {"reg_key.path": names},
    )
