"""Files that are damaged, truncated, empty or of another kind are refused."""

import shutil
import struct
from copy import deepcopy
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.errors import MediaError, OutputError, UnsupportedMedia
from app.video import Media, check_output, open_source, read_photo
from testmedia.faces import seed
from testmedia.structures import join, split
from testmedia.videos import ROTATED, VideoSpec, copy_video

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile {0}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD><Period><AdaptationSet/></Period></MPD>',
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{0}"/></svg>',
    "text": "Not a video.\n",
}


def alias_to(name: str) -> bytes:
    """Return a data reference (``alis``) to a file in the same folder."""
    target = b"/" + name.encode()
    levels = b"\0\1\0\1"
    body = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + levels + bytes(16)
    body += (2).to_bytes(2, "big") + len(target).to_bytes(2, "big") + target
    body += bytes(len(target) % 2) + b"\xff\xff\0\0"
    return (len(body) + 12).to_bytes(4, "big") + b"alis" + bytes(4) + body


def with_reference(movie: bytes, old: bytes, new: bytes) -> bytes:
    """Return ``movie`` with another data reference, and with its media data zeroed."""
    assert movie.count(old) == 1, "one track"
    changed = movie.replace(old, new)
    for atom in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = changed.index(atom) - 4
        size = int.from_bytes(changed[at : at + 4], "big") + len(new) - len(old)
        changed = changed[:at] + size.to_bytes(4, "big") + changed[at + 4 :]
    start = changed.index(b"mdat") + 4
    length = int.from_bytes(changed[start - 8 : start - 4], "big") - 8
    return changed[:start] + bytes(length) + changed[start + length :]


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_refused_whatever_their_suffix(kind: str, tmp_path: Path) -> None:
    video = VideoSpec().write(tmp_path / "video.mp4")
    path = tmp_path / "playlist.mp4"
    path.write_text(PLAYLISTS[kind].format(video))
    with pytest.raises(UnsupportedMedia, match=r"playlist\.mp4: not a supported video or image"):
        open_source(path)


def test_a_movie_that_refers_to_another_file_is_refused(tmp_path: Path) -> None:
    """QuickTime movies have data references; no frame of the other file is shown."""
    data = VideoSpec().write(tmp_path / "video.mov").read_bytes()
    own = b"\0\0\0\x0curl \0\0\0\1"
    path = tmp_path / "reference.mov"
    path.write_bytes(with_reference(data, own, alias_to("video.mov")))
    with av.open(str(path), container_options={"enable_drefs": "1"}) as container:
        assert len(list(container.decode(video=0))) == 20, "the movie does refer to the other file"
    with pytest.raises(MediaError, match=r"reference\.mov: "):
        list(open_source(path))


def test_missing_and_empty_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name, reason in {"none.mp4": "no such file", "empty.mp4": "empty", ".": "regular"}.items():
        with pytest.raises(MediaError, match=reason):
            open_source(tmp_path / name)


def test_audio_without_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(UnsupportedMedia, match=r"sound\.mp4: holds no video"):
        open_source(path)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        output.start_encoding()
    with pytest.raises(MediaError, match=r"none\.mkv: "):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("front.mp4", VideoSpec(count=60, muxer_options={"movflags": "+faststart"})),
        ("back.mp4", VideoSpec(count=60)),
        ("a.mkv", VideoSpec(count=60, base=Fraction(1, 1000))),
        ("a.avi", VideoSpec(count=60, codec="mpeg4", base=Fraction(1, 25))),
        ("fragments.mp4", VideoSpec(count=60, muxer_options={"movflags": "+frag_keyframe"})),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_an_error(
    name: str, video: VideoSpec, share: float, tmp_path: Path
) -> None:
    path = video.write(tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(MediaError, match=name.replace(".", r"\.")):
        list(open_source(path))


def test_missing_media_data_is_an_error_although_the_index_is_complete(tmp_path: Path) -> None:
    """A third of the file is zeros, as in a download that was never finished."""
    path = VideoSpec(count=60, muxer_options={"movflags": "+faststart"}).write(tmp_path / "a.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3] + bytes(len(data) - len(data) * 2 // 3))
    with pytest.raises(MediaError, match=r"a\.mp4: "):
        list(open_source(path))


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("a.mp4", VideoSpec(count=40, size=(160, 120))),
        ("a.ts", VideoSpec(count=20, size=(320, 240), base=Fraction(1, 90000), noise=30)),
        ("a.avi", VideoSpec(count=40, size=(160, 120), codec="mpeg4", base=Fraction(1, 25))),
        ("a.mkv", VideoSpec(count=40, size=(160, 120), codec="mpeg2video", base=Fraction(1, 25))),
    ],
)
@pytest.mark.parametrize("threads", [1, 4])
def test_damage_in_the_middle_is_an_error(
    name: str, video: VideoSpec, threads: int, tmp_path: Path
) -> None:
    path = video.write(tmp_path / name)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    for at in range(middle, middle + 400):
        data[at] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(MediaError, match=name.replace(".", r"\.")):
        list(open_source(path, threads=threads))


def test_a_frame_that_the_decoder_drops_silently_is_an_error(tmp_path: Path) -> None:
    """The header of one coded frame is overwritten: decoders skip it and continue."""
    path = VideoSpec(count=40, options={"bf": "0"}).write(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
    data = bytearray(path.read_bytes())
    assert packet.pos is not None
    data[packet.pos + 4] = 0x0C  # a filler unit instead of a slice
    path.write_bytes(data)
    for threads in (1, 4):
        with pytest.raises(MediaError, match=r"a\.mp4: "):
            list(open_source(path, threads=threads))


def test_a_damaged_video_leaves_no_output(tmp_path: Path) -> None:
    path = VideoSpec(count=60).write(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(MediaError):
        copy_video(path, tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


def test_a_video_is_not_a_photo(tmp_path: Path) -> None:
    path = VideoSpec().write(tmp_path / "a.mp4")
    shutil.copy(path, tmp_path / "a.jpg")
    with pytest.raises(UnsupportedMedia, match=r"a\.jpg: not a photo"):
        read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("brand", [b"avif", b"heic"])
def test_images_in_iso_files_are_never_read_as_videos(brand: bytes, tmp_path: Path) -> None:
    """They look like MP4, whose demuxer would read their tiles as frames."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x14ftyp" + brand + bytes(8))
    assert Media(path).is_image
    with pytest.raises(OutputError, match="the input is an image"):
        check_output(path, tmp_path / "b.mp4")
    with pytest.raises(MediaError, match="damaged image"):
        check_output(path, tmp_path / "b.jpg")


@pytest.mark.parametrize("brand", [b"mif1", b"msf1", b"miaf"])
def test_images_in_iso_files_of_an_unknown_codec_are_refused(brand: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(4) + brand + b"jpeg")
    with pytest.raises(UnsupportedMedia):
        check_output(path, tmp_path / "b.mp4")


def test_a_stream_that_appears_late_is_left_out(tmp_path: Path) -> None:
    """The video is whole; the binding does not know the stream, and fails at the end."""
    video = VideoSpec(count=40, base=Fraction(1, 1000))
    path = video.write(tmp_path / "a.flv")
    data = path.read_bytes()
    # A tag of MP3 at 44100 Hz; the header says that there is no sound.
    sound = b"\x2f\xff\xfb\x90\x00" + bytes(413)
    tag = b"\x08" + len(sound).to_bytes(3, "big") + bytes(7) + sound
    path.write_bytes(data + tag + len(tag).to_bytes(4, "big"))
    for _ in range(10):  # the binding reads memory that it does not own
        assert len(list(open_source(path))) == 40
    output = copy_video(path, tmp_path / "b.flv")
    with av.open(str(output)) as container:
        assert len(list(container.decode(video=0))) == 40


def test_a_stream_of_a_type_that_nobody_knows_is_dropped(tmp_path: Path) -> None:
    """The sound of an AVI lacks its format: the library gives the stream no type and no name."""
    parts = split(seed("clip.avi").data, "riff")
    _, sound = [part for part in parts[0].parts[0].parts if part.body == b"strl"]
    sound.parts = [part for part in sound.parts if part.name != b"strf"]
    path = tmp_path / "a.avi"
    path.write_bytes(join(parts, "riff"))
    (warning,) = check_output(path, tmp_path / "b.avi")
    assert warning == "stream 1: unknown (unknown) is dropped"


def test_sound_that_cannot_be_decoded_is_refused_before_the_work(tmp_path: Path) -> None:
    """A second sound has neither a header nor packets, so its format stays unknown."""
    parts = split(seed("clip.mkv").data, "ebml")
    (tracks,) = [part for part in parts[1].parts if part.name == b"\x16\x54\xae\x6b"]
    sound = deepcopy(tracks.parts[-1])
    sound.parts = [part for part in sound.parts if part.name != b"\x63\xa2"]
    sound.parts[0].body = b"\x03"  # its number
    tracks.parts.append(sound)
    path = tmp_path / "a.mkv"
    path.write_bytes(join(parts, "ebml"))
    with pytest.raises(MediaError, match=r"a\.mkv: the sound in stream 2 cannot be decoded"):
        check_output(path, tmp_path / "b.mkv")
    assert check_output(path, tmp_path / "b.mkv", drop=("2",)) == []


@pytest.mark.parametrize(
    ("matrix", "is_read"),
    [
        ((46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30), False),
        ((0, 0, 1 << 24, 1, -1879048192, 0, 0, 0, 256), False),
        ((65536, 0, 0, 0, 0, 0, 0, 0, 1 << 30), False),
        ((65536, 6000, 0, -6000, 65536, 0, 0, 0, 1 << 30), False),
        ((-98304, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), True),
        ((0, 65536, 0, -65530, 9, 0, 0, 0, 1 << 30), True),
        ((0,) * 9, True),
    ],
)
def test_a_display_matrix_that_players_take_differently_is_refused(
    matrix: tuple[int, ...], is_read: bool, tmp_path: Path
) -> None:
    """Its faces might lie on their side where we look, and be upright in a player."""
    data = bytearray(VideoSpec(matrix=ROTATED[90]).write(tmp_path / "a.mov").read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    data[place : place + 36] = struct.pack(">9i", *matrix)
    (tmp_path / "a.mov").write_bytes(data)
    if is_read:
        assert len(list(open_source(tmp_path / "a.mov"))) == 20
    else:
        with pytest.raises(UnsupportedMedia, match=r"a\.mov: is not turned by quarters"):
            open_source(tmp_path / "a.mov")


def test_a_matroska_file_whose_header_ends_beyond_all_files_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    path.write_bytes(b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 6 + b"\xfe" + b"webm" * 20)
    with pytest.raises(MediaError, match=r"a\.webm: cut off"):
        open_source(path)
