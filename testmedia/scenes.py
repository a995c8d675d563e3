"""The scenes for tests and measurements; each is about one way to miss a face."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from testmedia.photos import BIDEN, GUESTS, OBAMA, OBAMA_SPEAKING, Photo
from testmedia.scene import Actor, Background, Path2, Scene, Shot, keys, ramp

SMALL = (640, 360)
HD = (1280, 720)
_RED = Background((150, 80, 70), (-1.5, 0.0), seed=2)
_GREEN = Background((60, 120, 70), (0.0, 1.0), seed=3)
_BLUE = Background((60, 80, 150), (2.0, 1.0), seed=4)
_PALE = Background((200, 195, 180), (0.5, -1.0), seed=5)


def _moving(photo: Photo, size: float, *points: tuple[int, tuple[float, float]]) -> Actor:
    return Actor(photo, keys(dict(points)), size)


def calm() -> Scene:
    """Two people who hardly move."""
    obama = _moving(OBAMA, 70, (0, (180, 150)), (59, (200, 160)))
    biden = _moving(BIDEN, 70, (0, (460, 170)), (59, (450, 160)))
    return Scene(SMALL, (Shot(60, (obama, biden)),))


def cuts() -> Scene:
    """Four shots; people change places at each cut, and one shot has only three frames."""
    first = Shot(20, (_moving(OBAMA, 80, (0, (160, 150)), (19, (240, 160))),), _RED)
    second = Shot(15, (_moving(BIDEN, 80, (0, (200, 150)), (14, (260, 160))),), _GREEN)
    third = Shot(3, (_moving(OBAMA, 90, (0, (480, 180))),), _BLUE)
    fourth = Shot(
        22,
        (
            _moving(BIDEN, 60, (0, (480, 160)), (21, (440, 160))),
            _moving(OBAMA, 60, (0, (160, 160)), (21, (200, 170))),
        ),
        _PALE,
    )
    return Scene(SMALL, (first, second, third, fourth))


def edges() -> Scene:
    """One person enters and leaves at each of the four edges in turn, one shot for each."""
    paths = (
        ((-60, 180), (300, 180), (-60, 180)),
        ((700, 180), (340, 180), (700, 180)),
        ((320, -80), (320, 180), (320, -80)),
        ((320, 460), (320, 180), (320, 460)),
    )
    backgrounds = (_RED, _GREEN, _BLUE, _PALE)
    return Scene(
        SMALL,
        tuple(
            Shot(40, (_moving(OBAMA, 80, (0, begin), (20, middle), (39, end)),), background)
            for (begin, middle, end), background in zip(paths, backgrounds, strict=True)
        ),
    )


def comes_back() -> Scene:
    """One person leaves the frame and comes back a second later; another stays."""
    obama = _moving(
        OBAMA,
        70,
        (0, (420, 160)),
        (20, (720, 160)),
        (50, (720, 200)),
        (70, (420, 200)),
        (79, (400, 200)),
    )
    return Scene(SMALL, (Shot(80, (_moving(BIDEN, 70, (0, (160, 160))), obama)),))


def crossing() -> Scene:
    """Two people cross; for some frames one hides the other."""
    biden = _moving(BIDEN, 70, (0, (520, 170)), (59, (120, 170)))
    obama = _moving(OBAMA, 70, (0, (120, 170)), (59, (520, 170)))
    return Scene(SMALL, (Shot(60, (biden, obama)),))


def occlusion() -> Scene:
    """One person walks behind a pillar, another in front of it."""
    behind = _moving(OBAMA, 60, (0, (100, 120)), (59, (540, 120)))
    before = Actor(BIDEN, keys({0: (540, 270), 59: (100, 270)}), 50, in_front=True)
    return Scene(SMALL, (Shot(60, (behind, before), _GREEN, occluders=((270, 0, 370, 360),)),))


def sizes() -> Scene:
    """A face that grows from 24 to 600 pixels, where it fills the frame of 1280 x 720."""
    near = Actor(OBAMA, keys({0: (400, 300), 59: (640, 380)}), ramp({0: 24, 20: 80, 59: 600}))
    return Scene(HD, (Shot(60, (near,), _BLUE),))


def fades() -> Scene:
    """A shot that fades in from black and out to black."""
    shot = Shot(
        50, (_moving(OBAMA, 80, (0, (280, 160)), (49, (360, 170))),), _RED, fade_in=12, fade_out=12
    )
    return Scene(SMALL, (shot,))


def appears() -> Scene:
    """A person appears suddenly, without a cut, for a few frames."""
    biden = _moving(BIDEN, 70, (0, (160, 160)))
    obama = Actor(OBAMA_SPEAKING, keys({0: (460, 180)}), 80, enter=23, leave=31)
    return Scene(SMALL, (Shot(50, (biden, obama)),))


def crowd() -> Scene:
    """Eight people who walk: 1280 x 720."""
    people = (*GUESTS, BIDEN, OBAMA)
    actors = tuple(
        _moving(
            photo,
            44 + 4 * number,
            (0, (110 + 150 * number, 180 + 45 * (number % 4))),
            (59, (110 + 150 * number + (-1) ** number * 130, 200 + 60 * (number % 3))),
        )
        for number, photo in enumerate(people)
    )
    return Scene(HD, (Shot(60, actors, _PALE),))


def dark() -> Scene:
    """Two people in a fifth of the light, with sensor noise."""
    return replace(calm(), light=0.18, noise=3.0)


def dash() -> Scene:
    """A person crosses the frame in nine frames, by more than the width of the face each."""
    obama = _moving(OBAMA, 60, (0, (-100, 160)), (18, (-100, 160)), (30, (760, 160)))
    return Scene(SMALL, (Shot(50, (obama,), _GREEN),))


def blinks() -> Scene:
    """A person appears for five frames at a time, each time elsewhere."""
    shown = tuple(
        Actor(OBAMA, keys({0: (100 + 80 * n, 150)}), 60, enter=5 + 14 * n, leave=10 + 14 * n)
        for n in range(5)
    )
    return Scene(SMALL, (Shot(80, shown, _GREEN),))


def small() -> Scene:
    """Faces of 24 pixels in 1280 x 720."""
    obama = _moving(OBAMA, 24, (0, (300, 300)), (39, (370, 320)))
    biden = _moving(BIDEN, 24, (0, (900, 300)), (39, (830, 330)))
    return Scene(HD, (Shot(40, (obama, biden), _RED),))


def dissolve() -> Scene:
    """One shot fades into the next over 14 frames."""
    first = Shot(40, (_moving(OBAMA, 80, (0, (200, 160))),), _RED)
    both = (_moving(BIDEN, 80, (0, (330, 170))), _moving(OBAMA, 60, (0, (500, 170))))
    return Scene(SMALL, (first, Shot(40, both, _BLUE, dissolve=14)))


def jump() -> Scene:
    """Cuts with one background: two people swap places, and one appears for five frames."""
    wall = Background((120, 120, 120), (0.0, 0.0), seed=7)
    left, right = {0: (200, 160)}, {0: (440, 160)}
    first = (Actor(OBAMA, keys(left), 70), Actor(BIDEN, keys(right), 70))
    swapped = (Actor(BIDEN, keys(left), 70), Actor(OBAMA, keys(right), 70))
    short = (Actor(OBAMA, keys(left), 70),)
    alone = (Actor(BIDEN, keys(left), 70),)
    return Scene(
        SMALL,
        (
            Shot(25, first, wall),
            Shot(25, swapped, wall),
            Shot(20, alone, wall),
            Shot(5, short, wall),
            Shot(20, alone, wall),
        ),
    )


def shake() -> Scene:
    """A camera that shakes in step with the detector calls: in between the faces are elsewhere."""

    def sway(x: float, y: float) -> Path2:
        def path(frame: float) -> tuple[float, float]:
            phase = frame * math.tau / 6
            return x + 30 * math.sin(phase + 0.3), y + 12 * math.cos(phase)

        return path

    actors = (Actor(OBAMA, sway(220, 160), 70), Actor(BIDEN, sway(450, 160), 70))
    return Scene(SMALL, (Shot(48, actors, _RED),))


def leans() -> Scene:
    """Heads that lean to one side and to the other, up to 35 degrees."""
    sway = ramp({0: -35, 20: 35, 40: -35, 49: 0})
    obama = Actor(OBAMA, keys({0: (200, 170), 49: (230, 160)}), 80, turn=sway)
    biden = Actor(BIDEN, keys({0: (450, 170)}), 70, turn=lambda frame: -sway(frame))
    return Scene(SMALL, (Shot(50, (obama, biden), _PALE),))


def smeared() -> Scene:
    """Two people who cross fast, with motion blur: up to half the width of the face per frame."""
    obama = _moving(OBAMA, 64, (0, (60, 130)), (20, (580, 130)), (39, (100, 130)))
    biden = _moving(BIDEN, 64, (0, (600, 250)), (39, (80, 250)))
    return Scene(SMALL, (Shot(40, (obama, biden), _BLUE),), shutter=0.8)


def pressed() -> Scene:
    """Compressed so strongly that faces become blocks and smears at times."""
    return replace(crossing(), crf=34)


def squeezed() -> Scene:
    """Compressed to the limit of what people would watch."""
    return replace(calm(), crf=40)


def film() -> Scene:
    """24 frames per second, with larger steps between frames."""
    return replace(comes_back(), rate=Fraction(24))


def sport() -> Scene:
    """60 frames per second, with a fast entry and a fast exit."""
    obama = _moving(
        OBAMA, 90, (0, (-80, 300)), (12, (640, 340)), (60, (700, 320)), (70, (1400, 300))
    )
    biden = _moving(BIDEN, 70, (0, (1000, 500)), (89, (900, 520)))
    return Scene(HD, (Shot(90, (biden, obama), _GREEN),), rate=Fraction(60))


def uneven() -> Scene:
    """Frames of different durations, as phones and screen recorders write them."""
    return replace(edges(), durations=(1, 1, 3, 2, 1, 5))


def overlap() -> Scene:
    """Three people who cross at once; the listed one is never completely in front."""
    obama = _moving(OBAMA, 70, (0, (100, 170)), (69, (540, 180)))
    biden = _moving(BIDEN, 80, (0, (560, 175)), (69, (90, 170)))
    guest = _moving(GUESTS[1], 64, (0, (330, 90)), (35, (320, 200)), (69, (340, 300)))
    return Scene(SMALL, (Shot(70, (guest, obama, biden), _RED),))


def melts() -> Scene:
    """Shots that fade into each other over 6 and over 25 frames."""
    first = Shot(30, (_moving(OBAMA, 80, (0, (200, 160))),), _RED)
    second = Shot(40, (_moving(BIDEN, 80, (0, (430, 170))),), _BLUE, dissolve=6)
    third = Shot(50, (_moving(OBAMA, 70, (0, (320, 170))),), _PALE, dissolve=25)
    return Scene(SMALL, (first, second, third))


SCENES: dict[str, Callable[[], Scene]] = {
    "calm": calm,
    "cuts": cuts,
    "edges": edges,
    "comes_back": comes_back,
    "crossing": crossing,
    "occlusion": occlusion,
    "sizes": sizes,
    "fades": fades,
    "appears": appears,
    "crowd": crowd,
    "dark": dark,
    "dash": dash,
    "blinks": blinks,
    "small": small,
    "dissolve": dissolve,
    "jump": jump,
    "shake": shake,
    "leans": leans,
    "smeared": smeared,
    "pressed": pressed,
    "squeezed": squeezed,
    "film": film,
    "sport": sport,
    "uneven": uneven,
    "overlap": overlap,
    "melts": melts,
}
