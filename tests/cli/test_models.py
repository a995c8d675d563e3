"""``face-blur models`` with a pack whose weights lie at an address, under strict terms."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from faces.servers import Script, serving

from app.cli import main
from app.config import ENV_PREFIX
from app.faces.packs import load_pack

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
