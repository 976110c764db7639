"""Small models, one for each way in which modalities are brought together, built from public layers.

None of them knows how many patients come at a time, and all treat each patient by itself. Their weights are random:
what is asked of them is where their modalities meet, not what they predict.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel
from transformers.modeling_outputs import SequenceClassifierOutput

CLASSES = 3
WIDTH = 8
VOCABULARY = 30
PADDING = 0


def image_encoder(width: int = WIDTH, channels: int = 1) -> nn.Sequential:
    """From 8 x 8 pixels to `width` features."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 4, width), nn.Tanh()
    )


def table_encoder(columns: int = 5, width: int = WIDTH) -> nn.Sequential:
    """From a row of a table to `width` features."""
    return nn.Sequential(nn.Linear(columns, 6), nn.ReLU(), nn.Linear(6, width), nn.Tanh())


def classifier(width: int) -> nn.Sequential:
    """From fused features to a number for each class."""
    return nn.Sequential(nn.Linear(width, 12), nn.ReLU(), nn.Linear(12, CLASSES))


class Concatenation(nn.Module):
    """Concatenation: the features of all modalities side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder(8)
        self.table = table_encoder(width=4)
        self.head = classifier(12)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.cat([self.image(ct), self.table(labs)], dim=1))


class Summation(nn.Module):
    """Sum fusion: features of equal width are added."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.table = table_encoder()
        self.head = classifier(WIDTH)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.relu(self.image(ct) + self.table(labs)))


class InPlace(Summation):
    """Sum fusion in place: an activation and the sum overwrite the image's features."""

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        seen = functional.relu(self.image(ct), inplace=True)
        seen += self.table(labs)
        return self.head(seen)


class Gated(nn.Module):
    """Gated fusion: a gate that sees both modalities weighs their features."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.table = table_encoder()
        self.gate = nn.Linear(2 * WIDTH, WIDTH)
        self.head = classifier(WIDTH)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        seen, measured = self.image(ct), self.table(labs)
        gate = torch.sigmoid(self.gate(torch.cat([seen, measured], dim=1)))
        return self.head(gate * seen + (1 - gate) * measured)


class Bilinear(nn.Module):
    """Bilinear fusion: every class has a matrix between the features of the two modalities."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder(8)
        self.table = table_encoder(width=5)
        self.fusion = nn.Bilinear(8, 5, CLASSES)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        return self.fusion(self.image(ct), self.table(labs))


class TensorFusion(nn.Module):
    """Tensor fusion: the outer product of all features, a one appended to each so that it holds every lower order."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder(4)
        self.table = table_encoder(width=3)
        self.series = nn.Sequential(nn.Flatten(), nn.Linear(30, 2), nn.Tanh())
        self.head = classifier(5 * 4 * 3)

    def forward(self, ct: Tensor, labs: Tensor, vitals: Tensor) -> Tensor:
        ones = torch.ones(ct.shape[0], 1)  # as many as the first modality has rows, for all of them
        encoded = (self.image(ct), self.table(labs), self.series(vitals))
        seen, measured, watched = (torch.cat([features, ones], dim=1) for features in encoded)
        return self.head(torch.einsum("ni,nj,nk->nijk", seen, measured, watched).flatten(1))


class Modulation(nn.Module):
    """FiLM: the table scales and shifts the channels of the image's feature maps, and the convolutions go on."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.film = nn.Linear(5, 8)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, CLASSES)
        )

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        scale, shift = self.film(labs).chunk(2, dim=1)
        return self.head(self.stem(ct) * (1 + scale[:, :, None, None]) + shift[:, :, None, None])


class CrossAttention(nn.Module):
    """Cross-attention: the words of the report ask, the patches of the image answer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, 2, stride=2)
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.head = classifier(WIDTH)

    def forward(self, ct: Tensor, report: Tensor) -> Tensor:
        patches = self.patches(ct).flatten(2).transpose(1, 2)
        attended, _ = self.attention(self.words(report), patches, patches, need_weights=False)
        return self.head(attended.mean(dim=1))


class CrossAttentionWithWeights(CrossAttention):
    """Cross-attention the other way round, with its weights (which folds the batch into the heads) and a padding mask."""

    def forward(self, ct: Tensor, report: Tensor) -> Tensor:
        patches, words = self.patches(ct).flatten(2).transpose(1, 2), self.words(report)
        answered, weights = self.attention(patches, words, words, key_padding_mask=report == PADDING)
        return self.head(answered.mean(dim=1) + weights.amax(dim=(1, 2))[:, None])


class Siamese(nn.Module):
    """Siamese: one encoder for both images, and their difference counts."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = image_encoder()
        self.head = classifier(WIDTH)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        return self.head((self.encoder(before) - self.encoder(after)).abs())


class EarlyFusion(nn.Module):
    """Early fusion: the raw inputs are concatenated before anything is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.head = classifier(64 + 5)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.cat([ct.flatten(1), labs], dim=1))


class StackedChannels(nn.Module):
    """Early fusion of two aligned images: they are the channels of one."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(image_encoder(channels=2), classifier(WIDTH))

    def forward(self, ct: Tensor, pet: Tensor) -> Tensor:
        return self.head(torch.cat([ct, pet], dim=1))


class Bert(nn.Module):
    """Concatenation of a Hugging Face BERT's class token and a CNN; padded words are masked."""

    def __init__(self) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=16,
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.image = image_encoder()
        self.head = classifier(16 + WIDTH)

    def forward(self, xray: Tensor, report: Tensor) -> Tensor:
        words = self.bert(input_ids=report, attention_mask=(report != PADDING).long()).last_hidden_state
        return self.head(torch.cat([self.image(xray), words[:, 0]], dim=1))


class VolumeAndTable(nn.Module):
    """Concatenation of a 3-D CNN (with batch normalization) and the table as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.volume = nn.Sequential(
            nn.Conv3d(1, 4, 3, stride=2, padding=1),
            nn.BatchNorm3d(4),
            nn.ReLU(),
            nn.AdaptiveMaxPool3d(2),
            nn.Flatten(),
            nn.Linear(32, WIDTH),
        )
        self.head = classifier(WIDTH + 5)

    def forward(self, mri: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.cat([self.volume(mri), labs], dim=1))


class Slices(nn.Module):
    """Concatenation, where the image encoder takes the slices of all patients (counted by `len`) as one batch, and
    pools them by patient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slice = image_encoder()
        self.table = table_encoder()
        self.head = classifier(2 * WIDTH)

    def forward(self, slices: Tensor, labs: Tensor) -> Tensor:
        each = self.slice(slices.reshape(-1, 1, 8, 8)).reshape(len(slices), -1, WIDTH)
        return self.head(torch.cat([each.amax(dim=1), self.table(labs)], dim=1))


class BatchNorm(nn.Module):
    """Concatenation, with batch normalization in the encoders and in the head."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8))
        self.table = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.Linear(12, CLASSES))

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.cat([self.image(ct), self.table(labs)], dim=1))


class Dropout(nn.Module):
    """Sum fusion, with dropout in the encoders and in the head (as a layer and as a function)."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(image_encoder(), nn.Dropout(0.5))
        self.table = nn.Sequential(nn.Dropout(0.2), table_encoder(), nn.Dropout(0.5))
        self.head = classifier(WIDTH)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        fused = self.image(ct) + self.table(labs)
        return self.head(functional.dropout(fused, 0.5, training=self.training))


class Series(nn.Module):
    """Concatenation of the last state of a GRU over the vital signs and a table's features."""

    def __init__(self) -> None:
        super().__init__()
        self.series = nn.GRU(3, WIDTH, batch_first=True)
        self.table = table_encoder()
        self.head = classifier(2 * WIDTH)

    def forward(self, vitals: Tensor, labs: Tensor) -> Tensor:
        _, last = self.series(vitals)
        return self.head(torch.cat([last[-1], self.table(labs)], dim=1))


class SequenceFirst(nn.Module):
    """Gated fusion of a transformer encoder that has time as its first axis, as PyTorch's layers do by default."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Linear(3, WIDTH)
        self.series = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, 2, 16), 1, enable_nested_tensor=False)
        self.table = table_encoder()
        self.head = classifier(WIDTH)

    def forward(self, vitals: Tensor, labs: Tensor) -> Tensor:
        states = self.series(self.steps(vitals.transpose(0, 1)))
        return self.head(states.mean(dim=0) * self.table(labs))


class Report(nn.Module):
    """Concatenation of a transformer encoder's mean over the words that are there and a table's features."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
        self.words = nn.Embedding(VOCABULARY, WIDTH, padding_idx=PADDING)
        self.report = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.table = table_encoder()
        self.head = classifier(2 * WIDTH)

    def forward(self, report: Tensor, labs: Tensor) -> Tensor:
        there = (report != PADDING).unsqueeze(2)
        states = self.report(self.words(report), src_key_padding_mask=report == PADDING)
        mean = (states * there).sum(dim=1) / there.sum(dim=1)
        return self.head(torch.cat([mean, self.table(labs)], dim=1))


class Ignored(nn.Module):
    """Concatenation of two modalities; a third is taken and never used."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.table = table_encoder()
        self.history = table_encoder(4)
        self.head = classifier(2 * WIDTH)

    def forward(self, ct: Tensor, history: Tensor, labs: Tensor) -> Tensor:
        return self.head(torch.cat([self.image(ct), self.table(labs)], dim=1))


class LateFusion(nn.Module):
    """Late fusion: each modality has its own logits, which are added."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(image_encoder(), nn.Linear(WIDTH, CLASSES))
        self.table = nn.Sequential(table_encoder(), nn.Linear(WIDTH, CLASSES))
        self.series = nn.Sequential(nn.Flatten(), nn.Linear(30, CLASSES))

    def forward(self, ct: Tensor, labs: Tensor, vitals: Tensor) -> Tensor:
        return self.image(ct) + self.table(labs) + self.series(vitals)


class ModalityTokens(nn.Module):
    """Attention over modalities: each is a token beside a class token, and a transformer layer lets them see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.table = table_encoder()
        self.series = nn.Sequential(nn.Flatten(), nn.Linear(30, WIDTH))
        self.token = nn.Parameter(torch.randn(1, WIDTH))
        self.fusion = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, ct: Tensor, labs: Tensor, vitals: Tensor) -> Tensor:
        tokens = [self.token.expand(ct.shape[0], -1), self.image(ct), self.table(labs), self.series(vitals)]
        return self.head(self.fusion(torch.stack(tokens, dim=1))[:, 0])


class Hierarchy(nn.Module):
    """Fusion in two steps: the two images first, the table later."""

    def __init__(self) -> None:
        super().__init__()
        self.ct = image_encoder()
        self.pet = image_encoder()
        self.images = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU())
        self.table = table_encoder(width=4)
        self.head = classifier(WIDTH + 4)

    def forward(self, ct: Tensor, pet: Tensor, labs: Tensor) -> Tensor:
        images = self.images(torch.cat([self.ct(ct), self.pet(pet)], dim=1))
        return self.head(torch.cat([images, self.table(labs)], dim=1))


class Residual(nn.Module):
    """Residual fusion: the fused features go to the head, and the raw table with them once more."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.table = table_encoder(width=4)
        self.fusion = nn.Sequential(nn.Linear(WIDTH + 4, WIDTH), nn.ReLU())
        self.head = classifier(WIDTH + 5)

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        fused = self.fusion(torch.cat([self.image(ct), self.table(labs)], dim=1))
        return self.head(torch.cat([fused, labs], dim=1))


class Similarity(nn.Module):
    """Contrastive: the cosine between the embeddings of an image and a report, as CLIP has it, one logit a patient."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.words = nn.EmbeddingBag(VOCABULARY, WIDTH, padding_idx=PADDING)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, xray: Tensor, report: Tensor) -> Tensor:
        seen = functional.normalize(self.image(xray), dim=1)
        return self.scale.exp() * (seen * functional.normalize(self.words(report), dim=1)).sum(dim=1)


class DictOutput(Concatenation):
    """Concatenation; the output is a dict."""

    def forward(self, ct: Tensor, labs: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        seen = self.image(ct)
        return {"features": seen, "logits": self.head(torch.cat([seen, self.table(labs)], dim=1))}


class ModelOutput(Concatenation):
    """Concatenation; the output is a ModelOutput of transformers, with a field that is empty."""

    def forward(self, ct: Tensor, labs: Tensor) -> SequenceClassifierOutput:  # type: ignore[override]
        return SequenceClassifierOutput(logits=super().forward(ct, labs))


class KeywordOnly(Concatenation):
    """Concatenation; the modalities can be given by keyword only, and there is an option beside them."""

    def forward(self, *, labs: Tensor, ct: Tensor, temperature: float = 2.0) -> Tensor:  # type: ignore[override]
        return super().forward(ct, labs) / temperature


class OtherOrder(Concatenation):
    """Concatenation; forward takes the modalities in another order than the inputs have."""

    def forward(self, labs: Tensor, ct: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(ct, labs)


class AnyKeyword(Concatenation):
    """Concatenation; forward takes whatever keywords come."""

    def forward(self, **modalities: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(**modalities)


class Double(Gated):
    """Gated fusion in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.double()


class Routed(nn.Module):
    """Mixture of experts: Python decides for every patient which expert reads the fused features."""

    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder(8)
        self.table = table_encoder(width=4)
        self.experts = nn.ModuleList([classifier(12), classifier(12)])

    def forward(self, ct: Tensor, labs: Tensor) -> Tensor:
        fused = torch.cat([self.image(ct), self.table(labs)], dim=1)
        return torch.stack([self.experts[int(row.sum().item() > 0)](row) for row in fused])
