"""The answers of a language model: their likelihood is that of the tokens one by one, whatever else is in the batch."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modalens as ml

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

WORDS = (
    "<pad>", "<unk>", "<s>", "report", "left", "right", "large", "small", "no", "effusion", "heart", "normal", "is", "there",
    "an", "yes", "not", "at", "all", "sure", ":", "?",
)  # fmt: skip
PROMPT = "report : {report} is there an effusion ? "
REPORTS = [
    "large left effusion",
    "normal heart",
    "no effusion",
    "small right effusion left heart normal no effusion",
    "",
]
LONG = ("yes", "not at all", "not sure")


@cache
def tokenizer(side: str = "right") -> Any:
    """A word a token, with a space between words."""
    model = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", padding_side=side
    )


@cache
def language_model(tokens: int = len(WORDS)) -> Any:
    """A GPT-2 of two layers with random weights, large enough for its answers to differ."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=tokens, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=2, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8) if parameter.dim() > 1 else None
    return model


def asked(model: Any = None, answers: Any = LONG, prompt: str = PROMPT, **settings: Any) -> Any:
    return ml.Answers(model or language_model(), tokenizer(), answers=answers, prompt=prompt, **settings).eval()


@torch.no_grad()
def one_by_one(prompt: str, answer: str) -> list[float]:
    """log p of every token of an answer, each from a run of its own on nothing but what stands before it."""
    numbers = {word: number for number, word in enumerate(WORDS)}
    before, logs = [numbers[word] for word in prompt.split()], []
    for word in answer.split():
        logits = language_model()(input_ids=torch.tensor([before])).logits[0, -1].double()
        logs.append(float(logits[numbers[word]] - torch.logsumexp(logits, 0)))
        before.append(numbers[word])
    return logs


def expected(answers: Any = LONG, reports: Any = REPORTS) -> np.ndarray:
    return np.array([[sum(one_by_one(PROMPT.format(report=text), one)) for one in answers] for text in reports])


@torch.no_grad()
def found(model: Any, **inputs: Any) -> np.ndarray:
    return model(**inputs).numpy()


@pytest.mark.parametrize("answers", [("yes", "no"), LONG, ("no", "no effusion"), ("yes",)], ids=str)
def test_equal_to_one_token_at_a_time(answers: tuple[str, ...]) -> None:
    oracle = expected(answers)
    assert np.ptp(oracle, axis=0).min() > 0.05  # reports are told apart
    np.testing.assert_allclose(found(asked(answers=answers), report=REPORTS), oracle, rtol=0, atol=1e-5)


def test_a_patient_does_not_depend_on_the_others_of_the_batch() -> None:
    model = asked()
    together = found(model, report=REPORTS)
    for place, text in enumerate(REPORTS):
        np.testing.assert_allclose(found(model, report=[text]), together[[place]], rtol=0, atol=1e-5)
        np.testing.assert_allclose(found(model, report=[text, REPORTS[3]])[:1], together[[place]], rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_on_which_the_tokenizer_pads_does_not_matter(side: str) -> None:
    model = ml.Answers(language_model(), tokenizer(side), answers=LONG, prompt=PROMPT)
    np.testing.assert_allclose(found(model.eval(), report=REPORTS), expected(), rtol=0, atol=1e-5)


def test_per_token_is_the_mean_over_an_answers_tokens() -> None:
    np.testing.assert_allclose(found(asked(per_token=True), report=REPORTS), expected() / [1, 3, 2], rtol=0, atol=1e-5)


def test_all_continuations_of_one_token_are_all_there_is() -> None:
    every = tuple(word for word in WORDS)
    total = np.exp(found(asked(answers=every), report=REPORTS[:2])).sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-5)


class Table(nn.Module):
    """p(next token | last token) is given by a table, so that answers can be worked out by hand; it notes its rows."""

    def __init__(self, **chances: dict[str, float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.full((len(WORDS), len(WORDS)), -50.0))
        for before, after in chances.items():
            for word, chance in after.items():
                self.logits.data[WORDS.index(before), WORDS.index(word)] = float(np.log(chance))
        self.rows = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor | None = None) -> Any:
        self.rows = len(input_ids)
        logits = self.logits[input_ids]
        return SimpleNamespace(logits=logits if pixel_values is None else logits * pixel_values[:, None, None])


def test_by_hand() -> None:
    """After "sure" comes "yes" with 3 in 4 and "not" with 1 in 4; after "not" comes "at" with 1 in 2, and then "all"."""
    model = Table(sure={"yes": 0.75, "not": 0.25}, **{"not": {"at": 0.5, "sure": 0.5}}, at={"all": 1.0})
    whole = asked(model, answers=("yes", "not at all"), prompt="{report} sure ")
    np.testing.assert_allclose(np.exp(found(whole, report=["left", "no"])), [[0.75, 0.25 * 0.5 * 1.0]] * 2, atol=1e-6)


def test_answers_of_one_token_need_one_row_a_patient() -> None:
    model = Table(**{"?": {"yes": 0.5, "no": 0.5}})
    found(asked(model, answers=("yes", "no", "left")), report=REPORTS)
    assert model.rows == len(REPORTS)
    found(asked(model, answers=("yes", "not at all", "not sure")), report=REPORTS)
    assert model.rows == len(REPORTS)  # "not at" holds what "yes" and "not sure" need
    found(asked(model, answers=("yes sure", "not sure")), report=REPORTS)
    assert model.rows == 2 * len(REPORTS)


def test_other_modalities_go_on_by_keyword_with_their_patient() -> None:
    """The image scales the logits of 0.75 and 0.25: with 2 they become 0.75^2 / (0.75^2 + 0.25^2) = 0.9."""
    model = Table(**{"?": {"yes": 0.75, "no": 0.25}})
    given = asked(model, answers=("yes", "no"), given={"image": "pixel_values"})
    image = torch.tensor([1.0, 2.0])
    np.testing.assert_allclose(
        np.exp(found(given, report=REPORTS[:2], image=image)), [[0.75, 0.25], [0.9, 0.1]], atol=1e-6
    )
    chances = {"?": {"yes": 0.75, "not": 0.25}, "yes": {"sure": 1.0}, "not": {"sure": 1.0}}
    twice = asked(Table(**chances), answers=("yes sure", "not sure"))  # two sequences a patient
    bundled = found(twice, report=REPORTS[:2], scan={"pixel_values": image})
    np.testing.assert_allclose(np.exp(bundled), [[0.75, 0.25], [0.9, 0.1]], atol=1e-6)


def test_tokens_that_join_prompt_and_answer_are_scored_whole() -> None:
    """The tokenizer makes one token of " yes", blank included: the answer is that token after "?", not "yes" after a blank."""
    pieces = ["<pad>", "?", "Ġ", "y", "n", "Ġy", "Ġn"]
    merges = [("Ġ", "y"), ("Ġ", "n")]
    model = Tokenizer(models.BPE({token: number for number, token in enumerate(pieces)}, merges))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    joined = transformers.PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>")
    network = language_model(len(pieces))
    answers = ml.Answers(network, joined, answers=("y", "n"), prompt="?{report} ").eval()
    with torch.no_grad():
        logs = network(input_ids=torch.tensor([[1, 1]])).logits[0, -1].log_softmax(-1).numpy()
    np.testing.assert_allclose(found(answers, report=["?"]), [logs[[5, 6]]], rtol=0, atol=1e-5)


def test_a_text_is_opened_as_the_tokenizer_does_and_not_closed() -> None:
    own = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    own.post_processor = processors.TemplateProcessing(single="<s> $A <pad>", special_tokens=[("<s>", 2), ("<pad>", 0)])
    marking = transformers.PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>", eos_token="<pad>")
    assert marking("left")["input_ids"] == [2, 4, 0]
    model = ml.Answers(language_model(), marking, answers=LONG, prompt=PROMPT).eval()
    oracle = [[sum(one_by_one(f"<s> {PROMPT.format(report='left')}", one)) for one in LONG]]
    np.testing.assert_allclose(found(model, report=["left"]), oracle, rtol=0, atol=1e-5)


def test_explained_end_to_end_with_the_answers_as_outputs() -> None:
    reports = REPORTS[:4]
    explanation = ml.explain(
        asked(),
        {"report": reports},
        measures=[ml.Occlusion()],
        background={"report": reports},
        link="softmax",
        confidence=None,
    )
    about = explanation.provenance
    assert about["outputs"] == list(LONG)
    assert about["task"] == "classification"
    assert (
        "the log-likelihood of each answer ('yes', 'not at all', 'not sure'), the sum over its tokens"
        in about["value_function"]
    )
    changes = explanation.occlusion.parts["report"]
    odds = np.exp(expected(reports=["large left effusion", "<unk> left effusion"]))
    shares = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(changes.values[0, 0], shares[0] - shares[1], rtol=0, atol=1e-5)


def test_names_given_in_the_call_win_over_the_modules_own() -> None:
    named = ml.explain(
        asked(), {"report": REPORTS[:4]}, measures=[ml.Occlusion()], link="softmax", classes=["a", "b", "c"],
        confidence=None,
    )  # fmt: skip
    assert named.provenance["outputs"] == ["a", "b", "c"]


def test_any_module_may_name_its_outputs() -> None:
    class Named(nn.Linear):
        classes = ("healthy", "ill")

        def forward(self, lab: Tensor) -> Tensor:
            return super().forward(lab)

    inputs = {"lab": np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)}
    settings: dict[str, Any] = {"measures": [ml.Occlusion()], "link": "softmax", "confidence": None}
    module = Named(3, 2)
    assert ml.explain(module, inputs, **settings).provenance["outputs"] == ["healthy", "ill"]
    module.classes = ["healthy", "ill"]  # type: ignore[assignment]
    assert ml.explain(module, inputs, **settings).provenance["outputs"] == ["0", "1"]


def test_arrays_of_strings_are_texts_too() -> None:
    texts = np.array(REPORTS[:4])
    settings: dict[str, Any] = {"measures": [ml.Occlusion()], "link": "softmax", "confidence": None}
    as_array = ml.explain(asked(), {"report": texts}, **settings).occlusion.contribution
    xs = ml.explain(asked(), {"report": REPORTS[:4]}, **settings).occlusion.contribution
    np.testing.assert_array_equal(as_array.values, xs.values)


def test_a_patient_without_a_text_has_none_in_the_prompt() -> None:
    np.testing.assert_allclose(found(asked(), report=[None]), expected(reports=[""]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answers": ("yes", " ")}, "' ' is empty"),
        ({"answers": ("yes", "")}, "'' is empty"),
        ({"answers": ("yes", "no", "yes")}, "'yes' stands there twice"),
        ({"answers": ("yes", "yes ")}, "stands there twice"),
        ({"answers": "yes"}, "expected texts"),
        ({"answers": ()}, "expected texts"),
        ({"prompt": "{} ?"}, "names no modality"),
        ({"prompt": "{report.text} ?"}, "names no modality"),
        ({"prompt": "{report ?"}, "can't be read"),
        ({"given": {"report": "pixel_values"}}, "one place"),
    ],
)
def test_what_is_no_question_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ml.InputError, match=f"Answers: .*{message}".replace("?", r"\?")):
        asked(**settings)


@pytest.mark.parametrize(
    ("settings", "inputs", "message"),
    [
        ({}, {"text": ["left"]}, r"the brace 'report' has no modality"),
        ({"given": {"image": "pixel_values"}}, {"report": ["left"]}, r"entry of given= 'image' has no modality"),
        ({}, {"report": ["left"], "age": torch.ones(1, 1)}, r"'age' has no place.*\{age\}"),
        ({}, {"report": [3.0]}, r"'report'.*expected texts, came float"),
        ({}, {"report": ["left " * 40]}, r"49 tokens, and the model reads at most 32"),
        ({"answers": ("xylophone", "zither")}, {"report": ["left"]}, r"the same tokens of 'xylophone' and 'zither'"),
        ({"prompt": "{report}"}, {"report": [""]}, r"nothing stands before the answers"),
    ],
)
def test_what_can_not_be_asked_is_refused(settings: dict[str, Any], inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        asked(**settings)(**inputs)


def test_an_encoder_with_a_decoder_is_refused() -> None:
    model = nn.Linear(1, 1)
    model.config = SimpleNamespace(is_encoder_decoder=True)  # type: ignore[assignment]
    with pytest.raises(ml.InputError, match="causal language model"):
        asked(model)


def test_a_model_that_puts_tokens_between_is_refused() -> None:
    class Longer(Table):
        def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor | None = None) -> Any:
            return (self.logits[torch.cat([input_ids, input_ids], dim=1)],)

    with pytest.raises(ml.InputError, match="placeholders of an image"):
        asked(Longer())(report=["left"])


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, modalens; assert 'torch' not in sys.modules; modalens.Answers; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
