"""Objects of S3: read where they lie, written whole or not at all.

Nothing here is imported by those who do not use it, and boto3 only when the first client is made.
No message tells a bucket or a key, which are names: a label says what is meant.
"""

from app.storage.client import WRITE_SECONDS, make_client
from app.storage.photos import people_folder
from app.storage.reading import RemoteFile
from app.storage.uri import S3Uri, parse_prefixes
from app.storage.writing import Stored, find, upload

__all__ = [
    "WRITE_SECONDS",
    "RemoteFile",
    "S3Uri",
    "Stored",
    "find",
    "make_client",
    "parse_prefixes",
    "people_folder",
    "upload",
]
