"""Measuring strength: what is left of a face, and what is not."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.effects.masks import Outline
from app.types import Embeddings, Image, Landmarks
from bench import strength
from bench.methods import NOTHING, OTHERS, averaged, blocks, covered, gaussian, methods, ours
from bench.portraits import Portrait
from bench.rates import chance_of, more_than, naming, wilson
from testmedia.fetch import fetch

PEOPLE = 12
TEMPLATE = np.asarray([(60, 60), (100, 60), (80, 80), (60, 100), (100, 100)], np.float32)


class Pixels:
    """A recogniser that sees only how a chip's pixels differ from grey."""

    chip_size = 160
    dimension = 160 * 160 * 3

    @property
    def template(self) -> Landmarks:
        return TEMPLATE

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        rows = np.asarray([chip.reshape(-1) for chip in chips], np.float32) - 128
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def portraits(people: int, *, colour: int = 0, sittings: int = 2) -> list[Portrait]:
    """Return fine noise for each person, equal in all sittings, with brightness from ``colour``."""
    out = []
    for person in range(people):
        random = np.random.default_rng(person)
        tile = random.permuted(np.repeat(np.asarray([60, 110, 160]), (12, 1, 12)))
        image = np.tile(tile.reshape(5, 5), (32, 32))[..., None].repeat(3, axis=2) + colour * person
        box = np.asarray([30, 30, 130, 130], np.float32)
        for sitting in range(sittings):
            names = f"{person}:{sitting}", str(person), str(sitting)
            out.append(Portrait(*names, image.astype(np.uint8), box, TEMPLATE))
    return out


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], strength.Row]:
    ways = (NOTHING, ours("blur", floor=True), ours("blur", 1), ours("solid"))
    measured = strength.measure(portraits(PEOPLE), Pixels(), ways, (100,))
    return {(row.method.split(",")[0], row.attacker): row for row in measured}


@pytest.mark.parametrize("attacker", strength.ATTACKERS)
def test_everyone_is_named_if_nothing_is_hidden(
    rows: dict[tuple[str, str], strength.Row], attacker: str
) -> None:
    row = rows["nothing (control)", attacker]
    assert row.rank1 == 1
    assert row.cmc == (1,) * 5
    assert row.people == row.known == PEOPLE


@pytest.mark.parametrize("attacker", strength.ATTACKERS)
def test_black_faces_are_named_only_by_chance(
    rows: dict[tuple[str, str], strength.Row], attacker: str
) -> None:
    row = rows["solid", attacker]
    assert row.rank1 == pytest.approx(row.chance) == pytest.approx(1 / PEOPLE)
    assert row.cmc == pytest.approx([n / PEOPLE for n in range(1, 6)])


def test_an_effect_that_keeps_the_face_fails() -> None:
    ways = (replace(NOTHING, floor=True), ours("blur", 1))
    measured = strength.measure(portraits(PEOPLE), Pixels(), ways, (100,))
    assert [row.violated for row in measured] == [True] * 3 + [False] * 3
    assert "VIOLATED by nothing (control) at 100 px (100%)" in strength.verdict(measured)
    assert "**100%**" in strength.table(measured)


def test_the_effects_pass() -> None:
    ways = (ours("blur", floor=True), ours("pixelate", floor=True), ours("blur", 1))
    measured = strength.measure(portraits(PEOPLE), Pixels(), ways, (100,))
    assert not any(row.violated for row in measured)
    assert strength.verdict(measured).count("holds") == 3


def test_equally_hidden_images_are_compared_with_the_mean_colour() -> None:
    """Every cell has the same colour, so 4 x 4 cells reveal no more than one."""
    ways = (ours("pixelate", floor=True), ours("blur", 1))
    measured = strength.measure(portraits(PEOPLE, colour=5), Pixels(), ways, (100,))
    hidden = [row for row in measured if row.attacker == "hidden"]
    assert not any(row.violated for row in hidden)


def test_too_few_people_with_a_second_image_are_not_judged() -> None:
    ways = (ours("blur", floor=True), ours("blur", 1))
    measured = strength.measure(portraits(3), Pixels(), ways, (100,))
    assert "hidden: not judged" in strength.verdict(measured)
    alone = strength.measure(portraits(9, sittings=1), Pixels(), ways, (100,))
    assert {row.attacker for row in alone} == {"same"}


def test_a_fixed_kernel_keeps_a_large_face_but_cells_do_not() -> None:
    """The reason for measuring the defaults of other tools, on one real face."""
    (portrait,) = portraits(1, sittings=1)
    left = {}
    for method in (OTHERS[0], ours("blur")):
        image, _ = strength.seen(portrait, method, 400)
        left[method.name] = float(image[170:270, 170:270].std())
    assert left[OTHERS[0].name] > 10 * left[ours("blur").name]


def test_the_surroundings_of_a_face_are_painted_over() -> None:
    (portrait,) = portraits(1, sittings=1)
    image, _ = strength.seen(portrait, ours("solid"), portrait.width)
    inside = covered(Outline("ellipse", 0.2, 0.0), portrait.box, image)
    assert (image[inside] == 0).all()
    assert (image[~inside] == strength.GREY).all()
    assert 0.5 < inside.mean() < 0.7


def test_the_mean_of_frames_shows_only_the_hidden_region() -> None:
    (portrait,) = portraits(1, sittings=1)
    image, _ = strength.seen(portrait, averaged("solid", 0.05), portrait.width)
    assert set(np.unique(image)) == {0, strength.GREY}
    ramp = np.broadcast_to(np.arange(160, dtype=np.uint8)[:, None, None], (160, 160, 3))
    portrait = replace(portrait, image=ramp.copy())
    one, _ = strength.seen(portrait, ours("pixelate"), portrait.width)
    many, _ = strength.seen(portrait, averaged("pixelate", 0.05), portrait.width)
    middle = slice(50, 110), slice(50, 110)
    assert len(np.unique(many[middle])) > len(np.unique(one[middle]))


def test_the_methods_of_other_tools() -> None:
    face = np.arange(48 * 36 * 3, dtype=np.uint32).reshape(48, 36, 3).astype(np.uint8)
    colours = np.unique(blocks(12)(face).reshape(-1, 3), axis=0)
    assert len(colours) <= 12
    assert gaussian(21)(face).std() < face.std()
    assert sum(method.floor for method in methods(quick=False)) == 8
    assert sum(method.base for method in methods(quick=False)) == 1
    assert sum(method.base for method in methods(quick=True)) == 1


class TestRates:
    def test_ties_are_shared(self) -> None:
        found = naming(np.zeros((4, 4)), [0, 1, 2, 3])
        assert found.rank1 == pytest.approx(0.25)
        assert found.cmc == pytest.approx([0.25, 0.5, 0.75, 1])

    def test_a_person_who_resembles_everyone_is_not_always_named(self) -> None:
        scores = np.eye(5) + np.asarray([9.0, 0, 0, 0, 0])
        assert naming(scores, range(5)).rank1 == 1

    def test_people_have_equal_weights(self) -> None:
        scores = np.asarray([[0.0, 1], [1, 0], [1, 0], [0, 1]])
        found = naming(scores, [0, 0, 0, 1])
        assert found.right == pytest.approx([5 / 6, 1])
        assert found.rank1 == pytest.approx(11 / 12)

    def test_success_has_a_low_p_value(self) -> None:
        random = np.random.default_rng(1)
        right = naming(np.eye(10), range(10))
        wrong = naming(random.normal(size=(10, 10)), range(10))
        good, bad = chance_of([right, wrong])
        assert good < 0.001
        assert bad > 0.2

    def test_noise_rarely_has_a_low_p_value(self) -> None:
        random = np.random.default_rng(2)
        noise = [naming(random.normal(size=(10, 10)), range(10)) for _ in range(100)]
        assert min(chance_of(noise)) > 0.01

    def test_more_than(self) -> None:
        base = np.zeros(10)
        assert more_than(base + 1, base) < 0.01
        assert more_than(base, base) == 1

    def test_wilson_agrees_with_published_values(self) -> None:
        """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, and 0 of 20."""
        assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
        assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def test_real_faces_are_named_until_they_are_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The complete measurement with four real faces: three people, one of them twice."""
    for name, medium in (("a/1", "obama"), ("a/2", "obama3"), ("b/1", "biden")):
        target = tmp_path / "people" / f"{name}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(fetch(f"{medium}.jpg"))
    output = tmp_path / "rows.json"
    arguments = ["--quick", "--photos", str(tmp_path / "people"), "--json", str(output)]
    assert strength.main(arguments) == 0
    rows = json.loads(output.read_text("utf-8"))
    control = [row for row in rows if row["method"] == NOTHING.name]
    assert {row["rank1"] for row in control} == {1}
    assert "| nothing (control) | 100% | 100% |" in capsys.readouterr().out
