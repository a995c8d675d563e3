"""Find out in which further poses a video must be looked at: see ``app.pipeline.poses``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.pipeline.poses import Pose, Poses
from app.tracking.intervals import NEW_FACE_SCORE
from app.types import Faces

_STRONG_SCORE: Final = 0.6
"""Best score of a face in another pose from which one look decides. In clips whose faces were
hidden first, no turned look had more than 0.51 (``bench/poses.py``)."""
_WEAK_SCORE: Final = 0.45
"""The same for two trials in a row; small faces do not reach more."""
_MIN_LEAD: Final = 0.1
_MIN_TOTAL_LEAD: Final = 0.4
"""Leads over the poses in use, of the best score or of the sum of all scores, one of which another
pose needs. Upright faces are found at their side too, but fewer and with lower scores."""
_CLEAR_SCORE: Final = 0.85
"""Score of a face from which the poses in use are probably right. Faces that lie on their side
mostly have less, but up to 0.88 was seen."""
_PROBABLY_CLEAR_SCORE: Final = 0.6
"""The same once a trial has shown that the poses in use are better than all others."""
_VERY_CLEAR_SCORE: Final = 0.9
"""Score of the face in a photo from which the photo is upright."""
_CLEAR_LOOKS_PER_TRIAL: Final = 32
"""Whole looks with clear faces for each trial; the first one is tried."""
_LOOKS_PER_TRIAL: Final = 12
"""Whole looks without a clear face for each trial of a whole look: three turned looks then add a
quarter to the cost of whole looks, which are about a tenth of a transcode."""
_LOOKS_PER_QUICK_TRIAL: Final = 2
"""Whole looks for each trial of a quick look, at a quarter of the cost: three eighths are added."""
_MOST_TRIALS: Final = 4
"""Trials of each kind that can be saved up. A video begins with one."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a pose in one look: the best score, and the sum of the credible scores."""

    best: float
    total: float

    @classmethod
    def of(cls, faces: Faces) -> "Evidence":
        """Return the evidence of the faces that were found."""
        credible = faces.scores[faces.scores >= NEW_FACE_SCORE]
        return cls(float(faces.scores.max(initial=0.0)), float(credible.sum()))

    def exceeds(self, other: "Evidence") -> bool:
        """Return whether it is better than the evidence for another pose."""
        leads = self.best >= other.best + _MIN_LEAD or self.total >= other.total + _MIN_TOTAL_LEAD
        return leads and self.best >= _WEAK_SCORE


class _Budget:
    """Trials: each is earned by ``price`` whole looks, and some can be saved up."""

    def __init__(self, price: int) -> None:
        self._price = price
        self._credit = price

    def earn(self) -> None:
        """Count a whole look."""
        self._credit = min(self._credit + 1, _MOST_TRIALS * self._price)

    def spend(self) -> bool:
        """Return whether there is a trial left, and use it up."""
        if self._credit < self._price:
            return False
        self._credit -= self._price
        return True


class PoseSearch:
    """Look for poses in which a video shows faces that the poses in use miss.

    It tries the ``candidates`` at some of the looks without a clear face, and at few others. The
    number of trials grows with that of whole looks, and is saved up while faces are clear.
    """

    def __init__(self, candidates: Poses) -> None:
        self._candidates = candidates
        self._trials = _Budget(_LOOKS_PER_TRIAL)
        self._quick_trials = _Budget(_LOOKS_PER_QUICK_TRIAL)
        self._clear_looks = 0
        self._clear_score = _CLEAR_SCORE
        self._suspected: Pose | None = None
        self.found: Poses = ()
        """The pose that the video needs as well, once it is known."""

    def examine(self, faces: Faces, detect: Callable[[Pose], Faces], more: Poses = ()) -> None:
        """Consider a whole look, in which ``faces`` were found.

        ``detect`` looks in another pose. ``more`` are further candidates for this frame.
        """
        self._trials.earn()
        self._quick_trials.earn()
        evidence = Evidence.of(faces)
        if evidence.best >= self._clear_score:
            self._clear_looks += 1
            if self._clear_looks % _CLEAR_LOOKS_PER_TRIAL == 1:
                self._try(evidence, self._candidates + more, detect)
        elif self._suspected is not None or self._trials.spend():
            self._try(evidence, self._candidates + more, detect)

    def examine_quick(self, faces: Faces, detect: Callable[[Pose], Faces]) -> None:
        """Consider a quick look: people who come and go may not be visible in any whole look."""
        evidence = Evidence.of(faces)
        if evidence.best < self._clear_score and self._quick_trials.spend():
            suspected = self._suspected
            self._try(evidence, self._candidates, detect)
            # A quick look is too coarse to dispel a suspicion.
            self._suspected = self._suspected or suspected

    def _try(self, evidence: Evidence, candidates: Poses, detect: Callable[[Pose], Faces]) -> None:
        """Compare the evidence for other poses with that for the poses in use."""
        if self.found or not candidates:
            return
        found = {pose: Evidence.of(detect(pose)) for pose in candidates}
        pose = max(found, key=lambda one: (found[one].total, found[one].best))
        is_better = found[pose].exceeds(evidence)
        if is_better and (found[pose].best >= _STRONG_SCORE or pose == self._suspected):
            self.found = (pose,)
        self._suspected = pose if is_better else None
        if evidence.exceeds(found[pose]):
            self._clear_score = _PROBABLY_CLEAR_SCORE


def clearest(looks: Poses, detect: Callable[[Pose], Faces]) -> Pose:
    """Return the pose of a photo, of ``looks``: the first one if it is very clear, or the best."""
    found = {looks[0]: Evidence.of(detect(looks[0])).best}
    if found[looks[0]] < _VERY_CLEAR_SCORE:
        found |= {pose: Evidence.of(detect(pose)).best for pose in looks[1:]}
    return max(found, key=found.__getitem__)
