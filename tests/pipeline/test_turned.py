"""The first pass on clips with people in half profile and in profile."""

import shutil
from collections.abc import Callable

import pytest

from app.config import Settings
from app.networks import prefers_int8
from app.pipeline import FaceBlur
from app.plan import Plan
from testmedia.clip import Clip, write_clip
from testmedia.truth import leaked, spilled
from testmedia.turned import AVAILABLE, PHOTOS, TURNED
from tests.faces_media import ready

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs the photographs beside the checkout")
VARIANTS = (("open", "int8"), ("open", "float"), ("dlib", "auto"))
COVERED, MARGIN = 0.9, 0.2


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clip]:
    folder = tmp_path_factory.mktemp("turned")
    made: dict[str, Clip] = {}

    def make(name: str) -> Clip:
        if name not in made:
            made[name] = write_clip(TURNED[name].scene(), folder / f"{name}.mp4")
        return made[name]

    return make


Analyse = Callable[..., Plan]


@pytest.fixture(scope="module", params=VARIANTS, ids="-".join)
def run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    clips: Callable[[str], Clip],
) -> Analyse:
    pack, precision = request.param
    ready(pack)
    if precision == "int8" and not prefers_int8():
        pytest.skip("8-bit arithmetic is not exact on this CPU: it has no 8-bit dot products")

    def analysed(name: str, **options: str) -> Plan:
        people = tmp_path_factory.mktemp("people")
        turned = TURNED[name]
        (people / turned.person).mkdir()
        for photo in turned.photos:
            shutil.copy(PHOTOS / photo, people / turned.person)
        settings = Settings(people=people, models=pack, precision=precision, **options)
        return FaceBlur(settings).analyse(clips(name).path)

    return analysed


@pytest.mark.parametrize("name", TURNED)
def test_a_listed_person_who_turns_away_is_hidden(
    name: str, run: Analyse, clips: Callable[[str], Clip]
) -> None:
    plan = run(name)
    assert not leaked(clips(name).truth, plan, [TURNED[name].person], share=COVERED, margin=MARGIN)


@pytest.mark.parametrize("name", TURNED)
def test_with_others_everybody_else_is_hidden(
    name: str, run: Analyse, clips: Callable[[str], Clip]
) -> None:
    plan, truth = run(name, blur="others"), clips(name).truth
    others = truth.people - {TURNED[name].person}
    assert not leaked(truth, plan, others, share=COVERED, margin=MARGIN)


def test_a_clear_stranger_beside_a_profile_is_kept(
    run: Analyse, clips: Callable[[str], Clip]
) -> None:
    assert not spilled(clips("profile").truth, run("profile"), ["bbt-stuart"])


def test_a_profile_is_unclear_or_recognised(run: Analyse) -> None:
    """In the second shot everybody is in profile."""
    tracks = [track for track in run("profile").tracks if track.shot == 1]
    assert tracks
    assert all(track.unclear or track.person == "bbt-stuart" for track in tracks)


def test_unclear_faces_can_be_kept(run: Analyse) -> None:
    plan = run("profile", unclear="keep")
    unclear = [track for track in plan.tracks if track.unclear]
    assert all(track.decision == "keep" and track.uncertain for track in unclear)
