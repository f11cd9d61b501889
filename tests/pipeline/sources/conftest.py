"""An object store in memory, beside the file systems that Beam brings."""

import io
from typing import ClassVar

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem


class NotFound(Exception):
    """What the client of an object store raises."""

    code = 404


class Bucket(FileSystem):
    """Objects under bucket://; like gs:// it knows no directories."""

    objects: ClassVar[dict[str, bytes]] = {}

    @classmethod
    def scheme(cls):
        return "bucket"

    def has_dirs(self):
        return False

    def open(self, path, mime_type="", compression_type=""):
        if path not in self.objects:
            raise NotFound(path)
        return io.BytesIO(self.objects[path])

    def exists(self, path):
        return path in self.objects

    def metadata(self, path):
        if path not in self.objects:
            raise BeamIOError("Metadata operation failed", {path: "gone"})
        return FileMetadata(path, len(self.objects[path]), 1.5)

    def _list(self, prefix):
        for path in list(self.objects):
            if path.startswith(prefix):
                yield self.metadata(path)

    def _unused(self, *arguments):
        raise NotImplementedError

    join = split = mkdirs = create = copy = rename = _unused
    size = last_updated = delete = _unused


@pytest.fixture
def bucket():
    """A dict from the paths of objects to what they hold."""
    Bucket.objects.clear()
    yield Bucket.objects
    Bucket.objects.clear()
