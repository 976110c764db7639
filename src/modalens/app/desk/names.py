"""Names and texts that people type, as they are kept."""

from __future__ import annotations

import unicodedata

from modalens.app.desk.schema import NAME
from modalens.app.desk.telling import ForAnnotator


def as_name(name: str) -> str:
    """A name as it is kept: one blank between words, none around them. Raises ForAnnotator for an empty and a very long one."""
    kept = " ".join(as_text(unicodedata.normalize("NFC", name)).split())
    if not kept or len(kept) > NAME:
        raise ForAnnotator(f"a name has 1 to {NAME} characters; {len(kept)} came.")
    return kept


def as_text(text: str) -> str:
    """A text without signs that can't be shown or kept, and without what turns the direction of writing."""
    kept = "".join(sign for sign in text if sign in "\n\t" or unicodedata.category(sign)[0] != "C" or sign in "\u200c\u200d")  # fmt: skip
    return kept.strip()
