"""What a GPU computes is what the CPU computes, and stays within its memory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.config import Settings
from app.faces import load_detector, load_recogniser
from app.faces.chips import align
from app.geometry import iou
from app.identity.gallery import Gallery
from app.networks import GPU_BYTES, Runtime
from app.pipeline import FaceBlur, load_parts, load_people
from app.types import Image
from testmedia.clip import Clip
from testmedia.truth import leaked
from tests.faces_media import photograph, ready, scaled
from tests.gpu.gpu_memory import GpuMemory

PICTURES = ("obama.jpg", "biden.jpg", "group.jpg")
MARGIN, COVERED = 0.2, 0.9
"""What the effect adds to boxes, and the part of a face that it must cover."""
CONTEXT_BYTES = 1 << 30
"""What CUDA and cuDNN take of a GPU besides the memory of a session."""


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    return [scaled(photograph(name), 960) for name in PICTURES]


def test_faces_are_found_where_the_cpu_finds_them(pictures: list[Image]) -> None:
    pack = ready("open")
    cpu, gpu = (
        load_detector(pack, precision="float", runtime=Runtime(device=d)) for d in ("cpu", "cuda")
    )
    for one, other in zip(cpu.detect(pictures), gpu.detect(pictures), strict=True):
        assert len(one) == len(other) > 0
        assert iou(one.boxes, other.boxes).max(axis=1).min() > 0.97
        np.testing.assert_allclose(np.sort(one.scores), np.sort(other.scores), atol=0.01)


def test_embeddings_are_those_of_the_cpu(pictures: list[Image]) -> None:
    pack = ready("open")
    cpu, gpu = (load_recogniser(pack, runtime=Runtime(device=device)) for device in ("cpu", "cuda"))
    faces = load_detector(pack, precision="float").detect(pictures)
    chips = [
        chip
        for picture, found in zip(pictures, faces, strict=True)
        for chip in align(picture, found.landmarks, cpu.template, cpu.chip_size)
    ]
    assert (cpu.embed(chips) * gpu.embed(chips)).sum(axis=1).min() > 0.999


def test_memory_is_bounded_whatever_the_sizes() -> None:
    before = GpuMemory.read()
    detector = load_detector(ready("open"), precision="float", runtime=Runtime(device="cuda"))
    random = np.random.default_rng(7)
    for height in (96, 384, 704, 1088):
        picture = random.integers(0, 256, (height, height * 16 // 9, 3), np.uint8)
        for count in (1, 3, 16):
            assert len(detector.detect([picture] * count)) == count
    used = GpuMemory.read().used_since(before)
    # Nothing at all would mean that the wrong process was looked at.
    assert 0 < used < GPU_BYTES + CONTEXT_BYTES


@pytest.mark.parametrize("name", ["crossing", "cuts"])
def test_a_clip_is_analysed_without_a_leak(
    name: str, clip: Callable[[str], Clip], people: Path
) -> None:
    made = clip(name)
    everyone, listed = (
        Settings(device="cuda"),
        Settings(device="cuda", people=people),
    )
    parts = load_parts(listed)
    plan = FaceBlur(everyone, parts=parts, gallery=Gallery(())).analyse(made.path)
    assert leaked(made.truth, plan, made.truth.people, share=COVERED, margin=MARGIN) == []
    plan = FaceBlur(listed, parts=parts, gallery=load_people(people, parts)).analyse(made.path)
    assert leaked(made.truth, plan, ["obama"], share=COVERED, margin=MARGIN) == []
