"""A registry of images, as far as pushing takes: blobs that are missing, then the manifest."""

import os
import ssl
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError

from scripts.aws.archive import MANIFEST, Blob, Image
from scripts.aws.errors import CloudError

_TRIES = 4
_TIMEOUT = urllib3.Timeout(connect=10, read=300)
_TOLD = 200


class _Retry(Exception):
    """The registry has failed in a way that may pass."""


class Registry:
    """A registry that takes a login in each request.

    Args:
        url: without a path: ``https://123456789012.dkr.ecr.eu-north-1.amazonaws.com``.
        login: what follows ``Basic`` in the header; it is written nowhere.
    """

    def __init__(self, url: str, login: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Basic {login}"}
        self._pool = _pool(url)

    def push(
        self, repository: str, tag: str, image: Image, progress: Callable[[Blob, str], object]
    ) -> None:
        """Push what is missing of an image, and give it the tag at last.

        Args:
            repository: its name.
            tag: what the image is to be called.
            image: what to push.
            progress: told of each blob, and whether it is ``"there"`` or was ``"pushed"``.

        Raises:
            CloudError: the registry refuses, fails again and again, or has something else then.
        """
        for blob in (*image.layers, image.config):
            there = _again(lambda blob=blob: self._put_blob(repository, blob))  # type: ignore[misc]
            progress(blob, "there" if there else "pushed")
        _again(lambda: self._put_manifest(repository, tag, image))

    def _put_blob(self, repository: str, blob: Blob) -> bool:
        """Push a blob; returns whether it was there."""
        base = f"/v2/{repository}/blobs/"
        # A redirection is to where its bytes can be had.
        if self._ask("HEAD", base + blob.digest, wanted=(200, 307, 404)).status != 404:
            return True
        place = self._ask("POST", base + "uploads/", wanted=(202,)).headers["Location"]
        with blob.path.open("rb") as file:
            sent = self._ask("PATCH", place, body=file, size=blob.size, wanted=(202, 204))
        place = sent.headers.get("Location", place)
        mark = "&" if urlsplit(place).query else "?"
        self._ask("PUT", f"{place}{mark}digest={blob.digest}", wanted=(201,))
        return False

    def _put_manifest(self, repository: str, tag: str, image: Image) -> None:
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._ask("PUT", path, body=image.manifest, wanted=(201,), content_type=MANIFEST)
        digest = answer.headers.get("Docker-Content-Digest", image.digest)
        if digest != image.digest:
            raise CloudError(f"the registry has {digest} in place of {image.digest}")

    def _ask(
        self,
        method: str,
        place: str,
        *,
        wanted: tuple[int, ...],
        body: bytes | BinaryIO | None = None,
        size: int | None = None,
        content_type: str = "application/octet-stream",
    ) -> urllib3.BaseHTTPResponse:
        url = urljoin(self._url, place)
        if urlsplit(url)[:2] != urlsplit(self._url)[:2]:
            raise CloudError("the registry points to another host, which gets no login of ours")
        length = len(body) if isinstance(body, bytes) else size or 0
        headers = self._headers | {"Content-Type": content_type, "Content-Length": str(length)}
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, retries=False, timeout=_TIMEOUT
            )
        except HTTPError as error:
            raise _Retry(f"{type(error).__name__}: {error}") from error
        if answer.status in wanted:
            return answer
        told = f"{method}: status {answer.status}: {answer.data[:_TOLD].decode(errors='replace')}"
        if answer.status >= 500 or answer.status == 429:
            raise _Retry(told)
        raise CloudError(f"the registry refuses: {told}")


def _again(attempt: Callable[[], bool | None]) -> bool | None:
    """What an attempt gives, if need be at its last try."""
    for _ in range(_TRIES - 1):
        try:
            return attempt()
        except _Retry:
            continue
    try:
        return attempt()
    except _Retry as error:
        raise CloudError(f"the registry fails: {error}") from error


def _pool(url: str) -> urllib3.PoolManager:
    host = urlsplit(url).hostname or ""
    proxy = None if proxy_bypass(host) else getproxies().get(urlsplit(url).scheme)
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context)
    return urllib3.ProxyManager(proxy, ssl_context=context)
