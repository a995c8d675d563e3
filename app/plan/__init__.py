"""The plan: who is hidden where and why. Versioned JSON between analysis, review and rendering.

Frames count from 0 in presentation order, shots are ``[first, end)``, boxes are pixels of the
upright picture and may overhang it. Embeddings are never part of it: they are biometric data.
"""

from app.plan.files import committed_together, read_plan, write_plan
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
    "committed_together",
    "read_plan",
    "write_plan",
]
