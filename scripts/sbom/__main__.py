"""Write the bill of materials of an image: see ``scripts/image.sh sbom``.

python -m scripts.sbom INSPECT CONTENTS OUTPUT

INSPECT is the output of ``docker image inspect``, CONTENTS that of ``scripts/sbom/contents.py``.
"""

import argparse
import sys
import tomllib
from pathlib import Path

from app.errors import FaceBlurError
from app.files import write_file
from scripts.sbom.bom import make_bom, validated_json
from scripts.sbom.records import parse_contents, parse_image, read_hashes

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / f"requirements{variant}.txt" for variant in ("", "-gpu", "-insightface")]
"""Versions in several of them are the same, so they need not be told apart by variant."""


def main() -> int:
    """Write the file of the command line; 0 if it is complete and valid."""
    parser = argparse.ArgumentParser(description="Write the bill of materials of an image.")
    parser.add_argument("inspect", type=Path, help="output of docker image inspect")
    parser.add_argument("contents", type=Path, help="output of scripts/sbom/contents.py")
    parser.add_argument("output", type=Path, help="file to write")
    options = parser.parse_args()
    try:
        _write(options.inspect, options.contents, options.output)
    except (FaceBlurError, OSError) as error:
        print(f"sbom: error: {error}", file=sys.stderr)
        return 1
    return 0


def _write(inspect: Path, contents: Path, output: Path) -> None:
    image = parse_image(inspect.read_text("utf-8"))
    held = parse_contents(contents.read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    bom = make_bom(image, held, project["project"]["version"], read_hashes(LOCKS))
    text = validated_json(bom)
    write_file(output, f"{text}\n".encode())
    print(f"{output.name}: {len(bom.components)} components", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
