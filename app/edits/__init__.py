"""The edits of a reviewer: a journal beside the plan. The result is the plan with its edits.

The plan stays as it was analysed. Each edit is one line of the journal, with the reviewer, the
time, and the values before and after.
"""

from app.edits.doubts import Doubt, doubts_of, open_doubts
from app.edits.editor import Editor
from app.edits.journal import Journal
from app.edits.records import VIDEO, Edit, Operation, Region, Target
from app.edits.results import EditedPlan, edited_plan, open_existing, with_edits
from app.edits.review import Review
from app.edits.transfer import Transferred, take_over
from app.edits.words import list_words, words_of, words_of_doubt
from app.plan.places import edits_path, is_edited

__all__ = [
    "VIDEO",
    "Doubt",
    "Edit",
    "EditedPlan",
    "Editor",
    "Journal",
    "Operation",
    "Region",
    "Review",
    "Target",
    "Transferred",
    "doubts_of",
    "edited_plan",
    "edits_path",
    "is_edited",
    "list_words",
    "open_doubts",
    "open_existing",
    "take_over",
    "with_edits",
    "words_of",
    "words_of_doubt",
]
