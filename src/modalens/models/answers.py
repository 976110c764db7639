"""A language model that is asked a question with fixed answers, as a model of one output an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from string import Formatter
from typing import Any

import torch
from torch import Tensor

from modalens.errors import InputError, listed, nearest
from modalens.models import rows
from modalens.models.calling import keywords


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One patient's prompt as token ids, and the tokens of each answer after it."""

    prompt: list[int]
    answers: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sequences to run, the patient of each, and where each answer's tokens are predicted: (row, position, token) of
    answer `answer` (numbered over patients) at its step `step`.
    """

    sequences: list[list[int]]
    patient: list[int]
    row: list[int]
    position: list[int]
    token: list[int]
    answer: list[int]
    step: list[int]


class Answers(torch.nn.Module):
    """How likely a causal language model (or image-text model) finds each of some answers, given a patient's prompt.

    Called with modalities by keyword, it returns the log-likelihood of each answer, (patients, answers): the sum over
    the answer's tokens of log p(token | prompt, tokens before). With `link="softmax"` they become probabilities among
    the answers, which are the names of the outputs. Where the tokenizer joins the end of the prompt with the beginning
    of an answer, what is scored begins before the first token that answers do not share. An answer that another one
    begins with ("no", "no effusion") counts what follows it too.

    Parameters
    ----------
    model : a Hugging Face causal language model, or any module that takes `input_ids` and `attention_mask` and returns
        `logits` (rows, length, vocabulary); in evaluation mode while it is explained.
    tokenizer : its tokenizer, or its processor.
    answers : the answers as they stand after the prompt, each different.
    prompt : the question, with a brace for every modality that is a text: "Report: {report}\\nIs there an effusion? ".
        A patient without that text has none there. An image-text model's own placeholders are written out here.
    given : modality -> argument of the model, for what is no text: {"image": "pixel_values"}. A dict of arrays needs no
        entry: its members are arguments.
    per_token : the mean over an answer's tokens instead of the sum, for answers of different length.

    Raises InputError for an empty answer or two that are the same (as tokens, too), for a brace without a modality and
    a modality without a place, for texts that are none, and for a prompt that is longer than the model can read.

    Example
    -------
    >>> import modalens as ml
    >>> asked = ml.Answers(model, tokenizer, answers=("yes", "no"), prompt="Report: {report}\\nEffusion? ")  # doctest: +SKIP
    >>> ml.explain(asked, {"report": reports, "age": ages}, link="softmax")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: torch.nn.Module,
        tokenizer: Any,
        answers: Sequence[str] = ("yes", "no"),
        *,
        prompt: str,
        given: Mapping[str, str] | None = None,
        per_token: bool = False,
    ) -> None:
        super().__init__()
        if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
            raise InputError(
                f"Answers: {type(model).__name__} has an encoder and a decoder, expected a causal language model, which reads prompt and answer as one text."
            )
        self.model = model
        self.tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
        self.classes = _checked_answers(answers)
        self.pieces = _pieces(prompt)
        self.given = dict(given or {})
        self.per_token = per_token
        twice = [name for name in self.texts if name in self.given]
        if twice:
            raise InputError(f"Answers: {listed(twice)} stand in the prompt and in given=: a modality has one place.")
        summed = "the mean over its tokens" if per_token else "the sum over its tokens"
        self.says = f"the log-likelihood of each answer ({listed(self.classes)}), {summed}, after the prompt {prompt!r}"

    @property
    def texts(self) -> tuple[str, ...]:
        """The modalities that fill the prompt's braces."""
        return tuple(dict.fromkeys(name for _, name in self.pieces if name is not None))

    def forward(self, **modalities: Any) -> Tensor:
        others = self._checked(modalities)
        texts = {name: _texts(name, modalities[name]) for name in self.texts}
        patients = len(next(iter(texts.values()))) if texts else rows.count(next(iter(others.values())))
        batch = _batch([self._asked(self._prompt(texts, patient)) for patient in range(patients)])
        logs = self._log_likelihood(batch, others)
        steps = logs.new_zeros(patients * len(self.classes), 1 + max(batch.step))
        steps[torch.tensor(batch.answer), torch.tensor(batch.step)] = logs
        total = steps.sum(dim=1)
        if self.per_token:
            total = total / torch.bincount(torch.tensor(batch.answer)).to(total)
        return total.reshape(patients, len(self.classes))

    def _checked(self, modalities: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that are given to the model beside the text. Refuses modalities without a place."""
        missing = [name for name in (*self.texts, *self.given) if name not in modalities]
        if missing:
            place = "brace" if missing[0] in self.texts else "entry of given="
            raise InputError(
                f"Answers: the prompt's braces are {listed(self.texts)} and given= names {listed(self.given)}, and the modalities are {listed(modalities)}: "
                f"the {place} {missing[0]!r} has no modality{nearest(missing[0], modalities)}; name it after one."
            )
        others: dict[str, Any] = {}
        for name, samples in modalities.items():
            if name in self.given:
                others[self.given[name]] = samples
            elif isinstance(samples, Mapping):
                others |= samples
            elif name not in self.texts:
                raise InputError(
                    f"Answers: modality {name!r} has no place: write {{{name}}} into the prompt where it is a text, or name an argument of the model, given={{{name!r}: 'pixel_values'}}."
                )
        return others

    def _prompt(self, texts: Mapping[str, Sequence[str]], patient: int) -> str:
        return "".join(literal + ("" if name is None else texts[name][patient]) for literal, name in self.pieces)

    def _asked(self, prompt: str) -> Asked:
        """The tokens of the prompt that stay the same whatever is answered, and those of each answer after them."""
        wholes = [self._ids(prompt + answer) for answer in self.classes]
        shared = len(
            list(takewhile(lambda tokens: len(set(tokens)) == 1, zip(self._ids(prompt), *wholes, strict=False)))
        )
        answers = [whole[shared:] for whole in wholes]
        if not shared:
            raise InputError(
                f"Answers: nothing stands before the answers in the prompt {prompt!r}: a language model needs at least one token to go on from; write the question there."
            )
        if not all(answers):
            raise InputError(
                f"Answers: the tokenizer makes no token of the answer {self.classes[answers.index([])]!r}; use words that it knows."
            )
        for place, one in enumerate(answers):
            if one in answers[:place]:
                raise InputError(
                    f"Answers: the tokenizer makes the same tokens of {self.classes[answers.index(one)]!r} and {self.classes[place]!r}, expected different ones; use words that it knows."
                )
        return Asked(prompt=wholes[0][:shared], answers=answers)

    def _ids(self, text: str) -> list[int]:
        """The tokens of a text after the mark with which this tokenizer opens one, without that with which it ends."""
        first = self.tokenizer.bos_token_id
        opening = [first] if first is not None and first in self.tokenizer("")["input_ids"] else []
        return opening + list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _log_likelihood(self, batch: Batch, others: Mapping[str, Any]) -> Tensor:
        """log p of each answer token, in the order of the batch."""
        device = next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))
        ids, mask = _padded(batch.sequences, self.tokenizer.pad_token_id or 0)
        self._require_length(ids.shape[1])
        kept = torch.tensor(sorted(set(batch.position)))
        options: dict[str, Any] = {}
        known = keywords(self.model) or ()
        if "use_cache" in known:
            options["use_cache"] = False
        if "logits_to_keep" in known:
            options["logits_to_keep"] = kept.to(device)
        else:
            kept = torch.arange(ids.shape[1])
        own = torch.tensor(batch.patient)
        given = {name: rows.take(samples, own) for name, samples in others.items()}
        output = self.model(input_ids=ids.to(device), attention_mask=mask.to(device), **given, **options)
        logits = output.logits if hasattr(output, "logits") else output[0] if isinstance(output, tuple) else output
        if logits.shape[:2] != (len(ids), len(kept)):
            raise InputError(
                f"Answers: the model returns logits of shape {tuple(logits.shape)} for {len(ids)} sequences of {ids.shape[1]} tokens, expected {(len(ids), len(kept))} first: "
                "write the placeholders of an image into the prompt as often as the model has features for it, so that no token is added inside."
            )
        places = torch.searchsorted(kept, torch.tensor(batch.position)).to(device)
        chosen = logits[torch.tensor(batch.row, device=device), places]
        logs = chosen.to(torch.promote_types(chosen.dtype, torch.float32)).log_softmax(dim=-1)
        return logs.gather(1, torch.tensor(batch.token, device=device)[:, None])[:, 0]

    def _require_length(self, length: int) -> None:
        most = getattr(getattr(self.model, "config", None), "max_position_embeddings", None)
        if isinstance(most, int) and length > most:
            raise InputError(
                f"Answers: a prompt with its answer has {length} tokens, and the model reads at most {most}: shorten the texts; nothing is cut off in silence."
            )


def _checked_answers(answers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(answers, str) or not answers or not all(isinstance(one, str) for one in answers):
        raise InputError(f"Answers: answers={answers!r}: expected texts, such as ('yes', 'no').")
    empty = [one for one in answers if not one.strip()]
    if empty:
        raise InputError(f"Answers: answers={list(answers)!r}: {empty[0]!r} is empty; give each as a word.")
    twice = sorted({one for one in answers if [other.strip() for other in answers].count(one.strip()) > 1})
    if twice:
        raise InputError(
            f"Answers: answers={list(answers)!r}: {twice[0]!r} stands there twice; expected different answers."
        )
    return tuple(answers)


def _pieces(prompt: str) -> list[tuple[str, str | None]]:
    """The prompt as runs of text, each before the modality that fills the brace after it."""
    try:
        parsed = list(Formatter().parse(prompt))
    except ValueError as error:
        raise InputError(
            f"Answers: prompt={prompt!r} can't be read: {error}; write {{report}} for a modality, {{{{ and }}}} for braces."
        ) from error
    odd = [name for _, name, form, how in parsed if name is not None and (not name.isidentifier() or form or how)]
    if odd:
        raise InputError(
            f"Answers: prompt={prompt!r}: the brace {{{odd[0]}}} names no modality; write the name alone, such as {{report}}, and {{{{ and }}}} for braces."
        )
    return [(literal, name) for literal, name, _, _ in parsed]


def _texts(name: str, samples: Any) -> list[str]:
    """A modality's texts; nothing for a patient who has none."""
    found = ["" if one is None else one for one in samples]
    odd = [one for one in found if not isinstance(one, str)]
    if odd:
        raise InputError(
            f"Answers: modality {name!r} stands in the prompt, expected texts, came {type(odd[0]).__name__}: write numbers as text, or hand them to the model with given=."
        )
    return [str(one) for one in found]


def _batch(asked: Sequence[Asked]) -> Batch:
    """The sequences that have to be run: what goes before the last token of each answer, but for those that another
    one begins with (answers of one token all need the prompt only).
    """
    batch = Batch(sequences=[], patient=[], row=[], position=[], token=[], answer=[], step=[])
    for patient, one in enumerate(asked):
        before = [one.prompt + answer[:-1] for answer in one.answers]
        first = len(batch.sequences)
        for sequence in sorted(before, key=len, reverse=True):
            if _begins(batch.sequences[first:], sequence) is None:
                batch.sequences.append(sequence)
                batch.patient.append(patient)
        for place, (answer, sequence) in enumerate(zip(one.answers, before, strict=True)):
            among = _begins(batch.sequences[first:], sequence)
            assert among is not None, "every sequence was added, or begins one that was"
            for step, token in enumerate(answer):
                batch.row.append(first + among)
                batch.position.append(len(one.prompt) - 1 + step)
                batch.token.append(token)
                batch.answer.append(patient * len(one.answers) + place)
                batch.step.append(step)
    return batch


def _begins(sequences: Sequence[Sequence[int]], sequence: Sequence[int]) -> int | None:
    """The first of these that begins with this one."""
    return next((place for place, one in enumerate(sequences) if one[: len(sequence)] == sequence), None)


def _padded(sequences: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, (rows, length). Padded at the end, whatever the tokenizer does: a causal model's
    tokens never look there, and their positions stay those that they have alone.
    """
    longest = max(map(len, sequences))
    ids = torch.tensor([[*one, *[padding] * (longest - len(one))] for one in sequences])
    lengths = torch.tensor([len(one) for one in sequences])
    return ids, (torch.arange(longest) < lengths[:, None]).long()
