"""The damaged files themselves, and the measure that judges what becomes of them."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from app.effects import make_effect
from app.types import Image, Plane
from app.verification.detail import READABLE
from bench.hostile import FOUND, WHOLE, documented_codes, left, litter, run
from testmedia.faces import FRAMES, GOP, NAMES, VIDEOS, Seed, seed
from testmedia.mutants import MUTATIONS, corpus, mutate
from testmedia.structures import every_part, join, layout_of, split


def shown(one: Seed) -> list[Image]:
    """The frames of a seed, or its only picture."""
    if one.is_image:
        with PillowImage.open(io.BytesIO(one.data)) as image:
            return [np.asarray(image.convert("RGB"), np.uint8)]
    with av.open(io.BytesIO(one.data), "r") as container:
        return [np.asarray(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_shows_the_face_in_its_second_half(name: str) -> None:
    one = seed(name)
    levels = [left(picture, one) for picture in shown(one)]
    assert len(levels) == (FRAMES if name in VIDEOS else 1)
    assert max(levels[: GOP if name in VIDEOS else 0], default=0) < READABLE
    assert min(levels[GOP if name in VIDEOS else 0 :]) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_taken_apart_and_put_together_again(name: str) -> None:
    data, layout = seed(name).data, layout_of(name)
    parts = split(data, layout)
    assert join(parts, layout) == data
    assert len(list(every_part(parts))) > 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_changes_the_file_and_can_be_repeated(name: str, mutation: str) -> None:
    mutants = [mutate(seed(name), mutation, number) for number in range(4)]
    assert all(one.data != one.seed.data for one in mutants)
    assert len({one.data for one in mutants}) > 1
    assert mutate(seed(name), mutation, 2).data == mutants[2].data


def test_the_sizes_around_a_changed_part_are_right() -> None:
    """A box that grows deep inside a movie keeps the movie whole: the boxes after it are found."""
    grown = mutate(seed("clip.mov"), "lengthen part", 0).data
    names = [part.name for part in split(grown, "mp4")]
    assert names == [part.name for part in split(seed("clip.mov").data, "mp4")]


def test_the_corpus_has_each_mutation_of_each_seed() -> None:
    pairs = len(NAMES) * len(MUTATIONS)
    kinds = [(one.seed.name, one.mutation, one.number) for one in corpus(2 * pairs, 5)]
    assert len(set(kinds)) == 2 * pairs
    assert {number for _, _, number in kinds} == {5, 6}
    assert [one.name for one in corpus(3)] == [one.name for one in corpus(3, 0)]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shift", [(0, 0), (17, -9)])
def test_a_face_is_found_wherever_it_is(turns: int, mirrored: bool, shift: tuple[int, int]) -> None:
    one = seed("face.png")
    picture = np.rot90(np.roll(one.picture, shift, (0, 1)), turns)
    picture = np.ascontiguousarray(picture[:, ::-1] if mirrored else picture)
    assert left(picture, one) > 0.95


def test_a_hidden_face_and_a_damaged_one_are_told_apart() -> None:
    one = seed("face.png")
    after, half = one.picture.copy(), one.picture.copy()
    effect = make_effect("blur", shape="ellipse", margin=0.2, feather=0.1, cells=4)
    effect.hide((Plane(after, 0, 0, (0, 0, 0)),), np.asarray([one.face], np.float32))
    x1, y1, x2, y2 = map(round, one.face)
    half[y1:y2, x1 : (x1 + x2) // 2] = 0
    assert left(after, one) < READABLE <= left(half, one)
    assert READABLE < FOUND < WHOLE < left(one.picture, one)


class _Whole:
    """A seed without damage."""

    mutation = "none"

    def __init__(self, name: str, data: bytes | None = None) -> None:
        self.name, self.seed = name, seed(name)
        self.data = self.seed.data if data is None else data


def test_whole_files_are_hidden_and_others_have_documented_codes(tmp_path: Path) -> None:
    files = [*map(_Whole, NAMES), _Whole("clip.mp4", b"no video"), _Whole("clip.ts", b"")]
    done = run(files, tmp_path / "job")
    assert [one.result for one in done.outcomes] == ["hidden"] * len(NAMES) + ["refused"] * 2
    assert {one.code for one in done.outcomes[-2:]} <= documented_codes()
    assert done.is_good


@pytest.mark.parametrize("name", ["clip.mp4", "face.png"])
def test_a_face_that_is_kept_is_reported(name: str, tmp_path: Path, people: Path) -> None:
    """The program is told to hide somebody else: then the run must not be good."""
    settings = {"FACE_BLUR_PEOPLE": str(people), "FACE_BLUR_UNCLEAR": "keep"}
    done = run([_Whole(name)], tmp_path / "job", settings)
    assert [one.result for one in done.outcomes] == ["face left"]
    assert not done.is_good


def test_files_left_behind_are_reported(tmp_path: Path) -> None:
    for folder in ("plans", "reports"):
        (tmp_path / "output" / folder).mkdir(parents=True)
    (tmp_path / "temporary").mkdir()
    for name in ("a.mp4", "plans/a.mp4.plan.json", "reports/local.jsonl", ".b.mp4.1.part"):
        (tmp_path / "output" / name).touch()
    (tmp_path / "temporary" / "frames").touch()
    lines = [
        {"status": "done", "output": "a.mp4", "plan": "plans/a.mp4.plan.json"},
        {"status": "failed"},
    ]
    found = set(litter(tmp_path / "output", tmp_path / "temporary", lines))
    assert found == {".b.mp4.1.part", "frames"}
