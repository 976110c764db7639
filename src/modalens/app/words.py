"""Text of patients, files and annotators, as it is shown: nothing in it is taken for markup."""

from __future__ import annotations

import re

MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$:&@])")


def as_it_is(text: object) -> str:
    """A text for `st.markdown` and everything else that reads Markdown, such as titles and labels of widgets: every sign of it is
    shown, and line ends are blanks.

    >>> as_it_is("<b>*left*</b>")
    '\\\\<b\\\\>\\\\*left\\\\*\\\\</b\\\\>'
    """
    return MARKUP.sub(r"\\\1", " ".join(str(text).split()))
