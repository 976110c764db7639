"""The output folder of explanations, and one page about everything in a folder: explanations, two of them side by side, what is known
beside them, audits, leaderboards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.report.audit import AUDIT_TITLE, Audited, audit_sections
from modalens.report.beside import (
    Beside,
    Planted,
    Useful,
    planting_section,
    restored,
    scores_section,
    stored,
    usefulness_section,
)
from modalens.report.comparison import comparisons
from modalens.report.explained import sections_of
from modalens.report.folder import open_folder, save_figure
from modalens.report.layout import Section
from modalens.report.leaderboard import BOARD_TITLE, Board, board_sections
from modalens.report.page import looks_at, write_page
from modalens.spreadsheet import as_csv
from modalens.summary.wording import capital

PAGE = "report.html"


def write_folder(
    explanations: Mapping[str, Explanation],
    folder: str | Path,
    *,
    title: str | None = None,
    preface: str | None = None,
    notes: Sequence[str] = (),
    scores: pd.DataFrame | None = None,
    planting: Mapping[str, Planted] | None = None,
    usefulness: Useful | None = None,
    patients: bool = True,
) -> list[Path]:
    """Write `<name>.nc`, `<name>.csv`, `<name>.svg` and `<name>.png` for each explanation, by its name, and one page about all of them,
    `report.html`; say which files there are. A planting of that name adds `<name>-planting.svg` and `.png`, usefulness
    `usefulness.svg` and `.png`. What is known beside the explanations is kept in `report.json`, so that the page can be
    written again. patients: whether single patients are on the page.

    Raises InputError where the folder can't be made or written to.
    """
    target = open_folder(folder)
    try:
        written = []
        for name, explanation in explanations.items():
            written.append(explanation.save(target / f"{name}.nc", inputs=True))
            table = target / f"{name}.csv"
            table.write_text(as_csv(explanation.to_frame()), encoding="utf-8")
            written += [table, *save_figure(explanation.plot(), target, name)]
        useful = [] if scores is None else [stored(scores_section(scores), [])]
        if usefulness is not None:
            first = next(iter(explanations.values()))
            written += save_figure(usefulness.plot(first), target, "usefulness")
            useful.append(stored(usefulness_section(usefulness, first), ["usefulness.svg"]))
        planted = {}
        for name, one in (planting or {}).items():
            written += save_figure(one.plot(), target, f"{name}-planting")
            planted[name] = stored(planting_section(one), [f"{name}-planting.svg"])
        beside = Beside(title=title, preface=preface, notes=tuple(notes), planting=planted, useful=tuple(useful))
        written.append(beside.save(target))
    except OSError as error:
        raise InputError(f"the results can't be written to {target}: {error}.") from error
    page = write_report(
        target / PAGE, explanations, known=dict.fromkeys(explanations, (target, beside)), patients=patients
    )
    return [*written, page]


def write_report(
    path: str | Path,
    explanations: Mapping[str, Explanation],
    *,
    known: Mapping[str, tuple[Path, Beside]],
    audits: Mapping[str, Audited] | None = None,
    boards: Mapping[str, Board] | None = None,
    patients: bool = True,
) -> Path:
    """Write one page: a part for each explanation, audit and leaderboard, by its name, in which the name's folders are written with
    slashes; two explanations of the same patients are compared too. With one explanation alone, its sections are the page. Title and
    preface of the page are those of its own folder, or of the one folder that everything is in; those of others stand in their parts.

    known : by the name of an explanation, its folder, and what is known there beside it.
    patients : whether single patients are shown, also the pictures of audits.
    """
    abouts = dict(known.values())
    several = len(explanations) + len(audits or {}) + len(boards or {}) > 1
    useful = [restored(one, folder) for folder, beside in abouts.items() for one in beside.useful]
    each = {
        name: sections_of(
            explanation,
            patients=patients,
            planting=_planted(name, *known[name]),
            useful=() if several else useful,
            useful_elsewhere=bool(useful),
            notes=known[name][1].notes,
        )
        for name, explanation in sorted(explanations.items())
    }
    top = _heading(known, [*explanations, *(audits or {}), *(boards or {})])
    parts = [
        Section(
            title=f"{capital(name)}: {_lower(looks_at(explanations[name]))}",
            words=() if known[name][1] == top else _headed(known[name][1]),
            within=tuple(sections),
        )
        for name, sections in each.items()
    ]
    parts += [*comparisons(dict(sorted(explanations.items()))), *(useful if several else [])]
    parts += [
        Section(title=f"{capital(name)}: {_lower(AUDIT_TITLE)}", within=tuple(audit_sections(audit, patients=patients)))
        for name, audit in sorted((audits or {}).items())
    ]
    parts += [
        Section(title=f"{capital(name)}: {_lower(BOARD_TITLE)}", within=tuple(board_sections(board)))
        for name, board in sorted((boards or {}).items())
    ]
    alone = parts[0] if len(parts) == 1 else None
    return write_page(
        path,
        title=top.title or (_alone(explanations, audits, boards) if alone else "What was found"),
        preface=top.preface,
        sections=alone.within if alone else parts,
        nested=alone is None,
    )


def _heading(known: Mapping[str, tuple[Path, Beside]], names: Sequence[str]) -> Beside:
    """What heads the whole page: what is known of the page's own folder, or of the one folder that all names are in."""
    folders = {_folder_of(name) for name in names}
    own = folders if len(folders) == 1 else {""}
    return next((beside for name, (_, beside) in known.items() if _folder_of(name) in own), Beside())


def _headed(beside: Beside) -> tuple[str, ...]:
    """Title and preface as the first words of a part."""
    title = () if beside.title is None else (beside.title,)
    return (*title, *(beside.preface or "").split("\n\n")) if beside.preface else title


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def _planted(name: str, folder: Path, beside: Beside) -> Section | None:
    """The planting of an explanation, which is known by the last of its names."""
    found = beside.planting.get(name.rsplit("/", 1)[-1])
    return None if found is None else restored(found, folder)


def _alone(
    explanations: Mapping[str, Explanation], audits: Mapping[str, Audited] | None, boards: Mapping[str, Board] | None
) -> str:
    """The title of a page about one thing."""
    if explanations:
        return looks_at(next(iter(explanations.values())))
    return AUDIT_TITLE if audits else BOARD_TITLE


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]
