"""What a terminal would show, as plain text."""

from __future__ import annotations

from rich.console import Console, RenderableType


def as_text(shown: RenderableType, width: int) -> str:
    """What a terminal of this width, in characters, would show, without colours."""
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()
