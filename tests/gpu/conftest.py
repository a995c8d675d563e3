"""Tests that need an NVIDIA GPU: skipped without one, but by ``make gpu-check`` they must run."""

import os
from pathlib import Path

import pytest

MUST = "FACE_BLUR_GPU_CHECK"


@pytest.fixture(autouse=True)
def _gpu() -> None:
    if not Path("/dev/nvidiactl").exists() and MUST not in os.environ:
        pytest.skip("needs an NVIDIA GPU")
