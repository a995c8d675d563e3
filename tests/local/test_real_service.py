"""The real service in the simulation: results are hidden in every frame."""

import io
import tarfile
import time
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image as Picture

from app.types import Image
from scripts.local.containers import ProgramLauncher
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.smoke_media import REFERENCES, scene
from tests.local_sagemaker import BUCKET, REAL, Local, MakeLocal


def people_archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in REFERENCES:
            tar.add(fetch(name), f"people/obama/{name}")
    return out.getvalue()


def small_portrait() -> bytes:
    out = io.BytesIO()
    with Picture.open(fetch("obama.jpg")) as picture:
        picture.resize((picture.width // 2, picture.height // 2)).save(out, "jpeg")
    return out.getvalue()


def begin_anew(make_local: MakeLocal, folder: Path) -> Local:
    spool = folder / "spool"
    spool.mkdir()
    local = make_local(timeouts=REAL, launcher=ProgramLauncher(spool))
    local.mark = str(spool)
    local.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=people_archive())
    local.model(f"s3://{BUCKET}/model.tar.gz")
    return local


def pictures(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def assert_only_obama_is_hidden(clip: Clip, result: bytes, path: Path) -> None:
    path.write_bytes(result)
    before, after = pictures(clip.path), pictures(path)
    assert len(before) == len(after) == clip.truth.frames
    for face in clip.truth.recognisable(visible=1):
        x1, y1, x2, y2 = (round(value) for value in face.box)
        detail = [
            cv2.Laplacian(
                cv2.cvtColor(video[face.frame][y1:y2, x1:x2], cv2.COLOR_RGB2GRAY), 3
            ).std()
            for video in (before, after)
        ]
        if face.person == "obama":
            assert detail[1] < 0.35 * detail[0], face
        else:
            assert detail[1] > 0.7 * detail[0], face


def test_a_job_with_good_and_bad_objects(make_local: MakeLocal, tmp_path: Path) -> None:
    local = begin_anew(make_local, tmp_path)
    clip = write_clip(scene(), tmp_path / "clip.mp4")
    video = clip.path.read_bytes()
    objects = {"a.mp4": video, "monday/b.mp4": video, "c.jpg": small_portrait()}
    local.put(**objects, **{"junk.mp4": b"junk" * 100_000, "monday/": b"", "cut.mp4": video[:9000]})
    ended = local.run_job(instances=2, client={"InvocationsTimeoutInSeconds": 120})
    states = {one.item.source.key.removeprefix("in/"): one for one in ended.outcomes}
    assert {name for name, one in states.items() if one.state == "done"} == set(objects)
    assert {one.fault for name, one in states.items() if name not in objects} == {"ClientError"}
    assert (ended.state, ended.reason) == (
        "Failed",
        "ClientError: See job logs for more information",
    )
    results = local.results()
    assert set(results) == {f"out/{name}.out" for name in objects}
    for name in ("a.mp4", "monday/b.mp4"):
        assert_only_obama_is_hidden(clip, results[f"out/{name}.out"], tmp_path / "result.mp4")
    assert results["out/c.jpg.out"][:3] == b"\xff\xd8\xff"
    assert results["out/c.jpg.out"] != objects["c.jpg"]
    log = "\n".join(local.data_log())
    assert "videos/in/junk.mp4: ClientError: 415" in log
    assert "unsupported_media" in log
    assert "obama" not in "\n".join(line for _, line in local.lines("job")), "names are not logged"
    assert local.leftover_processes() == []
    assert list((tmp_path / "spool").iterdir()) == []


def test_stopping_a_running_job(make_local: MakeLocal, tmp_path: Path) -> None:
    """The service finishes its work, but the result is not stored."""
    local = begin_anew(make_local, tmp_path)
    video = write_clip(scene(), tmp_path / "clip.mp4").path.read_bytes()
    local.put(**{"a.mp4": video, "b.mp4": b"not reached"})
    settings = {"FACE_BLUR_SAMPLING": "every", "FACE_BLUR_EFFECT": "solid"}
    local.create_job(Environment=settings, MaxPayloadInMB=50)
    spool = tmp_path / "spool"
    end = time.monotonic() + 60
    received = "face-blur-*/request-*/media"
    while not [path for path in spool.glob(received) if path.stat().st_size == len(video)]:
        assert time.monotonic() < end
        time.sleep(0.02)
    local.api.stop_transform_job(TransformJobName="job")
    began = time.monotonic()
    ended = local.wait()
    assert time.monotonic() - began < 30
    assert (ended.state, {one.state for one in ended.outcomes}) == ("Stopped", {"stopped"})
    assert local.describe()["TransformJobStatus"] == "Stopped"
    (line,) = [line for line in local.printed() if '"event": "invocation"' in line]
    assert '"status": 200' in line
    assert local.results() == {}
    assert local.leftover_processes() == []
    assert list(spool.iterdir()) == []


def test_a_service_that_cannot_start_fails_the_job_at_once(
    make_local: MakeLocal, tmp_path: Path
) -> None:
    local = begin_anew(make_local, tmp_path)
    local.put(**{"a.mp4": b"never sent"})
    ended = local.run_job(Environment={"FACE_BLUR_NO_SUCH_SETTING": "1"})
    assert ended.reason == "AlgorithmError: Model container exited with code 2 before it was ready"
    assert any("FACE_BLUR_NO_SUCH_SETTING" in line for line in local.printed())
