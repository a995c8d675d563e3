"""Tags of containers and streams: which are copied, and which are private or outdated."""

from collections.abc import Mapping

_TECHNICAL = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "duration"}
    | {"bps", "number_of_frames", "number_of_bytes", "metadatacreator", "has_audio", "has_video"}
    | {"audiocodecid", "videocodecid", "audiodatarate", "videodatarate", "filesize", "canseektoend"}
    | {"totalduration", "totaldatarate", "rotate", "alpha_mode", "uid", "generation_uid"}
    | {"operational_pattern_ul", "material_package_umid", "file_package_umid"}
)
"""Facts of the input that would be wrong in the output; compared without case."""
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

    ``keep_location``: copy the tags of locations and devices too.

    >>> kept_tags({"title": "A", "location": "+48+011/", "ENCODER": "x"}, keep_location=False)
    {'title': 'A'}
    """
    return {
        key: value
        for key, value in tags.items()
        if not _is_technical(key) and (keep_location or not _is_private(key))
    }


def _is_technical(key: str) -> bool:
    name = key.lower().split("-")[0]
    return name in _TECHNICAL or name.startswith("_statistics")


def _is_private(key: str) -> bool:
    """Whether a tag gives away a location or a device."""
    name = key.lower()
    return any(word in name for word in _LOCATION_WORDS) or name.startswith(_DEVICE_PREFIXES)
