"""How far estimates of many parts' Shapley values and interactions are off, against those of shapiq at the same number of
masks: `python benchmarks/many_parts.py` writes benchmarks/many_parts.md. It needs shapiq of 1.8 or later (Python 3.12), xgboost
and lightgbm; approximators that the installed shapiq lacks are left out, and said.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from pathlib import Path

import numpy as np
import shapiq.approximator
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.neural_network import MLPClassifier

from modalens.measures import indices, sampled_games

OURS = "modalens, regression"
WALKED = "modalens, permutation"
PATIENTS = 3
BUDGETS = (5, 10, 20, 40)
"""Masks a part."""

PAIR_BUDGETS = (1, 2.5, 6)
"""Masks a pair of parts."""

Model = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Game:
    """v of coalitions (masks, players) of several samples, (masks, samples), with the true values (players, samples) and
    Faith-Shap interactions of two (pairs, samples).
    """

    name: str
    about: str
    value: Model
    truth: np.ndarray
    pairs: np.ndarray

    @property
    def players(self) -> int:
        return len(self.truth)


# Games with known values -----------------------------------------------------------------------------------------------------------


def unanimity(name: str, about: str, players: int, sets: list[np.ndarray], amounts: np.ndarray) -> Game:
    """A sum of amounts, each paid where all of a set are there: amounts are Moebius coefficients, so indices are sums."""
    member = np.zeros((len(sets), players))
    for place, one in enumerate(sets):
        member[place, one] = 1
    size = member.sum(axis=1)
    share = np.array([indices.faith_shapley_weight(2, int(each), 2) if each > 1 else 0.0 for each in size])
    couples = sampled_games.couples(players)
    both = member[:, couples[:, 0]] * member[:, couples[:, 1]]
    return Game(
        name=name,
        about=about,
        value=lambda inside: (inside.astype(float) @ member.T == size).astype(float) @ amounts,
        truth=member.T @ (amounts / size[:, None]),
        pairs=both.T @ (amounts * share[:, None]),
    )


def sum_of_unanimity() -> Game:
    generator = np.random.default_rng(0)
    sets = [generator.choice(40, generator.integers(1, 7), replace=False) for _ in range(250)]
    about = "40 players, 250 sets of 1 to 6 at random with normal amounts"
    return unanimity("sum of unanimity games", about, 40, sets, generator.normal(size=(250, PATIENTS)))


def text() -> Game:
    generator = np.random.default_rng(1)
    sets = [np.array([word]) for word in range(60)]
    sets += [np.array([word, word + 1]) for word in range(59)] + [
        np.array([word, word + 1, word + 2]) for word in range(58)
    ]
    amounts = np.concatenate(
        [generator.normal(scale=s, size=(n, PATIENTS)) for s, n in ((1, 60), (0.5, 59), (0.25, 58))]
    )
    return unanimity(
        "text", "60 words, each with an effect, neighbours in twos and threes with less", 60, sets, amounts
    )


def enumerated(name: str, about: str, players: int, value: Model) -> Game:
    """A model's game, all of whose coalitions are evaluated."""
    places = np.arange(1 << players)
    inside = [(part[:, None] >> np.arange(players) & 1).astype(bool) for part in np.array_split(places, 16)]
    coefficients = indices.moebius(np.concatenate([value(one) for one in inside]))
    pairs = indices.index_values(coefficients, "fsii", 2)[players:]
    return Game(name=name, about=about, value=value, truth=indices.shapley_values(coefficients), pairs=pairs)


def trees() -> Game:
    table, labels = load_breast_cancer(return_X_y=True)
    table = table[:, :16]
    model = GradientBoostingRegressor(n_estimators=60, max_depth=5, random_state=0).fit(table[:400], labels[:400])
    fill, patients = np.median(table[:400], axis=0), table[400 : 400 + PATIENTS]

    def value(inside: np.ndarray) -> np.ndarray:
        return np.stack([model.predict(np.where(inside, one, fill)) for one in patients], axis=1)

    return enumerated("trees", "60 boosted trees of depth 5 on 16 columns of scikit-learn's breast cancer", 16, value)


def digits() -> Game:
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # enough steps for a benchmark
        model = MLPClassifier((64, 32), random_state=0, max_iter=60).fit(images[:1400], labels[:1400])
    fill, patients = images[:1400].mean(axis=0), images[1400 : 1400 + PATIENTS]
    patch = (np.arange(8)[:, None] // 2 * 4 + np.arange(8) // 2).ravel()
    predicted = model.predict(patients)

    def value(inside: np.ndarray) -> np.ndarray:
        found = [model.predict_proba(np.where(inside[:, patch], one, fill)) for one in patients]
        return np.stack([one[:, label] for one, label in zip(found, predicted, strict=True)], axis=1)

    return enumerated(
        "digits", "a network on scikit-learn's digits, probability of the predicted one, 16 patches", 16, value
    )


TITLES = {"SV": "Shapley values", "FSII": "Interactions of two (Faith-Shap)"}
WHY = {
    "SV": "Where it loses: boosted trees are met best by rivals whose proxy is boosted trees too (ProxySHAP, RegressionMSR); and from "
    "20 masks a part on OddSHAP, which picks the interactions of each sample, is nearer on the digits. Both fit a model to every "
    "sample and output by itself. Ours is one matrix for all of them, and its error is estimated with it.",
    "FSII": "Where it loses: a proxy of trees finds the few strong interactions of a sample among many weak ones. Ours treats all pairs alike, and "
    "below six masks a pair draws them towards 0.",
}

GAMES = (sum_of_unanimity, trees, digits, text)


# Estimators ------------------------------------------------------------------------------------------------------------------------


def regression(game: Game, budget: int, seed: int) -> np.ndarray:
    """Ours: one set of masks for all samples."""
    pairs, odd, _, total, _ = drawn(game, budget, seed)
    return sampled_games.shapley_values(pairs, odd, total)


def interactions(game: Game, budget: int, seed: int) -> np.ndarray:
    pairs, _, even, _, level = drawn(game, budget, seed)
    return sampled_games.pair_interactions(pairs, level - even)[0]


def drawn(
    game: Game, budget: int, seed: int
) -> tuple[sampled_games.Pairs, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    pairs = sampled_games.draw_pairs(game.players, (budget - 2) // 2, seed)
    none, everyone = game.value(np.stack([np.zeros(game.players, bool), np.ones(game.players, bool)]))
    one, other = game.value(pairs.inside), game.value(~pairs.inside)
    return pairs, (one - other) / 2, (one + other) / 2, everyone - none, (everyone + none) / 2


def permutation(game: Game, budget: int, seed: int) -> np.ndarray:
    count = (budget - 2) // (game.players - 1) // 2 * 2
    found = []
    for order in sampled_games.orders(game.players, count, seed):
        inside = np.ones((game.players + 1, game.players), dtype=bool)
        for step, player in enumerate(order, start=1):
            inside[step:, player] = False
        found.append(sampled_games.gains(order, game.value(inside)))
    return np.asarray(np.mean(found, axis=0))


def rival(name: str, what: str, settings: dict[str, object], game: Game, budget: int, seed: int) -> np.ndarray:
    """shapiq's, a sample at a time."""
    order = 1 if what == "SV" else 2
    settings = settings | ({"index": "FSII", "max_order": 2} if what == "FSII" else {})
    found = []

    def of_sample(inside: np.ndarray, sample: int) -> np.ndarray:
        return game.value(np.atleast_2d(inside).astype(bool))[:, sample]

    for sample in range(game.truth.shape[1]):
        asked = getattr(shapiq.approximator, name)(n=game.players, random_state=seed, **settings)
        got = asked.approximate(budget=budget, game=partial(of_sample, sample=sample))
        found.append([got[one] for one in combinations(range(game.players), order)])
    return np.array(found).T


RIVALS: dict[str, dict[str, object]] = {
    "KernelSHAP": {"pairing_trick": True},
    "LeverageSHAP": {},
    "UnbiasedKernelSHAP": {"pairing_trick": True},
    "PolySHAP": {"pairing_trick": True},
    "OddSHAP": {},
    "RegressionMSR": {"index": "SV"},
    "ProxySHAP": {"index": "SV", "max_order": 1, "adjustment": True},
    "ProxySPEX": {"index": "SV", "max_order": 1, "hpo": False},
    "PermutationSamplingSV": {},
    "StratifiedSamplingSV": {},
    "OwenSamplingSV": {},
    "SVARM": {},
}
PAIR_RIVALS: dict[str, dict[str, object]] = {
    "RegressionFSII": {"pairing_trick": True},
    "ProxySHAP": {"adjustment": True},
    "ProxySPEX": {"hpo": False},
    "SVARMIQ": {},
    "SHAPIQ": {},
}


# Errors ----------------------------------------------------------------------------------------------------------------------------


@cache
def errors(who: str, what: str, make: Callable[[], Game], budget: int, seeds: int) -> tuple[np.ndarray, float, str]:
    """The relative squared error over seeds, seconds a seed, and why there are none."""
    game = known(make)
    mine = {OURS: regression if what == "SV" else interactions, WALKED: permutation}
    settings = (RIVALS if what == "SV" else PAIR_RIVALS).get(who, {})
    estimate = mine.get(who) or partial(rival, who, what, settings)
    truth = game.truth if what == "SV" else game.pairs
    started, found = time.perf_counter(), []
    try:
        for seed in range(seeds):
            got = estimate(game, budget=budget, seed=seed)
            found.append(float(((got - truth) ** 2).sum() / (truth**2).sum()))
    except Exception as error:  # what a rival refuses is a finding
        return np.array([]), 0.0, f"{type(error).__name__}: {error}".splitlines()[0][:160]
    return np.array(found), (time.perf_counter() - started) / seeds, ""


@cache
def known(make: Callable[[], Game]) -> Game:
    return make()


def table(what: str, seeds: int, games: tuple[Callable[[], Game], ...]) -> list[str]:
    """Error by estimator, game and budget, as Markdown; the best of each column in bold."""
    rivals = RIVALS if what == "SV" else PAIR_RIVALS
    there = [name for name in rivals if hasattr(shapiq.approximator, name)]
    whom = [OURS, *([WALKED] if what == "SV" else []), *there]
    columns = [(make, budget) for make in games for budget in budgets(what, known(make).players)]
    cells = {(who, *column): errors(who, what, *column, seeds) for who in whom for column in columns}
    lines = []
    for make in games:
        mine = [column for column in columns if column[0] is make]
        best = {c: min(cells[who, *c][0].mean() for who in whom if len(cells[who, *c][0])) for c in mine}
        lines += [f"### {known(make).name}\n", f"{known(make).about}; {PATIENTS} samples.\n"]
        lines += ["| | " + " | ".join(f"{budget:,} masks" for _, budget in mine) + " |", "|---|" + "---|" * len(mine)]
        for who in whom:
            shown = [cell(cells[who, *one][0], best[one]) for one in mine]
            lines.append(f"| {who} | " + " | ".join(shown) + " |")
        lines.append("")
    missing = [name for name in rivals if name not in there]
    lines += [f"Not in this shapiq: {', '.join(missing)}.\n"] if missing else []
    refused = {f"{who}: {why}" for (who, *_), (_, _, why) in cells.items() if why}
    lines += (
        ["A dash is what an approximator refused:\n", *sorted(f"- {one}" for one in refused), ""] if refused else []
    )
    return [*lines, *summary(cells, whom, columns), ""]


def cell(found: np.ndarray, best: float) -> str:
    if not len(found):
        return "-"
    shown = f"**{found.mean():.2g}**" if found.mean() == best else f"{found.mean():.2g}"
    return f"{shown} ({found.min():.1g} to {found.max():.1g})"


def summary(cells: dict, whom: list[str], columns: list) -> list[str]:
    """Where ours is the best, and by how much it is not."""
    lost, won = [], 0
    for make, budget in columns:
        means = {who: cells[who, make, budget][0].mean() for who in whom if len(cells[who, make, budget][0])}
        first = min((who for who in means if who not in (OURS, WALKED)), key=means.__getitem__)
        won += bool(means[OURS] <= means[first])
        if means[OURS] > means[first]:
            lost.append(
                f"- {known(make).name}, {budget:,} masks: {first} {means[first]:.2g}, {OURS} {means[OURS]:.2g}."
            )
    lines = [
        f"The {OURS.split(', ')[1]} of modalens has no larger error than the best of shapiq in {won} of {len(columns)} columns."
    ]
    return [*lines, *(["It loses in:\n", *lost] if lost else [])]


def budgets(what: str, players: int) -> list[int]:
    if what == "SV":
        return [each * players + 2 for each in BUDGETS]
    return [int(each * players * (players - 1) / 2) // 2 * 2 + 2 for each in PAIR_BUDGETS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--games", nargs="+", default=[game.__name__ for game in GAMES])
    parser.add_argument("--indices", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    games = tuple(game for game in GAMES if game.__name__ in chosen.games)
    lines = ["# Many parts: error at the same number of masks\n", heading(chosen.seeds)]
    for what in chosen.indices:
        lines += [f"## {TITLES[what]}\n", *table(what, chosen.seeds, games), WHY[what], ""]
    chosen.output.write_text("\n".join(lines))


def heading(seeds: int) -> str:
    """How the page was made."""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("shapiq", "scikit-learn", "numpy", "xgboost", "lightgbm")
    )
    return (
        f"`{shlex.join(['python', 'benchmarks/many_parts.py', *sys.argv[1:]])}`, Python {platform.python_version()}, {versions}. "
        f"Squared error over all players and samples, relative to the squared truth: mean (least to most) over seeds 0 to {seeds - 1}. "
        "Bold is best.\n"
    )


def version(name: str) -> str:
    for known_as in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(known_as)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


if __name__ == "__main__":
    main()
