"""A session with real models, and the plans of clips."""

from collections.abc import Callable

import pytest

from app.config import Settings
from app.pipeline import FaceBlur
from app.plan import Plan
from testmedia.clip import Clip
from tests.faces_media import ready


@pytest.fixture(scope="session")
def session() -> FaceBlur:
    """A session that hides everyone."""
    ready("open")
    return FaceBlur(Settings(models="open")).load()


@pytest.fixture(scope="session")
def plan_of(clip: Callable[[str], Clip], session: FaceBlur) -> Callable[[str], Plan]:
    """The plan of a clip by its name, made once in a session."""
    made: dict[str, Plan] = {}

    def make(name: str) -> Plan:
        if name not in made:
            made[name] = session.analyse(clip(name).path)
        return made[name]

    return make
