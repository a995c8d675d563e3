"""A leak is hidden before the result gets its name, or there is no result."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.errors import OutputError, VerificationError
from app.pipeline import FaceBlur
from app.pipeline.rendering import effect_of
from app.plan import Plan
from app.types import MediaFile, Progress
from app.verification import Checked, render_checked
from app.verification.repair import REASON
from app.video import Media
from bench.scoring import score
from testmedia.clip import Clip
from testmedia.leaks import HalfTransparent, exposed, shifted, with_gap

Clips = Callable[[str], Clip]
Plans = Callable[[str], Plan]
FIRST = 27


class WeakSession(FaceBlur):
    """A session whose effect is half transparent."""

    def render(
        self,
        media: Media | MediaFile | str,
        plan: Plan,
        output: Path | str,
        progress: Progress | None = None,
        **options: Any,
    ) -> None:
        weak = HalfTransparent(effect_of(self.settings, self.settings.effect))
        super().render(media, plan, output, progress, **options | {"effect": weak})


def leaks(clip: Clip, output: Path) -> int:
    """The readable face-frames of everybody, by the truth of the clip."""
    return score(clip.path, output, clip.truth, clip.truth.people).leaks


def longest(plan: Plan) -> int:
    """The id of the longest track."""
    return max(plan.tracks, key=lambda track: track.last - track.first).id


PLANTED: Mapping[str, Callable[[Plan], Plan]] = {
    "one frame": lambda plan: with_gap(plan, longest(plan), FIRST, 1),
    "five frames": lambda plan: with_gap(plan, longest(plan), FIRST, 5),
    "beside": lambda plan: shifted(plan, longest(plan), FIRST, 5),
    "all faces": lambda plan: exposed(plan, FIRST),
    "at the end": lambda plan: with_gap(plan, longest(plan), 55, 5),
}


@pytest.mark.parametrize(
    ("leak", "effect"),
    [
        *(("one frame", "blur"), ("five frames", "pixelate"), ("beside", "solid")),
        *(("all faces", "blur"), ("at the end", "solid")),
    ],
)
def test_a_leak_is_hidden(
    leak: str, effect: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    output, media = tmp_path / "out.mp4", Media(clip("calm").path)
    one = session.changed(session.settings.changed(effect=effect))
    bad = PLANTED[leak](plan_of("calm"))
    one.render(media, bad, output)
    assert leaks(clip("calm"), output) > 0, "the leak is real"
    output.unlink()
    checked = render_checked(one, media, bad, output)
    assert leaks(clip("calm"), output) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert checked.frames == 60
    added = checked.plan.tracks[len(bad.tracks) :]
    assert len(added) == len(checked.repaired) > 0
    assert {(track.decision, track.reason) for track in added} == {("blur", REASON)}
    for finding, track in zip(checked.repaired, added, strict=True):
        assert track.first == max(0, finding.first - 3)
        assert track.last == min(59, finding.last + 3)
        assert track.times is not None
    checked.plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json").counts == checked.plan.counts


def test_blur_of_the_library_looks_again_too(
    session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    bad = with_gap(plan_of("calm"), longest(plan_of("calm")), FIRST, 5)

    class Careless(FaceBlur):
        def analyse(self, media: Any, progress: Progress | None = None) -> Plan:
            return bad

    one = Careless(session.settings.changed(verify=True), parts=session.parts)
    made = one.blur(clip("calm").path, tmp_path / "out.mp4", plan=tmp_path / "plan.json")
    assert made.tracks[-1].reason == REASON
    assert Plan.read(tmp_path / "plan.json").counts == made.counts
    assert leaks(clip("calm"), tmp_path / "out.mp4") == 0


def test_padding_stays_in_the_shot(
    session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    plan = plan_of("cuts")
    begin, end = plan.shots[1]
    bad = exposed(plan, begin)
    checked = render_checked(session, Media(clip("cuts").path), bad, tmp_path / "out.mp4")
    (added,) = checked.plan.tracks[len(bad.tracks) :]
    assert (added.shot, added.first, added.last) == (1, begin, begin + 3)
    assert end > begin + 3
    assert leaks(clip("cuts"), tmp_path / "out.mp4") == 0


def test_a_clean_result_keeps_its_plan(
    session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    plan, stages = plan_of("calm"), list[str]()

    def progress(stage: str, done: int, expected: int | None) -> None:
        stages.append(stage)

    media = Media(clip("calm").path)
    checked = render_checked(session, media, plan, tmp_path / "out.mp4", progress)
    assert checked.plan is plan
    assert (checked.repaired, checked.frames) == ((), 60)
    assert list(dict.fromkeys(stages)) == ["render", "verify"]
    assert stages.count("verify") == 60


def test_what_cannot_be_hidden_is_refused(
    session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    weak = WeakSession(session.settings, parts=session.parts)
    with pytest.raises(VerificationError, match="can still be seen in frames 0 to 59") as refusal:
        render_checked(weak, Media(clip("calm").path), plan_of("calm"), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
    assert (refusal.value.exit_code, refusal.value.http_status) == (3, 422)


def test_an_older_result_stays_if_the_new_one_is_refused(
    session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    output, media = tmp_path / "out.mp4", Media(clip("calm").path)
    output.write_bytes(b"old")
    weak = WeakSession(session.settings, parts=session.parts)
    with pytest.raises(VerificationError):
        render_checked(weak, media, plan_of("calm"), output, overwrite=True)
    assert output.read_bytes() == b"old"
    with pytest.raises(OutputError, match="already exists"):
        render_checked(session, media, plan_of("calm"), output)
    assert output.read_bytes() == b"old"


@pytest.mark.parametrize("stage", ["render", "verify"])
def test_an_interruption_leaves_nothing(
    stage: str, session: FaceBlur, clip: Clips, plan_of: Plans, tmp_path: Path
) -> None:
    def stop(now: str, done: int, expected: int | None) -> None:
        if (now, done) == (stage, 30):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_checked(
            session, Media(clip("calm").path), plan_of("calm"), tmp_path / "out.mp4", stop
        )
    assert list(tmp_path.iterdir()) == []


def test_a_listed_person_who_was_kept_by_mistake_is_hidden(
    clip: Clips, people: Path, tmp_path: Path
) -> None:
    """The plan keeps the person, and names nobody."""
    listed = FaceBlur(Settings(people=people, models="open"))
    media, output = Media(clip("calm").path), tmp_path / "out.mp4"
    plan = listed.analyse(media)
    tracks = (replace(one, decision="keep", person=None, reason="") for one in plan.tracks)
    checked: Checked = render_checked(listed, media, replace(plan, tracks=tuple(tracks)), output)
    (finding,) = checked.repaired
    assert (finding.kind, finding.person) == ("recognised", "obama")
    decisions = {track.person: track.decision for track in checked.plan.tracks}
    assert decisions == {"obama": "blur", None: "keep"}
    assert score(clip("calm").path, output, clip("calm").truth, {"obama"}).leaks == 0
