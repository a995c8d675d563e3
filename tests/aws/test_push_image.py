"""Pushing an image: to a registry on the loopback, with moto as the ECR that tells of it."""

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.errors import UsageError
from scripts.aws.archive import MANIFEST, Image, unpack
from scripts.aws.cloud import Cloud
from scripts.aws.errors import CloudError
from scripts.aws.images import check_pushed, check_tag, log_in, push
from scripts.aws.registry import Registry
from scripts.aws.variables import Variables

LOGIN = base64.b64encode(b"AWS:secret").decode()
LAYERS = (b"first layer" * 10_000, b"second layer" * 10_000)


class Memory(ThreadingHTTPServer):
    """A registry by the rules of the distribution's API; what it has is in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.requests: list[str] = []
        self.faults: list[tuple[str, int]] = []
        self.elsewhere = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Memory
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path, _, query = self.path.partition("?")
        self.server.requests.append(f"{self.command} {path}")
        if self.headers["Authorization"] != f"Basic {LOGIN}":
            return self.answer(401)
        for fault in self.server.faults:
            if fault[0] == self.command:
                self.server.faults.remove(fault)
                return self.answer(fault[1])
        return self.obey(path, query, body)

    def obey(self, path: str, query: str, body: bytes) -> None:
        server, name = self.server, path.rpartition("/")[2]
        match self.command:
            case "HEAD":
                return self.answer(200 if name in server.blobs else 404)
            case "POST":
                upload = f"{path}u{len(server.requests)}"
                server.uploads[upload] = b""
                return self.answer(202, Location=(server.elsewhere or "") + upload + "?state=1")
            case "PATCH":
                server.uploads[path] += body
                return self.answer(202, Location=path + "?state=2")
            case "PUT" if "/manifests/" in path:
                return self.take_manifest(name, body)
        content = server.uploads.pop(path) + body
        digest = re.findall(r"^state=2&digest=(.+)$", query)[0]
        if digest != "sha256:" + hashlib.sha256(content).hexdigest():
            return self.answer(400)
        server.blobs[digest] = content
        return self.answer(201)

    def take_manifest(self, tag: str, body: bytes) -> None:
        content = json.loads(body)
        if any(
            len(self.server.blobs.get(one["digest"], b"")) != one["size"]
            for one in (content["config"], *content["layers"])
        ):
            return self.answer(404)
        self.server.manifests[tag] = (self.headers["Content-Type"], body)
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        return self.answer(201, Docker_Content_Digest=digest)

    do_HEAD = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def save(path: Path, *, packed: bool = False, **changes: Any) -> Path:
    """An image as ``docker save`` writes it."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {
            "type": "layers",
            "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in LAYERS],
        },
    } | changes
    files = {"c.json": json.dumps(config).encode()}
    names = [f"{number}/layer.tar" for number in range(len(LAYERS))]
    for name, layer in zip(names, LAYERS, strict=True):
        files[name] = gzip.compress(layer) if packed else layer
    contents = [{"Config": "c.json", "RepoTags": ["face-blur:cpu"], "Layers": names}]
    files["manifest.json"] = json.dumps(contents).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "blobs").mkdir()
    return unpack(save(tmp_path / "image.tar"), tmp_path / "blobs")


def nothing(*_: object) -> None:
    """Progress that nobody looks at."""


def test_an_archive_becomes_what_sagemaker_takes(image: Image) -> None:
    manifest = json.loads(image.manifest)
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, MANIFEST)
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert {layer["mediaType"] for layer in manifest["layers"]} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }
    assert tuple(gzip.decompress(one.path.read_bytes()) for one in image.layers) == LAYERS
    for blob in (image.config, *image.layers):
        content = blob.path.read_bytes()
        assert blob.size == len(content)
        assert blob.digest == "sha256:" + hashlib.sha256(content).hexdigest()


def test_the_same_layers_are_the_same_image(image: Image, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    packed = unpack(save(tmp_path / "packed.tar", packed=True), tmp_path / "again")
    assert packed.manifest == image.manifest


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"architecture": "arm64"}, r"it is for linux/arm64; build with --platform linux/amd64"),
        ({"rootfs": {"diff_ids": ["sha256:" + "0" * 64] * 2}}, r"a layer is not sha256:000"),
        ({"rootfs": {"diff_ids": []}}, "not an image"),
        ({"rootfs": None}, "not an image"),
    ],
)
def test_another_image_is_refused(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        unpack(save(tmp_path / "image.tar", **changes), tmp_path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    with pytest.raises(UsageError, match="No such file"):
        unpack(path, tmp_path)
    path.write_bytes(b"not a tar" * 1000)
    with pytest.raises(UsageError, match="not an image of `docker save`"):
        unpack(path, tmp_path)
    with tarfile.open(path, "w"):
        pass
    with pytest.raises(UsageError, match=r"no manifest\.json; OCI archives are not read"):
        unpack(path, tmp_path)
    save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UsageError, match="not an image of `docker save`"):
        unpack(path, tmp_path)


def test_all_blobs_go_before_the_manifest(image: Image, memory: Memory) -> None:
    Registry(memory.url, LOGIN).push("face-blur", "one", image, nothing)
    assert memory.manifests == {"one": (MANIFEST, image.manifest)}
    assert memory.requests[-1] == "PUT /v2/face-blur/manifests/one"
    assert {gzip.decompress(memory.blobs[one.digest]) for one in image.layers} == set(LAYERS)


def test_what_the_registry_has_is_not_pushed_again(image: Image, memory: Memory) -> None:
    registry = Registry(memory.url, LOGIN)
    registry.push("face-blur", "one", image, nothing)
    memory.requests.clear()
    told: list[str] = []
    registry.push("face-blur", "two", image, lambda _, done: told.append(done))
    assert told == ["there"] * 3
    assert [one.split()[0] for one in memory.requests] == ["HEAD"] * 3 + ["PUT"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_a_fault_that_passes_is_tried_again(image: Image, memory: Memory, method: str) -> None:
    memory.faults = [(method, 503), (method, 429)]
    Registry(memory.url, LOGIN).push("face-blur", "one", image, nothing)
    assert memory.faults == []
    assert list(memory.manifests) == ["one"]


def test_a_fault_that_stays_ends_it_without_a_manifest(image: Image, memory: Memory) -> None:
    memory.faults = [("PATCH", 500)] * 4
    with pytest.raises(CloudError, match=r"^the registry fails: PATCH: status 500"):
        Registry(memory.url, LOGIN).push("face-blur", "one", image, nothing)
    assert memory.manifests == {}


def test_a_refusal_is_not_tried_again(image: Image, memory: Memory) -> None:
    with pytest.raises(CloudError, match=r"^the registry refuses: HEAD: status 401") as caught:
        Registry(memory.url, "d3Jvbmc=").push("face-blur", "one", image, nothing)
    assert "d3Jvbmc=" not in str(caught.value)
    assert len(memory.requests) == 1


def test_a_blob_that_arrives_damaged_is_refused(image: Image, memory: Memory) -> None:
    image.layers[0].path.write_bytes(b"x" * image.layers[0].size)
    with pytest.raises(CloudError, match="refuses: PUT: status 400"):
        Registry(memory.url, LOGIN).push("face-blur", "one", image, nothing)
    assert memory.manifests == {}


def test_the_login_goes_to_no_other_host(image: Image, memory: Memory) -> None:
    memory.elsewhere = f"http://localhost:{memory.server_port}"
    with pytest.raises(CloudError, match="another host"):
        Registry(memory.url, LOGIN).push("face-blur", "one", image, nothing)
    assert not [one for one in memory.requests if one.startswith("PATCH")]


def test_nobody_at_the_address_is_one_line(image: Image, memory: Memory) -> None:
    url = "http://127.0.0.1:9"
    with pytest.raises(CloudError, match=r"^the registry fails: NewConnectionError"):
        Registry(url, LOGIN).push("face-blur", "one", image, nothing)


@pytest.fixture
def ours(cloud: Cloud) -> Cloud:
    cloud.client("ecr").create_repository(repositoryName="images", imageTagMutability="IMMUTABLE")
    return Cloud(Variables(repository="images", image_tag="one"))


def put(cloud: Cloud, manifest: bytes, media_type: str = MANIFEST) -> None:
    cloud.client("ecr").put_image(
        repositoryName="images", imageManifest=manifest.decode(),
        imageManifestMediaType=media_type, imageTag="one",
        imageDigest="sha256:" + hashlib.sha256(manifest).hexdigest(),
    )  # fmt: skip


def test_a_push_ends_with_the_uri_by_digest(
    ours: Cloud, image: Image, memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Handler.take_manifest

    def take_and_tell(self: Handler, tag: str, body: bytes) -> None:
        put(ours, body)
        take(self, tag, body)

    monkeypatch.setattr(Handler, "take_manifest", take_and_tell)
    check_tag(ours)
    uri = push(ours, tmp_path / "image.tar", Registry(memory.url, LOGIN))
    expected = f"123456789012.dkr.ecr.eu-north-1.amazonaws.com/images@{image.digest}"
    assert uri == expected
    assert Variables(image_uri=uri)
    with pytest.raises(UsageError, match=r"the tag one is taken.+--image-tag"):
        check_tag(ours)


def test_what_sagemaker_would_refuse_is_an_error(ours: Cloud, image: Image) -> None:
    oci = "application/vnd.oci.image.manifest.v1+json"
    content = json.dumps(json.loads(image.manifest) | {"mediaType": oci}).encode()
    put(ours, content, oci)
    (found,) = ours.read("ecr", "describe_images", repositoryName="images")["imageDetails"]
    with pytest.raises(CloudError, match=r"vnd\.oci.+, which SageMaker refuses"):
        check_pushed(ours, found["imageDigest"])
    with pytest.raises(CloudError, match=r"^under the tag one is sha256:.+ in place of sha256:"):
        check_pushed(ours, image.digest)


def test_the_login_comes_from_ecr(ours: Cloud, memory: Memory, image: Image) -> None:
    registry = log_in(ours)
    assert isinstance(registry, Registry)
    with pytest.raises(CloudError, match="RepositoryNotFoundException"):
        check_tag(Cloud(Variables(repository="nobodys")))


def test_the_command(ours: Cloud, image: Image, run_command: Any, tmp_path: Path) -> None:
    args = ("push_image", "--repository", "images", "--image-tag", "one")
    dry = run_command(*args, "--build", "cpu", "--dry-run")
    assert dry.code == 0, dry.err
    request = json.loads(dry.out)["request"]
    assert (request["repositoryName"], request["imageTag"]) == ("images", "one")
    assert request["command"][1:3] == ["save", "cpu"]
    assert run_command(*args).code == 2
    put(ours, image.manifest)
    taken = run_command(*args, "--archive", tmp_path / "image.tar")
    assert taken.code == 2
    assert "push_image.py: error: the tag one is taken" in taken.err
