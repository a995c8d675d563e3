"""Render a plan, and give the result its name only if nothing hidden can be seen in it.

It is looked at again, repaired once, and looked at once more.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import VerificationError
from app.files import PendingFile, check_destination, keeping_finished, writing
from app.memory import give_back_memory
from app.pipeline import FaceBlur
from app.plan import Plan
from app.temporary import unchecked_folder
from app.types import Progress
from app.verification.records import Finding, Verification, frames_text
from app.verification.repair import repair
from app.verification.verifying import verify
from app.video import Media


@dataclass(frozen=True, slots=True)
class Checked:
    """A result that was looked at again.

    ``plan`` says what it hides; it is the given one unless ``repaired`` findings were hidden too.
    ``frames`` were looked at in the last pass, and ``seconds`` is the time of all passes.
    """

    plan: Plan
    frames: int
    repaired: tuple[Finding, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready values without names."""
        return {
            "frames": self.frames,
            "repaired": [
                {"kind": one.kind, "first": one.first, "last": one.last} for one in self.repaired
            ],
            "seconds": round(self.seconds, 3),
        }


def render_checked(
    session: FaceBlur,
    media: Media,
    plan: Plan,
    output: Path,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
) -> Checked:
    """Write the result of a plan if nothing of a hidden face can be seen in it.

    If something is found, it is hidden too, once, and the new result is looked at again.

    Raises:
        VerificationError: something can be seen all the same; there is no output.
        FaceBlurError: as ``FaceBlur.render``.
    """
    check_destination(output, overwrite=overwrite, inputs=(media.file,))
    with (
        keeping_finished(output),
        writing(output),
        unchecked_folder(output.absolute().parent) as folder,
    ):
        checking = _Checking(session, media, folder / output.name, progress)
        checked = checking.run(plan)
        pending = PendingFile(output, overwrite=overwrite)
        try:
            checking.path.replace(pending.path)
            pending.commit()
        finally:
            pending.discard()
    return checked


class _Checking:
    """Renders one file to ``path``, and looks at it."""

    def __init__(
        self, session: FaceBlur, media: Media, path: Path, progress: Progress | None
    ) -> None:
        self._session, self._media, self._progress = session, media, progress
        self.path = path
        self._seconds = 0.0

    def run(self, plan: Plan) -> Checked:
        """Render, look, repair once.

        Raises:
            VerificationError: the result is not clean.
        """
        first = self._look(plan)
        if first.clean:
            return Checked(plan, first.frames, (), self._seconds)
        repaired = repair(self._session, self._media, plan, first, self._progress)
        if repaired is None:
            raise self._refusal(first)
        second = self._look(repaired)
        if not second.clean:
            raise self._refusal(second)
        return Checked(repaired, second.frames, first.findings, self._seconds)

    def _look(self, plan: Plan) -> Verification:
        self._session.render(self._media, plan, self.path, self._progress, overwrite=True)
        give_back_memory()
        began = time.monotonic()
        result = Media(self.path)
        found = verify(self._session, plan, result, self._media, self._progress)
        self._seconds += time.monotonic() - began
        give_back_memory()
        return found

    def _refusal(self, found: Verification) -> VerificationError:
        if found.findings[-1].kind == "frames":
            what = f"the result does not have the frames of its source ({found.findings[-1].text})"
        else:
            what = f"faces that should be hidden can still be seen in {frames_text(found.findings)}"
        return VerificationError(
            f"{self._media}: not written: {what}; analyse it with sampling=every, or hide them in"
            " the plan"
        )
