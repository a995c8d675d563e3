"""Converters from published weights to the files that this program loads.

Their modules are imported on use: ``onnx``, which they need, is slow to import.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Self, TypeAlias

from app.errors import PackError
from app.validation import parse_json

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""The smallest and the largest value of each activation."""
Octaves: TypeAlias = Mapping[str, str]
"""For each activation, one digit per channel: the power of two by which to enlarge it."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measurements for an 8-bit network: ``octaves`` for weight equalisation, and ``ranges``."""

    ranges: Ranges
    octaves: Octaves

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse the output of ``to_json``.

        Raises:
            ValueError: the text is not a calibration.
        """
        table = parse_json(text)
        try:
            ranges = {
                name: (float(low), float(high)) for name, (low, high) in table["ranges"].items()
            }
            return cls(ranges, {name: str(digits) for name, digits in table["octaves"].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it has no tables of ranges and octaves") from error

    def to_json(self) -> str:
        """Format the calibration with one activation per line."""
        tables = (
            (key, ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()))
            for key, table in (("octaves", self.octaves), ("ranges", self.ranges))
        )
        return "{\n" + ",\n".join(f'"{key}": {{\n{lines}\n}}' for key, lines in tables) + "\n}\n"


NO_CALIBRATION = Calibration({}, {})


@dataclass(frozen=True, slots=True)
class ConverterInput:
    """A published file, with its companion and its calibration if the converter needs them."""

    data: bytes
    companion: bytes = b""
    calibration: Calibration = NO_CALIBRATION


Converter: TypeAlias = Callable[[ConverterInput], bytes]
"""Takes the published files and returns an ONNX file, the same bytes on every machine."""


def _converter(module: str, function: str = "convert_file") -> Converter:
    """Return a converter that imports its module when it is called."""

    def convert(published: ConverterInput) -> bytes:
        try:
            converter = import_module(f"{__name__}.{module}")
        except ModuleNotFoundError as error:
            raise PackError(
                f"converting weights needs {error.name}; install face-blur[models]"
            ) from error
        result: bytes = getattr(converter, function)(published)
        return result

    return convert


CONVERTERS: dict[str, Converter] = {
    "centerface": _converter("centerface"),
    "centerface-int8": _converter("quantisation", "convert_centerface"),
    "dlib-resnet": _converter("dlib"),
    "mxnet": _converter("mxnet"),
    "openvino": _converter("openvino"),
    "transnet": _converter("transnet"),
}
"""Converters by the names that ``pack.toml`` uses."""
