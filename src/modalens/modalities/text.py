"""Text: reports and other words, as strings or as token ids; cut into words, sentences or tokens. Padding and special
tokens are never a part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from modalens.errors import InputError, choice
from modalens.modalities.arrays import blocks_for, grid
from modalens.modalities.base import Container, Modality, Parts, close_container, open_container

WORD = re.compile(r"\S+")
SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s|$)|$)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Text(Modality):
    """Texts: a list of strings, or token ids (samples, length) together with their tokenizer.

    `tokenizer` is a Hugging Face tokenizer; it is needed for token ids, and for `unit="token"`. `unit` says what a
    part is: a word (of token ids: sub-tokens joined), a sentence or a token. Masked words become the tokenizer's mask
    token, or `[MASK]`.
    """

    tokenizer: Any = field(default=None, kw_only=False)
    unit: Literal["word", "sentence", "token"] = "word"
    typical: ClassVar[str] = "mask_token"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("unit", self.unit, ("word", "sentence", "token"))
        if self.unit == "token" and self.tokenizer is None:
            raise InputError("Text(unit='token') needs a tokenizer: Text(tokenizer, unit='token'), or cut into words.")

    # samples: token ids stay an integer array; a string is held as its pieces, gaps at even and parts at odd places -------------

    def resolve(self, name: str, samples: Any) -> Self:
        container, values = _open(samples)
        if values.dtype.kind in "iu" and self.tokenizer is None:
            raise InputError(
                f"modality {name!r}: token ids need their tokenizer, to know words from padding: modalities={{{name!r}: Text(tokenizer)}}, or give strings."
            )
        return replace(self, container=container)

    def canonical(self, name: str, samples: Any) -> np.ndarray:
        _, values = _open(samples)
        if values.dtype.kind in "iu":
            return self._checked_ids(name, values)
        if values.ndim != 1 or values.dtype != object:
            raise InputError(
                f"modality {name!r}: Text expects a list of strings or an array of token ids (samples, length), came {values.dtype} of shape {values.shape}; "
                f"name another kind in modalities={{{name!r}: ...}}."
            )
        odd = [row for row, text in enumerate(values) if not isinstance(text, str)]
        if odd:
            raise InputError(
                f"modality {name!r}: expected a string for every sample, came a {type(values[odd[0]]).__name__} for {len(odd)} of {len(values)} (first: sample {odd[0]}): "
                "leave these samples out, or write a word such as 'none'."
            )
        pieces = self._all_pieces(values)
        empty = [row for row, sample in enumerate(pieces) if len(sample) < 2]
        self._refuse_empty(name, empty)
        return pieces

    def unchecked(self, samples: Any) -> np.ndarray:
        _, values = _open(samples)
        return values if values.dtype.kind in "iu" else self._all_pieces(values)

    def restore(self, samples: np.ndarray) -> Any:
        if samples.dtype != object:
            return close_container(self.container, samples)
        texts = [None if pieces is None else "".join(pieces) for pieces in samples]
        match self.container.kind:
            case "list":
                return texts
            case "tuple":
                return tuple(texts)
            case "Series":
                return pd.Series(texts, name=self.container.columns, dtype=self.container.dtype)
            case _:
                # Fixed-width strings become as wide as the longest, or a mask token would be cut off.
                return np.array(texts, dtype=str if self.container.dtype.kind == "U" else self.container.dtype)

    def distances(self, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Cosine distance of TF-IDF vectors, in units of its mean between two background rows."""
        # Only conditional rows ask for it, and it takes a second to import.
        from sklearn.feature_extraction.text import TfidfVectorizer

        weigh = TfidfVectorizer(token_pattern=r"\S+", lowercase=True)
        rows = weigh.fit_transform(self._documents(background))
        typical = 1 - float(np.asarray((rows @ rows.T).mean()))
        return np.asarray(1 - (weigh.transform(self._documents(samples)) @ rows.T).toarray()) / max(typical, 1e-12)

    def shape_text(self, samples: np.ndarray) -> str:
        return "of strings" if samples.dtype == object else f"of {samples.shape[1]} token ids"

    # parts -------------------------------------------------------------------------------------------------------------

    @property
    def noun(self) -> str:
        return self.unit

    @property
    def aligned(self) -> bool:
        return False

    def cut(self, samples: np.ndarray) -> Parts:
        cuts = [self._cut_pieces(sample) for sample in samples] if samples.dtype == object else self._cut_ids(samples)
        names, where = zip(*(self._merged(*cut) for cut in cuts), strict=True)
        if samples.dtype != object:
            return Parts(names=names, where=np.stack(where))
        ragged = np.empty(len(where), dtype=object)
        ragged[:] = where
        return Parts(names=names, where=ragged)

    def replace(self, samples: np.ndarray, replacements: np.ndarray, parts: Parts, absent: Sequence[int]) -> np.ndarray:
        if samples.dtype != object:
            return super().replace(samples, replacements, parts, absent)
        replaced = np.empty(len(samples), dtype=object)
        replaced[:] = [
            tuple(
                other if part in absent else piece
                for piece, other, part in zip(sample, replacement, where, strict=True)
            )
            for sample, replacement, where in zip(samples, replacements, parts.where, strict=True)
        ]
        return replaced

    # fills -------------------------------------------------------------------------------------------------------------

    def mask_token(self, samples: np.ndarray, token: str | None) -> np.ndarray:
        if samples.dtype == object:
            mask = token if token is not None else getattr(self.tokenizer, "mask_token", None) or "[MASK]"
            return self._with_every_part(samples, mask)
        identity = self.tokenizer.mask_token_id if token is None else self.tokenizer.convert_tokens_to_ids(token)
        if identity is None or (
            token not in (None, self.tokenizer.unk_token) and identity == self.tokenizer.unk_token_id
        ):
            raise InputError(
                f"the tokenizer {type(self.tokenizer).__name__} has no {'mask token' if token is None else repr(token)}: name a token of its vocabulary, baseline=MaskToken('...'), "
                "such as its unknown token, or use 'background'."
            )
        return np.where(np.isin(samples, _special_ids(self.tokenizer)), samples, identity).astype(samples.dtype)

    def removed(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype != object:
            raise InputError(
                "token ids can't be removed without an attention mask: give both, {'input_ids': ids, 'attention_mask': mask}, or use 'mask_token'."
            )
        return self._with_every_part(samples, "")

    def missing(self) -> np.ndarray:
        return np.array([None], dtype=object) if self.container.dtype is None else super().missing()

    def constant(self, samples: np.ndarray, value: Any) -> np.ndarray:
        if not isinstance(value, str):
            raise InputError(
                f"a Text modality can't be filled with the constant {value!r}: a word id is no quantity. Use 'mask_token', MaskToken('...') or 'background'."
            )
        return self.mask_token(samples, value)

    def _with_every_part(self, samples: np.ndarray, mask: str) -> np.ndarray:
        masked = np.empty(len(samples), dtype=object)
        masked[:] = [tuple(mask if place % 2 else gap for place, gap in enumerate(sample)) for sample in samples]
        return masked

    # strings -----------------------------------------------------------------------------------------------------------

    def _all_pieces(self, texts: np.ndarray) -> np.ndarray:
        pieces = np.empty(len(texts), dtype=object)
        pieces[:] = [self._pieces(text) for text in texts]
        return pieces

    def _pieces(self, text: str) -> tuple[str, ...]:
        pieces, end = [], 0
        for start, stop in self._spans(text):
            pieces += [text[end:start], text[start:stop]]
            end = stop
        return (*pieces, text[end:])

    def _spans(self, text: str) -> list[tuple[int, int]]:
        if self.unit == "token":
            offsets = self.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
            return [(start, stop) for start, stop in offsets if stop > start]
        return [match.span() for match in (WORD if self.unit == "word" else SENTENCE).finditer(text)]

    def _cut_pieces(self, sample: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
        return sample[1::2], np.array([place // 2 if place % 2 else -1 for place in range(len(sample))], dtype=np.int32)

    def _documents(self, samples: np.ndarray) -> list[str]:
        return (
            ["".join(pieces) for pieces in samples]
            if samples.dtype == object
            else [" ".join(map(str, ids)) for ids in samples]
        )

    # token ids ---------------------------------------------------------------------------------------------------------

    def _checked_ids(self, name: str, ids: np.ndarray) -> np.ndarray:
        if ids.ndim != 2:
            raise InputError(
                f"modality {name!r}: expected token ids as an array (samples, length), came shape {ids.shape}; pad them to one length."
            )
        known = len(self.tokenizer)
        if ids.min() < 0 or ids.max() >= known:
            raise InputError(
                f"modality {name!r}: token ids from {ids.min()} to {ids.max()}, and the tokenizer's vocabulary has 0 to {known - 1}; give the tokenizer that these ids come from."
            )
        self._refuse_empty(name, np.flatnonzero(np.isin(ids, _special_ids(self.tokenizer)).all(axis=1)).tolist())
        return ids

    def _cut_ids(self, ids: np.ndarray) -> list[tuple[tuple[str, ...], np.ndarray]]:
        tokens = {int(identity): self.tokenizer.convert_ids_to_tokens(int(identity)) for identity in np.unique(ids)}
        special = set(_special_ids(self.tokenizer))
        starts = _starts_word(self.tokenizer)
        return [self._cut_tokens([None if int(i) in special else tokens[int(i)] for i in row], starts) for row in ids]

    def _cut_tokens(
        self, tokens: list[str | None], starts: Callable[[str], bool]
    ) -> tuple[tuple[str, ...], np.ndarray]:
        where = np.full(len(tokens), -1, dtype=np.int32)
        names: list[str] = []
        open_part = False
        for place, token in enumerate(tokens):
            if token is None:
                open_part = False
                continue
            if not open_part or self.unit == "token" or (self.unit == "word" and starts(token)):
                names.append("")
            names[-1] += (" " if names[-1] and starts(token) else "") + token.removeprefix("##").lstrip("Ġ▁")
            where[place] = len(names) - 1
            open_part = not (self.unit == "sentence" and _ends_sentence(tokens, place))
        return tuple(names), where

    def _merged(self, names: tuple[str, ...], where: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """Runs of neighbouring parts joined, where a number of parts is asked for."""
        if self.parts is None or not names:
            return names, where
        run, edges = grid([len(names)], blocks_for(self.parts, [len(names)]))
        return tuple(" ".join(names[start:stop]) for ((start, stop),) in edges), np.where(
            where >= 0, run[where], -1
        ).astype(np.int32)

    def _refuse_empty(self, name: str, rows: Sequence[int]) -> None:
        if rows:
            raise InputError(
                f"modality {name!r}: {len(rows)} texts have no words (first: sample {rows[0]}): nothing in them can be masked. Leave these samples out, or write a word such as 'none'."
            )


def _open(samples: Any) -> tuple[Container, np.ndarray]:
    # NumPy would turn a NaN among strings into the word 'nan'.
    if isinstance(samples, list | tuple) and any(isinstance(text, str) for text in samples):
        values = np.empty(len(samples), dtype=object)
        values[:] = list(samples)
        return Container(kind=type(samples).__name__), values
    container, values = open_container(samples)
    return container, values.astype(object) if values.dtype.kind in "UT" else values


def _ends_sentence(tokens: Sequence[str | None], place: int) -> bool:
    """Whether this token ends a sentence: a point between two numbers (2.5 cm) does not."""
    before, here, after = (
        (tokens[i] or "").lstrip("Ġ▁") if 0 <= i < len(tokens) else "" for i in (place - 1, place, place + 1)
    )
    return here in {".", "!", "?"} and not (here == "." and before.isdigit() and after.isdigit())


def _special_ids(tokenizer: Any) -> list[int]:
    """The ids that stand for no word: padding, separators, the mask. An unknown word is a word, unless its token has
    another role as well.
    """
    others = {token for role, token in tokenizer.special_tokens_map.items() if role != "unk_token"}
    return [
        identity
        for identity in tokenizer.all_special_ids
        if identity != tokenizer.unk_token_id or tokenizer.unk_token in others
    ]


def _starts_word(tokenizer: Any) -> Callable[[str], bool]:
    """Whether a token begins a word, by the mark that the tokenizer's vocabulary uses most (WordPiece ##, byte-pair
    Ġ, SentencePiece ▁): each is a text too.
    """
    vocabulary = tokenizer.get_vocab()
    used = {mark: sum(token.startswith(mark) and token != mark for token in vocabulary) for mark in ("##", "Ġ", "▁")}
    mark = max(used, key=lambda one: used[one])
    if not used[mark]:
        return lambda token: True
    return (lambda token: not token.startswith("##")) if mark == "##" else (lambda token: token.startswith(mark))
