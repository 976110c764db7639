"""The dual encoder of the phantom: its words, its losses, each remedy, and training."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from modalens.alignment.attention import Attention, local_attention
from modalens.alignment.contrast.learning import alike, learn
from modalens.alignment.contrast.losses import contrastive, fitting, global_scores, pair_scores
from modalens.alignment.contrast.network import MASKED, DualEncoder, Vocabulary, small_dual_encoder
from modalens.alignment.contrast.recipes import RECIPES, VOCABULARY, trained
from modalens.alignment.contrast.remedies import (
    AbnormalOnly,
    Batch,
    FewBoxes,
    HardNegatives,
    MaskedWords,
    Mismatch,
    RandomSentences,
    Remedy,
    cells_inside,
    masked_entities,
    pixels_of,
)
from modalens.alignment.phantom import FINDINGS, Phantom
from modalens.alignment.records import Record
from modalens.alignment.regions import Crop
from modalens.errors import InputError

KINDS = [("single", None), ("single", "vector"), ("single", "logit"), ("published", None), ("published", "vector")]


def model_of(attention: Any = "single", opt_out: Any = None, seed: int = 0) -> DualEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return small_dual_encoder(VOCABULARY, attention=attention, opt_out=opt_out, width=16)


def number(value: Any) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(generator(seed).standard_normal(shape))


def record(phrase: str = "Left effusion.", **given_: Any) -> Record:
    return Record(phrase=phrase, **({"image": np.zeros((8, 8)), "labels": ("effusion",), "abnormal": True} | given_))


def batch_of(model: DualEncoder, records: list[Record], findings: list[set], phrases: list[str] | None = None) -> Batch:  # type: ignore[type-arg]
    phrases = phrases or [one.phrase for one in records]
    encoded = model.encode(phrases)
    words, regions = model.sentence(encoded).detach(), drawn(len(records), 64, 16).float()
    return Batch(
        records=records,
        phrases=phrases,
        findings=[frozenset(found) for found in findings],
        regions=regions,
        words=words,
        padding=encoded.padding,
        attention=model.attend(words, regions, encoded.padding),
    )


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return Phantom().records(40, seed=7)


# Words


def test_words_are_numbered_without_case_and_punctuation() -> None:
    vocabulary = Vocabulary.of(["Left lung.", "The LEFT heart"])
    assert vocabulary.words == ("<padding>", "<unknown>", "<mask>", "heart", "left", "lung", "the")
    ids, padding = vocabulary.encode(["the left, lung!", "Spleen", "<mask> HEART"])
    assert ids.tolist() == [[6, 4, 5], [1, 0, 0], [2, 3, 0]]
    assert padding.tolist() == [[False] * 3, [False, True, True], [False, False, True]]
    assert len(vocabulary) == 7


@pytest.mark.parametrize("phrase", ["", "  ", "...", "-"])
def test_a_phrase_without_words_is_refused(phrase: str) -> None:
    with pytest.raises(InputError, match=r"holds no word"):
        VOCABULARY.encode(["Left lung.", phrase])


def test_the_vocabulary_knows_every_sentence_of_the_phantom() -> None:
    phrases = [one.phrase for one in Phantom(stripped=0.5).records(500, seed=99)]
    assert not (VOCABULARY.encode(phrases).ids == 1).any()


# Losses


def slow_fit(words: np.ndarray, map: np.ndarray, regions: np.ndarray) -> float:
    total = 0.0
    for word, weights in zip(words, map, strict=True):
        context = sum(weight * region for weight, region in zip(weights, regions, strict=True))
        total += np.exp(5 * word @ context / np.linalg.norm(word) / np.linalg.norm(context))
    return number(np.log(total))


def slow_contrastive(scores: np.ndarray, same: np.ndarray) -> float:
    size, total = len(scores), 0.0
    for table, equal in ((scores, same), (scores.T, same.T)):
        for one in range(size):
            others = [np.exp(10 * table[one, other]) for other in range(size) if other == one or not equal[one, other]]
            total += np.log(sum(others)) - 10 * table[one, one]
    return total / (2 * size)


def test_fit_by_hand() -> None:
    """c = (.75, .25), and its cosine with (1, 0) is .75 / sqrt(.625); a padded word counts for nothing."""
    words, regions = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.eye(2)
    attention = Attention(torch.tensor([[0.75, 0.25], [0.0, 0.0]]), torch.zeros(2))
    score = fitting(words, attention, regions, torch.tensor([False, True]))
    assert number(score) == pytest.approx(5 * 0.75 / np.sqrt(0.625))
    two = fitting(
        words[[0, 0]], Attention(attention.map[[0, 0]], torch.zeros(2)), regions, torch.tensor([False, False])
    )
    assert number(two) == pytest.approx(number(score) + np.log(2))


@pytest.mark.parametrize(("attention", "opt_out"), KINDS)
def test_scores_of_all_pairs_are_those_of_each_pair_alone(attention: str, opt_out: str | None) -> None:
    model = model_of(attention, opt_out).double()
    words, regions, padding = drawn(3, 4, 16), drawn(5, 6, 16, seed=1), torch.zeros(3, 4, dtype=torch.bool)
    padding[1, 2:] = padding[2, 1:] = True
    if attention == "published" and opt_out is None:
        padding[2, 1] = False  # a word alone is spread evenly
    scores = pair_scores(model, words, regions, padding).detach().numpy()
    assert scores.shape == (3, 5)
    for phrase in range(3):
        real = words[phrase][~padding[phrase]]
        for picture in range(5):
            map = local_attention(
                real, regions[picture], "gloria" if attention == "published" else None, opt_out=model.nowhere
            ).map
            slow = slow_fit(real.numpy(), map.detach().numpy(), regions[picture].numpy())
            assert scores[phrase, picture] == pytest.approx(slow, abs=1e-9)


def test_contrast_by_hand() -> None:
    scores, none = torch.tensor([[0.1, 0.0], [0.2, 0.3]]), torch.eye(2, dtype=torch.bool)
    expected = (2 * np.log1p(np.exp(-1)) + np.log1p(np.exp(1)) + np.log1p(np.exp(-3))) / 4
    assert number(contrastive(scores, none)) == pytest.approx(expected, rel=1e-6)
    assert number(contrastive(scores, torch.ones(2, 2, dtype=torch.bool))) == 0  # equal text is no counterexample


@settings(max_examples=20)
@given(
    scores=arrays.arrays(np.float64, (4, 4), elements=st.integers(-8, 8).map(lambda whole: whole / 8)),
    texts=st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_contrast_equals_loops_that_leave_equal_texts_out(scores: np.ndarray, texts: list[int]) -> None:
    same = np.equal.outer(texts, texts)
    found = contrastive(torch.from_numpy(scores), torch.from_numpy(same))
    assert number(found) == pytest.approx(slow_contrastive(scores, same), abs=1e-9)


def test_global_scores_equal_loops() -> None:
    """The cosine of the mean word and the mean region, each after a layer of its own."""
    model = model_of().double()
    words, regions, padding = drawn(3, 4, 16), drawn(2, 6, 16, seed=1), torch.zeros(3, 4, dtype=torch.bool)
    padding[0, 1:] = padding[2, 3:] = True
    with torch.no_grad():
        found = global_scores(model, words, regions, padding)
        for phrase in range(3):
            word = model.whole_phrase(words[phrase][~padding[phrase]].mean(0)).numpy()
            for picture in range(2):
                region = model.whole_picture(regions[picture].mean(0)).numpy()
                cosine = word @ region / np.linalg.norm(word) / np.linalg.norm(region)
                assert number(found[phrase, picture]) == pytest.approx(cosine)


def test_pairs_are_alike_by_their_sentence_or_by_what_is_left_of_it() -> None:
    several = [record("Left effusion."), record("Right effusion."), record("Left effusion."), record("Heart.")]
    masked = [f"{MASKED} effusion.", f"{MASKED} effusion.", f"Left {MASKED}", "Heart."]
    expected = np.eye(4, dtype=bool)
    expected[0, [1, 2]] = expected[[1, 2], 0] = True
    assert alike(several, masked).tolist() == expected.tolist()


# Remedies: examples and phrases


def test_abnormal_only_keeps_the_findings(records: list[Record]) -> None:
    kept = AbnormalOnly().examples(records)
    assert kept == [one for one in records if one.located]
    assert 0 < len(kept) < len(records)
    with pytest.raises(InputError, match=r"AbnormalOnly: no record speaks of a finding; give abnormal="):
        AbnormalOnly().examples([one for one in records if not one.located])


def test_random_sentences_move_what_is_said_and_leave_what_is_shown(records: list[Record]) -> None:
    def said(one: Record) -> tuple[Any, ...]:
        return one.phrase, one.labels, one.of_finding, one.laterality

    dealt = RandomSentences().examples(records)
    assert Counter(map(said, dealt)) == Counter(map(said, records))
    for before, after in zip(records, dealt, strict=True):
        assert after.image is before.image
        np.testing.assert_array_equal(after.boxes, before.boxes)
        assert (after.image_id, after.study, after.patient) == (before.image_id, before.study, before.patient)
    assert sum(one.phrase == two.phrase for one, two in zip(records, dealt, strict=True)) < len(records) / 4
    assert [one.phrase for one in dealt] == [one.phrase for one in RandomSentences().examples(records)]
    assert [one.phrase for one in dealt] != [one.phrase for one in RandomSentences(seed=1).examples(records)]


def test_masked_words_hide_their_share() -> None:
    phrase, source = "one two three four five six seven eight nine ten", generator()
    hidden = [MaskedWords(share=0.3).worded(record(phrase), source).split().count(MASKED) for _ in range(400)]
    assert np.mean(hidden) == pytest.approx(3, abs=4 * np.sqrt(2.1 / 400))
    assert MaskedWords(share=0).worded(record(phrase), source) == phrase
    kept = MaskedWords(share=0.5).worded(record(phrase), source).split()
    assert all(word in (MASKED, before) for word, before in zip(kept, phrase.split(), strict=True))


@given(words=st.integers(1, 5), seed=st.integers(0, 100))
def test_one_word_is_always_left(words: int, seed: int) -> None:
    one = record(" ".join("abcde"[:words]))
    left = MaskedWords(share=1).worded(one, generator(seed)).split()
    assert left.count(MASKED) == words - 1
    # Also where another remedy has hidden some before.
    again = MaskedWords(share=1, only=frozenset("abcde")).worded(replace(one, phrase=" ".join(left)), generator(seed))
    assert again.split() == left


def test_only_entities_are_masked() -> None:
    remedy = masked_entities(1.0, ["Effusion", "opacity"])
    assert (
        remedy.worded(record("There is an Effusion, or opacity."), generator()) == f"There is an {MASKED} or {MASKED}"
    )
    assert remedy.worded(record("The heart is normal."), generator()) == "The heart is normal."
    assert remedy.worded(record("Effusion."), generator()) == "Effusion."
    half = [masked_entities(0.5, FINDINGS).worded(record("Left effusion."), generator(seed)) for seed in range(200)]
    assert set(half) == {"Left effusion.", f"Left {MASKED}"}
    assert half.count("Left effusion.") == pytest.approx(100, abs=28)


def test_masking_without_words_or_with_a_wrong_share_is_refused() -> None:
    with pytest.raises(InputError, match=r"masked_entities: give the words"):
        masked_entities(0.5)
    for share in (-0.1, 1.1):
        with pytest.raises(InputError, match=rf"MaskedWords: share .* 0 to 1; {share} came"):
            MaskedWords(share=share)


# Mismatch


def test_mismatch_lowers_the_opt_out_of_what_is_shown_and_raises_that_of_what_is_not() -> None:
    said = [
        record("Left effusion."),  # the picture before, the last, shows an effusion
        record("Left nodule.", labels=("nodule",)),  # not shown by the picture before
        record("No opacity.", labels=("opacity",), abnormal=False),  # denied: says nothing about where to look
        record("Left effusion."),  # not shown by the picture before
    ]
    found = [{(("effusion",), "left")}, {(("nodule",), "left")}, set(), {(("effusion",), "right")}]
    own = torch.tensor([[0.3], [0.4], [0.5], [0.6]], requires_grad=True)
    elsewhere = torch.tensor([[0.2], [0.7], [0.5], [0.1]], requires_grad=True)
    regions, asked = drawn(4, 6, 3), []

    def attend(words: Tensor, regions: Tensor, padding: Tensor) -> Attention:
        asked.append(regions)
        return Attention(torch.zeros(4, 1, 6), elsewhere)

    batch = Batch(
        records=said,
        phrases=[one.phrase for one in said],
        findings=[frozenset(each) for each in found],
        regions=regions,
        words=drawn(4, 1, 3),
        padding=torch.zeros(4, 1, dtype=torch.bool),
        attention=Attention(torch.zeros(4, 1, 6), own),
    )
    loss = Mismatch(weight=2.0).loss(SimpleNamespace(attend=attend), batch, generator())  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(-2 * (np.log([0.7, 0.6, 0.4]).mean() + np.log([0.7, 0.1]).mean()), rel=1e-6)
    assert torch.equal(asked[0], regions[[3, 0, 1, 2]])
    down, up = torch.autograd.grad(loss, [own, elsewhere])
    assert (down > 0).flatten().tolist() == [True, True, False, True]  # descent lowers them
    assert (up < 0).flatten().tolist() == [False, True, False, True]  # and raises these
    assert not down[2].any()
    assert not up[[0, 2]].any()


def test_one_label_in_common_is_enough_to_be_shown() -> None:
    model = model_of("single", "logit")
    said = [record(labels=("effusion", "opacity")), record(labels=("opacity", "nodule"))]
    loss = Mismatch().loss(model, batch_of(model, said, [{(one.labels, "left")} for one in said]), generator())
    half = batch_of(model, said, [set(), set()])
    assert 0 < number(loss) < number(Mismatch().loss(model, half, generator()))


def test_a_batch_that_denies_only_has_no_mismatch_loss() -> None:
    model = model_of("single", "logit")
    said = [record("No effusion.", abnormal=False), record("No nodule.", abnormal=False)]
    assert number(Mismatch().loss(model, batch_of(model, said, [set(), set()]), generator())) == 0


def test_mismatch_needs_an_opt_out(records: list[Record]) -> None:
    with pytest.raises(InputError, match=r'Mismatch: this model has no opt-out; make it with opt_out="logit"'):
        learn(model_of(), records, remedies=[Mismatch()], steps=1, batch=4, progress=False)


# Hard negatives


def sided(*phrases: str, **given_: Any) -> list[Record]:
    """Phrases of pictures of their own."""
    source = generator(5)
    return [record(phrase, image=source.random((64, 64)).astype(np.float32), **given_) for phrase in phrases]


@pytest.mark.parametrize(("attention", "opt_out"), KINDS)
def test_hard_negatives_by_hand(attention: str, opt_out: str | None) -> None:
    """- log sigmoid(10 (s - s')), each phrase alone in its own picture."""
    model = model_of(attention, opt_out).eval()
    said = sided("Left effusion.", "There is a right pleural effusion.", "Left lung nodule.")
    total = 0.0
    for one, swapped in zip(
        said, ["Right effusion.", "There is a left pleural effusion.", "Right lung nodule."], strict=True
    ):
        true, false = (
            number(pair_scores(model, model.sentence(words), model.regions(pixels_of([one])), words.padding))
            for words in (model.encode([one.phrase]), model.encode([swapped]))
        )
        total += -np.log(1 / (1 + np.exp(-10 * (true - false))))
    ready = HardNegatives(weight=0.5).prepared(model, said, generator())
    assert number(ready.loss(model, None, generator())) == pytest.approx(0.5 * total / 3, rel=1e-4)  # type: ignore[arg-type]


def test_no_hard_negative_where_the_mirror_is_true_or_missing() -> None:
    image = np.ones((64, 64))
    kept = [
        record("Left nodule.", image=image, labels=("nodule",)),  # the only sentence of a nodule in its picture
        *sided("Right effusion."),
        *sided("Left opacity.", abnormal=None),  # nobody has said whether it is of a finding
    ]
    out = [
        record("Left effusion.", image=image),  # on both sides of one picture
        record("Right effusion.", image=image),
        *sided("Effusion on the left and the right.", "There is an effusion.", "Right middle lobe opacity."),
        *sided("No left effusion.", abnormal=False),
        record("No left nodule.", image=image, labels=("nodule",), abnormal=False),
    ]
    ready = HardNegatives().prepared(model_of(), [*out, *kept], generator())
    assert {one.phrase for one in ready.records} == {one.phrase for one in kept}  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"HardNegatives: no phrase of the training records can be swapped"):
        HardNegatives().prepared(model_of(), out, generator())
    with pytest.raises(InputError, match=r"HardNegatives: `prepared`"):
        HardNegatives().loss(model_of(), None, generator())  # type: ignore[arg-type]


def test_hard_negatives_draw_their_number_of_pairs_and_speak_the_language() -> None:
    model, asked = model_of(), []

    def encode(phrases: list[str]) -> Any:
        asked.append(list(phrases))
        return VOCABULARY.encode(phrases)

    model.encode = encode  # type: ignore[assignment]
    said = sided("Erguss links.", "Erguss rechts.", "Verschattung links.", "Rundherd rechts.")
    with pytest.raises(InputError, match=r"can be swapped"):
        HardNegatives().prepared(model, said, generator())
    ready = HardNegatives(language="de", pairs=2).prepared(model, said, generator())
    for seed in range(6):
        ready.loss(model, None, generator(seed))  # type: ignore[arg-type]
    sides = str.maketrans({"l": "r", "r": "l"})
    for true, swapped in zip(asked[::2], asked[1::2], strict=True):
        assert len(set(true)) == 2
        for one, other in zip(true, swapped, strict=True):
            assert one.split()[0] == other.split()[0]
            assert one.split()[1][0].translate(sides) == other.split()[1][0]
    assert {phrase for some in asked[::2] for phrase in some} == {one.phrase for one in said}


# Few boxes


@dataclass
class Looks:
    """A model that looks where it is told."""

    map: Tensor
    grid: tuple[int, int] = (2, 2)
    regions: Any = field(init=False)
    asked: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.regions = SimpleNamespace(grid=self.grid)

    def __call__(self, images: Tensor, phrases: list[str]) -> Attention:
        self.asked.append((images, phrases))
        return Attention(self.map, 1 - self.map.sum(-1))


def test_box_loss_by_hand() -> None:
    """Boxes that cover .5, .5 of the upper cells, and all of the lower left one; the third map looks nowhere near its box."""
    boxes = [[(1, 0, 3, 2)], [(0, 2, 2, 4)], [(0, 0, 2, 2)]]
    some = [record(f"Phrase {i}.", image=np.full((4, 4), i), boxes=box) for i, box in enumerate(boxes)]
    looks = Looks(
        torch.tensor([[0.4, 0.2, 0.3, 0.1], [0.1, 0.1, 0.25, 0.05], [0.0, 0.5, 0.5, 0.0]], requires_grad=True)
    )
    ready = FewBoxes(records=some, weight=3.0).prepared(looks, [], generator())  # type: ignore[arg-type]
    loss = ready.loss(looks, None, generator())  # type: ignore[arg-type]
    assert number(loss) == pytest.approx(-3 * np.log([0.3, 0.25, 1e-6]).mean(), rel=1e-5)
    images, phrases = looks.asked[0]
    assert images[:, 0, 0].tolist() == [0, 1, 2]
    assert phrases == ["Phrase 0.", "Phrase 1.", "Phrase 2."]
    (gradient,) = torch.autograd.grad(loss, looks.map)
    assert (gradient < 0).tolist() == [[True, True, False, False], [False, False, True, False], [False] * 4]


def test_shots_are_drawn_from_the_training_records(records: list[Record]) -> None:
    model = model_of()
    ready = [FewBoxes(shots=5).prepared(model, records, generator(seed)) for seed in (0, 0, 1)]
    chosen = [[id(one) for one in each.records] for each in ready]  # type: ignore[attr-defined]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 5
    assert set(chosen[0]) <= {id(one) for one in records if one.located}


def test_too_few_boxes_are_refused(records: list[Record]) -> None:
    model, denied = model_of(), [one for one in records if not one.located]
    gone = record(boxes=[(0, 0, 2, 2)]).through(Crop(height=4, width=4, top=4, left=4))
    with pytest.raises(InputError, match=r"FewBoxes: 300 records with a region are needed; \d+ have one"):
        FewBoxes(shots=300).prepared(model, records, generator())
    for given_ in ([], denied, [gone]):
        with pytest.raises(InputError, match=r"FewBoxes: 1 records with a region are needed; 0 have one"):
            FewBoxes(records=given_).prepared(model, records, generator())
    with pytest.raises(InputError, match=r"FewBoxes: shots .* 1 or more; 0 came"):
        FewBoxes(shots=0)
    with pytest.raises(InputError, match=r"FewBoxes: `prepared`"):
        FewBoxes().loss(model, None, generator())  # type: ignore[arg-type]


def test_shares_of_cells_by_hand() -> None:
    half = record(image=np.zeros((4, 4)), boxes=[(1, 0, 3, 2)])
    np.testing.assert_allclose(cells_inside(half, (2, 2)), [[0.5, 0.5], [0, 0]])
    np.testing.assert_allclose(cells_inside(half, (1, 4)), [[0, 0.5, 0.5, 0]])
    # A grid that does not divide the image: cells of 1.5 x 1.5 pixels, a region of 2 x 2, drawn as a box and as a mask.
    corner = np.zeros((3, 3), dtype=bool)
    corner[:2, :2] = True
    expected = [[1, 1 / 3], [1 / 3, 1 / 9]]
    for one in (record(image=np.zeros((3, 3)), boxes=[(0, 0, 2, 2)]), record(image=np.zeros((3, 3)), masks=(corner,))):
        np.testing.assert_allclose(cells_inside(one, (2, 2)), expected)
    # More cells than pixels.
    np.testing.assert_allclose(
        cells_inside(record(image=np.zeros((1, 2)), boxes=[(0, 0, 1, 1)]), (1, 4)), [[1, 1, 0, 0]]
    )


@settings(max_examples=20)
@given(
    mask=arrays.arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_cells_cover_as_much_as_the_region(mask: np.ndarray, grid: tuple[int, int]) -> None:
    """By a fine picture on which both pixels and cells are whole: every pixel and every cell many times."""
    inside = cells_inside(record(image=np.zeros(mask.shape), masks=(mask,)), grid)
    fine = np.kron(mask, np.ones(grid))
    cells = fine.reshape(grid[0], mask.shape[0], grid[1], mask.shape[1]).mean(axis=(1, 3))
    np.testing.assert_allclose(inside, cells, atol=1e-12)


# Training


@dataclass(frozen=True, kw_only=True)
class Watching(Remedy):
    """Keeps the batches that it sees."""

    seen: list[Batch] = field(default_factory=list)

    def loss(self, model: DualEncoder, batch: Batch, generator: np.random.Generator) -> float:
        self.seen.append(batch)
        return 0.0


def weights_of(model: DualEncoder) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.state_dict().values()])


def test_a_batch_holds_what_belongs_together(records: list[Record]) -> None:
    watching, model = Watching(), model_of("published", "vector")
    learn(model, records, remedies=[MaskedWords(), watching], steps=20, batch=8, progress=False)
    assert len(watching.seen) == 20
    shown = {
        one.image_id: {
            (other.labels, other.side) for other in records if other.image_id == one.image_id and other.located
        }
        for one in records
    }
    speaking = []
    for batch in watching.seen:
        assert len({one.image_id for one in batch.records}) == len(batch.records) == 8
        assert list(batch.findings) == [shown[one.image_id] for one in batch.records]
        for one, phrase in zip(batch.records, batch.phrases, strict=True):
            assert len(phrase.split()) == len(one.phrase.split())
        speaking += [one.located for one in batch.records if shown[one.image_id]]
        torch.testing.assert_close(batch.padding, VOCABULARY.encode(batch.phrases).padding)
        assert batch.regions.shape == (8, 64, 16)
        total = batch.attention.map.sum(-1) + batch.attention.opt_out
        torch.testing.assert_close(total[~batch.padding], torch.ones(int((~batch.padding).sum())))
    assert any(MASKED in phrase for batch in watching.seen for phrase in batch.phrases)
    assert 0.75 < np.mean(speaking) < 1  # most sentences speak of what the picture shows


def test_a_study_of_two_pictures_shows_what_is_said_of_either() -> None:
    one, two = (record(image=np.full((64, 64), value), image_id=str(value), study="s", patient="p") for value in (0, 1))
    alone = record("Left nodule.", image=np.zeros((64, 64)), image_id="2", labels=("nodule",), laterality="left")
    watching = Watching()
    said = [replace(one, laterality="left"), replace(two, phrase="Right opacity.", labels=("opacity",)), alone]
    learn(model_of(), said, remedies=[watching], steps=1, batch=3, progress=False)
    (batch,) = watching.seen
    found = {one.image_id: each for one, each in zip(batch.records, batch.findings, strict=True)}
    assert found["0"] == found["1"] == {(("effusion",), "left"), (("opacity",), "")}
    assert found["2"] == {(("nodule",), "left")}


def test_maskings_add_up(records: list[Record]) -> None:
    """Two remedies that mask: what the first has hidden stays hidden."""
    watching = Watching()
    maskings = [masked_entities(1.0, FINDINGS), MaskedWords(share=1, only=frozenset({"left", "right"}))]
    learn(model_of(), records, remedies=[*maskings, watching], steps=3, batch=16, progress=False)
    phrases = [phrase for batch in watching.seen for phrase in batch.phrases]
    assert any(phrase.count(MASKED) == 2 for phrase in phrases)
    for phrase in phrases:
        left = [word for word in phrase.lower().strip(".").split() if word != MASKED]
        assert left
        assert len(left) == 1 or not {*left} & {*FINDINGS, "left", "right"}


def test_the_same_seed_gives_the_same_weights_to_the_bit(records: list[Record]) -> None:
    one, again, other = (
        weights_of(
            learn(model_of(), records, remedies=[FewBoxes(shots=5)], steps=3, batch=8, seed=seed, progress=False)
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, weights_of(model_of()))


def test_the_losses_of_remedies_count_by_their_weight(records: list[Record]) -> None:
    without, little, much = (
        weights_of(
            learn(model_of(), records, remedies=[FewBoxes(shots=5, weight=weight)], steps=2, batch=8, progress=False)
        )
        for weight in (0.0, 0.5, 5.0)
    )
    assert not torch.equal(without, little)
    assert not torch.equal(little, much)


def test_nobody_elses_random_state_is_touched(records: list[Record]) -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())  # noqa: NPY002

    torch.manual_seed(123)
    before = states()
    learn(model_of(), records, steps=1, batch=8, progress=False)
    trained("masked words", studies=40, steps=1, progress=False)
    assert states() == before


def test_a_model_that_draws_while_it_trains_follows_the_seed(records: list[Record]) -> None:
    results = []
    for outside in (1, 2):
        model = model_of()
        model.sentence.last = torch.nn.Sequential(torch.nn.Dropout(0.5), model.sentence.last)  # type: ignore[assignment,arg-type]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(outside)
            results.append(weights_of(learn(model, records, steps=2, batch=8, progress=False)))
    assert torch.equal(*results)


def test_the_loss_goes_down_and_the_model_comes_back_in_evaluation_mode(records: list[Record]) -> None:
    """A model that scores all pairs alike has a loss of log(number of pairs), less where texts are equal."""
    said = list({one.image_id: one for one in records if one.located}.values())[:12]

    def loss(model: DualEncoder) -> float:
        with torch.no_grad():
            words = model.encode([one.phrase for one in said])
            scores = pair_scores(model, model.sentence(words), model.regions(pixels_of(said)), words.padding)
            return number(contrastive(scores, alike(said, [one.phrase for one in said])))

    model = model_of().train()
    after = learn(model, said, steps=60, batch=12, rate=1e-2, progress=False)
    assert after is model
    assert not any(part.training for part in model.modules())
    assert loss(model) < 0.7 * min(loss(model_of()), np.log(len(said)))


def test_training_that_cannot_work_is_refused(records: list[Record]) -> None:
    few = [one for one in records if one.image_id in {other.image_id for other in records[:6]}]
    with pytest.raises(
        InputError, match=r"\d pictures are fewer than a batch of 32: give more records, or a smaller batch="
    ):
        learn(model_of(), few, steps=1, progress=False)
    with pytest.raises(InputError, match=r"0 pictures are fewer than a batch"):
        learn(model_of(), [], steps=1, progress=False)
    with pytest.raises(InputError, match=r"1 step or more, of 1 picture or more; steps=0, batch=8 came"):
        learn(model_of(), records, steps=0, batch=8, progress=False)
    small = replace(records[0], image=np.zeros((32, 48)), boxes=np.zeros((0, 4)), image_id="small")
    with pytest.raises(InputError, match=r"image 'small'.*shape \(32, 48\).*\(64, 64\).*letterbox"):
        learn(model_of(), [*records, small], steps=1, batch=8, progress=False)
    with pytest.raises(InputError, match=r"image 'small'.*letterbox"):
        FewBoxes(records=[records[0], replace(small, boxes=[(0, 0, 4, 4)])]).prepared(model_of(), records, generator())


def test_all_remedies_together(records: list[Record]) -> None:
    watching = Watching()
    remedies = [AbnormalOnly(), MaskedWords(), Mismatch(), HardNegatives(), FewBoxes(shots=4), watching]
    model = learn(model_of("single", "logit"), records, remedies=remedies, steps=2, batch=8, progress=False)
    assert all(one.located for batch in watching.seen for one in batch.records)
    assert torch.isfinite(weights_of(model)).all()
    assert number(model.nowhere) != 0  # type: ignore[arg-type]


# Recipes


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name: str) -> None:
    model, used = trained(name, studies=60, steps=2, progress=False)
    assert torch.isfinite(weights_of(model)).all()
    assert not torch.equal(weights_of(model), weights_of(trained(name, studies=60, steps=1, progress=False)[0]))
    assert model.attention == ("published" if "published" in RECIPES[name].words else model.attention)
    assert (model.nowhere is not None) == name.startswith("opt-out")
    (map,) = model.heat_maps([np.asarray(used[0].image)], [used[0].phrase])
    assert map.values.shape == (8, 8)
    assert len({one.study for one in used}) == 60


def test_a_recipe_is_deterministic_and_follows_its_seed() -> None:
    """Whatever torch's own random state is."""
    made = []
    for outside, seed in enumerate((0, 0, 1)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(outside)
            made.append(trained("single, stripped, boxes", seed, studies=60, steps=2, progress=False))
    (one, used), (again, same), (other, others) = made
    assert torch.equal(weights_of(one), weights_of(again))
    assert not torch.equal(weights_of(one), weights_of(other))
    assert [each.phrase for each in used] == [each.phrase for each in same] != [each.phrase for each in others]
    # Training patients are nobody whom a test with a seed of its own draws.
    assert not {each.patient for each in used} & {each.patient for each in Phantom().records(60, seed=0)}


def test_stripped_recipes_read_few_sides() -> None:
    for name, few in (("single", False), ("single, stripped", True)):
        sided = [one for one in RECIPES[name].records(100, 0) if one.laterality]
        share = np.mean([one.laterality in one.phrase.lower() for one in sided])
        assert (share < 0.2) if few else (share == 1)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(InputError, match=r"recipe='repared' is not known.*repaired"):
        trained("repared")
