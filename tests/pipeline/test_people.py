"""Folders of reference photos: loading them, and all their errors."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from app.config import Settings
from app.errors import PeopleError
from app.pipeline import Parts, load_parts, load_people
from app.pipeline.people import find_photos
from app.types import Image
from app.video.kinds import BY_SUFFIX, HEIC, PHOTO_SUFFIXES
from testmedia.fetch import fetch
from testmedia.heic import heic
from tests.faces_media import photograph, scaled


@pytest.fixture(scope="session")
def parts() -> Parts:
    return load_parts(Settings(people="people", threads=2))


def sure_of(parts: Parts) -> float:
    """The similarity from which clear photos surely show one person."""
    return parts.scale.knots[-1].sure


def write(image: Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def copy(medium: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(fetch(medium), path))


class TestFindPhotos:
    def test_people_are_folders_or_single_photos(self, tmp_path: Path) -> None:
        names = (
            "alice/b.JPG",
            "alice/a.png",
            "bob.jpeg",
            "carol.webp",
            "alice.jpg",
            ".hidden",
            "alice/.DS_Store",
            "alice/Thumbs.db",
            "DESKTOP.INI",
            "__MACOSX/alice/._a.png",
            "@eaDir/a.png",
            "dan/1.HEIC",
            "dan/2.jfif",
            "dan/3.JPE",
            "dan/4.tif",
            "dan/5.avif",
            "dan/6.BMP",
        )
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).touch()
        assert find_photos(tmp_path) == {
            "dan": [tmp_path / "dan" / name.split("/")[1] for name in names if name[:3] == "dan"],
            "alice": [tmp_path / "alice/a.png", tmp_path / "alice/b.JPG", tmp_path / "alice.jpg"],
            "bob": [tmp_path / "bob.jpeg"],
            "carol": [tmp_path / "carol.webp"],
        }

    def test_names_keep_spaces_and_non_ascii_letters(self, tmp_path: Path) -> None:
        (tmp_path / "Zoë van B.jpg").touch()
        assert [*find_photos(tmp_path)] == ["Zoë van B"]

    def test_a_missing_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PeopleError, match="nowhere: no such folder"):
            find_photos(tmp_path / "nowhere")

    def test_a_file_instead_of_a_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "alice.jpg").touch()
        with pytest.raises(PeopleError, match=r"alice\.jpg: no such folder"):
            find_photos(tmp_path / "alice.jpg")

    @pytest.mark.parametrize("name", ["", ".gitignore", "Thumbs.db"])
    def test_an_empty_folder_is_refused(self, tmp_path: Path, name: str) -> None:
        if name:
            (tmp_path / name).touch()
        with pytest.raises(PeopleError, match=f"{tmp_path.name}: is empty"):
            find_photos(tmp_path)

    def test_a_person_without_photos_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "alice").mkdir()
        (tmp_path / "bob.jpg").touch()
        with pytest.raises(PeopleError, match="alice: has no photos"):
            find_photos(tmp_path)

    @pytest.mark.parametrize("name", ["notes.txt", "alice/notes.txt", "alice", "clip.mp4"])
    def test_a_file_that_is_not_a_photo_is_named(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        with pytest.raises(PeopleError, match=f"{name}: is not a photo"):
            find_photos(tmp_path)

    def test_a_folder_too_deep_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "alice" / "more.jpg").mkdir(parents=True)
        with pytest.raises(PeopleError, match=r"more\.jpg: is a folder too deep; give .*alice as"):
            find_photos(tmp_path)


class TestLoadPeople:
    def test_photos_of_one_person_are_similar_and_of_two_people_are_not(
        self, tmp_path: Path, parts: Parts
    ) -> None:
        copy("obama.jpg", tmp_path / "obama/1.jpg")
        copy("obama2.jpg", tmp_path / "obama/2.jpg")
        copy("biden.jpg", tmp_path / "biden.jpg")
        gallery = load_people(tmp_path, parts)
        assert gallery.names == ("biden", "obama")
        biden, obama = gallery.people
        assert (biden.photos, obama.photos) == (1, 2)
        assert obama.embeddings.dtype == np.float32
        both = np.concatenate([obama.embeddings, biden.embeddings])
        np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
        similarities = both @ both.T
        assert similarities[0, 1] > sure_of(parts)
        assert similarities[:3, 3].max() < parts.scale.knots[-1].doubtful

    def test_several_photos_add_their_mean(self, tmp_path: Path, parts: Parts) -> None:
        copy("obama2.jpg", tmp_path / "obama/2.jpg")
        copy("obama3.jpg", tmp_path / "obama/3.jpg")
        copy("biden.jpg", tmp_path / "biden.jpg")
        biden, obama = load_people(tmp_path, parts).people
        assert (len(biden.embeddings), len(obama.embeddings)) == (1, 3)
        one, other, mean = obama.embeddings
        np.testing.assert_allclose(mean @ one, mean @ other, atol=1e-5)
        assert mean @ one > one @ other

    def test_a_face_that_fills_its_photo_is_found_and_recognised(
        self, tmp_path: Path, parts: Parts
    ) -> None:
        copy("obama.jpg", tmp_path / "obama/whole.jpg")
        write(photograph("obama.jpg")[85:431, 373:615], tmp_path / "obama/face.png")
        (obama,) = load_people(tmp_path, parts).people
        assert float(obama.embeddings[0] @ obama.embeddings[1]) > sure_of(parts)

    @pytest.mark.parametrize("suffix", sorted(PHOTO_SUFFIXES - {".jpg"}))
    def test_other_formats_give_the_same_person(
        self, tmp_path: Path, parts: Parts, suffix: str
    ) -> None:
        image = scaled(photograph("obama.jpg"), 400)
        write(image, tmp_path / "obama/a.jpg")
        path = tmp_path / "obama" / f"photo{suffix}"
        if suffix in HEIC.only_read:
            path.write_bytes(heic(image[: len(image) // 2 * 2]))
        else:
            Pillow.fromarray(image).save(path, BY_SUFFIX[suffix].name)
        (obama,) = load_people(tmp_path, parts).people
        assert float(obama.embeddings[0] @ obama.embeddings[1]) > 0.98

    def test_files_of_the_system_are_passed_over_with_a_sentence(
        self, tmp_path: Path, parts: Parts
    ) -> None:
        copy("obama.jpg", tmp_path / "obama/1.jpg")
        copy("obama.jpg", tmp_path / "@eaDir/1.jpg")
        for number in range(5):
            (tmp_path / f"obama/._{number}.jpg").touch()
        (tmp_path / "Thumbs.db").touch()
        gallery = load_people(tmp_path, parts)
        assert gallery.names == ("obama",)
        (sentence,) = gallery.doubts
        assert sentence == (
            f"{tmp_path}: passed over files of the system: @eaDir, Thumbs.db, obama/._0.jpg,"
            " obama/._1.jpg, obama/._2.jpg and 2 more"
        )

    @pytest.mark.parametrize("where", ["empty.png", "alice/empty.png"])
    def test_a_photo_without_a_face_is_refused(
        self, tmp_path: Path, parts: Parts, where: str
    ) -> None:
        write(np.full((240, 320, 3), 120, np.uint8), tmp_path / where)
        with pytest.raises(PeopleError, match=f"{where}: no face found"):
            load_people(tmp_path, parts)

    def test_a_photo_of_two_people_is_refused(self, tmp_path: Path, parts: Parts) -> None:
        one = scaled(photograph("obama.jpg"), 300)
        write(np.hstack([one, one]), tmp_path / "twins.png")
        with pytest.raises(PeopleError, match=r"twins\.png: several faces of about the same size"):
            load_people(tmp_path, parts)

    def test_a_photo_of_a_group_is_refused(self, tmp_path: Path, parts: Parts) -> None:
        copy("group.jpg", tmp_path / "guests.jpg")
        with pytest.raises(PeopleError, match=r"guests\.jpg: several faces"):
            load_people(tmp_path, parts)

    def test_a_small_face_in_the_background_is_ignored(self, tmp_path: Path, parts: Parts) -> None:
        large = scaled(photograph("obama.jpg"), 400)
        small = scaled(photograph("biden.jpg"), 120)
        image = np.zeros((max(len(large), len(small)), 520, 3), np.uint8)
        image[: len(large), :400] = large
        image[: len(small), 400:] = small
        write(image, tmp_path / "obama/both.png")
        copy("obama2.jpg", tmp_path / "obama/other.jpg")
        (obama,) = load_people(tmp_path, parts).people
        assert float(obama.embeddings[0] @ obama.embeddings[1]) > sure_of(parts)

    def test_a_tiny_face_is_refused(self, tmp_path: Path, parts: Parts) -> None:
        write(scaled(photograph("obama.jpg"), 56), tmp_path / "tiny.png")
        with pytest.raises(PeopleError, match=r"tiny\.png: (the face is smaller|no face found)"):
            load_people(tmp_path, parts)

    @pytest.mark.parametrize("content", [b"", b"this is text", b"\xff\xd8\xff\xe0 broken"])
    def test_an_unreadable_photo_is_refused(
        self, tmp_path: Path, parts: Parts, content: bytes
    ) -> None:
        (tmp_path / "alice.jpg").write_bytes(content)
        with pytest.raises(PeopleError, match=r"alice\.jpg.*; replace this reference photo$"):
            load_people(tmp_path, parts)

    def test_a_truncated_photo_is_refused(self, tmp_path: Path, parts: Parts) -> None:
        whole = fetch("obama.jpg").read_bytes()
        (tmp_path / "alice.jpg").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PeopleError, match=r"alice\.jpg"):
            load_people(tmp_path, parts)

    def test_one_bad_photo_refuses_the_folder(self, tmp_path: Path, parts: Parts) -> None:
        copy("obama.jpg", tmp_path / "obama/1.jpg")
        (tmp_path / "obama/2.jpg").write_bytes(b"text")
        with pytest.raises(PeopleError, match=r"obama/2\.jpg"):
            load_people(tmp_path, parts)

    def test_an_error_is_one_line(self, tmp_path: Path, parts: Parts) -> None:
        (tmp_path / "alice.jpg").write_bytes(b"text")
        with pytest.raises(PeopleError) as caught:
            load_people(tmp_path, parts)
        assert len(str(caught.value).splitlines()) == 1
