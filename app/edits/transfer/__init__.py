"""Take over the edits of an older plan of the same video, as far as they fit a new one.

In doubt a face is hidden: a decision to hide goes to every track that is at the same place in any
frame, and a decision to keep only to frames in which the reviewer has seen this face. What does
not fit is listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from app.edits.editor import Editor
from app.edits.journal import Journal
from app.edits.records import MAX_TEXT, VIDEO, Edit, Target
from app.edits.transfer.takeover import Takeover
from app.edits.transfer.verdicts import decided_by
from app.errors import EditsError, UsageError
from app.files import replacing, sha256_of, writing
from app.plan.files import read_plan
from app.plan.places import edits_path
from app.temporary import temporary_folder


@dataclass(frozen=True, slots=True)
class Transferred:
    """The result: the new edits, without the note about them, and those that do not fit, as words.

    ``unfit`` also lists faces that were hidden and that the new plan does not have: they are
    hidden by drawn regions.
    """

    edits: Sequence[Edit]
    unfit: Sequence[str]


def take_over(old: Editor, plan: Path, reviewer: str, edits: Path | None = None) -> Transferred:
    """Write the journal of a plan with the edits of an older plan that fit.

    The journal is complete or is not there. Its lines keep the reviewers of the old ones, and a
    note of the video says that they were taken over.

    Args:
        old: the older plan with its edits.
        plan: the new plan.
        reviewer: who takes them over.
        edits: the new journal; default: beside the new plan.

    Raises:
        PlanError: the plan cannot be read or is wrong.
        EditsError: it is the plan of another video, or there is nothing to take over.
        UsageError: it has edits already.
        OutputError, DiskFull: the journal cannot be written.
    """
    journal, new = edits or edits_path(plan), read_plan(plan)
    if new.source.sha256 != old.review.plan.source.sha256:
        raise EditsError(f"{plan}: is the plan of another video than {old.journal.path} belongs to")
    if not old.in_effect:
        raise EditsError(f"{old.journal.path}: has no edits in effect; there is nothing to do")
    if journal.exists() or journal.is_symlink():
        raise UsageError(f"{journal}: already exists; move it away, or take its last edits back")
    # In a temporary folder, so that the journal is complete or is not there.
    with writing(journal), temporary_folder(Path(gettempdir()), "face-blur-edits-") as folder:
        editor = Editor(new, Journal(folder / journal.name, sha256_of(plan)))
        takeover = Takeover(old.review, decided_by(old), editor)
        takeover.run()
        made = editor.journal.edits
        if made:
            _add_note(editor, old, len(made), reviewer)
            content = editor.journal.path.read_bytes()
            with replacing(journal, overwrite=False) as file:
                file.write(content)
    return Transferred(tuple(made), tuple(takeover.unfit))


def _add_note(editor: Editor, old: Editor, count: int, reviewer: str) -> None:
    """Say in a note of the video that edits were taken over, above the note that is there."""
    sha256 = old.journal.edits[0].previous
    note = f"{count} edits were taken over from an older plan (SHA-256 {sha256[:16]})."
    known = editor.review.notes.get(VIDEO)
    whole = note if known is None else f"{note}\n{known}"
    editor.edit("note", Target("video", 0), whole[:MAX_TEXT], reviewer)
