"""The forms of S3 URIs, and which of them are below a prefix."""

import pytest

from app.errors import PlaceError
from app.storage import S3Uri, parse_prefixes


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://videos/a.mp4", "videos", "a.mp4"),
        ("s3://videos/in/ä b.mp4", "videos", "in/ä b.mp4"),
        ("s3://videos/", "videos", ""),
        ("s3://videos.example.com/in/", "videos.example.com", "in/"),
        ("s3://videos/..a/b..", "videos", "..a/b.."),
    ],
)
def test_valid_uris_are_parsed(text: str, bucket: str, key: str) -> None:
    uri = S3Uri.parse(text, "the input")
    assert (uri.bucket, uri.key, str(uri)) == (bucket, key, text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "videos/a.mp4",
            "S3://videos/a.mp4",
            "s3://videos",
            "s3:///a.mp4",
            "s3://Videos/a.mp4",
        ),
        *("s3://fi/a", "s3://arn:aws:s3/a", "https://videos/a.mp4", "s3://videos@x/a.mp4"),
        *("s3://videos/in/../out/a.mp4", "s3://videos/..", "s3://videos/./a.mp4", "s3://videos//a"),
        *("s3://videos/a//b", "s3://videos/a\0", "s3://videos/a\nb", "s3://videos/\ud800"),
        "s3://videos/" + "a" * 1025,
    ],
)
def test_invalid_uris_are_refused(text: str) -> None:
    with pytest.raises(PlaceError) as caught:
        S3Uri.parse(text, "the input")
    assert "videos" not in str(caught.value), "the message must not repeat names"
    assert str(caught.value).startswith("the input: ")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("s3://videos/in/a.mp4", True),
        ("s3://videos/in/deep/a.mp4", True),
        ("s3://videos/inner/a.mp4", False),
        ("s3://videos/a.mp4", False),
        ("s3://video/in/a.mp4", False),
        ("s3://videos2/in/a.mp4", False),
        ("s3://whole/a.mp4", True),
        ("s3://wholesale/a.mp4", False),
    ],
)
def test_a_uri_is_below_a_prefix(text: str, *, allowed: bool) -> None:
    prefixes = parse_prefixes(["s3://videos/in/", "s3://whole/"])
    assert S3Uri.parse(text, "the input").is_below(prefixes) is allowed


@pytest.mark.parametrize(
    "text", ["s3://videos/in", "s3://videos", "videos/", "s3:///", "s3://a b/"]
)
def test_invalid_prefixes_are_refused(text: str) -> None:
    with pytest.raises(PlaceError):
        parse_prefixes([text])
