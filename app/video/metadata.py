"""Tags of containers and streams: which are copied, and which are private or outdated."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from app.video.hidden_data import holds_data, names_place

if TYPE_CHECKING:
    from av.container.core import Chapter

_TECHNICAL = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "duration"}
    | {"bps", "number_of_frames", "number_of_bytes", "metadatacreator", "has_audio", "has_video"}
    | {"audiocodecid", "videocodecid", "audiodatarate", "videodatarate", "filesize", "canseektoend"}
    | {"totalduration", "totaldatarate", "rotate", "alpha_mode", "uid", "generation_uid"}
    | {"operational_pattern_ul", "material_package_umid", "file_package_umid"}
)
"""Facts of the input that would be wrong in the output; compared without case."""
_TEXTS = frozenset(
    {"title", "subtitle", "name", "handler_name", "comment", "description", "synopsis", "summary"}
    | {
        "long_description",
        "keywords",
        "subject",
        "genre",
        "mood",
        "rating",
        "law_rating",
        "grouping",
    }
    | {
        "artist",
        "artists",
        "author",
        "album",
        "album_artist",
        "albumartist",
        "performer",
        "composer",
    }
    | {"conductor", "lyricist", "lyrics", "writer", "written_by", "director", "producer", "actor"}
    | {"character", "screenplay_by", "coproducer", "executive_producer", "narrator", "arranger"}
    | {
        "edited_by",
        "mixed_by",
        "publisher",
        "label",
        "organization",
        "organisation",
        "distributed_by",
    }
    | {"production_studio", "copyright", "license", "licence", "terms_of_use", "encoded_by"}
    | {"date", "year", "creation_time", "date_recorded", "date_released", "date_written"}
    | {"date_digitized", "date_encoded", "date_tagged", "originaldate", "modification_time"}
    | {"track", "tracknumber", "tracktotal", "disc", "discnumber", "disctotal", "part_number"}
    | {"total_parts", "part", "show", "episode_id", "episode_sort", "season_number", "network"}
    | {
        "collection",
        "series",
        "volume",
        "catalog_number",
        "isrc",
        "barcode",
        "media_type",
        "source",
    }
    | {"original_media_type", "content_type", "compilation", "bpm", "initial_key", "sort_name"}
    | {"sort_artist", "sort_album", "sort_album_artist", "sort_composer", "sort_show", "language"}
    | {"service_name", "service_provider", "timecode", "reel_name", "podcast", "gapless_playback"}
    | {"hd_video", "category", "variant_bitrate", "stereo_mode", "version", "remixer", "encoding"}
)
"""The keys of tags that are copied, compared without case; all others may hold anything, pictures
too (``METADATA_BLOCK_PICTURE``, ``COVERART``, ``THUMBNAIL``)."""
_LOCATION_WORDS = (
    "location",
    "xyz",
    "gps",
    "geo",
    "latitude",
    "longitude",
    "altitude",
    "©xyz",
    "loci",
)
_DEVICE_PREFIXES = (
    *("com.", "make", "model", "serial", "firm", "camera", "device", "owner", "gopro"),
    *("company_name", "product_", "application_platform", "toolkit_version"),  # of MXF
)
_QUICKTIME_LANGUAGES = {
    "deu": "ger",
    "nld": "dut",
    "ell": "gre",
    "isl": "ice",
    "zho": "chi",
    "sqi": "alb",
    "mkd": "mac",
    "hye": "arm",
    "kat": "geo",
    "bod": "tib",
    "mya": "bur",
    "msa": "may",
    "cym": "wel",
    "eus": "baq",
    "fre": "fra",
    "rum": "ron",
    "cze": "ces",
    "slo": "slk",
    "swe": "sve",
}
"""Languages for which the muxer of QuickTime expects an unusual code of ISO 639-2."""


def tags_for_muxer(tags: Mapping[str, str], muxer: str) -> dict[str, str]:
    """Return the tags of a stream in the spelling that a muxer expects.

    >>> tags_for_muxer({"language": "deu"}, "mov"), tags_for_muxer({"language": "deu"}, "mp4")
    ({'language': 'ger'}, {'language': 'deu'})
    """
    if muxer != "mov" or "language" not in tags:
        return dict(tags)
    language = tags["language"]
    return {**tags, "language": _QUICKTIME_LANGUAGES.get(language, language)}


def kept_tags(tags: Mapping[str, str], *, keep_location: bool) -> dict[str, str]:
    """Return the tags of a container or stream that are copied to the output.

    These are tags of known keys whose values are texts. ``keep_location``: copy the tags of
    locations and devices too.

    >>> kept_tags({"title": "A", "location": "+48+011/", "ENCODER": "x"}, keep_location=False)
    {'title': 'A'}
    >>> kept_tags({"COVERART": "/9j/4AAQ", "comment": "at +48.13+011.57/"}, keep_location=False)
    {}
    """
    return {
        key: value
        for key, value in tags.items()
        if _is_kept(key, keep_location=keep_location)
        and not holds_data(value)
        and (keep_location or not names_place(value))
    }


def picture_tags(tags: Mapping[str, str]) -> list[str]:
    """Return the keys of tags that are dropped because they hold data instead of text."""
    return [key for key, value in tags.items() if not _is_technical(key) and holds_data(value)]


def kept_chapters(chapters: "Iterable[Chapter]", *, keep_location: bool) -> "list[Chapter]":
    """Return the chapters with those of their tags that are copied."""
    return [
        {**chapter, "metadata": kept_tags(chapter["metadata"], keep_location=keep_location)}
        for chapter in chapters
    ]


def _is_kept(key: str, *, keep_location: bool) -> bool:
    if _is_technical(key):
        return False
    if _is_private(key):
        return keep_location
    return _without_language(key) in _TEXTS


def _without_language(key: str) -> str:
    """Return a key in lower case, without the language that some demuxers append.

    >>> _without_language("TITLE-eng"), _without_language("sort_name")
    ('title', 'sort_name')
    """
    return key.lower().partition("-")[0]


def _is_technical(key: str) -> bool:
    name = key.lower().split("-")[0]
    return name in _TECHNICAL or name.startswith("_statistics")


def _is_private(key: str) -> bool:
    """Whether a tag gives away a location or a device."""
    name = key.lower()
    return any(word in name for word in _LOCATION_WORDS) or name.startswith(_DEVICE_PREFIXES)


_KEY = "comment"
_PATTERN = re.compile(
    r"face-blur piece (\d{1,6})/(\d{1,6}) of ([0-9a-f]{16}) at (\d{1,9})/(\d{1,9}): "
    r"(processed|unprocessed)"
)


@dataclass(frozen=True, slots=True)
class PieceTag:
    """The tag of one piece.

    Attributes:
        number: the number of the piece, from 1.
        count: the number of pieces.
        split: the id of the split, 16 hexadecimal digits.
        rate: frames per second of the whole video. Encoders write it into their headers, which must
            be equal in all pieces.
        processed: whether the piece has been rendered.
    """

    number: int
    count: int
    split: str
    rate: Fraction
    processed: bool

    def __str__(self) -> str:
        rate = f"{self.rate.numerator}/{self.rate.denominator}"
        state = "processed" if self.processed else "unprocessed"
        return f"face-blur piece {self.number}/{self.count} of {self.split} at {rate}: {state}"


def piece_tag_of(tags: Mapping[str, str]) -> PieceTag | None:
    """Return the piece tag among the tags of a container, None if the file is not a piece.

    >>> tags = {"COMMENT": "face-blur piece 3/12 of 00112233445566aa at 30000/1001: unprocessed"}
    >>> piece_tag_of(tags).number, piece_tag_of(tags).processed
    (3, False)
    >>> piece_tag_of({"comment": "At home"})
    """
    key = _comment_key(tags)
    match = _PATTERN.fullmatch(tags[key]) if key is not None else None
    if match is None:
        return None
    number, count, split, numerator, denominator, state = match.groups()
    if not (1 <= int(number) <= int(count) and int(numerator) and int(denominator)):
        return None
    rate = Fraction(int(numerator), int(denominator))
    return PieceTag(int(number), int(count), split, rate, state == "processed")


def is_piece(tags: Mapping[str, str]) -> bool:
    """Whether the tags of a container are those of a piece."""
    return piece_tag_of(tags) is not None


def as_processed(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags for a rendered video: unchanged, except that a piece becomes ``processed``.

    >>> as_processed({"comment": "face-blur piece 1/2 of 00112233445566aa at 25/1: unprocessed"})
    {'comment': 'face-blur piece 1/2 of 00112233445566aa at 25/1: processed'}
    """
    piece, key = piece_tag_of(tags), _comment_key(tags)
    if piece is None or key is None:
        return dict(tags)
    return {**tags, key: str(replace(piece, processed=True))}


def _comment_key(tags: Mapping[str, str]) -> str | None:
    """Return the key of the comment in the spelling of the container."""
    return next((key for key in tags if key.lower() == _KEY), None)
