"""The records of an audit as a table: what each says, of whom, and how its map did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modalens.alignment.result import AS_IT_IS, SWAP, Audit

EVERY = "every record"

MAPS: Mapping[str, str] = {
    "": "any",
    "wrong": "in the wrong lung",
    "named": "in the lung of the finding",
    "flipped": "changes sides with the text",
    "stays": "does not change sides with the text",
}
"""What can be asked of a record's map."""

FEW = 500
"""Characters of a sentence in the table."""


def table_of(audit: Audit) -> pd.DataFrame:
    """A row a record, by its position: sentence, patient, image, side, findings, and the scores of its map."""
    data = audit.data
    found = pd.DataFrame(
        {
            "sentence": [str(one)[:FEW] for one in data.phrase.sel(condition=AS_IT_IS).values],
            "patient": data.patient.values.astype(str),
            "image": data.image.values.astype(str),
            "side": data.side.values.astype(str),
            "findings": data.labels.values.astype(str),
        }
    )
    for score in map(str, data.score.values):
        found[score] = data.value.sel(condition=AS_IT_IS, score=score).values
    found["follows left/right"] = [
        "" if np.isnan(one) else "yes" if one else "no" for one in data.flipped.values.astype(float)
    ]
    if SWAP in audit.conditions:
        found["moved by the swap"] = data.divergence.sel(condition=SWAP).values
    if data.opt_out.sel(condition=AS_IT_IS).notnull().any():
        found["opt-out"] = data.opt_out.sel(condition=AS_IT_IS).values
    return found


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which records are listed. subset: of the audit's, or every record. finding: one of their labels. map: what is asked of the
    map, one of `MAPS`. words: to be found in the sentence, whatever the case. score, low, high: the range of a score.
    """

    subset: str = EVERY
    finding: str = ""
    map: str = ""
    words: str = ""
    score: str = "auroc"
    low: float = -np.inf
    high: float = np.inf

    def of(self, audit: Audit, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of `table_of` that meet all that is asked."""
        kept = np.ones(len(table), dtype=bool)
        if self.subset != EVERY:
            kept &= audit.data.member.sel(subset=self.subset).values
        if self.finding:
            kept &= np.array([self.finding in labels.split("; ") for labels in table.findings], dtype=bool)
        if self.map in ("wrong", "named"):
            kept &= table.wrong_lung.to_numpy() == (1.0 if self.map == "wrong" else 0.0)
        if self.map in ("flipped", "stays"):
            kept &= table["follows left/right"].to_numpy() == ("yes" if self.map == "flipped" else "no")
        if self.words:
            kept &= table.sentence.str.casefold().str.contains(self.words.casefold(), regex=False).to_numpy()
        if np.isfinite(self.low) or np.isfinite(self.high):
            values = table[self.score].to_numpy(dtype=float)
            kept &= (values >= self.low) & (values <= self.high)
        return table[kept]


def findings_of(table: pd.DataFrame) -> list[str]:
    """All findings that a record is labelled with, in order."""
    return sorted({finding for labels in table.findings for finding in labels.split("; ") if finding})
