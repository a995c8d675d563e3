"""The choice between encoders of a GPU and software, with and without a GPU."""

import os
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from app.cli import main
from app.errors import DeviceError
from app.video import Media, Writing, check_encoder, encodings, open_sink, open_source
from app.video.container import main_video
from app.video.encoder import add_encoder, encoder_options
from app.video.encodings import NVENC, Encoder, Encoding, can_encode, with_hardware
from app.video.header import first_frame
from testmedia.videos import NO_BOXES, VideoSpec, numbers

VIDEO = VideoSpec(size=(320, 180), count=8)
H264 = Encoding("libx264", "yuv420p")


@pytest.fixture
def no_gpu() -> None:
    if can_encode(Encoding("h264_nvenc", "yuv420p")):
        pytest.skip("a GPU can encode here")


@pytest.fixture
def any_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that every encoder works."""
    monkeypatch.setattr(encodings, "can_encode", lambda _: True)


def _chosen(path: Path, encoding: Encoding, encoder: Encoder) -> Encoding:
    with av.open(str(path)) as container:
        return with_hardware(encoding, container.streams.video[0], encoder)


@pytest.mark.usefixtures("any_gpu")
@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        (H264, Encoding("h264_nvenc", "yuv420p")),
        (Encoding("libx265", "yuv420p10le"), Encoding("hevc_nvenc", "p010le")),
        (Encoding("libsvtav1", "yuv420p10le"), Encoding("av1_nvenc", "p010le")),
    ],
)
def test_nvenc_uses_the_same_codec_and_depth(
    encoding: Encoding, expected: Encoding, tmp_path: Path
) -> None:
    path = VIDEO.write(tmp_path / "a.mp4")
    for encoder in ("auto", "nvenc"):
        found = _chosen(path, encoding, encoder)
        assert found == expected
        assert found.codec == encoding.codec
    assert _chosen(path, encoding, "software") == encoding


@pytest.mark.usefixtures("any_gpu")
@pytest.mark.parametrize(
    ("video", "encoding"),
    [
        (VIDEO, Encoding("libx264", "yuv420p10le")),
        (VIDEO, Encoding("libx264", "yuv444p")),
        (VIDEO, Encoding("libvpx-vp9", "yuv420p")),
        (replace(VIDEO, size=(64, 48)), H264),
        (replace(VIDEO, colour={"color_trc": 16}), H264),
    ],
    ids=["ten bits of H.264", "full chroma", "VP9", "small", "HDR"],
)
def test_lossy_conversions_stay_with_software_encoders(
    video: VideoSpec, encoding: Encoding, tmp_path: Path
) -> None:
    path = video.write(tmp_path / "a.mp4")
    assert _chosen(path, encoding, "auto") == encoding
    with pytest.raises(DeviceError, match="no NVIDIA encoder works here"):
        _chosen(path, encoding, "nvenc")


def _opened(name: str, chosen: dict[str, str]) -> None:
    context = CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 320, 180, "yuv420p"
    context.time_base, context.options = Fraction(1, 25), chosen
    context.open()


@pytest.mark.parametrize("name", NVENC.values())
def test_nvenc_knows_all_its_options(name: str, tmp_path: Path) -> None:
    """FFmpeg checks options before it looks for a GPU, but ignores unknown ones."""
    with av.open(str(VIDEO.write(tmp_path / "a.mp4"))) as container:
        chosen = encoder_options(name, 90, next(container.decode(video=0)))
    with suppress(av.error.PermissionError):
        _opened(name, chosen)
    assert "cq" in chosen
    for key in chosen:
        with pytest.raises(av.error.ArgumentError):
            _opened(name, {**chosen, key: "nonsense"})


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_equals_software(tmp_path: Path) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    for encoder in ("auto", "software"):
        with open_sink(source, tmp_path / f"{encoder}.mp4", Writing(encoder=encoder)) as sink:
            for frame in open_source(source):
                sink.write(frame, NO_BOXES)
            sink.commit()
    assert numbers(tmp_path / "auto.mp4") == list(range(8))
    assert (tmp_path / "auto.mp4").read_bytes() == (tmp_path / "software.mp4").read_bytes()


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_nvenc_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = VIDEO.write(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    with pytest.raises(DeviceError, match="no NVIDIA encoder"):
        open_sink(source, out, Writing(encoder="nvenc"))
    with pytest.raises(DeviceError, match="no NVIDIA encoder"):
        check_encoder("nvenc")
    assert main(["blur", str(source), "-o", str(out), "--encoder", "nvenc", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error == (
        "face-blur: error: no NVIDIA encoder works here; use encoder=auto or software\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_av1_takes_no_real_time_priority(tmp_path: Path) -> None:
    """As root, SVT-AV1 gives its caller the highest priority, so that nothing else runs."""
    source = VideoSpec(size=(128, 96), count=10).write(tmp_path / "in.mp4")
    media = Media(source)
    encoding = Encoding("libsvtav1", "yuv420p")
    with media.open_container() as container, av.open(str(tmp_path / "o.mkv"), "w") as output:
        picture = first_frame(media)
        stream = add_encoder(
            output,
            main_video(container, media),
            picture,
            encoding,
            rate=Fraction(25),
            quality=60,
            preset="veryfast",
            threads=2,
        )
        output.mux(stream.encode(picture))
        policies = {
            os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()
        }
        output.mux(stream.encode(None))
    assert policies == {os.SCHED_OTHER}
