"""What is told about a film, and what is better not told: places and devices."""

from collections.abc import Mapping

_TECHNICAL = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "duration"}
    | {"bps", "number_of_frames", "number_of_bytes", "metadatacreator", "has_audio", "has_video"}
    | {"audiocodecid", "videocodecid", "audiodatarate", "videodatarate", "filesize", "canseektoend"}
    | {"totalduration", "totaldatarate", "rotate", "alpha_mode", "uid", "generation_uid"}
    | {"operational_pattern_ul", "material_package_umid", "file_package_umid"}
)
"""Facts of the old file, wrong in the new one; compared without case."""
_PLACES = ("location", "xyz", "gps", "geo", "latitude", "longitude", "altitude", "©xyz", "loci")
_DEVICES = (
    *("com.", "make", "model", "serial", "firm", "camera", "device", "owner", "gopro"),
    *("company_name", "product_", "application_platform", "toolkit_version"),  # of MXF
)
_QUICKTIME = {
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
"""Languages that the muxer of QuickTime knows by a code other than the usual one of ISO 639-2."""


def spelt(metadata: Mapping[str, str], muxer: str) -> dict[str, str]:
    """Stream metadata as the container takes it.

    >>> spelt({"language": "deu"}, "mov"), spelt({"language": "deu"}, "mp4")
    ({'language': 'ger'}, {'language': 'deu'})
    """
    if muxer != "mov" or "language" not in metadata:
        return dict(metadata)
    language = metadata["language"]
    return {**metadata, "language": _QUICKTIME.get(language, language)}


def kept(metadata: Mapping[str, str], *, keep_location: bool) -> dict[str, str]:
    """Container or stream metadata for the new file.

    >>> kept({"title": "A", "location": "+48+011/", "ENCODER": "x"}, keep_location=False)
    {'title': 'A'}
    """
    return {
        key: value
        for key, value in metadata.items()
        if not _is_technical(key) and (keep_location or not _tells_place(key))
    }


def _is_technical(key: str) -> bool:
    name = key.lower().split("-")[0]
    return name in _TECHNICAL or name.startswith("_statistics")


def _tells_place(key: str) -> bool:
    """Whether a key names a place or a device."""
    name = key.lower()
    return any(word in name for word in _PLACES) or name.startswith(_DEVICES)
