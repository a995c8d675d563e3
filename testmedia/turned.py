"""Scenes with profiles and half profiles, from photographs that only some machines have.

Other scenes use frontal portraits. The photographs for these are next to the checkout; without them
``AVAILABLE`` is false.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testmedia.photos import Photo, Rectangle
from testmedia.scene import Actor, Background, Scene, Shot, keys

PHOTOS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "photos"
AVAILABLE = PHOTOS.is_dir()
SIZE = (640, 360)
_RED = Background((150, 80, 70), (-1.5, 0.0), seed=2)
_GREEN = Background((60, 120, 70), (0.0, 1.0), seed=3)
_BLUE = Background((60, 80, 150), (2.0, 1.0), seed=4)


def _photo(person: str, name: str, face: Rectangle, room: int = 0) -> Photo:
    return Photo(person, str(PHOTOS / person / f"{name}.jpg"), face, room)


STUART = _photo("bbt-stuart", "01", (14, -1, 142, 147), room=80)
STUART_HALF = _photo("bbt-stuart", "02", (23, -5, 150, 145), room=80)
STUART_PROFILE = _photo("bbt-stuart", "04", (40, -12, 157, 156), room=80)
RAJ = _photo("bbt-raj", "01", (17, -9, 146, 153), room=80)
ARNOLD_HALF = _photo("lfw-arnold-schwarzenegger", "01", (90, 57, 201, 204))
ARNOLD_AWAY = _photo("lfw-arnold-schwarzenegger", "00", (52, 55, 160, 208))
HUGO_HALF = _photo("lfw-hugo-chavez", "02", (57, 60, 161, 204))
ARIEL_HALF = _photo("lfw-ariel-sharon", "06", (88, 46, 192, 193))
VLADIMIR_HALF = _photo("lfw-vladimir-putin", "08", (75, 68, 164, 190))


@dataclass(frozen=True, slots=True)
class Turned:
    """A scene, the person to find, and other photos of that person."""

    scene: Callable[[], Scene]
    person: str
    photos: tuple[str, ...]


def _actor(photo: Photo, x: float, enter: int = 0, leave: int | None = None) -> Actor:
    return Actor(photo, keys({0: (x, 170), 39: (x + 30, 180)}), 110, enter, leave)


def _profile() -> Scene:
    """A person in front view, then only in profile, then next to another person."""
    alone = (_actor(STUART_PROFILE, 300),)
    beside = (_actor(STUART_PROFILE, 180), _actor(RAJ, 430))
    front = (_actor(STUART, 300),)
    return Scene(SIZE, (Shot(40, front, _RED), Shot(40, alone, _GREEN), Shot(40, beside, _BLUE)))


def _half_profile() -> Scene:
    """Four men in half profile; one of them is to be found."""
    first = (_actor(ARNOLD_HALF, 170), _actor(HUGO_HALF, 430))
    second = (_actor(ARIEL_HALF, 170), _actor(ARNOLD_AWAY, 430))
    third = (_actor(VLADIMIR_HALF, 170), _actor(HUGO_HALF, 430))
    return Scene(SIZE, (Shot(40, first, _RED), Shot(40, second, _GREEN), Shot(40, third, _BLUE)))


def _turning() -> Scene:
    """A person turns from front to profile and back, between consecutive frames."""
    turns = (
        _actor(STUART, 300, leave=12),
        _actor(STUART_HALF, 300, enter=12, leave=20),
        _actor(STUART_PROFILE, 300, enter=20, leave=32),
        _actor(STUART_HALF, 300, enter=32),
    )
    return Scene(SIZE, (Shot(40, turns, _BLUE),))


_STUART_PHOTOS = ("bbt-stuart/00.jpg",)
TURNED: dict[str, Turned] = {
    "profile": Turned(_profile, "bbt-stuart", _STUART_PHOTOS),
    "turning": Turned(_turning, "bbt-stuart", _STUART_PHOTOS),
    "half_profile": Turned(
        _half_profile,
        "lfw-arnold-schwarzenegger",
        ("lfw-arnold-schwarzenegger/02.jpg", "lfw-arnold-schwarzenegger/09.jpg"),
    ),
}
