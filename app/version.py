"""The version of the program, which the image has without the metadata of an installation."""

from typing import Final

VERSION: Final = "0.1.0"
"""The same as in ``pyproject.toml``."""
