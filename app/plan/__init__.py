"""The plan: the faces to hide in each frame, with reasons; JSON between analysis and rendering.

Frames count from 0 in presentation order, shots are ``[first, end)``, and boxes are in pixels of
the upright frame and may extend beyond it. A plan never contains embeddings, which are biometric
data.
"""

from app.plan.cards import cards_of, decided
from app.plan.files import read_plan, write_plan
from app.plan.places import edits_path, is_edited
from app.plan.records import (
    NO_FACE_FOUND,
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
from app.plan.summary import Appearance, Summary, clock, summarise, times_of

__all__ = [
    "NO_FACE_FOUND",
    "VERSION",
    "Appearance",
    "Decision",
    "ModelRecord",
    "ModelsRecord",
    "Person",
    "Plan",
    "PlanTrack",
    "Rows",
    "SourceRecord",
    "Summary",
    "cards_of",
    "clock",
    "decided",
    "edits_path",
    "is_edited",
    "read_plan",
    "summarise",
    "times_of",
    "write_plan",
]
