"""A person at a browser: a headless Chromium, and the app served as from the shell."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARTEFACTS = Path(os.environ.get("MODALENS_SCREENSHOTS", "build/screenshots"))
"""Where pictures of pages are kept, to be looked at."""

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def chromium_path() -> str | None:
    """Where Chromium is; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def started(path: str) -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET), headless=True)
        yield browser
        browser.close()


def kept(page: Any, name: str, **settings: Any) -> Path:
    """A picture of a page among the artefacts of the tests."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    target = ARTEFACTS / f"{name}.png"
    page.screenshot(path=target, **settings)
    return target


class Serving:
    """Apps in processes of their own, as a user starts them."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def app(self, folder: Path, *options: str, wait: float = 60.0) -> str:
        """Start `modalens app FOLDER` and wait until it answers; its address."""
        port = _free_port()
        command = [sys.executable, "-m", "modalens", "app", str(folder), "--no-browser", "--port", str(port), *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        self._running.append(process)
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + wait
        while time.monotonic() < until:
            if process.poll() is not None:
                assert process.stdout is not None
                raise AssertionError(f"the app ended: {process.stdout.read().decode()}")
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                    return address
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the app did not answer within {wait:g} seconds")

    def work(self) -> float:
        """Seconds of processor time that the app started last has used: what a visitor waits for on a machine that does nothing else."""
        fields = Path(f"/proc/{self._running[-1].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """End the app started last as a power failure would."""
        self._running[-1].kill()
        self._running[-1].wait()

    def end(self) -> None:
        """End all of them."""
        for process in self._running:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
