"""Texts: words, sentences and tokens of strings and of token ids; padding and special tokens are never a part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vocabularies import bytepair, minilm, wordpiece

import modalens as ml
from modalens import Text
from modalens.modalities import Parts

REPORTS = ["Heart normal.  Lungs clear!", "Large effusion, 2.5 cm. Follow up", "clear"]


def cut(kind: Text, samples: Any) -> tuple[Text, np.ndarray, Parts]:
    resolved = kind.resolve("report", samples)
    canonical = resolved.canonical("report", samples)
    return resolved, canonical, resolved.cut(canonical)


def masked(kind: Text, samples: Any, absent: list[int], token: str | None = None) -> Any:
    """The samples with these parts masked, as a model gets them."""
    resolved, canonical, parts = cut(kind, samples)
    return resolved.restore(resolved.replace(canonical, resolved.mask_token(canonical, token), parts, absent))


def ids_of(tokenizer: Any, tokens: list[list[str]]) -> np.ndarray:
    """Token ids, padded to the longest."""
    longest = max(map(len, tokens))
    return np.array(
        [tokenizer.convert_tokens_to_ids(row + [tokenizer.pad_token] * (longest - len(row))) for row in tokens]
    )


# strings ---------------------------------------------------------------------------------------------------------------------


def test_words_of_strings() -> None:
    _, _, parts = cut(Text(), REPORTS)
    assert parts.names == (
        ("Heart", "normal.", "Lungs", "clear!"),
        ("Large", "effusion,", "2.5", "cm.", "Follow", "up"),
        ("clear",),
    )
    assert parts.count(3).tolist() == [4, 6, 1]


def test_sentences_of_strings() -> None:
    _, _, parts = cut(Text(unit="sentence"), REPORTS)
    assert parts.names == (("Heart normal.", "Lungs clear!"), ("Large effusion, 2.5 cm.", "Follow up"), ("clear",))


def test_tokens_of_strings() -> None:
    _, _, parts = cut(Text(wordpiece(), unit="token"), ["a bc. d"])
    assert parts.names == (("a", "b", "c", ".", "d"),)


def test_masked_words_leave_the_rest_as_it_was() -> None:
    assert masked(Text(), REPORTS[:2], [1]) == ["Heart [MASK]  Lungs clear!", "Large [MASK] 2.5 cm. Follow up"]
    assert masked(Text(), REPORTS[:1], [0, 3], "...") == ["... normal.  Lungs ..."]
    assert masked(Text(unit="sentence"), REPORTS[:1], [1]) == ["Heart normal.  [MASK]"]
    assert masked(Text(wordpiece(), unit="token"), ["a bc. d"], [2]) == ["a b[MASK]. d"]


def test_a_removed_word_leaves_its_gaps() -> None:
    assert masked(Text(), ["no effusion seen"], [1], "") == ["no  seen"]


@given(
    text=st.text(alphabet="ab .!\n\t", min_size=1).filter(str.strip),
    unit=st.sampled_from(["word", "sentence"]),
    wanted=st.one_of(st.none(), st.integers(1, 5)),
)
def test_strings_are_given_back_to_the_letter(text: str, unit: Any, wanted: int | None) -> None:
    kind, canonical, parts = cut(Text(unit=unit, parts=wanted), [text])
    assert kind.restore(canonical) == [text]
    where = parts.where[0]
    assert sorted(set(where[1::2].tolist())) == list(range(len(parts.names[0])))
    assert (where[0::2] == -1).all()
    assert len(parts.names[0]) <= (wanted or len(text))
    everything = masked(Text(unit=unit, parts=wanted), [text], list(range(len(parts.names[0]))), "")
    assert everything[0].strip() == ""


@pytest.mark.parametrize(
    "samples",
    [
        ["a b", "c"],
        ("a b", "c"),
        np.array(["a b", "c"]),
        np.array(["a b", "c"], dtype=object),
        pd.Series(["a b", "c"], name="note"),
        pd.Series(["a b", "c"], dtype=object),
    ],
    ids=["list", "tuple", "fixed-width array", "object array", "Series", "object Series"],
)
def test_strings_are_given_back_in_the_container_they_came_in(samples: Any) -> None:
    kind, canonical, _ = cut(Text(), samples)
    back = kind.restore(canonical)
    assert type(back) is type(samples)
    assert list(back) == list(samples)
    if isinstance(samples, pd.Series):
        pd.testing.assert_series_equal(back, samples)
    elif isinstance(samples, np.ndarray):
        assert back.dtype == samples.dtype


def test_a_mask_token_longer_than_the_words_is_not_cut_off() -> None:
    assert masked(Text(), np.array(["a b", "c d"]), [0]).tolist() == ["[MASK] b", "[MASK] d"]


def test_a_number_of_parts_joins_neighbouring_words() -> None:
    _, _, parts = cut(Text(parts=2), ["one two three four five", "one"])
    assert parts.names == (("one two three", "four five"), ("one",))
    assert masked(Text(parts=2), ["one two three four five"], [0]) == ["[MASK] [MASK] [MASK] four five"]


def test_take_and_stack_are_inverse() -> None:
    kind, canonical, parts = cut(Text(), REPORTS)
    pieces = [kind.take(canonical, np.array([0])), kind.take(canonical, np.array([1, 2]))]
    assert kind.restore(kind.stack(pieces)) == REPORTS
    assert parts.take(np.array([2, 0])).names == (("clear",), ("Heart", "normal.", "Lungs", "clear!"))


def test_replacing_leaves_the_texts_untouched() -> None:
    kind, canonical, parts = cut(Text(), REPORTS)
    before = canonical.copy()
    kind.replace(canonical, kind.mask_token(canonical, None), parts, [0])
    assert canonical.tolist() == before.tolist()


def test_texts_are_as_unlike_as_their_words() -> None:
    kind, canonical, _ = cut(Text(), ["clear lungs", "clear lungs", "large effusion left", "large mass"])
    found = kind.distances(canonical, canonical)
    assert found[0, 1] == pytest.approx(0, abs=1e-12)
    assert found[2, 3] < found[0, 2]


# token ids -------------------------------------------------------------------------------------------------------------------


def test_fact_11_words_of_word_pieces_with_and_without_padding() -> None:
    tokens = ["a", "b", "##c", "d"]
    bare = ids_of(wordpiece(), [tokens])
    padded = ids_of(wordpiece(), [["[CLS]", *tokens, "[SEP]", "[PAD]", "[PAD]"]])
    for ids in (bare, padded):
        _, _, parts = cut(Text(wordpiece()), ids)
        assert parts.names == (("a", "bc", "d"),)
    assert cut(Text(wordpiece()), padded)[2].where.tolist() == [[-1, 0, 1, 1, 2, -1, -1, -1]]


def test_tokens_and_sentences_of_word_pieces() -> None:
    ids = ids_of(wordpiece(), [["[CLS]", "a", "##c", ".", "b", "d", "[SEP]"]])
    assert cut(Text(wordpiece(), unit="token"), ids)[2].names == (("a", "c", ".", "b", "d"),)
    _, _, parts = cut(Text(wordpiece(), unit="sentence"), ids)
    assert parts.names == (("ac .", "b d"),)
    assert parts.where.tolist() == [[-1, 0, 0, 0, 1, 1, -1]]


def test_a_decimal_point_ends_no_sentence() -> None:
    _, _, parts = cut(Text(wordpiece(), unit="sentence"), ids_of(wordpiece(), [["a", "2", ".", "5", "b", ".", "d"]]))
    assert len(parts.names[0]) == 2


def test_an_unknown_word_is_a_word_and_is_masked() -> None:
    ids = ids_of(wordpiece(), [["[CLS]", "a", "[UNK]", "[SEP]"]])
    assert cut(Text(wordpiece()), ids)[2].names == (("a", "[UNK]"),)
    assert wordpiece().convert_ids_to_tokens(masked(Text(wordpiece()), ids, [1])[0]) == [
        "[CLS]",
        "a",
        "[MASK]",
        "[SEP]",
    ]


def test_words_of_byte_pairs_begin_with_their_mark() -> None:
    ids = ids_of(bytepair(), [["<s>", "ab", ".", "Ġab", "b", "Ġa", "</s>", "<pad>"]])
    _, _, parts = cut(Text(bytepair()), ids)
    assert parts.names == (("ab.", "abb", "a"),)
    assert parts.where.tolist() == [[-1, 0, 0, 1, 1, 2, -1, -1]]
    assert cut(Text(bytepair(), unit="sentence"), ids)[2].names == (("ab.", "abb a"),)


def test_special_tokens_stay_when_everything_is_masked() -> None:
    ids = ids_of(wordpiece(), [["[CLS]", "a", "b", "[SEP]", "[PAD]"]])
    kind, canonical, _ = cut(Text(wordpiece()), ids)
    assert wordpiece().convert_ids_to_tokens(kind.mask_token(canonical, None)[0]) == [
        "[CLS]",
        "[MASK]",
        "[MASK]",
        "[SEP]",
        "[PAD]",
    ]
    assert wordpiece().convert_ids_to_tokens(kind.mask_token(canonical, "[UNK]")[0])[1] == "[UNK]"


def test_a_token_outside_the_vocabulary_can_not_mask() -> None:
    kind, canonical, _ = cut(Text(wordpiece()), ids_of(wordpiece(), [["a"]]))
    with pytest.raises(ml.InputError, match="has no 'zebra'"):
        kind.mask_token(canonical, "zebra")


@pytest.mark.parametrize(
    "form", [np.asarray, torch.from_numpy, lambda ids: ids.astype(np.int32)], ids=["array", "tensor", "int32"]
)
def test_ids_are_given_back_as_they_came(form: Any) -> None:
    ids = form(ids_of(wordpiece(), [["a", "b"], ["d", "[PAD]"]]))
    kind, canonical, _ = cut(Text(wordpiece()), ids)
    back = kind.restore(canonical)
    assert type(back) is type(ids)
    assert back.dtype == ids.dtype
    assert bool((back == ids).all())


def test_padding_does_not_change_the_words_of_a_real_tokenizer() -> None:
    tokenizer = minilm()
    reports = ["Cardiomegaly without pneumothorax.", "Clear. No effusion, unremarkable."]
    for report in reports:
        bare = np.array([tokenizer(report, add_special_tokens=False)["input_ids"]])
        alone = cut(Text(tokenizer), bare)[2]
        padded = cut(Text(tokenizer), np.array([tokenizer(report, padding="max_length", max_length=30)["input_ids"]]))[
            2
        ]
        assert alone.names == padded.names
        assert "".join(alone.names[0]) == report.lower().replace(" ", "")
        assert (padded.where[0] >= 0).sum() == bare.shape[1]
    assert cut(Text(tokenizer), bare)[2].names[0] == ("clear", ".", "no", "effusion", ",", "unremarkable", ".")


def test_units_of_a_real_tokenizer() -> None:
    tokenizer = minilm()
    ids = np.array(tokenizer(["Effusion 2.5 cm. Clear."], padding="max_length", max_length=20)["input_ids"])
    sentences = cut(Text(tokenizer, unit="sentence"), ids)[2]
    assert len(sentences.names[0]) == 2
    assert sentences.names[0][1] == "clear ."
    tokens = cut(Text(tokenizer, unit="token"), ids)[2]
    assert "".join(tokens.names[0]) == "effusion2.5cm.clear."
    assert len(tokens.names[0]) == len(tokenizer.tokenize("Effusion 2.5 cm. Clear."))


def test_occluding_one_word_masks_its_pieces_only() -> None:
    tokenizer = minilm()
    ids = np.array(tokenizer(["pneumothorax seen"], padding="max_length", max_length=12)["input_ids"])
    before, after = ids[0], masked(Text(tokenizer), ids, [0])[0]
    pieces = len(tokenizer.tokenize("pneumothorax"))
    assert pieces > 1
    assert (after[1 : 1 + pieces] == tokenizer.mask_token_id).all()
    np.testing.assert_array_equal(np.delete(after, range(1, 1 + pieces)), np.delete(before, range(1, 1 + pieces)))
