"""The place of the edits of a plan, and the question whether a plan has any."""

from pathlib import Path

SUFFIX = ".edits.jsonl"


def edits_path(plan: Path) -> Path:
    """Return the path of the edits of a plan.

    >>> edits_path(Path("a/clip.json")).name, edits_path(Path("clip.plan")).name
    ('clip.edits.jsonl', 'clip.plan.edits.jsonl')
    """
    name = plan.name.removesuffix(".json")
    return plan.with_name(name + SUFFIX)


def is_edited(plan: Path) -> bool:
    """Return whether there are edits beside a plan.

    A link counts as edits even if the file that it names is missing: they are elsewhere then.
    """
    path = edits_path(plan)
    try:
        return path.stat().st_size > 0
    except OSError:
        return path.is_symlink()


def edited_reason(plan: Path) -> str:
    """Return the reason why a plan with edits is not written, for a message."""
    return (
        f"has edits ({edits_path(plan).name}), which would be lost; choose another name, or move"
        " both away"
    )
