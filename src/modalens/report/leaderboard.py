"""A leaderboard as one plain HTML file and a folder: who is nearest to the truth, by how much, and how it was found out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modalens.report.folder import Found, write_found
from modalens.report.layout import Section, alt_of, picture, terms_of
from modalens.report.page import write_page


class Board(Found, Protocol):
    """What `ml.validate` returns."""

    @property
    def words(self) -> str: ...


BOARD_TITLE = "Can the measures be trusted?"

WORDS = (
    "Each measure was asked about networks that were taught problems whose answer is known, since what decides their labels was made up. Two measures that disagree may both be "
    "right, of different things: each is held to what it says that it estimates, and beside that to the gradient paper's truth.",
    "The error is the root of the mean squared difference between measured and true shares. A ranking of few modalities agrees with the truth by chance alone more often than one "
    "thinks, so rank-biased overlap is given on a scale on which chance is 0.",
)

FIGURE_WORDS = (
    "Above: dots are errors over all problems, with the standard deviation over seeds; strokes are single models; rings are errors against the paper's truth. Below: every share "
    "against its truth; a measure that is right lies on the diagonal."
)


CANNOT = (
    "The problems are made up, so that their truth is known. A measure that is right about them need not be right about a model of real patients.",
    "A measure is held to what it says that it estimates; another question may have another answer.",
)


def write_board(board: Board, folder: str | Path) -> list[Path]:
    """Write `leaderboard.json`, `.csv`, `.svg`, `.png` and `.html`, and say which files there are. Raises InputError where the
    folder can't be written to.
    """
    return write_found(
        board, folder, name="leaderboard", ending="json", page=lambda path: write_board_page(board, path)
    )


def write_board_page(board: Board, path: str | Path) -> Path:
    """Write the page alone."""
    return write_page(path, title=BOARD_TITLE, sections=board_sections(board))


def board_sections(board: Board) -> list[Section]:
    """The sections of a page, or of a part of one: the answer, the ranking, the figure, settings."""
    ranking, *others = board.tables()
    return [
        Section(title="The answer in short", verdicts={"Found": (board.words,)}),
        Section(title="Which measure is nearest to the truth?", words=WORDS, tables=(ranking,)),
        Section(
            title="Errors and shares",
            words=(FIGURE_WORDS,),
            figures=(picture(board.plot(), f"Errors by measure, and shares against truths. {alt_of([ranking])}"),),
            tables=tuple(others),
        ),
        Section(title="Settings", terms=terms_of(board.settings)),
        Section(title="What this cannot show", points=CANNOT),
    ]
