"""Contact sheets of what a job has made: the source beside the result."""

from pathlib import Path

from app.config import Settings
from app.errors import MediaError
from app.files import sha256_of
from app.plan import ModelRecord, ModelsRecord, Plan, SourceRecord
from app.report import contact_sheet, save_png
from app.video import open_source

_UNKNOWN = ModelRecord("unknown", "0" * 64)


def draw_sheet(before: Path, after: Path, target: Path) -> None:
    """Draw pairs of pictures, spread evenly over the video: a job tells nothing of its plan.

    Raises:
        MediaError: one of the files cannot be read, or they have not the same number of frames.
        OutputError, DiskFull: the sheet cannot be written.
    """
    frames, made = (sum(1 for _ in open_source(path)) for path in (before, after))
    if frames != made:
        raise MediaError(f"{after}: has {made} frames, and its source {frames}")
    info = open_source(before).info
    source = SourceRecord(sha256_of(before), before.name, frames, *info.size, float(info.duration))
    models = ModelsRecord(Settings().models, _UNKNOWN, None)
    plan = Plan(source, {}, models, (), ((0, frames),), ())
    save_png(contact_sheet(open_source(before), open_source(after), plan), target)
