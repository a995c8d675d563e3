"""Objects of S3: read in place, and written whole or not at all.

boto3 is imported only when the first client is made. Buckets and keys may contain names of people,
so no message contains them: each object has a label.
"""

from app.storage.reading import RemoteFile, fetch_object
from app.storage.s3 import WRITE_SECONDS, S3Uri, make_client, parse_prefixes, people_folder
from app.storage.writing import StoredObject, find_object, upload_object

__all__ = [
    "WRITE_SECONDS",
    "RemoteFile",
    "S3Uri",
    "StoredObject",
    "fetch_object",
    "find_object",
    "make_client",
    "parse_prefixes",
    "people_folder",
    "upload_object",
]
