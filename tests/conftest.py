"""Every test runs on one thread and on the same examples each time, so that the suite is quick and a failure comes back."""

from __future__ import annotations

import hypothesis
import torch

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
