"""The bucket that all tests in this folder share."""

from collections.abc import Iterator

import pytest

from tests.storage.buckets import Bucket, make_bucket


@pytest.fixture(scope="session")
def shared_bucket() -> Iterator[Bucket]:
    with make_bucket() as bucket:
        yield bucket


@pytest.fixture
def bucket(shared_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket that the clients of this process use."""
    shared_bucket.configure(monkeypatch)
    yield shared_bucket
    shared_bucket.clear()
