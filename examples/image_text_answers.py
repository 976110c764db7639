"""A small image-text model that answers questions about a picture out of fixed answers: which words does it look at?

Each picture shows one coloured shape; the model attends from the words to the picture's patches and returns the
log-likelihood of every answer. It is trained for some seconds.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

import modalens as ml

SIDE, PATCH = 24, 8
COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}
SHAPES = ("square", "disc")
ANSWERS = (*COLOURS, *SHAPES)
QUESTIONS = ("which colour has the figure ?", "which shape has the figure ?")
WORDS = {word: number for number, word in enumerate(sorted({*" ".join(QUESTIONS).split(), "[MASK]"}))}


class Answering(nn.Module):
    """Words look at the patches of the picture; what they see decides between the answers."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(width, width, 4, 4)
        )
        self.words = nn.Embedding(len(WORDS), width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(2 * width, 64), nn.ReLU(), nn.Linear(64, len(ANSWERS)))

    def forward(self, picture: Tensor, question: Tensor) -> Tensor:
        patches = self.patches(picture).flatten(2).transpose(1, 2)
        words = self.words(question)
        seen, _ = self.attention(words, patches, patches)
        return log_softmax(self.head(torch.cat([seen.mean(1), words.mean(1)], dim=1)), dim=1)


def ids(questions: list[str]) -> Tensor:
    """The words of questions of one length as numbers."""
    return torch.tensor([[WORDS[word] for word in re.findall(r"\S+", question)] for question in questions])


def draw(patients: int, seed: int) -> tuple[Tensor, list[str], Tensor]:
    """Pictures of a shape at a random place, a question about each, and the number of the right answer."""
    random = np.random.default_rng(seed)
    pictures = random.uniform(0, 0.2, size=(patients, 3, SIDE, SIDE)).astype(np.float32)
    axis = np.arange(SIDE)
    colours, shapes, asked = (random.integers(0, most, patients) for most in (len(COLOURS), len(SHAPES), 2))
    for picture, colour, shape, centre in zip(
        pictures, colours, shapes, random.integers(5, SIDE - 5, (patients, 2)), strict=True
    ):
        across, along = abs(axis[:, None] - centre[0]), abs(axis[None] - centre[1])
        inside = (across**2 + along**2 <= 16) if shape else (np.maximum(across, along) <= 4)
        picture[:, inside] = np.array(list(COLOURS.values()), dtype=np.float32)[colour][:, None]
    answers = np.where(asked == 0, colours, len(COLOURS) + shapes)
    return torch.from_numpy(pictures), [QUESTIONS[one] for one in asked], torch.from_numpy(answers)


def main() -> ml.Explanation:
    model = trained(*draw(800, seed=0))
    pictures, questions, answers = draw(24, seed=1)
    others, asked, _ = draw(40, seed=2)

    explanation = ml.explain(
        model,
        {"picture": pictures, "question": questions},
        background={"picture": others, "question": asked},
        modalities={"picture": ml.Image(patch=PATCH), "question": ml.Text()},
        collate={"question": ids},
        labels=answers,
        classes=ANSWERS,
        link="softmax",
    )
    print(explanation)
    print("\nHow much masking each word changes the answers, on average:")
    changes = abs(explanation.occlusion.by_modality("parts")["question"]).sum("output")
    for word in dict.fromkeys(" ".join(QUESTIONS).split()):
        print(f"  {word:<8} {float(changes.where(changes.word == word).mean()):.3f}")
    return explanation


def trained(pictures: Tensor, questions: list[str], answers: Tensor) -> nn.Module:
    """The model after a few passes."""
    torch.manual_seed(0)
    model = Answering()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    words = ids(questions)
    for _ in range(10):
        for rows in torch.randperm(len(answers)).split(40):
            optimizer.zero_grad()
            cross_entropy(model(pictures[rows], words[rows]), answers[rows]).backward()
            optimizer.step()
    return model


if __name__ == "__main__":
    main()
