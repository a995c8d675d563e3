"""For material without cuts: the whole video is one shot."""

from app.types import Frame


class NoShots:
    """Finds no cut."""

    latency = 0

    def push(self, frame: Frame) -> list[int]:  # noqa: ARG002 - the contract's argument
        """Take the next frame; there is never a cut."""
        return []

    def flush(self) -> list[int]:
        """Nothing was held back."""
        return []
