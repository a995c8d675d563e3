"""The options for writing an output."""

from dataclasses import dataclass

from app.video.encodings import Encoder


@dataclass(frozen=True, slots=True)
class Writing:
    """The options for writing one output.

    Attributes:
        overwrite: replace an output that exists.
        quality: 1 to 100; 90 is visually lossless.
        encoder: ``nvenc`` or ``auto`` for the encoder of a GPU.
        threads: of the encoder; default: the CPUs that this process may use.
        keep_location: keep locations and devices in the metadata.
        copy_untouched: copy groups of pictures in which nothing is hidden, where that is safe.

    Raises:
        ValueError: ``quality`` is out of range.
    """

    overwrite: bool = False
    quality: int = 90
    encoder: Encoder = "software"
    threads: int | None = None
    keep_location: bool = False
    copy_untouched: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be 1..100, got {self.quality}")
