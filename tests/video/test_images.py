"""Images as videos of one frame, and photos."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

from app.errors import MediaError, MediaTooLarge, OutputError, UnsupportedMedia
from app.video import Media, check_output, open_sink, open_source, read_photo
from app.video.image_codec import read_image, read_size
from testmedia.structures import join, split
from testmedia.videos import NO_BOXES, copy_video, number_of, picture

SIZE = (64, 48)
KINDS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".avif": "AVIF", ".tiff": "TIFF"}
"""Formats with metadata."""
ALL_KINDS = KINDS | {".bmp": "BMP"}
TURNS = {
    1: None,
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}
"""The transposition of an upright image that each orientation tag describes."""
SECRET = b"48.1371N-SECRET"


def drawn(mode: str = "RGB") -> Pillow.Image:
    return Pillow.fromarray(picture(5, SIZE)).convert(mode)


def exif_of(orientation: int, *, secret: bool = False) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    if secret:
        exif[0x010E] = SECRET.decode()
        exif.get_ifd(0x8825)[1] = "N"
        exif.get_ifd(0x8769)[0x927C] = SECRET
    return exif


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("orientation", TURNS)
def test_images_are_upright_and_lose_their_orientation_tag(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    turn = TURNS[orientation]
    image = drawn() if turn is None else drawn().transpose(turn)
    path = tmp_path / f"a{suffix}"
    image.save(path, KINDS[suffix], exif=exif_of(orientation), quality=95)
    source = open_source(path)
    assert source.info.size == SIZE
    assert number_of(next(iter(source)).rgb()) == 5
    assert number_of(read_photo(path)) == 5
    with Pillow.open(copy_video(path, tmp_path / f"b{suffix}")) as output:
        assert output.size == SIZE
        assert output.getexif().get(0x0112, 1) == 1
        assert suffix == ".tiff" or not output.getexif(), "all of a TIFF are tags"
        assert number_of(np.array(output.convert("RGB"))) == 5


@pytest.mark.parametrize("suffix", KINDS)
def test_only_pixels_are_written(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    extra: dict[str, Any] = {"exif": exif_of(1, secret=True), "xmp": b"<x>" + SECRET + b"</x>"}
    if suffix == ".png":
        extra["pnginfo"] = PngInfo()
        extra["pnginfo"].add_text("Comment", SECRET.decode())
        del extra["xmp"]
    if suffix == ".jpg":
        extra["comment"] = SECRET
    drawn().save(path, KINDS[suffix], **extra)
    assert SECRET in path.read_bytes()
    assert SECRET not in copy_video(path, tmp_path / f"b{suffix}").read_bytes()


def test_the_thumbnail_is_removed(tmp_path: Path) -> None:
    """Cameras write EXIF with a second, small image, which would show the face."""
    path, small = tmp_path / "a.jpg", tmp_path / "small.jpg"
    Pillow.fromarray(picture(9, (16, 12))).save(small, "JPEG")
    thumbnail = small.read_bytes()
    ifd = struct.pack("<2sHIHI", b"II", 42, 8, 0, 14 + 0)
    ifd = ifd[:10] + struct.pack("<I", 14)
    entries = struct.pack("<HHII", 0x0201, 4, 1, 44) + struct.pack(
        "<HHII", 0x0202, 4, 1, len(thumbnail)
    )
    exif = b"Exif\0\0" + ifd + struct.pack("<H", 2) + entries + struct.pack("<I", 0) + thumbnail
    drawn().save(path, "JPEG", exif=exif)
    assert path.read_bytes().count(b"\xff\xd8\xff") == 2
    output = copy_video(path, tmp_path / "b.jpg")
    assert output.read_bytes().count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_kept(suffix: str, mode: str, tmp_path: Path) -> None:
    image = drawn("RGBA")
    image.putalpha(Pillow.linear_gradient("L").resize(SIZE))
    if mode == "P":
        image = image.quantize(64)
    path = tmp_path / "a.png"
    (image.convert("LA") if mode == "LA" else image).save(path)
    output = copy_video(path, tmp_path / f"b{suffix}")
    with Pillow.open(path) as before, Pillow.open(output) as after:
        np.testing.assert_array_equal(
            np.array(before.convert("RGBA")), np.array(after.convert("RGBA"))
        )


def test_dropped_transparency_gives_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    drawn("RGBA").save(path)
    (warning,) = check_output(path, tmp_path / "b.jpg")
    assert "alpha" in warning
    assert number_of(read_photo(copy_video(path, tmp_path / "b.jpg"))) == 5


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_kept(channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (48, 64, channels), np.uint16)
    path, output = tmp_path / "a.png", tmp_path / "b.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = cv2.imencode(".png", pixels)[1].tobytes()
    body = b"iCCPx\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])
    frame = next(iter(open_source(path)))
    assert frame.planes()[0].pixels.dtype == np.uint16
    expected = pixels[:, :, 2::-1] if channels > 1 else np.repeat(pixels, 3, axis=2)
    np.testing.assert_array_equal(frame.rgb(), expected >> 8)
    copy_video(path, output)
    found = cv2.imdecode(np.frombuffer(output.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    np.testing.assert_array_equal(found.reshape(pixels.shape), pixels)
    with Pillow.open(output) as image:
        kept = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    assert ImageCms.getProfileDescription(kept).strip() == "sRGB built-in"
    assert any("16 bits" in text for text in check_output(path, tmp_path / "c.jpg"))


def test_png_and_lossless_webp_are_exact(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    Pillow.fromarray(pixels).save(tmp_path / "a.webp", lossless=True)
    for name in ("a.png", "a.webp"):
        path = tmp_path / name
        np.testing.assert_array_equal(
            read_photo(copy_video(path, tmp_path / f"b{path.suffix}")), pixels
        )


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr", "RGB"])
def test_every_kind_of_jpeg_is_read(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    drawn(mode).save(path, "JPEG", quality=95)
    pixels = read_photo(path)
    assert pixels.shape == (48, 64, 3)
    assert (pixels[12, 3].mean() > 125, pixels[12, 11].mean() > 125) == (True, False)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Pillow.fromarray(picture(n, SIZE)) for n in range(3)]
    for name in ("a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(UnsupportedMedia, match="animation"):
            open_source(tmp_path / name)


def test_further_images_of_a_photo_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    drawn().save(path, "MPO", save_all=True, append_images=[drawn("L").convert("RGB")])
    assert any("further" in text for text in check_output(path, tmp_path / "b.jpg"))
    output = copy_video(path, tmp_path / "b.jpg")
    assert output.read_bytes().count(b"\xff\xd8\xff") == 1
    assert number_of(read_photo(output)) == 5


@pytest.mark.parametrize("suffix", ALL_KINDS)
def test_a_damaged_image_is_an_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    drawn().save(path, ALL_KINDS[suffix])
    data = path.read_bytes()
    for cut in (20, len(data) // 2, len(data) * 3 // 4):
        path.write_bytes(data[:cut])
        for attempt in (lambda path: list(open_source(path)), read_photo):
            with pytest.raises(MediaError, match=f"a{suffix}"):
                attempt(path)


@pytest.mark.parametrize("suffix", KINDS)
def test_damaged_exif_neither_warns_nor_stops(suffix: str, tmp_path: Path) -> None:
    """The length of a text in the EXIF data points beyond them; warnings are errors here."""
    path = tmp_path / f"a{suffix}"
    exif = exif_of(1)
    exif[0x010F] = "a camera with a long name"
    drawn().save(path, KINDS[suffix], exif=exif)
    data = path.read_bytes()
    place = max(data.find(mark) for mark in (b"\x0f\x01\x02\x00", b"\x01\x0f\x00\x02"))
    damaged = data[: place + 4] + b"\x0f\xff\xff\x0f" + data[place + 8 :]
    assert place > 0
    path.write_bytes(damaged if suffix != ".png" else _with_checksums(damaged))
    assert number_of(read_photo(path)) == 5
    assert next(iter(open_source(path))).size == SIZE


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0MM\0*\0", b"Exif\0\0", b"\0"])
def test_cut_exif_is_read_or_an_error(suffix: str, exif: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    drawn().save(path, KINDS[suffix], exif=exif)
    try:
        photo = read_photo(path)
    except MediaError as error:
        assert "damaged image" in str(error)  # noqa: PT017 - it may also be read
    else:
        assert number_of(photo) == 5


def _with_checksums(png: bytes) -> bytes:
    return join(split(png, "png"), "png")


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = b"IHDR" + head
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + bytes(4) + b"IDAT")
    with pytest.raises(MediaTooLarge, match=r"a\.png: too many pixels"):
        read_photo(path)


def test_an_image_can_only_be_written_as_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    drawn().save(path)
    for attempt in (check_output, open_sink):
        with pytest.raises(OutputError, match="the input is an image"):
            attempt(path, tmp_path / "b.mp4")


def test_a_second_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    drawn().save(path)
    frame = next(iter(open_source(path)))
    with open_sink(path, tmp_path / "b.png") as sink:
        sink.write(frame, NO_BOXES)
        with pytest.raises(TypeError):
            sink.write(frame, NO_BOXES)


def test_the_suffix_of_an_image_depends_on_its_content(tmp_path: Path) -> None:
    for suffix, kind in ALL_KINDS.items():
        drawn().save(tmp_path / "upload", kind)
        assert Media(tmp_path / "upload").kind.suffix == suffix


@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("is_last", [False, True])
def test_the_size_of_a_png_needs_only_its_header(
    tmp_path: Path, orientation: int, is_last: bool
) -> None:
    """The pixels are damaged, and EXIF data may lie behind them."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Pillow.new("RGB", (30, 20)).save(file, "png")
    whole = file.getvalue()
    at = whole.index(b"IDAT") - 4
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    damaged = whole[at:-12].replace(whole[at + 8 : at + 20], b"\xff" * 12)
    parts = [damaged, chunk] if is_last else [chunk, damaged]
    path = tmp_path / "a.png"
    path.write_bytes(whole[:at] + b"".join(parts) + whole[-12:])
    assert read_size(Media(path)) == ((30, 20) if orientation == 1 else (20, 30))
    with pytest.raises(MediaError):
        read_image(Media(path))
