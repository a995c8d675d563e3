"""NAL units, bits and parameter sets of coded video."""

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.video.bitstream.nal import BitReader, Uncopyable, join_units, split_units
from app.video.bitstream.parameter_sets import (
    ParameterSets,
    comparable_parameters,
    unit_length_size,
)
from testmedia.videos import VideoSpec

START_CODE = b"\0\0\0\1"
H265 = VideoSpec(codec="libx265", options={"x265-params": "log-level=none"})


def extradata_of(video: VideoSpec, path: Path) -> bytes:
    with av.open(str(video.write(path))) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
def test_splitting_reverses_joining_of_units(units: list[bytes]) -> None:
    assert list(split_units(join_units(units))) == units


@given(st.binary(max_size=40))
def test_any_packet_is_read_or_refused(data: bytes) -> None:
    for read in (lambda: list(split_units(data)), lambda: ParameterSets.parse(data).sps_facts()):
        try:
            read()
        except Uncopyable:
            continue


@given(st.integers(0, 1 << 20))
def test_exp_golomb_numbers_are_read(value: int) -> None:
    code = f"{value + 1:b}"
    bits = "0" * (len(code) - 1) + code + "1"
    whole = bits.ljust(-(-len(bits) // 8) * 8, "0")
    assert BitReader(int(whole, 2).to_bytes(len(whole) // 8)).exp_golomb() == value


def test_parameter_sets_are_read_and_written(tmp_path: Path) -> None:
    data = extradata_of(VideoSpec(), tmp_path / "a.mp4")
    sets = ParameterSets.parse(data)
    assert bytes(sets) == data
    assert (sets.sps_facts().id, sets.free_id()) == (0, 1)
    with pytest.raises(Uncopyable, match="same ids"):
        sets.joined(sets)
    for damaged in (
        b"",
        data[:6],
        b"\0\0\0\1" + data[4:],
        data[:12],
        data[:4] + b"\xfc" + data[5:],
    ):
        with pytest.raises(Uncopyable):
            ParameterSets.parse(damaged).sps_facts()


@pytest.mark.parametrize(("codec", "video"), [("h264", VideoSpec()), ("hevc", H265)])
def test_the_same_parameters_are_equal_in_a_box_and_after_start_codes(
    codec: str, video: VideoSpec, tmp_path: Path
) -> None:
    box = extradata_of(video, tmp_path / "a.mp4")
    units = comparable_parameters(codec, box)
    assert len(units) == {"h264": 2, "hevc": 3}[codec]
    stream = b"".join(START_CODE + unit for unit in units)
    assert comparable_parameters(codec, stream) == units
    assert (unit_length_size(codec, box), unit_length_size(codec, stream)) == (4, 0)


@pytest.mark.parametrize(("codec", "video"), [("h264", VideoSpec()), ("hevc", H265)])
def test_damaged_boxes_differ_from_each_other(codec: str, video: VideoSpec, tmp_path: Path) -> None:
    box = extradata_of(video, tmp_path / "a.mp4")
    ends = (8, len(box) // 2)
    short, longer = (comparable_parameters(codec, box[:end]) for end in ends)
    assert short != longer
    assert longer != comparable_parameters(codec, box)


@given(st.sampled_from(["h264", "hevc", "vp9"]), st.binary(max_size=60))
def test_any_extradata_can_be_compared(codec: str, extradata: bytes) -> None:
    assert comparable_parameters(codec, extradata) == comparable_parameters(codec, extradata)
