"""The session: what it loads, and how often it reads a file."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import app
from app.errors import MediaError, PlanError
from app.identity.scale import Scale
from app.pipeline import FaceBlur, Parts
from app.plan import ModelRecord, ModelsRecord
from app.types import Faces, Image, Size
from app.video import Media
from testmedia.videos import VideoSpec

COUNT = 60


class OneFace:
    """A detector that finds one face, in the middle of every image."""

    def input_size(self, size: Size) -> Size:
        return size

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        return [middle(image.shape[1], image.shape[0]) for image in images]


def middle(width: int, height: int) -> Faces:
    left, top, right, bottom = width * 0.3, height * 0.3, width * 0.7, height * 0.7
    points = np.stack([np.linspace(left, right, 5), np.linspace(top, bottom, 5)], axis=1)
    return Faces(
        np.array([[left, top, right, bottom]], np.float32),
        np.array([0.9], np.float32),
        points[None].astype(np.float32),
    )


class NoFace(OneFace):
    def detect(self, images: Sequence[Image]) -> list[Faces]:
        return [Faces.empty() for _ in images]


def parts(detector: OneFace) -> Parts:
    record = ModelRecord("detector.onnx", "0" * 64)
    scale = Scale.flat(stranger=0.2, doubtful=0.5, sure=0.8)
    return Parts(detector, None, scale, ModelsRecord("test", record, None))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    video = VideoSpec(count=COUNT, options={"g": "12"}, sounds=[("aac", "deu")])
    return video.write(tmp_path / "in.mp4")


@dataclass
class Opens:
    """How often one file was opened, and how often a file was hashed as a whole."""

    opened: int = 0
    hashes: int = 0


@pytest.fixture
def opens(source: Path, monkeypatch: pytest.MonkeyPatch) -> Opens:
    counted = Opens()
    digest = hashlib.file_digest

    def count_opening(event: str, args: tuple[Any, ...]) -> None:
        counted.opened += event == "open" and str(args[0]) == str(source)

    def in_library(file: Any, *args: Any, **options: Any) -> Any:
        counted.opened += str(file) == str(source)
        return open_library(file, *args, **options)

    def hashed(file: Any, kind: Any) -> Any:
        counted.hashes += 1
        return digest(file, kind)

    open_library = av.open
    sys.addaudithook(count_opening)  # it cannot be removed, but it counts this source only
    monkeypatch.setattr(av, "open", in_library)
    monkeypatch.setattr(hashlib, "file_digest", hashed)
    return counted


@pytest.mark.parametrize("detector", [OneFace, NoFace])
@pytest.mark.parametrize("copy", ["auto", "never"])
def test_a_plain_run_opens_its_input_once_and_hashes_it_once(
    source: Path, opens: Opens, detector: type[OneFace], copy: str
) -> None:
    """Nothing can come between facts, hash, analysis and rendering."""
    face_blur = FaceBlur(app.Settings(copy_untouched=copy), parts=parts(detector()))
    media, output = Media(source), source.with_name("out.mp4")
    assert face_blur.check_output(media, output) == []
    plan = face_blur.analyse(media)
    face_blur.render(media, plan, output)
    assert output.exists()
    assert (opens.opened, opens.hashes) == (1, 1)


def test_a_file_that_changed_after_the_analysis_is_refused(source: Path) -> None:
    face_blur, media = FaceBlur(parts=parts(OneFace())), Media(source)
    plan = face_blur.analyse(media)
    VideoSpec(count=COUNT, options={"g": "6"}).write(source)
    with pytest.raises(MediaError, match="changed while it was read"):
        face_blur.render(media, plan, source.with_name("out.mp4"))
    with pytest.raises(PlanError, match="another file"):
        face_blur.render(source, plan, source.with_name("out.mp4"))
    assert [path.name for path in source.parent.iterdir()] == ["in.mp4"]


def test_one_session_serves_many_files_with_the_models_that_it_loaded_once(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, loads = OneFace(), []

    def load(settings: app.Settings) -> Parts:
        loads.append(settings)
        return parts(detector)

    monkeypatch.setattr("app.pipeline.session.load_parts", load)
    face_blur = FaceBlur(app.Settings(effect="solid"))
    plans = [face_blur.blur(source, source.with_name(f"{n}.mp4")) for n in range(2)]
    assert plans[0].counts == plans[1].counts
    assert plans[0].counts["hidden"] > 0
    changed = face_blur.changed(face_blur.settings.changed(effect="blur"))
    assert changed.analyse(str(source)).settings["effect"] == "blur"
    assert len(loads) == 1
    face_blur.unload()
    assert face_blur.analyse(source).counts == plans[0].counts
    assert len(loads) == 2


def test_a_plan_is_written_together_with_its_output(source: Path) -> None:
    face_blur, plan = FaceBlur(parts=parts(OneFace())), source.with_name("plan.json")
    made = face_blur.blur(source, source.with_name("out.mp4"), plan=plan)
    assert app.Plan.read(plan).source == made.source
    made.write(source.with_name("again.json"))
    assert plan.read_bytes() == source.with_name("again.json").read_bytes()


def test_fingerprints_tell_settings_and_models_apart_but_not_paths() -> None:
    one = FaceBlur(parts=parts(OneFace())).fingerprint
    assert one == FaceBlur(app.Settings(threads=1), parts=parts(NoFace())).fingerprint
    assert one != FaceBlur(app.Settings(effect="solid"), parts=parts(OneFace())).fingerprint


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, app\n"
        "heavy = {'av', 'numpy', 'onnxruntime', 'cv2', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert app.FaceBlurError.__name__ == 'FaceBlurError'\n"
        "assert not hasattr(app, 'nothing')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    for name in app.__all__:
        assert getattr(app, name).__name__ == name
