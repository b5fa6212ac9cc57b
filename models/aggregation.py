"""Robust rules for what several sites say of the same things, when a few of them may lie.

Sites are meshes of a federation, or the agents of one mesh; `x_SN` is what S sites say of N things, be it weights or
how strange entities are, and NaN where a site says nothing. No rule holds where half of those who speak may lie.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.float64]

_ROUNDS = 1000


@dataclass(frozen=True)
class Vouched:
    """How much of each thing is vouched for, NaN where nothing is; and of which ones nothing is left to say alone."""

    score_N: NDArray[np.float64]
    settled_N: NDArray[np.bool_]


#: Says how much more than so many liars vouch for.
Vouch = Callable[[Words, int], Vouched]


class NothingHolds(ValueError):
    """So many may lie that no rule could tell who does."""


def median(x_SN: Words) -> NDArray[np.float64]:
    """The median of those who speak, (N,), NaN where nobody does.

    >>> median(np.array([[1.0, 5.0], [2.0, np.nan], [9e9, 7.0]]))
    array([2., 6.])
    """
    return _middle(_rows(x_SN), 0)


def trimmed_mean(x_SN: Words, liars: int) -> NDArray[np.float64]:
    """The mean without the `liars` lowest and highest of those who speak, (N,), NaN where that leaves nobody.

    It lies between words of honest sites (Yin et al., ICML 2018). Raises NothingHolds for half the sites or more.
    """
    _check_liars(liars)
    x_SN = _rows(x_SN)
    if 2 * liars >= len(x_SN):
        raise NothingHolds(f"no mean of {len(x_SN)} sites holds against {liars} liars: expected fewer than half")
    sorted_SN = np.sort(x_SN, axis=0)
    speaking_N = _speaking(sorted_SN)
    left_N = speaking_N - 2 * liars
    place_S = np.arange(len(x_SN))[:, None]
    is_kept_SN = (place_S >= liars) & (place_S < speaking_N - liars)
    mean_N = np.where(is_kept_SN, sorted_SN / np.maximum(left_N, 1), 0.0).sum(axis=0)
    mean_N = np.clip(mean_N, sorted_SN[liars], _at(sorted_SN, speaking_N - liars - 1))  # a sum is rounded
    return np.where(left_N > 0, mean_N, np.nan)


def geometric_median(x_SN: Words) -> NDArray[np.float64]:
    """The point whose distances from all sites add up to the least, (N,), to 1e-9 of their spread (Weiszfeld, 1937).

    Beside the median it looks at a site's update as a whole (Pillutla et al., IEEE TSP 2022). Raises ValueError, naming
    the site, for what is not finite.
    """
    x_SN = _finite(x_SN)
    centre_N = np.median(x_SN, axis=0)
    nearest = max(1e-9 * float(np.median(np.linalg.norm(x_SN - centre_N, axis=1))), np.finfo(np.float64).tiny)
    for _ in range(_ROUNDS):
        weight_S = nearest / np.maximum(np.linalg.norm(x_SN - centre_N, axis=1), nearest)
        moved_N = weight_S / weight_S.sum() @ x_SN
        is_there = np.linalg.norm(moved_N - centre_N) <= nearest
        centre_N = moved_N
        if is_there:
            break
    return centre_N


def clipped(x_SN: Words) -> NDArray[np.float64]:
    """Updates, each cut to at most the median of their norms, so that none outweighs the rest.

    Raises ValueError, naming the site, for what is not finite.
    """
    x_SN = _finite(x_SN)
    norm_S = np.linalg.norm(x_SN, axis=1)
    scale_S = np.minimum(1.0, np.median(norm_S) / np.maximum(norm_S, np.finfo(np.float64).tiny))
    clipped_SN: Words = x_SN * scale_S[:, None]
    return clipped_SN


def outstanding(x_SN: Words, most: int) -> Words:
    """By how much each of a site's `most` highest words stands out above its next, and 0 for all others it has.

    So a site that says the same, or anything at all, of everything says next to nothing; what it says of its highest
    keeps its order. Words that are infinite or below 0 count as the largest number there is, and as 0.
    """
    if most < 1:
        raise ValueError(f"most {most}: expected at least 1")
    said_SN = np.clip(_rows(x_SN), 0.0, np.finfo(np.float64).max)
    if said_SN.shape[1] <= most:
        return said_SN
    next_S = -np.partition(-np.nan_to_num(said_SN), most, axis=1)[:, most]
    standing_SN: Words = np.maximum(said_SN - next_S[:, None], 0.0)
    return standing_SN


def agreed(x_SN: Words, liars: int) -> Vouched:
    """Where sites see the same things: the median of a thing's witnesses, or the (`liars` + 1)-th highest if lower.

    That is never more than the highest honest word, and never less than the lowest where more than `liars` honest
    sites are witnesses. What has more than 2 `liars` witnesses is settled: at least so many of them are honest.
    """
    return Vouched(_middle(x_SN, liars), _speaking(x_SN) > 2 * liars)


def corroborated(x_SN: Words, liars: int) -> Vouched:
    """Where each site sees another side of a thing: what its witnesses say in sum, without the `liars` loudest.

    That is never more than all honest words in sum, and never less than these without the `liars` loudest. Nothing is
    settled, for what shows on one side only is not refuted by the others. Words below 0 count as 0. It is meant for
    `outstanding` words: a liar with a word on everything would else bear witness to all that one honest site says.
    """
    loudest_SN = -np.sort(-x_SN, axis=0)
    sum_N = np.nan_to_num(np.maximum(loudest_SN[liars:], 0.0), posinf=np.inf).sum(axis=0)
    score_N = np.where(_speaking(x_SN) > liars, sum_N, np.nan)
    return Vouched(score_N, np.zeros(x_SN.shape[1], np.bool_))


@dataclass(frozen=True)
class Ranking:
    """The K things listed, best first; for each whether it was vouched for, and by whose word it is there.

    A vouched thing is there by the word of all who believe it, another by that of those who brought it.
    Where `holds` is false, so few sites spoke that the promise of `Lanes` does not hold.
    """

    thing_K: NDArray[np.int64]
    vouched_K: NDArray[np.bool_]
    word_KS: NDArray[np.bool_]
    holds: bool


@dataclass(frozen=True)
class Lanes:
    """A list of what is most believed, in two lanes, that `liars` sites cannot steer whatever they say.

    In the quota lane the sites take turns, each bringing what it believes most among what is neither settled nor sure
    of its place, at most a `share` of the list each, but always one. The vouched lane has things by how much more than
    `liars` sites vouch for them, in all places that the sites cannot or do not take. The lanes are spread over each
    other evenly. What is believed no more than `least` is not listed, so that a site with nothing to say leaves its
    turn.

    Promised, while at most `liars` sites lie and more than twice as many speak, of a list of `most` things:

    * at most `liars` x `share` x `most` of them are there by the word of liars alone;
    * a vouched thing is worth no more than honest sites make it, and one that more than `liars` honest sites are
      witnesses of no less than they make it, as `vouch` says;
    * what an honest site believes most and is not settled is listed, as far as `share` allows: all that it may bring,
      where the shares of all sites fit the list, else its first `most` / sites things, of different principals.

    Things may name a principal, whose doing they are. However many one raises, it takes at most a `share` of the
    vouched lane, and that of what one site may bring: at least one of each. Who can make up principals at will
    is not held by this. Neither the order of the sites nor, but for equals, that of the things matters.
    """

    liars: int
    share: float = 0.1
    least: float = 0.0
    vouch: Vouch = agreed

    def __post_init__(self) -> None:
        _check_liars(self.liars)
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share {self.share}: expected a part of the list, above 0 and at most 1")
        if np.isnan(self.least):
            raise ValueError("least nan: expected a number")

    def rank(self, x_SN: Words, most: int = 20, principal_N: NDArray[np.int64] | None = None) -> Ranking:
        """Up to `most` things; raises ValueError for what is no table, and for principals of other things."""
        x_SN = _rows(x_SN)
        _check_asked(most, x_SN, principal_N)
        vouched = self.vouch(x_SN, self.liars)
        each = self._part(most)
        first = _spaced(_ordered(vouched.score_N, self.least), principal_N, each)
        sure = first[: max(0, most - len(x_SN) * each)]
        own_SN = np.where(vouched.settled_N, np.nan, x_SN)
        own_SN[:, sure] = np.nan
        own = [_spaced(_ordered(own_N, self.least), principal_N, self._part(each)) for own_N in own_SN]
        brought = _take_turns(own_SN, own, each, most - sure.size)
        rest = first[sure.size :]
        rest = rest[~np.isin(rest, list(brought))][: most - sure.size - len(brought)]
        speaking = int((~np.isnan(x_SN)).any(axis=1).sum())
        return _spread(x_SN > self.least, np.concatenate([sure, rest]), brought, speaking > 2 * self.liars)

    def _part(self, whole: int) -> int:
        return max(1, int(self.share * whole + 1e-9))


def rationed(score_N: NDArray[np.float64], owner_N: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    """All N things, highest first, but of each owner's only the first `each` before the rest of what is owned, (N,).

    An owner is the one site on whose word alone a thing rests; what several vouch for has none, -1. So a site that
    lies as it likes takes `each` of the first places, and all that others vouch for comes before the rest of its lies.

    >>> rationed(np.array([9.0, 8.0, 7.0, 2.0]), np.array([0, 0, 0, -1]), 1)
    array([0, 3, 1, 2])
    """
    order_N = np.argsort(-score_N, kind="stable")
    principal_N = np.where(owner_N < 0, score_N.size + np.arange(score_N.size), owner_N)
    first_M = _spaced(order_N, principal_N, each)
    return np.concatenate([first_M, order_N[~np.isin(order_N, first_M)]])


def _check_asked(most: int, x_SN: Words, principal_N: NDArray[np.int64] | None) -> None:
    if most < 1:
        raise ValueError(f"most {most}: expected at least 1")
    if principal_N is not None and principal_N.shape != x_SN.shape[1:]:
        raise ValueError(f"principals of shape {principal_N.shape}: expected one for each of {x_SN.shape[1]} things")


def _take_turns(own_SN: Words, own: list[NDArray[np.int64]], each: int, room: int) -> dict[int, list[int]]:
    """What the sites bring, in turns of at most one thing each, and who brought it; what two bring at once is one."""
    brought: dict[int, list[int]] = {}
    waiting = [iter(thing_N.tolist()) for thing_N in own]
    for _ in range(each):
        turn: dict[int, list[int]] = {}
        for site, things in enumerate(waiting):
            thing = next((thing for thing in things if thing not in brought), None)
            if thing is not None:
                turn.setdefault(thing, []).append(site)
        loudest = sorted(turn, key=lambda thing: (-max(own_SN[site, thing] for site in turn[thing]), thing))
        brought |= {thing: turn[thing] for thing in loudest[: room - len(brought)]}
    return brought


def _spread(
    word_SN: NDArray[np.bool_], vouched: NDArray[np.int64], brought: dict[int, list[int]], holds: bool
) -> Ranking:
    """Both lanes in one list, each spread over the whole of it, a vouched thing first."""
    word_KS = np.concatenate([word_SN[:, vouched].T, np.zeros((len(brought), len(word_SN)), np.bool_)])
    for place, sites in enumerate(brought.values(), start=vouched.size):
        word_KS[place, sites] = True
    thing_K = np.concatenate([vouched, np.array(list(brought), np.int64)])
    is_vouched_K = np.arange(thing_K.size) < vouched.size
    depth_K = np.concatenate([np.arange(size) / max(size, 1) for size in (vouched.size, len(brought))])
    order_K = np.argsort(depth_K, kind="stable")
    return Ranking(thing_K[order_K], is_vouched_K[order_K], word_KS[order_K], holds)


def _ordered(score_N: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    """The things above `least`, highest first, of equals the first."""
    (thing_M,) = (score_N > least).nonzero()
    return thing_M[np.argsort(-score_N[thing_M], kind="stable")]


def _spaced(thing_M: NDArray[np.int64], principal_N: NDArray[np.int64] | None, each: int) -> NDArray[np.int64]:
    """The same order with only the first `each` things of every principal."""
    if principal_N is None or not thing_M.size:
        return thing_M
    principal_M = principal_N[thing_M]
    order_M = np.argsort(principal_M, kind="stable")
    sorted_M = principal_M[order_M]
    nth_M = np.empty_like(order_M)
    nth_M[order_M] = np.arange(thing_M.size) - np.searchsorted(sorted_M, sorted_M)
    return thing_M[nth_M < each]


def _middle(x_SN: Words, liars: int) -> NDArray[np.float64]:
    """The median of those who speak, but at least the (`liars` + 1)-th highest; NaN where fewer speak."""
    highest_SN = -np.sort(-x_SN, axis=0)
    speaking_N = _speaking(x_SN)
    upper_N = np.maximum(liars, (speaking_N - 1) // 2)
    lower_N = np.maximum(liars, speaking_N // 2)
    middle_N = _at(highest_SN, upper_N) / 2 + _at(highest_SN, lower_N) / 2
    return np.where(speaking_N > liars, middle_N, np.nan)


def _at(x_SN: Words, place_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """What stands at one place in each column."""
    if not len(x_SN):
        return np.full(place_N.size, np.nan)
    place_N = np.clip(place_N, 0, len(x_SN) - 1)
    there_N: NDArray[np.float64] = np.take_along_axis(x_SN, place_N[None], axis=0)[0]
    return there_N


def _speaking(x_SN: Words) -> NDArray[np.int64]:
    speaking_N: NDArray[np.int64] = (~np.isnan(x_SN)).sum(axis=0)
    return speaking_N


def _rows(x_SN: Words) -> Words:
    if x_SN.ndim != 2:
        raise ValueError(f"words of shape {x_SN.shape}: expected a table, sites x things")
    return np.asarray(x_SN, np.float64)


def _finite(x_SN: Words) -> Words:
    """A table of updates, with one site at least."""
    x_SN = _rows(x_SN)
    if not len(x_SN):
        raise ValueError("updates of no site: expected at least one")
    is_finite_S = np.isfinite(x_SN).all(axis=1)
    if not is_finite_S.all():
        raise ValueError(f"update of site {np.argmin(is_finite_S)}: expected finite numbers only")
    return x_SN


def _check_liars(liars: int) -> None:
    if not isinstance(liars, int) or liars < 0:
        raise ValueError(f"liars {liars!r}: expected a whole number of at least 0")
