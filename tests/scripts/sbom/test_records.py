"""What the bill of materials is made from is read correctly, or refused."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.sbom.contents import list_contents
from scripts.sbom.records import (
    Image,
    Pack,
    SbomError,
    SystemPackage,
    describe_weights,
    parse_contents,
    parse_image,
    read_hashes,
    read_system_packages,
    system_release,
)

ROOT = Path(__file__).parents[3]

STATUS = """\
Package: zlib1g
Status: install ok installed
Maintainer: Somebody <somebody@example.org>
Architecture: amd64
Source: zlib (1:1.2.13.dfsg-1)
Version: 1:1.2.13.dfsg-1+b1
Description: compression
 Status: a line of the description
 .
 Version: another one

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-installed
Architecture: amd64
Version: 1

Package: bash
Essential: yes
Status: hold ok installed
Architecture: amd64
Version: 5.2.15-2+b2
Conffiles:
 /etc/skel/.bashrc ee35a240758f374832e809ae0ea4883a
"""


def test_installed_packages_are_read() -> None:
    assert read_system_packages(STATUS) == [
        SystemPackage("bash", "5.2.15-2+b2", "amd64", "bash"),
        SystemPackage("zlib1g", "1:1.2.13.dfsg-1+b1", "amd64", "zlib"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", STATUS.replace("ok installed", "ok unpacked")])
def test_no_package_is_an_error(text: str) -> None:
    with pytest.raises(SbomError, match="no installed package"):
        read_system_packages(text)


def test_a_package_without_a_version_is_an_error() -> None:
    with pytest.raises(SbomError, match="a package has no 'Version'"):
        read_system_packages(STATUS.replace("Version: 5.2.15-2+b2\n", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n', "debian-12"),
        ("ID='ubuntu'\n\nVERSION_ID=24.04", "ubuntu-24.04"),
        ("# nothing\n", "linux-unknown"),
    ],
)
def test_the_release_is_read(text: str, expected: str) -> None:
    assert system_release(text) == expected


def test_hashes_of_a_lock_are_read(tmp_path: Path) -> None:
    one, two = "a" * 64, "b" * 64
    lock = tmp_path / "lock.txt"
    lock.write_text(
        f"# x==1\na.b_c==1.0 \\\n    --hash=sha256:{one} \\\n    --hash=sha256:{two}\n"
        f"    # via x\nd==2 --hash=sha256:{two}\n"
    )
    assert read_hashes([lock]) == {("a-b-c", "1.0"): [one, two], ("d", "2"): [two]}


def test_an_image_is_read() -> None:
    labels = {"org.opencontainers.image.revision": "abc1234"}
    told = {"Id": "sha256:00", "Created": "2026-01-02T03:04:05.123456789Z"}
    text = json.dumps([{**told, "Config": {"Labels": labels}}])
    created = datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)
    assert parse_image(text) == Image("sha256:00", created, "abc1234")
    text = json.dumps([{**told, "Config": {"Labels": None}}])
    assert parse_image(text).revision == "unknown"


@pytest.mark.parametrize("text", ["", "[]", "{}", "[{}, {}]", '[{"Id": "x"}]', "null"])
def test_a_damaged_description_of_an_image_is_an_error(text: str) -> None:
    with pytest.raises(SbomError, match="description of the image"):
        parse_image(text)


@pytest.fixture
def image_root(tmp_path: Path) -> Path:
    """The parts of an image's file system that are read."""
    for name, text in (("etc/os-release", "ID=debian\n"), ("var/lib/dpkg/status", STATUS)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    pack = tmp_path / "opt" / "models" / "open"
    pack.mkdir(parents=True)
    (pack / "pack.toml").write_bytes((ROOT / "models" / "open" / "pack.toml").read_bytes())
    (pack / "one.onnx").write_bytes(b"weights")
    return tmp_path


def test_the_contents_of_an_image_are_listed(image_root: Path) -> None:
    contents = parse_contents(json.dumps(list_contents(image_root)))
    assert (contents.system, contents.dpkg) == ("ID=debian\n", STATUS)
    packages = {package.name.lower(): package for package in contents.packages}
    assert packages["flask"].fields["License-Expression"] == ["BSD-3-Clause"]
    # The wheel of PyAV bundles FFmpeg.
    assert any("libavcodec" in path for path in packages["av"].libraries)
    (pack,) = contents.packs
    assert pack.name == "open"
    assert pack.weights == {"one.onnx": hashlib.sha256(b"weights").hexdigest()}


def test_damaged_contents_are_an_error() -> None:
    with pytest.raises(SbomError, match="contents is damaged"):
        parse_contents('{"system": ""}')


def pack_of(name: str, weights: dict[str, str]) -> Pack:
    folder = ROOT / "models" / name
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))]
    return Pack(name=name, descriptions=texts, weights=weights)


def test_weights_of_a_variant_have_its_description() -> None:
    name = "glintr100.onnx"
    sha256 = "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
    found = describe_weights(pack_of("insightface", {name: sha256}))
    assert found[name].files[name] == sha256
    assert "antelopev2" in found[name].summary + found[name].licences["recogniser"].note


@pytest.mark.parametrize("name", ["centerface.onnx", "another.onnx"])
def test_weights_that_no_description_names_are_an_error(name: str) -> None:
    with pytest.raises(SbomError, match=f"open/{name} is not a file that the pack describes"):
        describe_weights(pack_of("open", {name: "0" * 64}))


def test_a_pack_without_weights_is_an_error() -> None:
    with pytest.raises(SbomError, match="has no weights"):
        describe_weights(pack_of("open", {}))
