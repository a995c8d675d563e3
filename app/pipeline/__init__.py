"""The two passes. ``analyse`` looks at a video and decides; ``render`` hides.

Only this package puts the stages together; each of them can be replaced on its own.
"""

from pathlib import Path

from app.config import Settings
from app.errors import PlanError, UsageError
from app.identity.gallery import Gallery
from app.identity.policies import policy_for
from app.memory import give_back_memory, share_one_heap
from app.pipeline.analysis import Analysis
from app.pipeline.decisions import decide
from app.pipeline.outputs import CONTENT_TYPES, output_for
from app.pipeline.parts import Parts, Progress, load_parts, parts_for
from app.pipeline.people import DOUBTFUL_PHOTOS, check_people, load_people, photo_labels
from app.pipeline.rendering import write_hidden
from app.plan import Person, Plan, SourceRecord, sha256_of
from app.types import Effect, MediaFile, MediaInfo
from app.video import check_output, open_source

__all__ = [
    "CONTENT_TYPES",
    "DOUBTFUL_PHOTOS",
    "Parts",
    "Progress",
    "analyse",
    "check_people",
    "give_back_memory",
    "load_parts",
    "load_people",
    "output_for",
    "parts_for",
    "photo_labels",
    "preflight",
    "render",
    "share_one_heap",
]


def _silent(stage: str, done: int, expected: int | None) -> None:
    """Report to nobody."""


def preflight(path: MediaFile, output: Path, *, overwrite: bool = False) -> list[str]:
    """Find out before any work whether the result can be written; returns warnings.

    Raises:
        MediaError: the input cannot be read.
        OutputError: the output cannot be written, or cannot hold what the input has.
    """
    return check_output(path, output, overwrite=overwrite)


def analyse(
    path: MediaFile,
    settings: Settings,
    parts: Parts,
    gallery: Gallery | None = None,
    progress: Progress | None = None,
) -> Plan:
    """First pass: whom to hide where in a video or image.

    Raises:
        MediaError: the file cannot be read to its end.
        UsageError: nobody is where the settings point at, or nobody can be told apart although
            the settings want it: no face may be shown for want of a gallery.
    """
    _check_people(settings, parts, gallery)
    source = open_source(path, threads=settings.threads)
    sha256 = sha256_of(path)
    found = Analysis(parts, settings, source.info).run(source, progress or _silent)
    everybody, tracks = decide(
        found,
        gallery or Gallery(()),
        settings.select,
        parts.scale,
        parts.policy or policy_for(settings.choice, settings.unclear),
    )
    return Plan(
        source=_record(path, sha256, source.info, found.frames),
        settings=settings.effective(),
        models=parts.models,
        people=tuple(Person(person.name, person.photos) for person in everybody.people),
        shots=found.shots,
        tracks=tracks,
    )


def _check_people(settings: Settings, parts: Parts, gallery: Gallery | None) -> None:
    if settings.choice == "everyone":
        return
    if parts.recogniser is None:
        raise UsageError("the parts were loaded for everyone; load them for these settings")
    if not settings.select and (gallery is None or not gallery.people):
        raise UsageError("no people were given; pass the gallery that load_people makes")


def _record(path: MediaFile, sha256: str, info: MediaInfo, frames: int) -> SourceRecord:
    width, height = info.size
    return SourceRecord(sha256, path.name, frames, width, height, round(float(info.duration), 3))


def render(
    path: MediaFile,
    plan: Plan,
    output: Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
    effect: Effect | None = None,
) -> None:
    """Second pass: write the video with everybody hidden whom the plan says, or nothing.

    An ``effect`` of your own stands in for that of the settings.

    Raises:
        PlanError: the plan is of another file.
        MediaError: the file cannot be read to its end, or has other frames than the plan says.
        OutputError: the output cannot be written.
        DiskFull: there is no room for it.
    """
    if sha256_of(path) != plan.source.sha256:
        raise PlanError(f"{path}: is not the file that the plan was made for; analyse it again")
    write_hidden(
        path, plan, output, settings, progress or _silent, overwrite=overwrite, effect=effect
    )
