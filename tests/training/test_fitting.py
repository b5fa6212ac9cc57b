"""How encoders are fitted."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.word import Codes
from models.offline import Ask, asked_fields
from models.vocabulary import UNSEEN, Vocabulary
from training import counting
from training.checkpoints import Checkpoints, resumable
from training.counting import Counted, count
from training.fitting import Diverged, Epoch, Fit, NoDevice, Settings, device_of, fit, fit_counted, one_cycle

ASKS = (Ask("program", given=("kind",)),)


def codes_of(rows: int, seed: int = 0) -> Codes:
    """Two kinds of event, each with its own ten programs."""
    chance = np.random.default_rng(seed)
    kind_B = chance.integers(1, 3, rows)
    program_B = 100 * kind_B + chance.integers(0, 10, rows)
    return {"program": program_B.astype(np.uint64), "kind": kind_B.astype(np.uint64)}


def fitted(rows: int, seed: int = 3, epochs: int = 4) -> Fit:
    return fit(codes_of(rows), ASKS, seed=seed, epochs=epochs)


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two = fitted(2000).offline.arrays(), fitted(2000).offline.arrays()
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_another_seed_gives_other_weights() -> None:
    one, two = fitted(2000, seed=3).offline.arrays(), fitted(2000, seed=4).offline.arrays()
    assert not np.array_equal(one["encoder.embed.weight"], two["encoder.embed.weight"])


def test_a_fit_leaves_the_global_chance_of_torch_alone() -> None:
    before = torch.random.get_rng_state()
    fitted(100)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_loss_falls_on_old_and_on_later_events() -> None:
    fit = fitted(4000, epochs=8)
    assert len(fit.loss) == len(fit.later_loss) == 8
    assert fit.loss[-1] < fit.loss[0]
    assert fit.later_loss[-1] < fit.later_loss[0]


def test_a_program_of_the_other_kind_is_more_surprising_than_its_own() -> None:
    codes = {"program": np.array([105, 205], np.uint64), "kind": np.array([1, 1], np.uint64)}
    own, other = fitted(4000, epochs=16).offline.surprisals(codes)[:, 0]
    assert other > own + 1.0


@pytest.mark.parametrize("rows", [1, 2, 9])
@pytest.mark.parametrize("epochs", [1, 2])
def test_very_few_events_are_enough_to_fit(rows: int, epochs: int) -> None:
    fit = fitted(rows, epochs=epochs)
    assert np.isfinite([*fit.loss, *fit.later_loss]).all()
    assert np.isfinite(fit.offline.surprisals(codes_of(5))).all()


def test_each_epoch_is_told() -> None:
    heard: list[int] = []
    fit(codes_of(50), ASKS, seed=0, epochs=3, told=heard.append)
    assert heard == [0, 1, 2]


def counted_of(rows: int, cuts: tuple[int, ...] = (), seed: int = 0) -> Counted:
    """The same events as `codes_of`, counted in slices that end at `cuts`."""
    codes = codes_of(rows, seed)
    edges = [0, *sorted(cuts), rows]
    slices = ({name: codes[name][a:b] for name in asked_fields(ASKS)} for a, b in pairwise(edges))
    return count(slices, rows)


def alike(one: Mapping[str, NDArray[np.generic]], other: Mapping[str, NDArray[np.generic]]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@settings(deadline=None)
@given(st.integers(1, 300), st.lists(st.integers(0, 300), max_size=4))
def test_a_count_is_the_same_however_the_events_are_cut(rows: int, cuts: list[int]) -> None:
    one, other = counted_of(rows), counted_of(rows, tuple(min(cut, rows) for cut in cuts))
    for name in ("hash_UK", "old_U", "later_U"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in one.fields:
        assert np.array_equal(one.values[name], other.values[name])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=60))
def test_counted_rows_and_vocabulary_are_those_of_the_events_themselves(pairs: list[tuple[int, int]]) -> None:
    hash_BK = np.array(pairs, np.uint64)
    codes = {"program": hash_BK[:, 0], "kind": hash_BK[:, 1]}
    counted = count([codes], len(pairs))
    vocabulary = counted.vocabulary(4, 2)
    assert alike(dict(vocabulary.known), dict(Vocabulary.learn(codes, 4, 2).known))
    split = max(1, int(len(pairs) * 0.9))
    wanted = np.unique(vocabulary.encode(codes)[:split], axis=0)
    assert np.array_equal(counted.old(vocabulary).code_UK, wanted)
    assert counted.old_U.sum() == split


def test_too_many_different_events_leave_the_same_sample_in_any_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counted_of(4000)
    monkeypatch.setattr(counting, "MOST_ROWS", 9)
    one, other = counted_of(4000), counted_of(4000, (100, 2000))
    assert 0 < len(one.hash_UK) <= 9 < len(whole.hash_UK)
    assert np.array_equal(one.hash_UK, other.hash_UK)
    assert np.array_equal(one.old_U, other.old_U)
    counts = {tuple(row): n for row, n in zip(whole.hash_UK.tolist(), whole.old_U.tolist(), strict=True)}
    assert [counts[tuple(row)] for row in one.hash_UK.tolist()] == one.old_U.tolist()


def test_too_many_values_forget_the_rarest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_VALUES", 50)
    hash_B = np.concatenate([np.arange(1, 200), np.full(30, 7), np.full(20, 9)]).astype(np.uint64)
    counted = count([{"program": hash_B}], hash_B.size)
    assert counted.values["program"][0].tolist() == [7, 9]
    assert counted.values["program"][1].tolist() == [31, 21]


def test_what_no_vocabulary_knows_costs_the_choice_among_all_that_it_does_not() -> None:
    codes = {"program": np.array([1, 1, 2, 2, 3, 4] * 5, np.uint64)}
    counted = count([codes], 30)
    nothing = counted.vocabulary(1, 100)
    assert (nothing.encode(codes) == UNSEEN).all()
    assert counted.unseen_nats(nothing, ["program"]) == pytest.approx(np.log(4))
    assert counted.unseen_nats(counted.vocabulary(4, 1), ["program"]) == 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.floats(1e-4, 1.0))
def test_the_pace_is_that_of_torch(steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for step in range(steps):
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"][0]) == one_cycle(step, steps, rate)
        optimizer.step()
        if step + 1 < steps:
            schedule.step()


class Stopped(Exception):
    """The test's Ctrl-C."""


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("after", [0, 3])
def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, after: int, patience: int | None) -> None:
    counted, chosen = counted_of(3000), Settings(epochs=6, batch=16, decay=0.01, patience=patience)
    wanted = fit_counted(counted, ASKS, chosen, seed=3)

    def stop(epoch: Epoch) -> None:
        if epoch.number == after:
            raise Stopped

    with pytest.raises(Stopped):
        fit_counted(counted, ASKS, chosen, seed=3, keep=tmp_path, told=stop)
    heard: list[int] = []
    gone_on = fit_counted(counted, ASKS, chosen, seed=3, keep=tmp_path, told=lambda epoch: heard.append(epoch.number))
    assert heard[:1] == [after + 1]
    assert alike(gone_on.offline.arrays(), wanted.offline.arrays())
    assert (gone_on.loss, gone_on.later_loss, gone_on.best) == (wanted.loss, wanted.later_loss, wanted.best)


def test_a_fit_that_is_done_is_taken_as_it_is(tmp_path: Path) -> None:
    counted, heard = counted_of(500), list[Epoch]()
    one = fit_counted(counted, ASKS, Settings(epochs=3), seed=3, keep=tmp_path)
    two = fit_counted(counted, ASKS, Settings(epochs=3), seed=3, keep=tmp_path, told=heard.append)
    assert not heard
    assert alike(one.offline.arrays(), two.offline.arrays())


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"settings": Settings(epochs=3)}, {"counted": counted_of(500, seed=1)}]
)
def test_a_fit_of_anything_else_starts_anew(tmp_path: Path, change: dict[str, object]) -> None:
    told: dict[str, object] = {"counted": counted_of(500), "asks": ASKS, "settings": Settings(epochs=2), "seed": 3}
    for named in (told, told | change):
        heard: list[Epoch] = []
        fit_counted(**named, keep=tmp_path, told=heard.append)  # type: ignore[arg-type]
        assert heard[0].number == 0


def test_a_step_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() is None
    for step in (1, 2):
        checkpoints.keep(step, {"x": np.arange(step)}, {"kind": "test"})
    assert [path.name for path in tmp_path.iterdir()] == ["000002"]
    (tmp_path / "000003").mkdir()
    (tmp_path / "000003" / "arrays.safetensors").write_bytes(b"cut")
    kept = checkpoints.latest()
    assert kept is not None
    assert kept.arrays["x"].tolist() == [0, 1]
    checkpoints.keep(3, {"x": np.arange(3)}, {"kind": "test"})
    assert [path.name for path in tmp_path.iterdir()] == ["000003"]


def test_what_is_kept_on_the_way_goes_when_the_job_is_done_and_stays_when_it_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "job"

    def stopped() -> None:
        with resumable(folder):
            (folder / "half").touch()
            raise Stopped

    with pytest.raises(Stopped):
        stopped()
    with resumable(folder) as same:
        assert (same / "half").exists()
    assert not folder.exists()


def test_patience_ends_a_fit_that_gets_no_better_and_keeps_its_best_epoch() -> None:
    chance = np.random.default_rng(0)
    codes = {name: chance.integers(1, 40, 400).astype(np.uint64) for name in ("program", "kind")}
    counted = count([codes], 400)
    patient = fit_counted(counted, ASKS, Settings(epochs=40, batch=32, rate=0.05, patience=2), seed=0)
    whole = fit_counted(counted, ASKS, Settings(epochs=40, batch=32, rate=0.05), seed=0)
    assert len(patient.loss) == patient.best + 3 < 40
    assert patient.later_loss == whole.later_loss[: len(patient.loss)]
    assert min(patient.later_loss) == patient.later_loss[patient.best] < whole.later_loss[-1]


def test_a_loss_that_is_no_number_ends_the_fit_with_a_remedy() -> None:
    with pytest.raises(Diverged, match="no number after epoch 1; lower the rate 1e\\+30"):
        fit_counted(counted_of(3000), ASKS, Settings(rate=1e30, batch=8), seed=0)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"rate": 0.0}, {"rate": float("nan")}, {"decay": -1.0}, {"width": 0}, {"patience": 0}]
)
def test_a_setting_that_cannot_be_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_auto_is_the_fastest_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_of("auto") == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_of("auto") == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto") == device_of("cuda") == "cuda"


@pytest.mark.parametrize("asked", ["cuda", "gpu", ""])
def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NoDevice, match=r"expected auto or one of .*cpu"):
        device_of(asked)
