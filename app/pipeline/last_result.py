"""The record of a rendered video, from which the next rendering copies what has not changed."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, Strict, TypeAdapter
from pydantic.dataclasses import dataclass

from app.config import PLAN_SETTINGS, RENDER_SETTINGS, Settings
from app.files import replacing, sha256_of
from app.plan import Plan
from app.plan.files import content_of, explaining, load, plan_of, plan_text
from app.version import VERSION as PROGRAM
from app.video import Media, Uncopyable

VERSION: Final = 1
"""Of the file of a record."""
_DECISIVE: Final = (RENDER_SETTINGS | PLAN_SETTINGS) - {"verify"}
"""The settings that decide about a result, together with the plan. A second look changes nothing in
the plan that is recorded."""


@dataclass(frozen=True, slots=True, eq=False, config=ConfigDict(extra="forbid"))
class LastResult:
    """A result that was rendered, and everything that it was rendered from.

    Attributes:
        path: the result.
        sha256: its hash.
        plan: the plan, with all corrections that it had.
        settings: the settings that decided about the result, and the version of the program: the
            effects of another version may hide less.
    """

    path: Path
    sha256: Annotated[str, Strict(), Field(pattern=r"^[0-9a-f]{64}$")]
    plan: Plan
    settings: dict[str, Any]

    @classmethod
    def of(cls, path: Path | str, plan: Plan, settings: Settings) -> "LastResult":
        """Make the record of a result of exactly this plan, with the effect of these settings.

        ``Rendered.last_result`` does it for a result that has just been rendered.

        Raises:
            MediaError: the result cannot be read.
        """
        absolute = Path(path).absolute()
        return cls(absolute, sha256_of(absolute), plan, decisive(settings))

    @classmethod
    def read(cls, path: Path | str) -> "LastResult":
        """Read a record and check all of it. The result itself is checked when it is used.

        Raises:
            PlanError: it cannot be read, has another version, or contains an error.
        """
        file = Path(path)
        with explaining(file, "render the video again"):
            content = content_of(load(file), VERSION)
            if "plan" in content:
                content["plan"] = plan_of(content["plan"])
            record = TypeAdapter(cls).validate_python(content)
        return cls(
            file.absolute().parent / record.path, record.sha256, record.plan, record.settings
        )

    def write(self, path: Path | str) -> None:
        """Write the record as JSON, and move it to ``path`` when it is complete.

        A result beside the record, or in a folder beside it, is found again after both were moved.

        Raises:
            OutputError: the file cannot be written there.
            DiskFull: there is no space for it.
        """
        file = Path(path)
        with replacing(file) as output:
            output.writelines(self._text(file.absolute().parent))

    def _text(self, folder: Path) -> Iterator[bytes]:
        inside = self.path.is_relative_to(folder)
        named = self.path.relative_to(folder) if inside else self.path
        head = {"version": VERSION, "path": str(named), "sha256": self.sha256}
        text = json.dumps(head | {"settings": self.settings}, ensure_ascii=False)
        yield f'{text[:-1]},\n"plan": '.encode("utf-8", "backslashreplace")
        yield from plan_text(self.plan)
        yield b"}\n"

    def unchanged_media(self, plan: Plan, settings: Settings) -> Media:
        """Return the result, of which the same bytes are read from now on, whatever happens to it.

        Raises:
            Uncopyable: it was rendered from another source or with other settings, or the file is
                not that of the record.
            MediaError: it cannot be read.
        """
        if asdict(self.plan.source) != asdict(plan.source):
            raise Uncopyable("the last result is that of another video")
        if self.settings != decisive(settings):
            raise Uncopyable("the last result was rendered with other settings")
        media = Media(self.path)
        if media.sha256 != self.sha256:
            raise Uncopyable("the last result has changed")
        return media


def decisive(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide about a result, ready for JSON."""
    values = settings.effective()
    return {name: values[name] for name in sorted(_DECISIVE)} | {"program": PROGRAM}


def changed_frames(before: Plan, after: Plan) -> NDArray[np.bool_]:
    """Return in which frames two plans of one source hide different boxes, (frames,).

    The order of the boxes counts: where two overlap, the later one reduces what the other has left.
    """
    pairs = (
        (before.regions_at(frame), after.regions_at(frame)) for frame in range(after.source.frames)
    )
    return np.array([not np.array_equal(one, other) for one, other in pairs], bool)
