"""Look at a result again: every frame of it, beside its source.

The detector alone is not trusted: what is left of the detail of each hidden face is measured.
``check_result`` compares a result with its source without looking for faces.
"""

from app.verification.checked import Checked, render_checked
from app.verification.records import Finding, Verification
from app.verification.repair import repair
from app.verification.source_match import Match, check_result
from app.verification.verifying import verify

__all__ = [
    "Checked",
    "Finding",
    "Match",
    "Verification",
    "check_result",
    "render_checked",
    "repair",
    "verify",
]
