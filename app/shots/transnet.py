"""Cuts and gradual transitions by a network, TransNet V2.

Method: Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot
transition detection", https://arxiv.org/abs/2008.04838. The network takes windows of tiny frames.
Only the probabilities in the middle of each window are used.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.networks import CPU, Runtime, open_session
from app.types import Frame, Image, Size

_FRAME_SIZE: Final = (48, 27)
"""Width and height of the frames that the network takes."""
_THRESHOLD: Final = 0.5
"""As published."""
WINDOW: Final = 100
"""Frames in a window; as published. With shorter windows fewer cuts are found."""
MAX_STEP: Final = 50
"""Frames of a window whose probabilities are used; as published."""
FUTURE_FRAMES: Final = 12
"""Frames of a window after those. As published it is 25; with 12, as many cuts were found."""
MAX_TRANSITION: Final = 6
"""Marked frames in a row that are one transition at most. The network marks up to three frames of a
dissolve."""
_CERTAIN: Final = 2.0
"""More than any probability: a frame with another size begins another shot."""


class TransNetShots:
    """``ShotDetector`` over the converted TransNet V2.

    The network marks the middle of a transition, and the last frame before a cut. A new shot
    therefore begins after a marked frame. If several frames in a row are marked, they are one
    transition, and the new shot begins after the most probable frame. In the middle of a transition
    both images are equally strong, so that each shot gets the frames that show its faces best.
    Several cuts would leave shots of single frames, in which no person is recognised.

    Args:
        model: the path or the bytes of an ONNX file.
        threshold: the lowest probability of a transition, 0..1.
        step: frames of each window whose probabilities are used, 1..50. A smaller step reduces the
            latency and finds about as many cuts, but each frame is processed ``WINDOW / step``
            times.
        runtime: the device and the threads.

    Raises:
        ValueError: the threshold or the step is out of range.
        DeviceError: a GPU was requested, but cannot be used.
        ModelError: the runtime cannot load the model.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        threshold: float = _THRESHOLD,
        step: int = MAX_STEP,
        runtime: Runtime = CPU,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold: expected between 0 and 1, got {threshold}")
        if not 1 <= step <= MAX_STEP:
            raise ValueError(f"step: expected 1 to {MAX_STEP}, got {step}")
        self._session = open_session(model, runtime)
        self._threshold = threshold
        self._step = step
        self._past = WINDOW - step - FUTURE_FRAMES
        self._start()

    def _start(self) -> None:
        self._size: Size | None = None
        self._thumbnails: list[Image] = []
        self._known = 0
        """Frames with known probabilities. The thumbnails begin ``_past`` frames earlier."""
        self._resized: set[int] = set()
        """Indices of frames with another size than the frame before."""
        self._run: list[tuple[float, int]] = []
        """Probabilities and indices of the marked frames that end with the last known frame."""

    @property
    def latency(self) -> int:
        """How many more frames may be needed before a cut is returned.

        A frame waits until its window is full, and a marked one also for the end of the transition.
        """
        return self._step + FUTURE_FRAMES + MAX_TRANSITION - 3

    def push(self, frame: Frame) -> list[int]:
        """Add the next frame; return the cuts that are certain now.

        Raises:
            ModelError: the runtime fails.
        """
        if self._size is not None and self._size != frame.size:
            self._resized.add(frame.index)
        self._size = frame.size
        thumbnail = frame.rgb(_FRAME_SIZE)
        if not self._thumbnails:
            self._known = frame.index
            self._thumbnails += [thumbnail] * self._past
        self._thumbnails.append(thumbnail)
        if len(self._thumbnails) < WINDOW:
            return []
        return self._advance(self._step)

    def flush(self) -> list[int]:
        """Return the cuts in the last frames, and reset the detector for another video.

        The last frame is repeated to fill the window.

        Raises:
            ModelError: the runtime fails.
        """
        cuts = []
        # No shot can begin after the last frame.
        while (left := len(self._thumbnails) - self._past - 1) > 0:
            cuts += self._advance(min(left, self._step))
        cuts += self._end_run()
        self._start()
        return cuts

    def _advance(self, count: int) -> list[int]:
        """Process a window and decide its next ``count`` frames; return the cuts."""
        thumbnails = self._thumbnails[:WINDOW]
        window = np.stack(thumbnails + thumbnails[-1:] * (WINDOW - len(thumbnails)))
        probabilities = self._probabilities(window)[self._past : self._past + count]
        del self._thumbnails[:count]
        return [cut for value in probabilities for cut in self._decide(float(value))]

    def _decide(self, probability: float) -> list[int]:
        """Add the probability of the next frame; return the cut that is certain now, if any."""
        index = self._known
        self._known += 1
        if self._known in self._resized:
            self._resized.discard(self._known)
            probability = _CERTAIN
        if probability < self._threshold:
            return self._end_run()
        self._run.append((probability, index))
        return self._end_run() if len(self._run) == MAX_TRANSITION else []

    def _end_run(self) -> list[int]:
        """End the run of marked frames; return its cut, if any."""
        run, self._run = self._run, []
        return [1 + max(run, key=lambda marked: marked[0])[1]] if run else []

    def _probabilities(self, window: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each frame that it is the middle of a transition."""
        try:
            values = self._session.run(["transitions"], {"frames": window})[0]
        except Exception as error:
            raise ModelError(f"TransNet V2 failed on {window.shape}: {error}") from error
        return np.asarray(values[:, 0], np.float32)
