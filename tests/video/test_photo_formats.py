"""HEIC, AVIF, TIFF and BMP: what is special about each."""

import os
import re
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from app.errors import FaceBlurError, MediaError, MediaTooLarge, OutputError, UnsupportedMedia
from app.types import Image
from app.video import Media, check_output, open_source, read_photo
from app.video.image_codec import read_size
from app.video.kinds import KINDS, PHOTO_FORMATS, PHOTO_SUFFIXES
from testmedia.heic import Heic, heic
from testmedia.videos import copy_video, number_of, picture

SIZE = (64, 48)
SECRET = b"48.1371N-SECRET"
ORIENTATION_6 = b"II*\0\x08\0\0\0\x02\0" + struct.pack(
    "<HHI4sHHII", 0x0112, 3, 1, b"\6\0\0\0", 0x010E, 2, len(SECRET), 38
) + bytes(4) + SECRET  # fmt: skip
"""EXIF that says to turn the picture, and has a description."""


def drawn() -> Image:
    return np.array(picture(5, SIZE))


def saved(path: Path, image: Any = None, **settings: Any) -> Path:
    (Pillow.fromarray(drawn()) if image is None else image).save(path, **settings)
    return path


class TestHeic:
    def write(self, path: Path, how: Heic | None = None, picture: Image | None = None) -> Path:
        path.write_bytes(heic(drawn() if picture is None else picture, how))
        return path

    @pytest.mark.parametrize("turns", range(4))
    def test_it_is_turned_as_its_box_says_and_not_as_exif_says(
        self, turns: int, tmp_path: Path
    ) -> None:
        stored = np.rot90(drawn(), -turns)
        path = self.write(tmp_path / "a", Heic(turns=turns, exif=ORIENTATION_6), stored)
        assert SECRET in path.read_bytes()
        assert open_source(path).info.size == read_size(Media(path)) == SIZE
        photo = read_photo(path)
        assert number_of(photo) == 5
        assert np.abs(photo.astype(int) - drawn()).mean() < 4

    def test_its_result_is_a_jpeg_without_its_metadata(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heic", Heic(exif=ORIENTATION_6))
        assert Media(path).kind.suffix == ".jpg"
        assert check_output(path, tmp_path / "b.jpg") == []
        output = copy_video(path, tmp_path / "b.jpg")
        assert SECRET not in output.read_bytes()
        assert number_of(read_photo(output)) == 5

    @pytest.mark.parametrize("name", ["b.heic", "b.HEIF", "b.hif"])
    def test_it_is_not_written(self, name: str, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heic")
        with pytest.raises(OutputError, match=r"is an image; use one of .*\.jpg"):
            check_output(path, tmp_path / name)

    def test_more_than_8_bits_and_other_colours_give_warnings(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heic", Heic(bits=10, primaries=12))
        depth, colours = check_output(path, tmp_path / "b.jpg")
        assert "8 bits" in depth
        assert "colours change" in colours
        assert number_of(read_photo(path)) == 5

    def test_its_size_is_limited_before_pixels_are_decoded(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heic", Heic(declared=(30_000, 30_000)))
        for attempt in (read_photo, open_source):
            with pytest.raises(MediaTooLarge, match=r"a\.heic: too many pixels"):
                attempt(path)

    def test_another_size_than_declared_is_damage(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heic", Heic(declared=(640, 480)))
        with pytest.raises(MediaError, match=r"a\.heic: damaged image"):
            read_photo(path)

    @pytest.mark.parametrize("brand", [b"hevc", b"msf1"])
    def test_a_sequence_is_refused(self, brand: bytes, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heics", Heic(brand=brand))
        with pytest.raises(UnsupportedMedia, match="animation"):
            read_photo(path)

    def test_every_cut_is_an_error(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.heic")
        data = path.read_bytes()
        for cut in (40, len(data) // 4, len(data) // 2, len(data) - 100):
            path.write_bytes(data[:cut])
            with pytest.raises(MediaError, match=r"a\.heic"):
                read_photo(path)


class TestAvif:
    def test_a_result_is_close_to_its_source(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.png")
        result = read_photo(copy_video(path, tmp_path / "b.avif"))
        assert np.abs(result.astype(int) - drawn()).mean() < 2

    def test_transparency_is_kept(self, tmp_path: Path) -> None:
        image = Pillow.fromarray(drawn()).convert("RGBA")
        image.putalpha(Pillow.linear_gradient("L").resize(SIZE))
        path = saved(tmp_path / "a.png", image)
        with Pillow.open(copy_video(path, tmp_path / "b.avif")) as after:
            alpha = np.array(after)[:, :, 3].astype(int)
        assert np.abs(alpha - np.array(image)[:, :, 3]).max() < 8

    def test_a_sequence_is_refused(self, tmp_path: Path) -> None:
        frames = [Pillow.fromarray(picture(n, SIZE)) for n in range(3)]
        path = saved(tmp_path / "a.avif", frames[0], save_all=True, append_images=frames[1:])
        with pytest.raises(UnsupportedMedia, match="animation"):
            open_source(path)

    def test_the_open_brand_is_recognised_by_the_compatible_ones(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.avif")
        path.write_bytes(path.read_bytes().replace(b"ftypavif", b"ftypmif1", 1))
        assert Media(path).kind.name == "avif"
        assert number_of(read_photo(path)) == 5


class TestTiff:
    @pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
    def test_it_is_exact(self, compression: str | None, tmp_path: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
        path = saved(tmp_path / "a.tif", Pillow.fromarray(pixels), compression=compression)
        np.testing.assert_array_equal(read_photo(path), pixels)
        np.testing.assert_array_equal(read_photo(copy_video(path, tmp_path / "b.TIFF")), pixels)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_gray_of_16_bits_is_kept(self, order: str, tmp_path: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 65536, (48, 64), np.uint16)
        path = tmp_path / "a.tif"
        path.write_bytes(plain_tiff(pixels[:, :, None], order))
        assert check_output(path, tmp_path / "b.tif") == []
        with Pillow.open(copy_video(path, tmp_path / "b.tif")) as image:
            np.testing.assert_array_equal(np.array(image), pixels)

    def test_colours_of_16_bits_are_reduced_with_a_warning(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 65536, (48, 64, 3), np.uint16)
        path = tmp_path / "a.tif"
        path.write_bytes(plain_tiff(pixels))
        (warning,) = check_output(path, tmp_path / "b.tif")
        assert "8 bits" in warning
        np.testing.assert_array_equal(read_photo(path), (pixels >> 8).astype(np.uint8))

    def test_several_pages_are_refused_and_thumbnails_dropped(self, tmp_path: Path) -> None:
        page = Pillow.fromarray(drawn())
        path = saved(tmp_path / "a.tif", page, save_all=True, append_images=[page])
        with pytest.raises(UnsupportedMedia, match="several pages"):
            read_photo(path)
        small = page.resize((16, 12))
        small.encoderinfo = {"tiffinfo": {254: 1}}
        path = saved(tmp_path / "b.tif", page, save_all=True, append_images=[small])
        (warning,) = check_output(path, tmp_path / "c.tif")
        assert "further images" in warning
        with Pillow.open(copy_video(path, tmp_path / "c.tif")) as result:
            assert getattr(result, "n_frames", 1) == 1

    @pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
    def test_a_raw_photo_is_refused(self, tags: dict[int, Any], tmp_path: Path) -> None:
        """It begins with a thumbnail, which would be hidden in place of the photo."""
        path = saved(tmp_path / "a.dng", Pillow.fromarray(drawn()), format="TIFF", tiffinfo=tags)
        with pytest.raises(UnsupportedMedia, match="a raw photo; develop it"):
            open_source(path)

    @pytest.mark.parametrize("kind", [np.float32, np.int32])
    def test_pixels_of_32_bits_are_refused(self, kind: Any, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.tif", Pillow.fromarray(drawn()[:, :, 0].astype(kind)))
        with pytest.raises(UnsupportedMedia, match="unusual pixels"):
            read_photo(path)

    def test_damage_prints_nothing(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """libtiff has its own messages, which do not belong on stderr."""
        path = saved(tmp_path / "a.tif", compression="tiff_lzw")
        data = bytearray(path.read_bytes())
        data[20:60] = b"\xff" * 40
        path.write_bytes(data)
        with pytest.raises(MediaError):
            read_photo(path)
        os.write(2, b"still open\n")
        assert capfd.readouterr().err == "still open\n"


def plain_tiff(pixels: Any, order: str = "<") -> bytes:
    """A TIFF of one strip with pixels (h, w, n) of 16 bits, in this order of bytes."""
    height, width, samples = pixels.shape
    bits = struct.pack(f"{order}{samples}H", *[16] * samples)
    content = bytes(pixels.astype(f"{order}u2").tobytes())
    bits_at = 8 + len(content)
    tags = [
        (256, 3, 1, width), (257, 3, 1, height),
        (258, 3, samples, 16 if samples == 1 else bits_at), (259, 3, 1, 1),
        (262, 3, 1, 1 if samples == 1 else 2), (273, 4, 1, 8), (277, 3, 1, samples),
        (278, 3, 1, height), (279, 4, 1, len(content)),
    ]  # fmt: skip
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if (kind, count) == (3, 1) else
           struct.pack(f"{order}I", value))
        for tag, kind, count, value in tags
    )  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", bits_at + 8)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + content + bits.ljust(8, b"\0") + directory


class TestBmp:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
    def test_every_kind_is_read(self, mode: str, tmp_path: Path) -> None:
        image = Pillow.fromarray(drawn()).convert(mode)
        path = saved(tmp_path / "a.bmp", image)
        for one in (path, copy_video(path, tmp_path / "b.dib")):
            np.testing.assert_array_equal(read_photo(one), np.array(image.convert("RGB")))

    def test_it_is_exact(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
        path = saved(tmp_path / "a.bmp", Pillow.fromarray(pixels))
        np.testing.assert_array_equal(read_photo(copy_video(path, tmp_path / "b.bmp")), pixels)

    def test_what_it_does_not_hold_gives_warnings(self, tmp_path: Path) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image = Pillow.fromarray(drawn()).convert("RGBA")
        path = saved(tmp_path / "a.png", image, icc_profile=profile)
        alpha, colours = check_output(path, tmp_path / "b.bmp")
        assert "alpha" in alpha
        assert "profile" in colours

    def test_a_text_that_begins_like_it_is_not_one(self, tmp_path: Path) -> None:
        (tmp_path / "a.bmp").write_bytes(b"BMW is a brand of cars, and this is a text.")
        with pytest.raises(UnsupportedMedia, match="not a supported video or image"):
            read_photo(tmp_path / "a.bmp")


@pytest.mark.parametrize("name", ["a.jfif", "a.JFIF", "a.jpe", "a.JPE", "a.jpeg"])
def test_other_names_of_jpeg_are_written(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    with Pillow.open(copy_video(path, tmp_path / name)) as image:
        assert image.format == "JPEG"


def test_messages_name_every_format() -> None:
    named = {name.upper() for name in re.findall(r"[A-Za-z]{3,}", PHOTO_FORMATS)}
    images = [kind for kind in KINDS if kind.is_image]
    assert named == {kind.name.upper() for kind in images}
    assert {suffix for kind in images for suffix in kind.suffixes} < PHOTO_SUFFIXES


def test_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """Each byte of the head in turn, then single bits everywhere."""
    for name in ("heic", "avif", "tiff", "bmp"):
        data, refused = encoded(name), 0
        random = np.random.default_rng(2)
        places = [*range(4, 120), *random.integers(0, len(data), 100).tolist()]
        for number, place in enumerate(places):
            damaged = bytearray(data)
            damaged[place] ^= 0xFF if number < 116 else 1 << int(random.integers(8))
            path = tmp_path / f"a.{name}"
            path.write_bytes(damaged)
            try:
                read_photo(path)
            except FaceBlurError as error:
                refused += 1
                assert len(str(error).splitlines()) == 1  # noqa: PT017 - others are read
        assert 20 < refused < len(places), name


def encoded(kind: str, pixels: Image | None = None) -> bytes:
    pixels = drawn() if pixels is None else pixels
    if kind == "heic":
        return heic(pixels)
    file = BytesIO()
    Pillow.fromarray(pixels).save(
        file, kind, **({"compression": "tiff_lzw"} if kind == "tiff" else {})
    )
    return file.getvalue()


@pytest.mark.parametrize("kind", ["heic", "avif", "tiff", "bmp"])
def test_no_pixel_of_a_damaged_file_comes_from_another_one(kind: str, tmp_path: Path) -> None:
    """Memory that a decoder does not write would show an earlier picture, hidden nowhere."""
    random = np.random.default_rng(4)
    detail = random.integers(0, 256, (12, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    data = encoded(kind, detail)
    before = [tmp_path / name for name in ("white", "black")]
    for path, value in zip(before, (255, 0), strict=True):
        path.write_bytes(encoded(kind, np.full_like(detail, value)))
    found: list[bool] = []
    for _ in range(60):
        damaged, place = bytearray(data), int(random.integers(len(data) // 20, len(data) - 1))
        length = int(random.choice([1, 8, 64, 512]))
        damaged[place : place + length] = random.bytes(len(damaged[place : place + length]))
        (tmp_path / "a").write_bytes(damaged)
        one, other = (pixels_after(path, tmp_path / "a") for path in before)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one, other)
        found.append(one is not None)
    assert any(found)


def pixels_after(before: Path, path: Path) -> Image | None:
    """The pixels of a file that is read after another one, or None if it is refused."""
    read_photo(before)
    try:
        return read_photo(path)
    except FaceBlurError:
        return None
