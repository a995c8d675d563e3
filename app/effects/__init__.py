"""Effects: what hides a face, and the masks that say where.

A face is first reduced to a few cells whatever its size, because a strength in pixels that hides a
small face leaves a large one readable; then it is drawn from these cells alone.
"""

from app.effects.effects import EFFECTS, make_effect
from app.effects.masks import SHAPES

__all__ = ["EFFECTS", "SHAPES", "make_effect"]
