"""Small models: what they promise by construction, on made-up data; then real trainings on real patients."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from modalens import Image, InputError, Series, Tabular, Vector, Volume
from modalens.datasets import Cohort, Study
from modalens.datasets.networks import WIDTH, Fused, ImageEncoder, Late, SentenceEncoder, SeriesEncoder, perceptron
from modalens.datasets.training import as_tensor, predict, score, scores, train


def small_study(n: int = 240, seed: int = 0) -> Study:
    """Two tables whose signs must be multiplied: neither tells the class alone."""
    generator = np.random.default_rng(seed)

    def cohort(start: int) -> Cohort:
        a, b = generator.normal(size=(2, n, 3)).astype(np.float32)
        return Cohort(
            inputs={"a": a, "b": pd.DataFrame(b, columns=list("xyz"))},
            labels=(a[:, 0] * b[:, 0] > 0).astype(int),
            groups=np.arange(n) + start,
        )

    return Study(
        name="signs", title="Signs", question="Are the signs the same?", classes=("no", "yes"), metric="auc", train=cohort(0),
        validation=cohort(n), test=cohort(2 * n), modalities={"a": Vector(), "b": Tabular()}, notes=(),
    )  # fmt: skip


def encoders() -> dict[str, nn.Module]:
    return {"image": ImageEncoder(1), "table": perceptron(4, 8, WIDTH), "series": SeriesEncoder(2)}


def inputs(n: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(n)
    return {
        "image": torch.rand(n, 1, 9, 12, generator=generator),
        "table": torch.rand(n, 4, generator=generator),
        "series": torch.rand(n, 6, 2, generator=generator),
    }


class AsDictionary(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: dict[str, Tensor]) -> Tensor:
        return self.model(**given)


def exported(model: nn.Module, example: dict[str, Tensor]) -> Callable[[dict[str, Tensor]], Tensor]:
    batch = torch.export.Dim("batch")
    return torch.export.export(
        AsDictionary(model), (example,), dynamic_shapes=({name: {0: batch} for name in example},)
    ).module()


@pytest.mark.parametrize("kind", [Fused, Late])
def test_models_export_with_a_dynamic_batch(kind: type[Fused] | type[Late]) -> None:
    model = kind(encoders(), 3).eval()
    with torch.no_grad():
        assert torch.allclose(exported(model, inputs(4))(inputs(7)), model(**inputs(7)), atol=1e-6)
    assert model(**inputs(7)).shape == (7, 3)


def mixed_difference(model: nn.Module) -> float:
    """f(a, b) - f(a', b) - f(a, b') + f(a', b'): 0 where the modalities don't interact."""
    here = {name: values.double() for name, values in inputs(5).items()}
    there = {name: values.flip(0) for name, values in here.items()}
    with torch.no_grad():
        corner = [
            model(image=image["image"], table=table["table"], series=here["series"])
            for image in (here, there)
            for table in (here, there)
        ]
    return float((corner[0] - corner[1] - corner[2] + corner[3]).abs().max())


def test_late_fusion_is_additive_on_the_logits_and_fused_is_not() -> None:
    torch.manual_seed(0)
    assert mixed_difference(Late(encoders(), 2).double().eval()) < 1e-14
    assert mixed_difference(Fused(encoders(), 2).double().eval()) > 1e-9


def test_a_model_refuses_modalities_that_it_would_ignore_or_lacks() -> None:
    model = Fused({"table": perceptron(4, 8, WIDTH)}, 2)
    with pytest.raises(InputError, match="takes the modalities 'table', and 'table', 'image' were given"):
        model(table=inputs(2)["table"], image=inputs(2)["image"])
    with pytest.raises(InputError, match="and none were given"):
        model()


def test_training_is_the_same_to_the_bit_and_leaves_the_global_generator_alone() -> None:
    study = small_study()
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first = train(study, seed=5, epochs=3, progress=False)
    assert torch.equal(torch.rand(3), expected)
    second = train(study, seed=5, epochs=3, progress=False)
    other = train(study, seed=6, epochs=3, progress=False)
    assert all(
        torch.equal(one, two)
        for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert not all(
        torch.equal(one, two) for one, two in zip(first.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_a_trained_model_is_in_eval_mode_float32_and_finds_the_interaction() -> None:
    study = small_study()
    model = train(study, progress=False)
    assert not any(module.training for module in model.modules())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert score(model, study) > 0.9
    assert score(train(study, fusion="late", progress=False), study) < 0.65
    assert score(train(study, modalities=["b"], progress=False), study) < 0.65


def test_the_weights_kept_are_those_of_the_best_validation_loss() -> None:
    """Labels of validation patients are turned round, so that whatever is learned only harms there: the earliest epoch must win."""
    study = small_study()
    turned = Cohort(inputs=study.validation.inputs, labels=1 - study.validation.labels, groups=study.validation.groups)
    contrary = Study(**{**vars(study), "validation": turned})
    assert score(train(contrary, progress=False), study) < 0.7 < score(train(study, progress=False), study)


def test_scores_hold_fused_late_and_each_modality() -> None:
    found = scores(small_study(), progress=False)
    assert list(found) == ["fused", "late", "a", "b"]
    assert found["fused"] > max(found["late"], found["a"], found["b"]) + 0.2


def test_predict_does_not_depend_on_the_batch() -> None:
    study = small_study()
    model = train(study, epochs=2, progress=False)
    assert np.allclose(predict(model, study.test, batch_size=7), predict(model, study.test), atol=1e-6)
    assert predict(model, study.test).shape == (240, 2)


def test_score_of_several_classes_is_the_mean_of_one_against_the_rest() -> None:
    study = small_study()
    three = {
        name: Cohort(inputs=cohort.inputs, labels=np.arange(len(cohort)) % 3, groups=cohort.groups)
        for name, cohort in (("train", study.train), ("validation", study.validation), ("test", study.test))
    }
    study = Study(**{**vars(study), **three, "classes": ("r", "g", "b")})
    model = train(study, epochs=2, progress=False)
    probability = torch.from_numpy(predict(model, study.test)).double().softmax(1).numpy()
    expected = np.mean([roc_auc_score(study.test.labels == label, probability[:, label]) for label in range(3)])
    assert score(model, study) == pytest.approx(expected)
    accuracy = Study(**{**vars(study), "metric": "accuracy"})
    assert score(model, accuracy) == pytest.approx(np.mean(probability.argmax(1) == study.test.labels))


def test_train_says_what_it_does_not_know() -> None:
    study = small_study()
    with pytest.raises(InputError, match="no modality 'c'"):
        train(study, modalities=["c"], progress=False)
    with pytest.raises(InputError, match="at least one of 'a', 'b'"):
        train(study, modalities=[], progress=False)
    with pytest.raises(InputError, match="did you mean 'late'"):
        train(study, fusion="lat", progress=False)  # type: ignore[arg-type]
    volumes = Study(**{**vars(study), "modalities": {"a": Volume(), "b": Tabular()}})
    with pytest.raises(InputError, match="no encoder here for the Volume 'a'"):
        train(volumes, progress=False)


def test_images_and_series_are_trained_too() -> None:
    def cohort(seed: int) -> Cohort:
        generator = np.random.default_rng(seed)
        labels = (
            np.arange(65) % 2
        )  # one more than a batch: a last one of a single row, on 1 x 1 activations, must not break batch normalisation
        images = generator.random((65, 1, 4, 4), dtype=np.float32) + labels[:, None, None, None].astype(np.float32)
        return Cohort(
            inputs={"image": images, "series": generator.random((65, 5, 2), dtype=np.float32)},
            labels=labels,
            groups=np.arange(65) + 100 * seed,
        )

    study = Study(
        name="bright", title="", question="", classes=("dark", "bright"), metric="accuracy", train=cohort(0), validation=cohort(1), test=cohort(2),
        modalities={"image": Image(), "series": Series()}, notes=(),
    )  # fmt: skip
    assert score(train(study, epochs=40, progress=False), study) > 0.95


# real patients ------------------------------------------------------------------------------------------------------------


def test_on_dermoscopy_fusion_beats_addition(dermoscopy: Study) -> None:
    fused = train(dermoscopy, seed=0, progress=False)
    late = train(dermoscopy, fusion="late", seed=0, progress=False)
    assert score(fused, dermoscopy) > 0.85
    assert score(fused, dermoscopy) > score(late, dermoscopy) + 0.1


def test_sentences_are_encoded_inside_whatever_their_padding_and_stay_frozen(study_of: Callable[[str], Study]) -> None:
    study = study_of("openi")
    encoder = SentenceEncoder().train()
    tokens = as_tensor(study.test.take(range(4)).inputs["indication"])
    longest = int((tokens != 0).sum(1).max())
    before = copy.deepcopy(encoder.state_dict())
    embeddings = encoder(tokens)
    assert embeddings.shape == (4, 384)
    assert torch.allclose(embeddings, encoder(tokens[:, :longest]), atol=1e-5)
    assert torch.allclose(embeddings[:1], encoder(tokens[:1, : int((tokens[0] != 0).sum())]), atol=1e-5)
    assert torch.allclose(encoder.embed(tokens, batch_size=2), embeddings, atol=1e-5)
    assert not embeddings.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.mark.slow
def test_the_trained_openi_model_takes_token_ids_and_exports(study_of: Callable[[str], Study]) -> None:
    study = study_of("openi")
    model = train(study, epochs=3, progress=False)
    example, more = (
        {name: as_tensor(samples) for name, samples in study.test.take(range(n)).inputs.items()} for n in (4, 9)
    )
    with torch.no_grad():
        assert torch.allclose(exported(model, example)(more), model(**more), atol=1e-5)
    assert score(model, study) > 0.6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [("dermoscopy-pairs", 0.87), ("tcga", 0.88), ("alzheimer", 0.8), ("nafld", 0.83), ("openi", 0.68)],
)
def test_fused_models_reach_what_they_should(name: str, least: float, study_of: Callable[[str], Study]) -> None:
    study = study_of(name)
    assert score(train(study, progress=False), study) > least
