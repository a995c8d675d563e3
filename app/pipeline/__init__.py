"""The two passes: ``FaceBlur.analyse`` decides which faces to hide, ``FaceBlur.render`` hides them.

Only this package puts the stages together; each stage can be replaced on its own.
"""

from app.memory import give_back_memory, share_one_heap
from app.pipeline.last_result import LastResult
from app.pipeline.outputs import default_output, first_possible, result_names
from app.pipeline.parts import Parts, load_parts, parts_for
from app.pipeline.people import (
    DOUBTFUL_PHOTOS,
    check_people,
    find_photos,
    load_people,
    photo_labels,
)
from app.pipeline.rendering import Rendered
from app.pipeline.session import FaceBlur

__all__ = [
    "DOUBTFUL_PHOTOS",
    "FaceBlur",
    "LastResult",
    "Parts",
    "Rendered",
    "check_people",
    "default_output",
    "find_photos",
    "first_possible",
    "give_back_memory",
    "load_parts",
    "load_people",
    "parts_for",
    "photo_labels",
    "result_names",
    "share_one_heap",
]
