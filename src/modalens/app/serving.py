"""The app's server: Streamlit in this process, on this machine only unless annotators have keys."""

from __future__ import annotations

import gc
import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modalens.alignment.sources import Highlighter
from modalens.errors import InputError
from modalens.findings import Findings

PORT = 8501

MAIN = Path(__file__).parent / "main.py"


@dataclass(frozen=True, kw_only=True)
class Served:
    """What the pages show.

    findings: what lies in the folder. models: by the name of an audit, the model that was audited, for text that is edited live.
    answers: the URL of the data base in which annotators' answers are kept. annotators: the file of annotators and their hashed
    access keys; with it, nothing but the annotation desk is served. host: the address that is listened on.
    """

    findings: Findings
    models: Mapping[str, Highlighter] = field(default_factory=dict)
    answers: str | None = None
    annotators: Path | None = None
    host: str = "127.0.0.1"


_served: list[Served] = []


def served() -> Served:
    """What this process serves. Raises InputError where it serves nothing."""
    if not _served:
        raise InputError("nothing is served: start the app with modalens app FOLDER.")
    return _served[-1]


def serve(what: Served, *, port: int = PORT, browser: bool = True) -> None:
    """Serve until it is stopped.

    Raises InputError where others than this machine could read patients' data: an address that is not loopback needs a file of
    annotators with access keys.
    """
    if what.annotators is None and not is_loopback(what.host):
        raise InputError(
            f"host={what.host!r} would let other machines in, and there is no file of annotators: serve on 127.0.0.1, or give --annotators FILE, which modalens annotator writes."
        )
    from streamlit.web import bootstrap

    _served.append(what)
    options: dict[str, Any] = {
        "server.address": what.host,
        "server.port": port,
        "server.headless": not browser,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none" if what.annotators is not None else "full",
        "logger.level": "error",  # it warns of what is drawn before it serves
        "theme.base": "light",
        "theme.primaryColor": "#0072B2",
    }
    flags = {name.replace(".", "_"): value for name, value in options.items()}
    bootstrap.load_config_options(flags)
    _warm(what)
    bootstrap.run(str(MAIN), False, [], flags)


def try_desk(what: Served) -> None:
    """Read the file of annotators and open the data base of answers, where there are such, so that whoever starts the app is told what
    is wrong with them, and not the first annotator. Raises InputError.
    """
    from modalens.app.desk.answers import Answers
    from modalens.app.desk.keys import read_annotators

    if what.annotators is not None:
        read_annotators(what.annotators)
    if what.answers is not None:
        Answers(what.answers).close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _warm(what: Served) -> None:
    """Load what the pages are made with, open the first explanation and draw a patient, before the first visitor waits for it."""
    import modalens.app.pages  # noqa: F401
    from modalens import plots
    from modalens.app import opened
    from modalens.app.pictures import svg_of

    for path in list(what.findings.explanations.values())[:1]:
        with suppress(InputError):  # the page will say it
            opened.patients(path)
            opened.chosen(path)
            svg_of(partial(plots.patient, opened.explanation(path)))
    gc.collect()
    gc.freeze()  # all of that stays: to look through it again and again would hold visitors up
