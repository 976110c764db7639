"""Left and right in a sentence: swapping them, and which sentences have no mirror.

A side is a whole word in lower case, with a capital, or in capitals ("left", "Left", "LEFT"); in any other mixture it is no
word, and stays. So do words that hold one ("upright", "bright", "leftover"), and uses that name no side ("right-handed",
"was left in place", "right now").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from modalens.alignment.records import Side
from modalens.errors import InputError, choice

Pair = tuple[str, str]
"""The same word for the left and for the right."""

NO_SIDE = "names no side"
BOTH_SIDES = "names both sides: the swapped phrase speaks of both again"


@dataclass(frozen=True, kw_only=True)
class Laterality:
    """How a language says left and right. For a language that is not in `LANGUAGES`, give one of these as `language=`.

    pairs: (left, right), in lower case; a pair may be of several words, where the noun decides which form is meant ("base
    gauche", "base droite"). as_written: pairs that count as they are written only, such as ("LUL", "RUL"). both: what names
    both sides. not_a_side: uses of such a word that name no side; `{side}` stands where it does. without_mirror: what exists
    on one side only, and why a phrase that names it has no mirror. The last three are regular expressions of whole words,
    whatever the case.

    Raises InputError where a word has two mirrors, and where a use names one side only: a swap would not undo itself.

    >>> french = Laterality(pairs=(("poumon gauche", "poumon droit"), ("base gauche", "base droite")), both=("bilatéral",))
    >>> swap_laterality("Opacité de la base droite.", french)
    'Opacité de la base gauche.'
    """

    pairs: tuple[Pair, ...]
    as_written: tuple[Pair, ...] = ()
    both: tuple[str, ...] = ()
    not_a_side: tuple[str, ...] = ()
    without_mirror: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self._spelled or not all(left and right for left, right in self._spelled):
            raise InputError('Laterality: give pairs of words (left, right), such as pairs=(("left", "right"),).')
        rights = {right for _, right in self._spelled}
        for left, right in self._spelled:
            if left in rights or self._mirrors[left] != right or self._mirrors[right] != left:
                raise InputError(
                    f"Laterality: {left!r} and {right!r} are a pair, and one of them is also in another: a swap would not undo itself. "
                    "Where one word has two mirrors, give pairs with the noun that decides."
                )
        for use in self.not_a_side:
            if "{side}" not in use or self._side.search(use.replace("{side}", "")):
                raise InputError(
                    f"Laterality: the use {use!r} must have {{side}} where the word for the side stands, and no such word beside it."
                )
        try:
            self.reason(self._spelled[0][0])
        except re.error as error:
            raise InputError(f"Laterality: {error.pattern!r} is no regular expression: {error}.") from error

    def swapped(self, text: str) -> str:
        """The text with every left for right, and every right for left."""
        return self._searched.sub(lambda found: self._mirrors[found["side"]] if found["side"] else found[0], text)

    def side(self, text: str) -> Side:
        """The side that a text names: "left", "right", "both" (each by its word, or both by one), or "" for none."""
        lefts = {left for left, _ in self._spelled}
        words = [found["side"] for found in self._searched.finditer(text) if found["side"]]
        sides: set[Side] = {"left" if word in lefts else "right" for word in words}
        if len(sides) == 2 or any(pattern.search(_on_one_line(text)) for pattern in self._both):
            return "both"
        return sides.pop() if sides else ""

    def reason(self, text: str) -> str:
        """Why a text has no mirror; empty where it has one."""
        named = self.side(text)
        if named in ("both", ""):
            return BOTH_SIDES if named else NO_SIDE
        for pattern, why in self._without_mirror:
            found = pattern.search(_on_one_line(text))
            if found:
                return f"has no mirror: {found[0]!r} {why}"
        return ""

    @cached_property
    def _spelled(self) -> tuple[Pair, ...]:
        """Every pair in every spelling that counts."""
        ways = (str.lower, _with_capital, str.upper)
        return (*((way(left), way(right)) for left, right in self.pairs for way in ways), *self.as_written)

    @cached_property
    def _mirrors(self) -> dict[str, str]:
        return dict(self._spelled) | {right: left for left, right in self._spelled}

    @cached_property
    def _any_side(self) -> str:
        return "|".join(re.escape(word) for word in sorted(self._mirrors, key=len, reverse=True))

    @cached_property
    def _side(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w)(?P<side>{self._any_side})(?!\w)")

    @cached_property
    def _searched(self) -> re.Pattern[str]:
        """Uses that name no side, which are passed over, and else sides."""
        uses = "|".join(self._filled(use).replace(" ", r"\s") for use in self.not_a_side)
        return re.compile(rf"(?<!\w)(?i:{uses})(?!\w)|{self._side.pattern}" if uses else self._side.pattern)

    @cached_property
    def _both(self) -> tuple[re.Pattern[str], ...]:
        return tuple(_whole(use) for use in self.both)

    @cached_property
    def _without_mirror(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((_whole(self._filled(use)), why) for use, why in self.without_mirror)

    def _filled(self, use: str) -> str:
        return use.replace("{side}", f"(?:{self._any_side})")


def swap_laterality(text: str, language: str | Laterality = "en") -> str:
    """A text with left and right exchanged; swapped twice it is what it was.

    Parameters
    ----------
    text : a phrase. language : "en", "de", "es" (also PadChest's stemmed words), "pt", or a `Laterality`.

    Returns
    -------
    The text; the same where it names no side. What exists on one side only is swapped too: `mirror` is the one that asks.

    >>> swap_laterality("Left-sided effusion; RUL opacity on the upright film.")
    'Right-sided effusion; LUL opacity on the upright film.'
    """
    return laterality_of(language).swapped(text)


def mirror(text: str, language: str | Laterality = "en") -> str | None:
    """The phrase that says of the other side what this one says of its own; None where there is none, for a reason that
    `reason_without_mirror` tells.

    >>> mirror("Right lower lobe consolidation."), mirror("Right middle lobe consolidation.")
    ('Left lower lobe consolidation.', None)
    """
    return None if reason_without_mirror(text, language) else swap_laterality(text, language)


def reason_without_mirror(text: str, language: str | Laterality = "en") -> str:
    """Why a phrase has no mirror: it names no side, or both, or what exists on one side only. Empty where it has one.

    >>> reason_without_mirror("Right middle lobe consolidation.")
    "has no mirror: 'middle lobe' is in the right lung only"
    """
    return laterality_of(language).reason(text)


def laterality_of(language: str | Laterality) -> Laterality:
    """The table of a language, or the one that is given. Raises InputError for a language without one."""
    if isinstance(language, Laterality):
        return language
    choice("language", language, LANGUAGES)
    return LANGUAGES[language]


def _whole(use: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{use})(?!\w)", re.IGNORECASE)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _with_capital(word: str) -> str:
    return word[:1].upper() + word[1:].lower()


def _forms(left: str, right: str, endings: Iterable[str]) -> tuple[Pair, ...]:
    """A pair with every ending."""
    return tuple((left + ending, right + ending) for ending in endings)


_LUNG_RIGHT, _LUNG_LEFT = "is in the right lung only", "is in the left lung only"
_LEFT, _RIGHT, _MIDDLE = "lies on the left only", "lies on the right only", "has no counterpart on the other side"
_HEART = "is another structure than that of the other side"
_VIEW = "says how the picture was taken, not where in it"
_EXCHANGED = "says that this patient's sides are exchanged"

_ENGLISH = Laterality(
    pairs=(("left", "right"), ("leftward", "rightward"), ("leftwards", "rightwards"), ("leftmost", "rightmost")),
    as_written=(("LUL", "RUL"), ("LLL", "RLL"), ("LUZ", "RUZ"), ("LMZ", "RMZ"), ("LLZ", "RLZ")),
    both=(
        r"bilateral(?:ly)?",
        r"bibas(?:il)?ar",
        r"bibasal",
        r"biapical",
        r"bihilar",
        r"both (?:the )?(?:lungs?|sides|hemi\w+|upper|lower|mid|hila|apices|bases|pleural|costophrenic)",
    ),
    not_a_side=(
        r"{side}[- ]?handed(?:ness)?",
        r"{side}[- ]angled?",
        r"{side}-over",
        r"(?:was|were|be|been|being) {side} (?:in|as|at|behind|with|to|open|alone|untouched|unchanged)",
        r"(?<!the ){side} (?:now|away)",
    ),
    without_mirror=(
        (r"middle(?:[ /,-]+\w+){0,2}?[ -]lobes?|RML", _LUNG_RIGHT),
        (r"(?:minor|horizontal) fissures?|bronchus intermedius", _LUNG_RIGHT),
        (r"lingulae?|lingular", _LUNG_LEFT),
        (r"{side}(?:[- ]sided)?(?:[- ]\w+)?[- ](?:ventric\w+|atri(?:um|a|al)|heart|cardiac|coronary)", _HEART),
        (r"aortic (?:knob|arch|knuckle|contour)|(?:descending |thoracic )?aorta|aortopulmonary|ap window", _LEFT),
        (r"stomach|gastric(?: bubble)?|spleen|splenic", _LEFT),
        (r"liver|hepatic|gallbladder|cholecystectomy", _RIGHT),
        (r"azygos|superior vena cava|svc|inferior vena cava|ivc", _RIGHT),
        (r"quadrants?", "holds other organs than that of the other side"),
        (r"hemidiaphragms?(?: \w+){0,3} higher", "is higher on the right in most people"),
        (r"dextrocardia|situs inversus", _EXCHANGED),
        (r"decubitus|{side} (?:anterior|posterior) oblique|{side} lateral (?:view|projection|film|radiograph)", _VIEW),
    ),
)

_GERMAN_ENDINGS = ("", "e", "er", "en", "em", "es")
_GERMAN = Laterality(
    pairs=(
        ("links", "rechts"),
        *_forms("linke", "rechte", ("", "r", "n", "m", "s")),
        *(
            pair
            for place in ("seitig", "basal", "apikal", "pleural", "thorakal", "hilär", "pulmonal")
            for pair in _forms(f"links{place}", f"rechts{place}", _GERMAN_ENDINGS)
        ),
    ),
    as_written=(("li.", "re."),),
    both=(
        r"beidseits",
        r"beidseitig\w*",
        r"bds",
        r"beide[rn]? Lungen\w*",
        r"bilateral\w*",
        r"bibasal\w*",
        r"biapikal\w*",
    ),
    without_mirror=(
        (r"\w*mittellappens?", _LUNG_RIGHT),
        (r"lingula\w*", _LUNG_LEFT),
        (r"{side} (?:herz\w*|vorhof\w*|vorhöfe\w*|ventrikel\w*|kammer\w*|koronar\w*)", _HEART),
        (r"(?:links|rechts)?(?:ventrikulär|atrial)\w*", _HEART),
        (r"aorta|aorten\w*|magen\w*|milz\w*", _LEFT),
        (r"leber\w*|gallenblase\w*|(?:vena )?azygos|(?:vena )?cava", _RIGHT),
        (r"dextrokardie|situs inversus", _EXCHANGED),
        (r"\w*seitenlage", _VIEW),
    ),
)

_ROMANCE_ENDINGS = ("", "o", "a", "os", "as")
_SPANISH = Laterality(
    pairs=(*_forms("izquierd", "derech", _ROMANCE_ENDINGS), ("izq", "der"), ("izdo", "dcho"), ("izda", "dcha")),
    as_written=(("LSI", "LSD"), ("LII", "LID")),
    both=(r"bilateral\w*", r"amb[oa]s", r"bibasal\w*", r"biapical\w*"),
    without_mirror=(
        (r"l[óo]bul\w* medi\w*|LM", _LUNG_RIGHT),
        (r"cisura menor|cisur menor", _LUNG_RIGHT),
        (r"l[íi]ngul\w*", _LUNG_LEFT),
        (r"(?:ventr[íi]cul|aur[íi]cul|coraz[óo]n|cavidad|cardiac|card[íi]ac)\w*(?: \w+)? {side}", _HEART),
        (r"a[óo]rt\w*|est[óo]mag\w*|g[áa]stric\w*|baz|bazo|espl[ée]nic\w*", _LEFT),
        (r"h[íi]gad\w*|hep[áa]tic\w*|ves[íi]cul\w*|[áa]cigos|vena cava", _RIGHT),
        (r"dextrocardia|situs inversus", _EXCHANGED),
        (r"dec[úu]bit\w*", _VIEW),
    ),
)

_PORTUGUESE = Laterality(
    pairs=(*_forms("esquerd", "direit", _ROMANCE_ENDINGS), ("esq", "dir")),
    as_written=(("LSE", "LSD"), ("LIE", "LID")),
    both=(r"bilatera(?:l|is|lmente)", r"amb[oa]s", r"bibasa(?:l|is)", r"biapica(?:l|is)"),
    without_mirror=(
        (r"lobo m[ée]dio|LM", _LUNG_RIGHT),
        (r"l[íi]ngul\w*", _LUNG_LEFT),
        (r"(?:ventr[íi]cul|[áa]tri|coraç[ãa]o|câmara|card[íi]ac)\w*(?: \w+)? {side}", _HEART),
        (r"a[óo]rt\w*|est[ôo]mago|g[áa]stric\w*|baço|espl[êe]nic\w*", _LEFT),
        (r"f[íi]gado|hep[áa]tic\w*|ves[íi]cula\w*|[áa]zigos|veia cava", _RIGHT),
        (r"dextrocardia|situs inversus", _EXCHANGED),
        (r"dec[úu]bito", _VIEW),
    ),
)

LANGUAGES = {"en": _ENGLISH, "de": _GERMAN, "es": _SPANISH, "pt": _PORTUGUESE}
"""The languages that are known. French is not one of them: "gauche" has one form for both genders, "droit" and "droite" two,
so that a swap of single words would not undo itself; give a `Laterality` of pairs with their nouns.
"""
