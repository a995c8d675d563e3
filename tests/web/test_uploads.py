"""Forms: any division into blocks, and all invalid content."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import FaceBlurError, MediaTooLarge, PeopleError, UnsupportedMedia, UsageError
from app.web.uploads import receive_form
from testmedia.fetch import fetch
from tests.web.service_process import form


def _blocks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.fixture(scope="module")
def image() -> bytes:
    return fetch("obama2.jpg").read_bytes()


@pytest.mark.parametrize("size", [61, 4096, 2**20])
def test_parts_are_complete_for_any_division_into_blocks(
    tmp_path: Path, image: bytes, size: int
) -> None:
    tricky = b"\r\n--xX\r\n--xXX\r\r\n--" + bytes(range(256)) * 20
    body = form(
        ("people", "alice/1.jpg", tricky),
        ("blur", None, b"others"),
        ("people", "bob.PNG", b""),
        ("media", "../../etc/passwd", image),
        ("people", "alice/2.jpg", tricky[::-1]),
    )
    upload = receive_form(_blocks(body, size), "xXx", tmp_path)
    assert upload.media.read_bytes() == image
    assert upload.people is not None
    assert upload.options == {"blur": "others"}
    found = {p.relative_to(upload.people).as_posix(): p for p in upload.people.rglob("*.*")}
    assert upload.names == {"0000": "alice", "0001": "bob"}
    assert [name.partition("/")[0] for name in sorted(found)] == ["0000", "0000", "0001"]
    assert [found[name].read_bytes() for name in sorted(found)] == [tricky, tricky[::-1], b""]
    assert {"photo 1 of the form", "photo 3 of the form"} <= set(upload.labels.values())


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("size", [61, 2**20])
def test_a_plan_is_kept_as_it_is(tmp_path: Path, image: bytes, first: bool, size: int) -> None:
    plan = b'{"not": "read here"}\r\n--xX\r\n' * 100
    parts = [("media", "x", image), ("plan", "../../p.json", plan)]
    body = form(*(parts[::-1] if first else parts), ("effect", None, b"solid"))
    upload = receive_form(_blocks(body, size), "xXx", tmp_path)
    assert upload.plan is not None
    assert (upload.plan.parent, upload.plan.read_bytes()) == (tmp_path, plan)
    assert upload.labels[upload.plan] == "the plan"
    assert (upload.people, upload.given) == (None, {"effect"})


def test_the_size_of_a_plan_is_limited(
    tmp_path: Path, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.uploads.MAX_PLAN_BYTES", 1000)
    body = form(("media", "x", image), ("plan", "p.json", b" " * 1001))
    with pytest.raises(MediaTooLarge, match="plan"):
        receive_form(_blocks(body, 100), "xXx", tmp_path)


def test_without_photos_there_are_no_people(tmp_path: Path, image: bytes) -> None:
    assert receive_form([form(("media", "x", image))], "xXx", tmp_path).people is None


@pytest.mark.parametrize(
    "name",
    ["", ".jpg", ".alice.jpg", "a/b/c.jpg", "../a.jpg", "a/..", "/a.jpg", "a\\\\b.jpg", "x" * 101],
)
def test_invalid_names_of_photos_are_refused(tmp_path: Path, image: bytes, name: str) -> None:
    body = form(("media", "x", image), ("people", name, b""))
    with pytest.raises(PeopleError, match="NAME"):
        receive_form([body], "xXx", tmp_path)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", UsageError),
        (b"no form at all", UsageError),
        (form(("media", "x", b"x"))[:-8], FaceBlurError),
        (form(("media", "x", b"text, no media")), UnsupportedMedia),
        (form(("media", None, b"x")), UsageError),
        (form(("file", "x", b"x")), UsageError),
        (form(("bogus", None, b"x")), UsageError),
        (form(("blur", None, b"x"), ("blur", None, b"x")), UsageError),
        (form(("blur", None, b"x" * 5000)), MediaTooLarge),
        (b"--xXx\r\nContent-Disposition: form-data\r\n\r\nx\r\n--xXx--", UsageError),
        (b"--xXx\r\nX: y\r\n\r\nx\r\n--xXx--", UsageError),
        (b"--xXx\r\n" + b"X: y\r\n" * 500_000, UsageError),
    ],
)
def test_invalid_forms_are_refused(tmp_path: Path, body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        receive_form(_blocks(body, 2**20), "xXx", tmp_path)


def test_repeated_media_is_refused(tmp_path: Path, image: bytes) -> None:
    with pytest.raises(UsageError, match="several"):
        receive_form([form(("media", "x", image), ("media", "y", image))], "xXx", tmp_path)


def test_the_size_of_a_photo_is_limited(tmp_path: Path, image: bytes) -> None:
    head, _, tail = form(("media", "x", image), ("people", "a.jpg", b"<photo>")).partition(
        b"<photo>"
    )

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(40):
            yield b"x" * 2**20
        yield tail

    with pytest.raises(MediaTooLarge, match="photo"):
        receive_form(body(), "xXx", tmp_path)
