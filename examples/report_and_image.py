"""A Hugging Face BERT on the words of a report beside an image network: words that are removed, and words that are masked.

The tokenizer's output goes in as it is; its members are arguments of the model. The reports are real indications of
chest X-rays (Open-I), the images rendered and the weights random: what counts is how words are hidden.
Needs: pip install transformers && pip install --no-deps torchxrayvision==1.5.7
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import modalens as ml
from modalens.datasets.openi import read_reports

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PATIENTS = 12


class ReportAndImage(nn.Module):
    """BERT, called with ids and attention mask by keyword, and a small convolutional network."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.bert = BertModel(
            BertConfig(
                vocab_size=vocabulary,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                initializer_range=0.3,
            )
        )
        self.backbone = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, xray: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        report = self.bert(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return self.head(torch.cat([self.backbone(xray), report], dim=1))


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is the words of these texts."""
    words = sorted({word for text in texts for word in text.lower().split()})
    tokenizer = Tokenizer(
        models.WordLevel({token: number for number, token in enumerate((*SPECIAL, *words))}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "attention_mask"], **roles
    )


def hearts(patients: int) -> Tensor:
    """Bright discs of different sizes."""
    radius = torch.rand(patients, 1, 1, 1) * 8 + 4
    axis = torch.arange(32) - 15.5
    return ((axis[:, None] ** 2 + axis**2) < radius**2).float() + 0.1 * torch.randn(patients, 1, 32, 32)


def main() -> ml.Explanation:
    torch.manual_seed(0)
    texts = read_reports().indications[: 4 * PATIENTS]
    tokenizer = tokenizer_of(texts)
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=24, return_tensors="pt")
    xrays = hearts(len(texts))
    model = ReportAndImage(len(tokenizer))
    rows, others = slice(PATIENTS), slice(PATIENTS, None)

    def explained(words: str) -> ml.Explanation:
        return ml.explain(
            model,
            {"xray": xrays[rows], "report": {name: ids[rows] for name, ids in tokens.items()}},
            background={"xray": xrays[others], "report": {name: ids[others] for name, ids in tokens.items()}},
            modalities={"xray": ml.Image(patch=16), "report": ml.Text(tokenizer)},
            baseline={"xray": "mean", "report": words},
            link="softmax",
            measures=[ml.Occlusion(), ml.Shapley()],
        )

    removed, masked = explained("removed"), explained("mask_token")
    print(removed)
    show_words(texts[0], removed, masked)
    return removed


def show_words(text: str, removed: ml.Explanation, masked: ml.Explanation) -> None:
    """What hiding each word of the first report does to the probability of the predicted class."""
    print(f"\nThe first report, and what hiding a word of it does to the predicted class:\n{text}")
    target = removed.shapley.values.sum("modality").isel(sample=0).argmax("output")
    shown = [one.occlusion.by_modality("parts")["report"].isel(sample=0, output=target) for one in (removed, masked)]
    print(f"{'word':<20} {'left out':>10} {'[MASK]':>10}")
    for left_out, mask in zip(*(one.dropna("part") for one in shown), strict=True):
        print(f"{left_out.word.item():<20} {left_out.item():>+10.3f} {mask.item():>+10.3f}")


if __name__ == "__main__":
    main()
