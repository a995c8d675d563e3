"""Cuts and gradual transitions as a network sees them: TransNet V2 by ONNX Runtime.

Method: Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot
transition detection", https://arxiv.org/abs/2008.04838. It sees windows of tiny pictures, and of
each window the probabilities in the middle count.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.networks.sessions import Device, open_session
from app.packs.input_size import TRANSNET_SIZE
from app.types import Frame, Image, Size

THRESHOLD = 0.5
"""As published."""
WINDOW = 100
"""Frames that are looked at together; as published. In shorter windows fewer cuts are found."""
STEP = 50
"""Frames that count in each window; as published."""
FUTURE = 12
"""Frames after those that count. It is 25 as published; with 12 as many cuts were found."""
LONGEST = 6
"""Frames in a row that are one transition at most: the network marks up to three of a dissolve."""
_CERTAIN = 2.0
"""More than any probability: pictures of another size are another shot."""


class TransNetShots:
    """``ShotDetector`` over the converted TransNet V2.

    The network marks the middle of a transition; of a cut it marks the last frame before it. So a
    new shot begins after a marked frame. Where several frames in a row are marked, it begins after
    the most probable one alone: it is one transition, several cuts would leave shots of single
    frames in which nobody is recognised, and in its middle the new picture is as strong as the old
    one, so each side has the frames in which its own faces are seen best.

    Args:
        model: the file of weights, or its bytes.
        threshold: the least probability of a transition, 0..1.
        step: frames that count in each window, 1..50. A smaller step has less latency and finds
            about as much, but each frame is looked at ``WINDOW / step`` times.
        threads: at most; default: the CPUs this process may use.
        device: where to run.

    Raises:
        ValueError: the threshold or the step is out of range.
        DeviceError: the GPU that was asked for cannot be used.
        ModelError: the runtime cannot load the model.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        threshold: float = THRESHOLD,
        step: int = STEP,
        threads: int | None = None,
        device: Device = "cpu",
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold: expected between 0 and 1, got {threshold}")
        if not 1 <= step <= STEP:
            raise ValueError(f"step: expected 1 to {STEP}, got {step}")
        self._session = open_session(model, threads, device)
        self._threshold = threshold
        self._step = step
        self._past = WINDOW - step - FUTURE
        self._start()

    def _start(self) -> None:
        self._size: Size | None = None
        self._thumbnails: list[Image] = []
        self._known = 0
        """Frames whose probabilities are known; the thumbnails begin ``_past`` frames earlier."""
        self._resized: set[int] = set()
        self._run: list[tuple[float, int]] = []
        """Probabilities and numbers of the last known frames, as long as they are marked."""

    @property
    def latency(self) -> int:
        """How many later frames may have to be pushed before a cut is told.

        A frame waits for its window to be full, and a marked one for the end of the transition.
        """
        return self._step + FUTURE + LONGEST - 3

    def push(self, frame: Frame) -> list[int]:
        """Take the next frame; return the cuts that are certain now.

        Raises:
            ModelError: the runtime fails.
        """
        if self._size is not None and self._size != frame.size:
            self._resized.add(frame.index)
        self._size = frame.size
        thumbnail = frame.rgb(TRANSNET_SIZE)
        if not self._thumbnails:
            self._known = frame.index
            self._thumbnails += [thumbnail] * self._past
        self._thumbnails.append(thumbnail)
        if len(self._thumbnails) < WINDOW:
            return []
        return self._advance(self._step)

    def flush(self) -> list[int]:
        """Decide the last frames as if the last one went on, and forget the video.

        Raises:
            ModelError: the runtime fails.
        """
        cuts = []
        # after the last frame no shot can begin
        while (left := len(self._thumbnails) - self._past - 1) > 0:
            cuts += self._advance(min(left, self._step))
        cuts += self._end_run()
        self._start()
        return cuts

    def _advance(self, count: int) -> list[int]:
        """Look at a window, and settle the first ``count`` frames of those that count in it."""
        there = self._thumbnails[:WINDOW]
        window = np.stack(there + there[-1:] * (WINDOW - len(there)))
        probabilities = self._probabilities(window)[self._past : self._past + count]
        del self._thumbnails[:count]
        return [cut for value in probabilities for cut in self._settle(float(value))]

    def _settle(self, probability: float) -> list[int]:
        """Take the probability of the next frame; return the cut that is certain by it."""
        index = self._known
        self._known += 1
        if self._known in self._resized:
            self._resized.discard(self._known)
            probability = _CERTAIN
        if probability < self._threshold:
            return self._end_run()
        self._run.append((probability, index))
        return self._end_run() if len(self._run) == LONGEST else []

    def _end_run(self) -> list[int]:
        """The cut of the marked frames, if there are any."""
        run, self._run = self._run, []
        return [1 + max(run, key=lambda marked: marked[0])[1]] if run else []

    def _probabilities(self, window: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of each frame of a window the probability that it is the middle of a transition."""
        try:
            found = self._session.run(["transitions"], {"frames": window})[0]
        except Exception as error:
            raise ModelError(f"TransNet V2 failed on {window.shape}: {error}") from error
        return np.asarray(found[:, 0], np.float32)
