"""The same verbs from the shell: `modalens demo | explain | plan`. Exit codes: 0 done, 2 wrong input."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from modalens.errors import InputError, ModalensWarning

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Which modality does a multimodal model use, which part of it, and does it combine them?\n\nExample: [bold]modalens demo[/bold]",
)

StudyPath = Annotated[Path, typer.Argument(help="The study file (YAML): model, inputs, background, measures, folder.")]


@app.command()
def demo(
    problem: Annotated[
        str, typer.Option(help="dermoscopy, dermoscopy-pairs, tcga, alzheimer, nafld or openi.")
    ] = "dermoscopy",
    output: Annotated[Path, typer.Option(help="Folder for the explanation, figures and page.")] = Path("modalens-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
) -> None:
    """Train a fused model on real patients, explain its held-out ones, and write a folder to look at.

    Example: [bold]modalens demo --problem tcga --output tcga-results[/bold]
    """
    from modalens.demo import run_demo

    run_demo(problem, output, seed=seed, console=_console())


@app.command()
def explain(
    study: StudyPath,
    output: Annotated[Path | None, typer.Option(help="Folder for the results, instead of the study file's.")] = None,
) -> None:
    """Explain the model of a study file and write its folder.

    Example: [bold]modalens explain study.yaml[/bold]
    """
    import modalens
    from modalens.report.folder import open_folder, write_folder
    from modalens.studyfile import read_study

    run = read_study(study)
    folder = open_folder(output or run.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)  # they stand in the summary
        explanation = modalens.explain(run.model, run.inputs, **run.settings)
    console = _console()
    console.print(explanation)
    for path in write_folder({"explanation": explanation}, folder, title=run.title):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def plan(study: StudyPath) -> None:
    """Print what explaining a study would cost: masks, rows through each encoder and the head, memory, time. Runs a
    few rows only.

    Example: [bold]modalens plan study.yaml[/bold]
    """
    import modalens
    from modalens.studyfile import read_study

    run = read_study(study)
    _console().print(str(modalens.plan(run.model, run.inputs, **run.settings)), highlight=False, soft_wrap=True)


def _console() -> Console:
    """The terminal at its own width; a file or a pipe at one that tables fit in."""
    return Console(width=None if sys.stdout.isatty() else 120)


def main() -> None:
    """Run a command; what the user gave wrong is told in words, with exit code 2."""
    try:
        app()
    except InputError as error:
        Console(stderr=True).print(f"[bold red]error:[/bold red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
