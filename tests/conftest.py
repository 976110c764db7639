"""Every test runs on one thread and on the same examples each time, so that the suite is quick and a failure comes back."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
import torch

from browsing import Serving, chromium_path, started

torch.set_num_threads(1)
hypothesis.settings.register_profile(
    "quick",
    deadline=None,
    max_examples=5,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("quick")


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A headless Chromium, driven by Playwright; tests that need it are skipped where there is none."""
    path = chromium_path()
    if path is None:
        pytest.skip("there is no Chromium on this machine: install Debian's package chromium")
    with started(path) as browser:
        yield browser


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Apps of the test, each `modalens app` in a process of its own, ended when the test does."""
    apps = Serving()
    yield apps
    apps.end()
