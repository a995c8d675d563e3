"""Look at a result again: every frame of it, beside its source.

The detector alone is not trusted: what is left of the detail of each hidden face is measured.
"""

from app.verification.checked import Checked, render_checked
from app.verification.records import Finding, Verification
from app.verification.repair import repair
from app.verification.verifying import verify

__all__ = [
    "Checked",
    "Finding",
    "Verification",
    "render_checked",
    "repair",
    "verify",
]
