"""The plan: who is hidden where and why. Versioned JSON between analysis, review and rendering.

Frames count from 0 in presentation order, shots are ``[first, end)``, boxes are pixels of the
upright picture and may overhang it. Embeddings are never part of it: they are biometric data.
"""

import hashlib

from app.errors import MediaError
from app.plan.commit import together
from app.plan.reading import read_plan
from app.plan.records import (
    VERSION,
    Decision,
    ModelRecord,
    ModelsRecord,
    Person,
    Plan,
    PlanTrack,
    Rows,
    SourceRecord,
)
from app.plan.writing import write_plan
from app.types import MediaFile

__all__ = [
    "VERSION",
    "Decision",
    "ModelRecord",
    "ModelsRecord",
    "Person",
    "Plan",
    "PlanTrack",
    "Rows",
    "SourceRecord",
    "read_plan",
    "sha256_of",
    "together",
    "write_plan",
]


def sha256_of(path: MediaFile) -> str:
    """Hash a file without holding it in memory.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from error
