"""Full looks, quick looks and crops: faces are found at their place in the frame."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import FaceBlurError
from app.pipeline.face_looker import (
    COARSE_MIN_SIDE,
    COARSE_REDUCTION,
    CROP_PER_FACE,
    CROP_SIDE,
    Crop,
    FaceLooker,
    face_surroundings,
    merge_duplicates,
    rescale_faces,
)
from app.types import Boxes, Faces, Image, Size
from tests.painted_faces import GREEN, RED, Colour, Painted, Square, SquareDetector, paint

SIZE = (320, 240)
WHITE = Painted(0, np.full((240, 320, 3), 255, np.uint8))


def box(*sides: float) -> Boxes:
    return np.asarray(sides, np.float32)


def looker(image: Image, detector: SquareDetector | None = None) -> FaceLooker:
    return FaceLooker(detector or SquareDetector(), {7: Painted(7, image)})


def found(detector: SquareDetector, image: Image) -> Faces:
    (faces,) = detector.detect([image])
    return faces


class TestCrop:
    @settings(deadline=None)
    @given(
        x=st.integers(-20, 300),
        y=st.integers(-20, 220),
        side=st.integers(24, 90),
        off=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
        size=st.floats(0.9, 1.2),
    )
    def test_faces_of_a_crop_are_mapped_to_the_frame(
        self, x: int, y: int, side: int, off: tuple[float, float], size: float
    ) -> None:
        face = (x, y, x + side, y + side)
        truth = np.clip(box(*face), 0, [*SIZE, *SIZE])
        if min(truth[2:] - truth[:2]) < 16:
            return
        middle = np.asarray([x + side / 2, y + side / 2]) + np.asarray(off) * side
        around = np.concatenate([middle - side * size / 2, middle + side * size / 2])
        crop = Crop.around(Painted(0, paint({face: RED}, SIZE)), around.astype(np.float32))
        assert crop is not None
        assert crop.image.shape == (CROP_SIDE, CROP_SIDE, 3)
        faces = crop.to_frame(found(SquareDetector(), crop.image))
        assert len(faces) == 1
        # One pixel of the frame, and one of the crop.
        slack = 1.0 + CROP_PER_FACE * side * size / CROP_SIDE
        np.testing.assert_allclose(faces.boxes[0], truth, atol=slack)
        np.testing.assert_allclose(
            faces.landmarks[0, 2],
            truth[:2] + [0.5, 0.55] * (truth[2:] - truth[:2]),
            atol=slack,
        )

    @pytest.mark.parametrize(
        ("around", "seen"),
        [
            (box(-16, 80, 16, 112), (slice(None), slice(80, None))),
            (box(304, 80, 336, 112), (slice(None), slice(None, 80))),
            (box(100, -16, 132, 16), (slice(80, None), slice(None))),
            (box(100, 224, 132, 256), (slice(None, 80), slice(None))),
            (box(-16, -16, 16, 16), (slice(80, None), slice(80, None))),
            (box(100, 100, 132, 132), (slice(None), slice(None))),
        ],
        ids=["left", "right", "top", "bottom", "corner", "inside"],
    )
    def test_parts_outside_the_frame_are_black(
        self, around: Boxes, seen: tuple[slice, slice]
    ) -> None:
        crop = Crop.around(WHITE, around)
        assert crop is not None
        expected = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
        expected[seen] = 255
        np.testing.assert_array_equal(crop.image, expected)

    @pytest.mark.parametrize(
        "around",
        [
            box(-200, 80, -160, 120),
            box(500, 80, 540, 120),
            box(80, -200, 120, -160),
            box(80, 400, 120, 440),
        ],
    )
    def test_there_is_no_crop_outside_the_frame(self, around: Boxes) -> None:
        assert Crop.around(WHITE, around) is None

    def test_a_crop_may_reach_into_the_frame_from_outside(self) -> None:
        assert Crop.around(WHITE, box(-50, 80, -10, 120)) is not None

    @pytest.mark.parametrize(
        "around",
        [
            box(10, 10, 10, 10),
            box(319, 239, 320, 240),
            box(0, 0, 320, 240),
            box(-3000, -3000, 3000, 3000),
            box(100.3, 50.7, 101.9, 52.2),
        ],
    )
    def test_any_box_gives_a_square_crop(self, around: Boxes) -> None:
        crop = Crop.around(WHITE, around)
        assert crop is not None
        assert crop.image.shape == (CROP_SIDE, CROP_SIDE, 3)
        assert crop.image.any()

    def test_faces_cut_by_the_border_of_a_crop_are_dropped(self) -> None:
        # The second square begins inside the crop and ends outside.
        image = paint({(100, 100, 140, 140): RED, (160, 100, 200, 140): GREEN}, SIZE)
        crop = Crop.around(Painted(0, image), box(100, 100, 140, 140))
        assert crop is not None
        assert len(found(SquareDetector(), crop.image)) == 2
        np.testing.assert_allclose(
            crop.to_frame(found(SquareDetector(), crop.image)).boxes,
            [[100, 100, 140, 140]],
            atol=1.5,
        )

    def test_a_face_that_fills_the_crop_is_kept(self) -> None:
        crop = Crop.around(Painted(0, paint({(50, 20, 250, 220): RED})), box(130, 100, 170, 140))
        assert crop is not None
        assert len(crop.to_frame(found(SquareDetector(), crop.image))) == 1


class TestFaceLooker:
    two: ClassVar[dict[Square, Colour]] = {(20, 30, 60, 70): RED, (200, 100, 260, 160): GREEN}

    @pytest.mark.parametrize("width", [320, 160, 100])
    def test_a_full_look_returns_faces_in_pixels_of_the_frame(self, width: int) -> None:
        detector = SquareDetector(width=width)
        faces = looker(paint(self.two), detector).detect_all(7)
        order = np.argsort(faces.boxes[:, 0])
        np.testing.assert_allclose(faces.boxes[order], [*self.two], atol=2 * 320 / width)
        inner = detector.inputs[1]
        assert detector.inputs[0][0] == width
        assert inner == (width // COARSE_REDUCTION, detector.inputs[0][1] // COARSE_REDUCTION)

    def test_a_face_that_fills_the_frame_is_found_at_coarse_scale(self) -> None:
        faces = looker(paint({(40, 20, 240, 220): RED}), SquareDetector(largest=120)).detect_all(7)
        np.testing.assert_allclose(faces.boxes, [[40, 20, 240, 220]], atol=2 * COARSE_REDUCTION)

    @pytest.mark.parametrize(
        ("side", "count"), [(COARSE_MIN_SIDE - 6, 0), (COARSE_MIN_SIDE + 6, 1)]
    )
    def test_small_faces_at_coarse_scale_are_ignored(self, side: int, count: int) -> None:
        image = paint({(40, 20, 40 + side, 20 + side): RED})
        assert len(looker(image, SquareDetector(largest=50)).detect_all(7)) == count

    def test_a_face_found_at_both_scales_counts_once(self) -> None:
        assert len(looker(paint({(40, 20, 240, 220): RED})).detect_all(7)) == 1

    @pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (4000, 3)])
    def test_a_quick_look_costs_less_than_half_of_a_full_look(self, size: Size) -> None:
        full, quick = SquareDetector(width=640), SquareDetector(width=640)
        looker(paint({}, size), full).detect_all(7)
        looker(paint({}, size), quick).detect_large(7)
        (input_size,) = quick.inputs
        assert min(input_size) >= 1
        pixels = [sum(w * h for w, h in d.inputs) for d in (full, quick)]
        assert pixels[1] < pixels[0] / 2

    def test_a_quick_look_returns_faces_in_pixels_of_the_frame(self) -> None:
        image = paint({(100, 200, 180, 280): RED}, (640, 480))
        np.testing.assert_allclose(
            looker(image).detect_large(7).boxes, [[100, 200, 180, 280]], atol=4
        )

    def test_overlapping_crops_find_each_face_once(self) -> None:
        places = np.stack([box(20, 30, 60, 70), box(24, 28, 64, 68), box(195, 95, 255, 155)])
        faces = looker(paint(self.two)).detect_near(7, places)
        order = np.argsort(faces.boxes[:, 0])
        np.testing.assert_allclose(faces.boxes[order], [*self.two], atol=2)

    def test_a_crop_shows_no_distant_faces(self) -> None:
        assert len(looker(paint(self.two)).detect_near(7, box(120, 180, 150, 210)[None])) == 0

    @pytest.mark.parametrize("places", [np.zeros((0, 4)), [[-300, 0, -260, 40]]])
    def test_crops_outside_the_frame_find_nothing(self, places: object) -> None:
        assert len(looker(paint(self.two)).detect_near(7, np.asarray(places, np.float32))) == 0


class TestMergeDuplicates:
    @staticmethod
    def faces(*rows: tuple[float, float]) -> Faces:
        """Faces of 40 pixels, given by left edge and score."""
        boxes = np.asarray([(x, 0, x + 40, 40) for x, _ in rows], np.float32).reshape(-1, 4)
        scores = np.asarray([score for _, score in rows], np.float32)
        return Faces(boxes, scores, np.zeros((len(rows), 5, 2), np.float32))

    def test_the_highest_score_of_a_face_wins(self) -> None:
        merged = merge_duplicates([self.faces((0, 0.5), (100, 0.7)), self.faces((3, 0.9))])
        assert sorted(merged.boxes[:, 0].tolist()) == [3, 100]

    def test_overlapping_people_stay_two_faces(self) -> None:
        assert len(merge_duplicates([self.faces((0, 0.5)), self.faces((25, 0.9))])) == 2

    @pytest.mark.parametrize("looks", [0, 1, 3])
    def test_an_empty_result_stays_empty(self, looks: int) -> None:
        assert len(merge_duplicates([Faces.empty()] * looks)) == 0


def test_faces_are_rescaled_along_both_axes() -> None:
    faces = rescale_faces(TestMergeDuplicates.faces((10, 0.5)), (100, 100), (200, 50))
    assert faces.boxes.tolist() == [[20, 0, 100, 20]]


class TestFaceSurroundings:
    @pytest.mark.parametrize(("side", "scale"), [(240, 1.0), (40, 1.0), (20, 0.5)])
    def test_a_large_face_is_reduced_and_a_small_one_is_not(self, side: int, scale: float) -> None:
        frame = Painted(0, paint({(100, 80, 140, 120): RED}))
        image, got, corner = face_surroundings(frame, box(100, 80, 140, 120), side)
        assert got == scale
        assert corner == (80, 60)
        assert image.shape == (round(80 * scale), round(80 * scale), 3)
        (seen,) = found(SquareDetector(), image).boxes
        np.testing.assert_allclose(seen / scale + [80, 60, 80, 60], [100, 80, 140, 120], atol=2)

    def test_the_corner_of_a_face_at_the_border_is_inside_the_frame(self) -> None:
        _, _, corner = face_surroundings(WHITE, box(-20, 200, 20, 240), 240)
        assert corner == (0, 180)

    def test_a_face_outside_the_frame_is_an_error_that_names_the_frame(self) -> None:
        with pytest.raises(FaceBlurError, match="frame 3"):
            face_surroundings(Painted(3, WHITE.image), box(-90, 0, -50, 40), 240)
