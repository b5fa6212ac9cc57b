"""How encoders are fitted."""

import numpy as np
import pytest

from features.word import Codes
from models.offline import Ask
from training.fitting import Fit, fit

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
    import torch

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
