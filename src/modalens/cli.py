"""The same verbs from the shell: `modalens demo | explain | plan | inspect | check | audit | validate | reproduce | report | app |
annotator | answers`. Exit codes: 0 done, 1 a check found an obstacle, 2 wrong input.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from modalens.errors import InputError, ModalensWarning, choice

if TYPE_CHECKING:
    pass

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
        str,
        typer.Option(
            help="dermoscopy, dermoscopy-pairs, tcga, alzheimer, nafld or openi; phantom audits an image-text model."
        ),
    ] = "dermoscopy",
    output: Annotated[Path, typer.Option(help="Folder for the explanation, figures and page.")] = Path("modalens-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
) -> None:
    """Train a fused model on real patients, explain its held-out ones, and write a folder to look at; or, with `--problem phantom`,
    train image-text models on drawn chests, audit their highlights, and repair them.

    Example: [bold]modalens demo --problem tcga --output tcga-results[/bold]
    """
    from modalens import datasets

    choice("problem", problem, [*datasets.names(), "phantom"])
    if problem == "phantom":
        from modalens.demo_phantom import run_phantom

        run_phantom(output, seed=seed, console=_console())
        return
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
    from modalens.report.folder import open_folder
    from modalens.report.together import write_folder
    from modalens.studyfile import read_study

    run = read_study(study)
    folder = open_folder(output or run.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)  # they stand in the summary
        explanation = modalens.explain(run.model, run.inputs, **run.settings)
    console = _console()
    console.print(explanation)
    for path in write_folder({"explanation": explanation}, folder, title=run.title):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


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


@app.command()
def inspect(study: StudyPath) -> None:
    """Print where the modalities of a study's model meet (its fusion point): encoders and head, their parameters, what
    crosses between them; and what explaining the study would cost. Runs a few rows only.

    Example: [bold]modalens inspect study.yaml[/bold]
    """
    import modalens
    from modalens.studyfile import read_study
    from modalens.studyfile.inspecting import meeting

    run = read_study(study)
    # The plan first: once the fusion point is known here, it is that of a run that need not look for it.
    cost = modalens.plan(run.model, run.inputs, **run.settings)
    console = _console(markup=False)
    for shown in meeting(run, cost.separate):
        console.print(shown, highlight=False)
    console.print(f"\nWhat explaining the study would run\n{cost}", highlight=False, soft_wrap=True)


@app.command()
def check(study: StudyPath) -> None:
    """Print what stands in the way of explaining a study, each obstacle with its remedy: whether the model can be called,
    what its output means, whether it is repeatable and finite, follows every modality; and the cost. Runs a few rows
    only. Ends with exit code 1 where there is an obstacle.

    Example: [bold]modalens check study.yaml[/bold]
    """
    import modalens
    from modalens.studyfile import read_study

    run = read_study(study)
    found = modalens.check_model(run.model, run.inputs, **run.settings)
    _console(markup=False).print(found)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def audit(
    study: Annotated[Path, typer.Argument(help="The study file (YAML): model, records, perturbations, folder.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the results, instead of the study file's.")] = None,
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="Keep every picture in audit.nc, for modalens app: where it goes, they go."),
    ] = False,
) -> None:
    """Ask whether a model's heat maps show what the sentences say: scores against regions, sentences changed, weights drawn
    anew. Writes the numbers, a figure and a page.

    Example: [bold]modalens audit study.yaml[/bold]
    """
    import modalens
    from modalens.report.folder import open_folder
    from modalens.studyfile.auditing import read_audit

    run = read_audit(study)
    folder = open_folder(output or run.folder)
    found = modalens.audit(run.model, run.records, **run.settings)
    console = _console(markup=False, width=150)
    console.print(found)
    for path in found.write(folder, pictures=pictures):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def validate(
    problems: Annotated[
        list[str] | None, typer.Argument(help="Problems by name, such as F4 C4 hdxor2-synergy; F0 to F7 and C1 to C8.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="A measure's name, such as shapley; again for more. Some of each kind.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many data sets and trainings of each problem.")] = 5,
    samples: Annotated[int, typer.Option(min=5, help="Patients explained.")] = 256,
    background: Annotated[int, typer.Option(min=2, help="Patients who stand in for what is absent.")] = 64,
    network: Annotated[
        str | None, typer.Option(help="hybrid, early, intermediate, late, function or oracle; each problem's own.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the table, figure and page.")] = Path("modalens-leaderboard"),
    store: Annotated[
        Path | None, typer.Option(help="Folder in which what is done is kept: the same call goes on.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three problems, two seeds, little training: about a minute.")
    ] = False,
    names: Annotated[bool, typer.Option("--list", help="Print the problems and end.")] = False,
) -> None:
    """Ask the measures about models of problems whose answer is known, and rank them.

    Example: [bold]modalens validate F4 C4 --seeds 3 --output board[/bold]
    """
    from modalens import validation
    from modalens.report.folder import open_folder
    from modalens.studyfile import measure_of

    console = _console(markup=False, width=150)
    if names:
        for name, words in validation.problems().items():
            console.print(f"{name:<22}{words}", highlight=False, soft_wrap=True)
        return
    folder = open_folder(output)
    measures = [measure_of(name) for name in measure] if measure else None
    asked = problems or (validation.QUICK if quick else validation.SUITE)
    settings: dict[str, Any] = {"samples": samples, "background": background, "network": network, "store": store}
    if quick:
        settings |= validation.LITTLE
    board = validation.validate(measures, asked, 2 if quick else seeds, **settings)
    console.print(board)
    for path in board.write(folder):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(help="intershap, fusion-gradient, occlusion or alignment.")],
    output: Annotated[Path, typer.Option(help="Folder for the page, the table and the figures.")] = Path(
        "modalens-reproduction"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A small version: a minute instead of many.")] = False,
) -> None:
    """Run a paper's experiments again, and set our numbers beside the paper's.

    Example: [bold]modalens reproduce intershap --quick --output intershap[/bold]
    """
    from modalens.report.folder import open_folder
    from modalens.reproductions import reproduce as again
    from modalens.summary import as_rich

    folder = open_folder(output)
    found = again(paper, quick=quick)
    console = _console(markup=False)
    for table in found.tables():
        console.print(as_rich(table))
    for path in found.write(folder):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A folder that explain, audit, validate or demo wrote.")],
    output: Annotated[
        Path | None, typer.Option(help="The page, instead of report.html in the folder, or FILE.html beside a file.")
    ] = None,
    patients: Annotated[
        bool, typer.Option(help="Show single patients, chosen by fixed rules, with what is known of them.")
    ] = True,
) -> None:
    """Write one HTML page about everything in a folder: explanations, two of the same patients side by side, audits, leaderboards.
    The page needs no other file and no network, and can be printed.

    Example: [bold]modalens report modalens-demo --no-patients --output for-reviewers.html[/bold]
    """
    from modalens.findings import report_on

    written = report_on(folder, output, patients=patients)
    _console(markup=False).print(f"wrote {written}", highlight=False, soft_wrap=True)


@app.command("app")
def open_app(
    folder: Annotated[Path, typer.Argument(help="A folder that explain, audit, validate or demo wrote.")],
    study: Annotated[
        list[Path] | None,
        typer.Option(
            help="The study file of an audit in the folder: its model answers while text is edited. Again for more."
        ),
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            help="Where annotators' answers are kept: a data base's URL. Unless given, answers.sqlite in the folder."
        ),
    ] = None,
    annotators: Annotated[
        Path | None,
        typer.Option(help="The file of annotators and their keys (modalens annotator): only the desk is served."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others than this machine need --annotators.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open what lies in a folder in the browser: overview, cohort, patients, two models side by side, audits, leaderboards, and
    the desk at which heat maps are annotated.

    Example: [bold]modalens app modalens-demo[/bold]
    """
    with _app_installed():
        from modalens.app.serving import Served, serve, try_desk
    from modalens.findings import findings_in
    from modalens.studyfile.auditing import models_of

    found = findings_in(folder)
    what = Served(
        findings=found,
        models=models_of(study or [], found),
        answers=answers or _answers_in(found.folder),
        annotators=annotators,
        host=host,
    )
    if answers is not None or annotators is not None:
        try_desk(what)
    serve(what, port=port, browser=browser)


@app.command()
def annotator(
    name: Annotated[str, typer.Argument(help="The name under which somebody annotates.")],
    file: Annotated[
        Path, typer.Option(help="The file of annotators and the hashes of their keys; made where it is not there.")
    ] = Path("annotators.yaml"),
    remove: Annotated[bool, typer.Option("--remove", help="Take the name out: it can no longer sign in.")] = False,
) -> None:
    """Let somebody annotate from another machine: print a random access key, this once, and keep its hash. Who is there already
    gets a new key.

    Example: [bold]modalens annotator "Anna Berg" --file annotators.yaml[/bold]
    """
    with _app_installed():
        from modalens.app.desk.keys import add_annotator, remove_annotator

    console = _console(markup=False)
    if remove:
        remove_annotator(file, name)
        console.print(f"{name} can no longer sign in. The answers are kept.", highlight=False, soft_wrap=True)
        return
    key = add_annotator(file, name)
    console.print(f"access key of {name}: {key}", highlight=False, soft_wrap=True)
    console.print("It is shown this once and kept nowhere: hand it over now.", highlight=False)


@app.command()
def answers(
    folder: Annotated[Path, typer.Argument(help="The folder that was annotated.")],
    answers: Annotated[
        str | None, typer.Option(help="The data base's URL. Unless given, answers.sqlite in the folder.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("answers.csv"),
) -> None:
    """Write what annotators answered at the desk as a CSV file, a row for each annotator, sentence and model.

    Example: [bold]modalens answers modalens-demo --output answers.csv[/bold]
    """
    with _app_installed():
        from modalens.app.desk.answers import Answers
        from modalens.app.desk.export import exported

    if answers is None and not (folder / "answers.sqlite").is_file():
        raise InputError(f"{folder} has no answers.sqlite: give the URL of the data base with --answers.")
    found = exported(Answers(answers or _answers_in(folder)))
    try:
        found.write(output)
    except OSError as error:
        raise InputError(f"{output} can't be written: {error.strerror}.") from error
    _console(markup=False).print(f"wrote {output}", highlight=False, soft_wrap=True)


def _answers_in(folder: Path) -> str:
    """The URL of the data base of answers in a folder."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str((folder / "answers.sqlite").resolve())).render_as_string()


@contextmanager
def _app_installed() -> Iterator[None]:
    """Say what to install where a package of the app is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"the app needs the package {error.name}: pip install 'modalens[app]'.") from error


def _console(markup: bool = True, width: int = 120) -> Console:
    """The terminal at its own width; a file or a pipe at one that tables fit in. Without markup, brackets in names
    stay what they are.
    """
    return Console(width=None if sys.stdout.isatty() else width, markup=markup)


def main() -> None:
    """Run a command; what the user gave wrong is told in words, with exit code 2."""
    try:
        app()
    except InputError as error:
        Console(stderr=True).print(f"[bold red]error:[/bold red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
