"""What is told about a film, and what is better not told: places and devices."""

from collections.abc import Mapping

_TECHNICAL = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id", "duration"}
    | {"bps", "number_of_frames", "number_of_bytes", "metadatacreator", "has_audio", "has_video"}
    | {"audiocodecid", "videocodecid", "audiodatarate", "videodatarate", "filesize", "canseektoend"}
    | {"totalduration", "totaldatarate", "rotate"}
)
"""Facts of the old file, wrong in the new one; compared without case."""
_PLACES = ("location", "xyz", "gps", "geo", "latitude", "longitude", "altitude", "©xyz", "loci")
_DEVICES = ("com.", "make", "model", "serial", "firm", "camera", "device", "owner", "gopro")


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
