"""Measuring identity: rates with known results, and real faces in the real pipeline."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.config import Settings
from app.identity.gallery import Person
from app.pipeline import Parts, load_parts
from app.video import open_source
from bench import identity, recognition
from bench.portraits import (
    CONDITIONS,
    FRAMES,
    LABELS,
    SIZE,
    Condition,
    Portrait,
    group_people,
    load_portraits,
    people_of,
    picture,
    thin_sittings,
    write_video,
)
from bench.rates import NOT_FOUND, Comparison, highest, lowest
from testmedia.fetch import fetch
from testmedia.photos import GUESTS


def comparison(people: int, gap: float, *, sittings: int = 2, seed: int = 0) -> Comparison:
    """Normal scores: those of one person's pairs are ``gap`` deviations higher."""
    who = np.repeat(np.arange(people), sittings)
    sitting = np.tile(np.arange(sittings), people)
    same = who[:, None] == who[None]
    noise = np.random.default_rng(seed).normal(size=same.shape)
    apart = ~(same & (sitting[:, None] == sitting[None]))
    return Comparison(noise + gap * same, who, who, apart)


class TestComparison:
    def test_pairs_of_one_sitting_are_not_counted(self) -> None:
        found = comparison(5, 0.0, sittings=3)
        assert len(found.genuine) == 5 * 3 * 2
        assert len(found.impostor) == 15 * 12

    def test_perfect_scores(self) -> None:
        found = comparison(20, 100.0)
        assert found.auc == 1
        threshold = found.threshold(0.001)
        assert found.false_non_match(threshold) == 0
        assert found.false_match(threshold) <= 0.001
        assert found.identified(0.01)[0] == 1

    def test_random_scores(self) -> None:
        found = comparison(60, 0.0, sittings=4)
        assert found.auc == pytest.approx(0.5, abs=0.03)
        assert found.false_non_match(found.threshold(0.01)) == pytest.approx(0.99, abs=0.01)
        assert found.identified(0.05)[0] < 0.05

    def test_known_rates_of_two_normal_distributions(self) -> None:
        """At a gap of 2: AUC Phi(2 / sqrt 2), false non-match Phi(2.326 - 2) at 1 in 100."""
        found = comparison(150, 2.0, sittings=4)
        assert found.auc == pytest.approx(0.9214, abs=0.01)
        threshold = found.threshold(0.01)
        assert threshold == pytest.approx(2.326, abs=0.05)
        assert found.false_non_match(threshold) == pytest.approx(0.628, abs=0.03)

    def test_the_bounds_contain_the_truth(self) -> None:
        """Half of one person's pairs are below their mean, Phi(-1.5) of the others above."""
        inside = [0, 0]
        for seed in range(10):
            bounds = comparison(30, 1.5, seed=seed).interval(1.5)
            inside[0] += bounds[0][0] <= 0.5 <= bounds[0][1]
            inside[1] += bounds[1][0] <= 0.0668 <= bounds[1][1]
        assert min(inside) >= 8

    def test_no_errors_among_few_people_keep_a_wide_bound(self) -> None:
        (low, high), _ = comparison(6, 100.0).interval(50.0)
        assert (low, high) == (0, 0.5)

    def test_a_track_that_is_not_found_is_missed(self) -> None:
        found = comparison(10, 100.0)
        found.scores[:4] = NOT_FOUND
        assert found.false_non_match(50.0) == pytest.approx(0.2)

    def test_identification_needs_the_right_person_first(self) -> None:
        who = np.asarray([0, 1])
        apart = np.ones((2, 2), bool)
        wrong = Comparison(np.asarray([[0.5, 0.9], [0.1, 0.9]]), who, who, apart)
        assert wrong.identified(1.0)[0] == 0.5

    def test_without_pairs_the_rate_is_nan(self) -> None:
        found = comparison(4, 1.0, sittings=1)
        assert np.isnan([found.auc, found.false_non_match(0.5), found.identified(0.01)[0]]).all()
        assert np.isnan(found.interval(0.5)[0]).all()

    def test_shapes_are_checked(self) -> None:
        who = np.arange(3)
        with pytest.raises(ValueError, match=r"expected \(3, 3\)"):
            Comparison(np.zeros((3, 2)), who, who, np.ones((3, 2), bool))


def test_thresholds_keep_their_rates() -> None:
    scores = np.random.default_rng(0).random(997)
    for part in (0.0, 0.001, 0.01, 0.5):
        assert (scores >= lowest(scores, part)).mean() <= part
        assert (scores >= np.nextafter(lowest(scores, part), 0)).mean() > part
        assert (scores < highest(scores, part)).mean() <= part


class TestPortraits:
    def test_a_folder_of_people(self, tmp_path: Path, parts: Parts) -> None:
        for name, medium in (("obama/1", "obama"), ("obama/2", "obama2"), ("biden/1", "biden")):
            target = tmp_path / f"{name}.jpg"
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(fetch(f"{medium}.jpg"))
        found = load_portraits(parts.detector, tmp_path)
        assert people_of(found) == ("biden", "obama")
        assert len({portrait.sitting_key for portrait in found}) == 3
        assert all(portrait.still for portrait in found)

    def test_a_portrait_at_another_width(self, obama: Portrait) -> None:
        small = obama.at_width(50)
        assert small.width == pytest.approx(50, rel=0.02)
        inside = (small.landmarks > small.box[:2]) & (small.landmarks < small.box[2:])
        assert inside.all()

    def test_labels_name_media_and_people_once(self) -> None:
        points = [(place.medium, place.frame, place.at) for place in LABELS]
        assert len(set(points)) == len(points)
        assert len({place.person for place in LABELS}) >= 12

    def test_sittings_are_thinned(self, obama: Portrait) -> None:
        assert thin_sittings([obama] * 5) == [obama] * 2

    def test_a_missing_face_is_an_error(self, parts: Parts, tmp_path: Path) -> None:
        (tmp_path / "nobody").mkdir()
        path = tmp_path / "nobody" / "grey.png"
        cv2.imwrite(str(path), np.full((200, 200, 3), 128, np.uint8))
        with pytest.raises(ValueError, match=r"grey\.png:0: no face of nobody"):
            load_portraits(parts.detector, tmp_path)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts(Settings(people=Path("people"), threads=2))


@pytest.fixture(scope="module")
def obama(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Portrait:
    folder = tmp_path_factory.mktemp("people")
    (folder / "obama.jpg").symlink_to(fetch("obama.jpg"))
    (portrait,) = load_portraits(parts.detector, folder)
    return portrait


class TestPortraitVideo:
    def test_the_face_is_at_its_box(self, obama: Portrait, tmp_path: Path) -> None:
        boxes = write_video(obama, CONDITIONS[0], tmp_path / "clip.mp4")
        frames = [frame.rgb() for frame in open_source(tmp_path / "clip.mp4")]
        assert len(frames) == len(boxes) == FRAMES
        assert np.diff(boxes[:, 0]).tolist() == [1] * (FRAMES - 1)
        assert (boxes[:, 2] - boxes[:, 0]) == pytest.approx(96, abs=1)
        x1, y1 = boxes[5, :2].astype(int)
        shown = obama.at_width(96)
        a, b, c, d = shown.box.astype(int)
        expected = shown.image[b:d, a:c].astype(int)
        actual = frames[5][y1 : y1 + d - b, x1 : x1 + c - a].astype(int)
        assert abs(actual - expected).mean() < 6

    def test_conditions_degrade_the_face(self, obama: Portrait) -> None:
        plain, _ = picture(obama, Condition("plain", 96), 0)
        soft, _ = picture(obama, Condition("soft", 96, soft=0.03), 0)
        dark, _ = picture(obama, Condition("dark", 96, light=0.2), 0)
        assert plain.shape == (SIZE[1], SIZE[0], 3)
        fine = [cv2.Laplacian(image, cv2.CV_64F).std() for image in (plain, soft)]
        assert fine[1] < fine[0] / 3
        assert dark.mean() == pytest.approx(0.2 * plain.mean(), abs=1)

    def test_large_crops_are_cut_at_the_border(self, obama: Portrait) -> None:
        image, box = picture(obama, Condition("huge", 300), 0)
        assert image.shape == (SIZE[1], SIZE[0], 3)
        assert box[2] - box[0] == pytest.approx(300, abs=2)


def test_references_are_photographs_or_frames_of_people_without_any(
    obama: Portrait, parts: Parts, tmp_path: Path
) -> None:
    def frame(person: str, sitting: str) -> Portrait:
        name = f"{person}:{sitting}"
        marks = obama.image, obama.box, obama.landmarks
        return Portrait(name, person, sitting, *marks, still=False)

    grey = Portrait("grey", "grey", "x", np.full_like(obama.image, 128), obama.box, obama.landmarks)
    given = [obama, frame("obama", "clip"), frame("b", "1"), frame("b", "2"), frame("c", "1"), grey]
    found = list(identity.references(given, parts, tmp_path))
    assert [portrait.name for portrait, _ in found] == ["obama.jpg:0", "b:1"]
    assert all(isinstance(person, Person) for _, person in found)


class TestCurves:
    """Scores that rise with quality: strangers at 0, the same person at up to 8 deviations."""

    def measured(self, people: int = 60) -> tuple[Comparison, np.ndarray[Any, Any]]:
        parts = [comparison(people, gap, sittings=4, seed=i) for i, gap in enumerate((0, 4, 8))]
        whole = Comparison(
            np.concatenate([one.scores for one in parts]),
            np.concatenate([one.probes for one in parts]),
            parts[0].templates,
            np.concatenate([one.apart for one in parts]),
        )
        return whole, np.repeat([0.25, 0.625, 1.0], len(parts[0].probes))

    def test_the_bins_keep_their_rates(self) -> None:
        found, qualities = self.measured()
        for one in recognition.make_bins(found, qualities):
            rows = qualities == one.quality
            part = Comparison(
                found.scores[rows], found.probes[rows], found.templates, found.apart[rows]
            )
            assert part.false_non_match(one.doubtful) <= recognition.MISSED
            assert part.false_match(one.sure) <= recognition.MATCHED
            assert one.bounds[0] <= one.doubtful <= one.bounds[1]
            assert part.false_match(one.doubtful) == pytest.approx(one.strangers_doubtful)

    def test_the_curve_starts_where_strangers_can_be_separated(self) -> None:
        rows = recognition.fit_curve(recognition.make_bins(*self.measured()))
        assert [quality for quality, *_ in rows] == [0.625, 1.0]
        assert all(doubtful <= sure for _, _, doubtful, sure in rows)
        assert rows[0][2] <= rows[1][2]

    def test_the_curve_can_be_read_as_a_pack(self) -> None:
        rows = recognition.fit_curve(recognition.make_bins(*self.measured()))
        table = tomllib.loads(recognition.curve_toml(rows))["curve"]
        assert [tuple(row.values()) for row in table] == rows
        assert [*table[0]] == ["quality", "stranger", "doubtful", "sure"]

    def test_too_few_people_are_reported(self) -> None:
        for people, few in ((60, False), (10, True)):
            bins = recognition.make_bins(*self.measured(people))
            assert ("too few" in str(identity.Report("open", [], bins, people))) is few


def test_groups_are_the_first_words_of_folders(obama: Portrait) -> None:
    names = [f"{group}-{n}" for group in ("a", "b") for n in range(5)] + ["c-1"]
    portraits = [replace(obama, person=name) for name in names]
    assert group_people(portraits) == {"a": [0, 1, 2, 3, 4], "b": [5, 6, 7, 8, 9]}
    assert group_people(portraits[:5]) == {}


def test_real_faces_through_the_pipeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two people, one of them with two photos, in one condition."""
    people = tmp_path / "people"
    for name, medium in (("a/1", "obama"), ("a/2", "obama3"), ("b/1", "biden")):
        target = people / f"{name}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(fetch(f"{medium}.jpg"))
    output = tmp_path / "rows.json"
    assert identity.main(["--quick", "--photos", str(people), "--json", str(output)]) == 0
    record = json.loads(output.read_text("utf-8"))
    (row,) = [row for row in record["rows"] if row["pack"] == "dlib"]
    assert (row["people"], row["genuine"], row["impostor"], row["lost"]) == (2, 2, 4, 0)
    assert row["auc"] == 1
    assert row["missed"][0] == 0
    assert row["matched"][0] == 0
    assert "| dlib | 48 px | 2 | 2 / 4 | 0 | 0 % | 1.0000 |" in capsys.readouterr().out


def test_the_guests_have_the_same_labels_as_in_the_scenes() -> None:
    labels = {place.person: place.at for place in LABELS if place.medium == "group.jpg"}
    assert [*labels] == [guest.person for guest in GUESTS]
    for guest in GUESTS:
        x1, y1, x2, y2 = guest.face
        x, y = labels[guest.person] or (-1, -1)
        assert x1 < x < x2
        assert y1 < y < y2
