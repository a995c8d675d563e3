"""``face-blur models`` with a pack whose weights lie at an address, under strict terms."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.config import ENV_PREFIX
from app.packs.catalogue import load_pack
from tests.packs.servers import Script, serving

WEIGHTS = b"weights" * 1000


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The server of the pack ``strict``, which is the only one there."""
    script = Script(WEIGHTS)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    folder = tmp_path / "models" / "strict"
    folder.mkdir(parents=True)
    text = (load_pack("insightface").folder / "pack.toml").read_text("utf-8")
    with serving(script) as url:
        (folder / "pack.toml").write_text(_with(text, url, digest), encoding="utf-8")
        monkeypatch.setenv(ENV_PREFIX + "MODELS_ROOT", str(folder.parent))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield script


def _with(text: str, url: str, digest: str) -> str:
    """The description with one file, at another address."""
    start, end = text.index("[[sources]]"), text.index("[detector]")
    source = f'[[sources]]\nurl = "{url}"\nsha256 = "{digest}"\nproduces = "a.onnx"\n'
    text = f'{text[:start]}{source}[files]\n"a.onnx" = "{digest}"\n{text[end:]}'
    return text.replace('"det_10g.onnx"', '"a.onnx"').replace('"w600k_r50.onnx"', '"a.onnx"')


def test_strict_terms_are_told_and_accepted(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("strict: missing; ")
    assert "not for commercial use" in told
    assert "not calibrated" in told
    assert main(["models", "fetch", "strict"]) == 1
    refused = capsys.readouterr().err
    assert "non-commercial research only" in refused
    assert "--accept-licence" in refused
    assert script.asked == []
    assert main(["models", "fetch", "strict", "--accept-licence"]) == 0
    done = capsys.readouterr()
    assert done.out.splitlines()[-1] == "strict: ready"
    assert "weights.onnx" in done.err
    assert main(["models", "verify", "strict"]) == 0


def test_without_the_network(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "a.onnx").write_bytes(WEIGHTS)
    command = ["models", "fetch", "strict", "--accept-licence", "--quiet", "--from"]
    assert main([*command, str(given)]) == 0
    assert script.asked == []
    assert capsys.readouterr().err == ""
    (tmp_path / "models" / "strict" / "a.onnx").unlink()
    assert main(["models", "verify", "strict"]) == 0


def test_a_folder_without_them(script: Script, tmp_path: Path) -> None:
    command = ["models", "fetch", "strict", "--accept-licence", "--from", str(tmp_path)]
    assert main(command) == 1
    assert script.asked == []


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The server of a pack ``open`` whose recogniser lies at an address; ``dlib`` is beside it."""
    script = Script(WEIGHTS)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    with serving(script) as url:
        for name in ("open", "dlib"):
            folder = tmp_path / "models" / name
            folder.mkdir(parents=True)
            text = (load_pack(name).folder / "pack.toml").read_text("utf-8")
            start, end = text.index("[[sources]]"), text.index("[detector]")
            file = "net.onnx" if name == "open" else "other.onnx"
            source = f'[[sources]]\nurl = "{url}"\nsha256 = "{digest}"\nproduces = "{file}"\n'
            text = f'{text[:start]}{source}[files]\n"{file}" = "{digest}"\n{text[end:]}'
            text = re.sub(r"files = {.*}", f'files = {{ float = "{file}" }}', text)
            (folder / "pack.toml").write_text(text, encoding="utf-8")
        monkeypatch.setenv(ENV_PREFIX + "MODELS_ROOT", str(tmp_path / "models"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield script


def test_auto_fetches_the_best_pack(publisher: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "--quiet"]) == 0
    assert capsys.readouterr() == (
        f"net.onnx: from {_address()}\nnet.onnx: {_place('open/net.onnx')}\nopen: ready\n",
        "",
    )
    assert main(["models", "verify"]) == 0


@pytest.mark.parametrize("named", [[], ["open"]])
def test_without_its_publisher_another_pack_is_taken_loudly(
    publisher: Script, capsys: pytest.CaptureFixture[str], named: list[str]
) -> None:
    publisher.ways[:] = ["503", "whole"]
    assert main(["models", "fetch", *named, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "dlib: ready"
    assert "warning: open CANNOT BE FETCHED" in err
    assert "The pack dlib is used instead: its recogniser confuses people who look alike" in err
    assert Path(_place("dlib/other.onnx")).is_file()
    assert not Path(_place("open/net.onnx")).exists()


def test_a_substitute_can_be_refused(publisher: Script, capsys: pytest.CaptureFixture[str]) -> None:
    publisher.ways[:] = ["404", "whole"]
    assert main(["models", "fetch", "--no-substitute", "--quiet"]) == 1
    assert "the server answers 404" in capsys.readouterr().err
    assert len(publisher.asked) == 1


def test_wrong_content_is_no_reason_for_a_substitute(publisher: Script) -> None:
    publisher.ways[:] = ["corrupt"]
    assert main(["models", "fetch", "--quiet"]) == 1


def _address() -> str:
    text = Path(_place("open/pack.toml")).read_text("utf-8")
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith('url = "http:'))


def _place(path: str) -> str:
    return str(Path(os.environ[ENV_PREFIX + "MODELS_ROOT"]) / path)
