"""Downloads from servers that truncate, corrupt, redirect, stall and refuse."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from app.errors import PackError
from app.packs.download import Retries, download_url
from tests.packs.servers import Script, serving

DATA = np.random.default_rng(5).bytes(700_000)
HASH = hashlib.sha256(DATA).hexdigest()
FEW_RETRIES = Retries(timeout=0.3, attempts=3, pause=0.01)

Served = Callable[..., tuple[Script, str]]


@pytest.fixture
def served() -> Iterator[Served]:
    """Return a function that starts servers of ``DATA``."""
    with ExitStack() as stack:

        def start(*ways: str) -> tuple[Script, str]:
            script = Script(DATA, list(ways))
            return script, stack.enter_context(serving(script))

        yield start


def _get(url: str, cache: Path, steps: list[tuple[int, int | None]] | None = None) -> Path:
    def progress(name: str, done: int, total: int | None) -> None:
        assert name == "weights.onnx"
        if steps is not None:
            steps.append((done, total))

    return download_url(url, HASH, progress, cache, FEW_RETRIES)


@pytest.mark.parametrize(
    "ways",
    [
        ("whole",),
        ("no length",),
        ("redirect", "whole"),
        ("truncated", "whole"),
        ("truncated", "truncated", "truncated", "truncated", "whole"),
        ("stalls", "whole"),
        ("truncated", "no ranges"),
        ("503", "500", "whole"),
        ("truncated", "corrupt", "whole"),
    ],
    ids=",".join,
)
def test_download_succeeds_despite_failures(
    ways: tuple[str, ...], served: Served, tmp_path: Path
) -> None:
    _, url = served(*ways)
    path = _get(url, tmp_path)
    assert path.read_bytes() == DATA
    assert path == tmp_path / "archives" / HASH
    assert not list(path.parent.glob("*.part"))


@pytest.mark.parametrize(
    ("ways", "text"),
    [
        (("404",), "the server answers 404"),
        (("403",), "the server answers 403"),
        (("503",), "cannot be downloaded"),
        (("corrupt",), "is not the pinned file"),
        (("redirect",), "cannot be downloaded"),
        (("truncated", "503"), "cannot be downloaded"),
        (("truncated", "corrupt", "corrupt"), "is not the pinned file"),
    ],
)
def test_download_fails(ways: tuple[str, ...], text: str, served: Served, tmp_path: Path) -> None:
    _, url = served(*ways)
    with pytest.raises(PackError, match=text):
        _get(url, tmp_path)
    assert not (tmp_path / "archives" / HASH).exists()


def test_refused_download_is_not_repeated(served: Served, tmp_path: Path) -> None:
    script, url = served("404")
    with pytest.raises(PackError):
        _get(url, tmp_path)
    assert len(script.asked) == 1


def test_received_bytes_are_not_requested_again(served: Served, tmp_path: Path) -> None:
    script, url = served("truncated", "503")
    with pytest.raises(PackError):
        _get(url, tmp_path)
    half = len(DATA) // 2
    assert {found for _, found in script.asked[1:]} == {f"bytes={half}-"}
    script.ways[:] = ["whole"]
    steps: list[tuple[int, int | None]] = []
    _get(url, tmp_path, steps)
    assert script.asked[-1][1] == f"bytes={half}-"
    assert steps[0] == (half, len(DATA))
    assert steps[-1] == (len(DATA), len(DATA))
    count = len(script.asked)
    assert _get(url, tmp_path).read_bytes() == DATA
    assert len(script.asked) == count


def test_partial_download_of_another_file_is_discarded(served: Served, tmp_path: Path) -> None:
    script, url = served("whole")
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / f"{HASH}.part").write_bytes(b"?" * 1000)
    assert _get(url, tmp_path).read_bytes() == DATA
    assert [found for _, found in script.asked] == ["bytes=1000-", None]


def test_partial_download_that_is_too_long_is_discarded(served: Served, tmp_path: Path) -> None:
    _, url = served("whole")
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / f"{HASH}.part").write_bytes(DATA + b"?")
    assert _get(url, tmp_path).read_bytes() == DATA


def test_simultaneous_downloads_request_the_file_once(served: Served, tmp_path: Path) -> None:
    script, url = served("whole")
    threads = [threading.Thread(target=_get, args=(url, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "archives" / HASH).read_bytes() == DATA
    assert len(script.asked) == 1


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a", "weights.onnx"])
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="only http and https"):
        _get(url, tmp_path)


def test_unreachable_server(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="cannot be downloaded"):
        _get("http://127.0.0.1:9/weights.onnx", tmp_path)


def test_cache_that_is_not_writable(served: Served, tmp_path: Path) -> None:
    _, url = served("whole")
    (tmp_path / "file").write_text("")
    with pytest.raises(PackError, match="cannot be stored"):
        _get(url, tmp_path / "file")
