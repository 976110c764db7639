"""Left and right: phrases by table, an involution over any words, what has no mirror, and users' own tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modalens as ml
from modalens.alignment.laterality import (
    BOTH_SIDES,
    LANGUAGES,
    NO_SIDE,
    Laterality,
    laterality_of,
    mirror,
    reason_without_mirror,
    swap_laterality,
)

WORDS = [
    *("left", "right", "Left", "RIGHT", "lEft", "leftward", "Rightward", "left-sided", "upright", "bright", "leftover"),
    *("RUL", "LUL", "RLL", "rul", "left-handed", "right-angled", "was left in place", "been right behind", "right now"),
    *(
        "the",
        "on the right now",
        "left_lung",
        "lung",
        "é",
        "left's",
        "(right)",
        "left/right",
        "right-to-left",
        "was",
        "in",
    ),
    *("links", "rechter", "Linksseitige", "linksbasal", "re.", "li.", "derecha", "izquierdos", "derech", "Izq", "der"),
    *("LSD", "LII", "esquerda", "direitos", "dir", "now", "ſ", "rightwardſ", "\n"),
]
PHRASES = st.lists(st.sampled_from(WORDS), max_size=8).flatmap(
    lambda words: st.lists(st.sampled_from([" ", "-", ", ", "/", "\n", ""]), min_size=8, max_size=8).map(
        lambda gaps: "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    )
)


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("left", "right"),
        ("Left lung, RIGHT apex.", "Right lung, LEFT apex."),
        ("Right-sided effusion on the upright film.", "Left-sided effusion on the upright film."),
        ("A bright leftover, outright.", "A bright leftover, outright."),
        ("RUL and LLL opacities", "LUL and RLL opacities"),
        ("rul opacity", "rul opacity"),
        ("RML collapse", "RML collapse"),
        ("Mediastinum shifted leftward; leftmost rib.", "Mediastinum shifted rightward; rightmost rib."),
        ("A right-handed man with a left effusion", "A right-handed man with a right effusion"),
        ("The right tube was left in place.", "The left tube was left in place."),
        ("RIGHT TUBE WAS LEFT IN PLACE", "LEFT TUBE WAS LEFT IN PLACE"),
        ("Right now, an effusion on the right now smaller.", "Right now, an effusion on the left now smaller."),
        ("lEfT lung", "lEfT lung"),
        ("left/right (left) left's", "right/left (right) right's"),
        ("left_lung", "left_lung"),
        ("", ""),
    ],
)
def test_english_phrases(text: str, swapped: str) -> None:
    assert swap_laterality(text) == swapped


@pytest.mark.parametrize(
    ("language", "text", "swapped"),
    [
        ("de", "Erguss links.", "Erguss rechts."),
        ("de", "Im linken Unterlappen", "Im rechten Unterlappen"),
        (
            "de",
            "Rechtsseitiger Pleuraerguss, rechtsbasale Belüftungsstörung",
            "Linksseitiger Pleuraerguss, linksbasale Belüftungsstörung",
        ),
        ("de", "Infiltrat li. basal, Re-Intubation", "Infiltrat re. basal, Re-Intubation"),
        ("de", "Rechtzeitig linker Hilus", "Rechtzeitig rechter Hilus"),
        ("es", "Pulmón derecho y bases izquierdas", "Pulmón izquierdo y bases derechas"),
        ("es", "derram pleural derech", "derram pleural izquierd"),
        ("es", "LSI y LID", "LSD y LII"),
        ("es", "DERECHA Izda.", "IZQUIERDA Dcha."),
        ("pt", "Opacidade à direita, pulmão esquerdo", "Opacidade à esquerda, pulmão direito"),
    ],
)
def test_other_languages(language: str, text: str, swapped: str) -> None:
    assert swap_laterality(text, language) == swapped
    assert swap_laterality(swapped, language) == text


@settings(max_examples=300)
@given(text=PHRASES | st.text(), language=st.sampled_from(sorted(LANGUAGES)))
def test_swapped_twice_is_the_same(text: str, language: str) -> None:
    assert swap_laterality(swap_laterality(text, language), language) == text


@settings(max_examples=300)
@given(text=PHRASES, language=st.sampled_from(sorted(LANGUAGES)))
def test_a_mirror_names_the_other_side_and_mirrors_back(text: str, language: str) -> None:
    found, table = mirror(text, language), laterality_of(language)
    assert (found is None) == bool(reason_without_mirror(text, language))
    if found is not None:
        assert found != text
        assert {table.side(text), table.side(found)} == {"left", "right"}
        assert mirror(found, language) == text


@pytest.mark.parametrize(
    "text",
    [
        "Right middle lobe opacity",
        "Opacity in the right middle and lower lobes",
        "RIGHT  MIDDLE\nLOBE",
        "RML and right apex",
        "Left lingula",
        "lingular atelectasis on the left",
        "enlarged left ventricle",
        "left ventricular prominence",
        "left atrium",
        "Obscured right heart border",
        "left-sided cardiac enlargement",
        "opacity left of the aortic knob",
        "left stomach bubble",
        "right hemidiaphragm is slightly higher",
        "right minor fissure",
        "clips in the right upper quadrant",
        "left lateral decubitus view",
        "right PICC with its tip in the SVC",
        "dextrocardia and a left effusion",
    ],
)
def test_what_exists_on_one_side_only_has_no_mirror(text: str) -> None:
    assert mirror(text) is None
    assert reason_without_mirror(text).startswith("has no mirror: '")
    assert mirror(swap_laterality(text)) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("No effusion.", NO_SIDE),
        ("A right-handed patient; a tube was left in place.", NO_SIDE),
        ("the upright film", NO_SIDE),
        ("left and right effusions", BOTH_SIDES),
        ("RUL and LUL", BOTH_SIDES),
        ("Bilateral effusions, larger on the left", BOTH_SIDES),
        ("Both lungs, more the left", BOTH_SIDES),
        ("Both views show a left effusion", ""),
        ("right nasogastric opacity, retrocardiac left", BOTH_SIDES),
        ("left retrocardiac opacity beside the nasogastric tube", ""),
        ("right upper lobe", ""),
        ("LLL", ""),
        ("right mid lung zone and lower lung", ""),
    ],
)
def test_reasons(text: str, reason: str) -> None:
    assert reason_without_mirror(text) == reason


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Mittellappen rechts"),
        ("de", "linker Vorhof"),
        ("de", "beidseits, links mehr"),
        ("de", "linksbasal in der Lingula"),
        ("es", "lóbulo medio derecho"),
        ("es", "lobul medi derech"),
        ("es", "ventrículo izquierdo"),
        ("es", "auricul izquierd"),
        ("es", "bilateral, mayor derecho"),
        ("pt", "lobo médio direito"),
        ("pt", "átrio esquerdo"),
        ("pt", "ambos, direito"),
    ],
)
def test_other_languages_without_a_mirror(language: str, text: str) -> None:
    assert mirror(text, language) is None
    assert laterality_of(language).side(text) != ""


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("RUL", "right"),
        ("a left, Left-sided", "left"),
        ("left to right", "both"),
        ("bilaterally", "both"),
        ("heart", ""),
    ],
)
def test_the_side_of_a_phrase(text: str, side: str) -> None:
    assert laterality_of("en").side(text) == side


def test_a_table_of_ones_own_is_taken_wherever_a_language_is() -> None:
    italian = Laterality(
        pairs=(("sinistro", "destro"), ("sinistra", "destra")),
        as_written=(("Sx", "Dx"),),
        both=("bilateral[ei]",),
        not_a_side=("mano {side}",),
        without_mirror=(("lobo medio", "is in the right lung only"),),
    )
    assert swap_laterality("Polmone destro, base SINISTRA, Dx; mano destra", italian) == (
        "Polmone sinistro, base DESTRA, Sx; mano destra"
    )
    assert mirror("lobo medio destro", italian) is None
    assert reason_without_mirror("versamento bilaterale, destro", italian) == BOTH_SIDES


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"pairs": (("gauche", "droit"), ("gauche", "droite"))}, r"'gauche' and 'droit' are a pair"),
        ({"pairs": (("left", "right"), ("right", "left"))}, r"is also in another"),
        ({"pairs": (("left", "left"),)}, r"would not undo itself"),
        ({"pairs": ()}, r"give pairs of words"),
        ({"pairs": (("", "right"),)}, r"give pairs of words"),
        ({"pairs": (("left", "right"),), "not_a_side": ("left over",)}, r"must have \{side\}"),
        ({"pairs": (("left", "right"),), "not_a_side": ("{side} or right",)}, r"no such word beside it"),
        ({"pairs": (("left", "right"),), "without_mirror": (("lobe(", "is one"),)}, r"'.*lobe\(.*' is no regular"),
        ({"pairs": (("left", "right"),), "not_a_side": ("{side}[",)}, r"is no regular expression"),
    ],
)
def test_a_table_that_would_not_undo_itself_is_refused(table: dict, message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        Laterality(**table)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ml.InputError, match=r"language='fr' is not known.*'en', 'de', 'es', 'pt'"):
        swap_laterality("droit", "fr")
