"""A bucket on a local moto server, behind a proxy that can inject faults."""

import http.client
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

NAME = "videos"
_ERROR = b"<Error><Code>InternalError</Code><Message>of alice</Message></Error>"


class S3Request(NamedTuple):
    """A request to S3."""

    method: str
    key: str
    query: str
    range: str | None


Fault = Callable[[S3Request], str | None]
"""Returns the fault of a request: ``error`` (status 500), ``cut`` (half of the body), ``stall``
(half of the body, then silence), ``whole`` (the range is ignored) or ``lost`` (the request
succeeds, but the response is 500)."""


class Bucket:
    """Access to the bucket without the proxy, and the requests that the proxy received."""

    def __init__(self, moto: str, url: str) -> None:
        self.url = url
        self.requests: list[S3Request] = []
        self.fault: Fault = lambda request: None
        self.released = threading.Event()
        self.client = boto3.Session("testing", "testing", region_name="us-east-1").client(
            "s3", endpoint_url=moto, config=Config(retries={"total_max_attempts": 1})
        )
        self.create()

    def create(self) -> None:
        """Create the bucket, unless it is there: other tests of this process may reset moto."""
        with suppress(self.client.exceptions.BucketAlreadyOwnedByYou):
            self.client.create_bucket(Bucket=NAME)

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which boto3 uses the proxy only."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def configure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the clients of this process use the proxy."""
        self.create()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in self.variables.items():
            monkeypatch.setenv(name, value)

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=NAME, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=NAME, Key=key)["Body"].read()
        return content

    def head(self, key: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.client.head_object(Bucket=NAME, Key=key)
        return found

    def keys(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=NAME, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", ())]

    def uploads(self) -> list[str]:
        """Return the keys of uploads that are neither completed nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=NAME)
        return [item["Key"] for item in found.get("Uploads", ())]

    def clear(self) -> None:
        for key in self.keys():
            self.client.delete_object(Bucket=NAME, Key=key)
        self.requests.clear()
        self.fault = lambda request: None


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    @property
    def bucket(self) -> Bucket:
        return self.server.bucket

    def _proxy(self) -> None:
        url = urlsplit(self.path)
        key = url.path.removeprefix(f"/{NAME}").lstrip("/")
        request = S3Request(self.command, key, url.query, self.headers["Range"])
        self.bucket.requests.append(request)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        fault = self.bucket.fault(request)
        if fault == "error":
            self._send(500, {}, _ERROR)
            return
        status, headers, content = self._forward(body, whole=fault == "whole")
        if fault == "lost":
            self._send(500, {}, _ERROR)
        elif fault == "stall" and not content:
            self.bucket.released.wait(30)
            self.close_connection = True
        elif fault in {"cut", "stall"}:
            self._begin(status, headers, len(content))
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if fault == "stall":
                self.bucket.released.wait(30)
            self.close_connection = True
        else:
            self._send(status, headers, content)

    def _forward(self, body: bytes, *, whole: bool) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(self.server.moto)
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
        headers = {k: v for k, v in self.headers.items() if not (whole and k == "Range")}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, dict(response.headers), content

    def _send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self._begin(status, headers, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.send_response_only(status)
        own = {"connection", "transfer-encoding"} | ({"content-length"} - {self.command.lower()})
        if self.command == "HEAD":
            own -= {"content-length"}
        else:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            if name.lower() not in own:
                self.send_header(name, value)
        self.end_headers()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _proxy  # noqa: N815 - names of the base class

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    bucket: Bucket
    moto: str

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect; tests do so on purpose."""


@contextmanager
def make_bucket() -> Iterator[Bucket]:
    """An empty bucket called ``NAME``."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    proxy = _Server(("127.0.0.1", 0), _Proxy)
    proxy.moto = f"http://{host}:{port}"
    proxy.bucket = bucket = Bucket(proxy.moto, f"http://127.0.0.1:{proxy.server_port}")
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bucket
    finally:
        bucket.released.set()
        bucket.client.close()
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        moto.stop()
