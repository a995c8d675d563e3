"""Effects, which hide a face, and the masks that limit the hidden area.

A face is first reduced to a few cells, whatever its size, because an effect with a fixed size in
pixels hides a small face but leaves a large one readable. Then it is drawn from these cells only.
"""

from app.effects.effects import EFFECTS, make_effect
from app.effects.masks import SHAPES

__all__ = ["EFFECTS", "SHAPES", "make_effect"]
