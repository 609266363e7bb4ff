"""The paths of an image, and who answers for each."""

from collections import Counter
from collections.abc import Iterable

from envgen.image.difference import show_path
from envgen.image.filesystem import File, FileSystem
from envgen.image.tar import FILE, FOLDER


class Claims:
    """Keeps which paths of an image are explained, by what, and what is wrong with them.

    Attributes:
        files: The image's.
        problems: What is wrong, in words, in the order in which it was found.
        counts: How many files each origin answers for.
        notes: What was not compared, in words.

    """

    def __init__(self, files: FileSystem) -> None:
        self.files = files
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self._claimed: set[bytes] = set()

    def find(self, path: bytes) -> File | None:
        return self.files.files.get(path)

    def read(self, path: bytes) -> bytes | None:
        """Return the content of a file; None where there is no file."""
        found = self.find(path)
        if found is None or found.entry.kind != FILE:
            return None
        return self.files.read_bytes(found)

    def claim(self, path: bytes, origin: str) -> None:
        """Say that an origin answers for a path."""
        if path not in self._claimed:
            self._claimed.add(path)
            self.counts[origin] += 1

    def is_claimed(self, path: bytes) -> bool:
        return path in self._claimed

    def hold(self, path: bytes, digest: str, origin: str) -> None:
        """Compare a file with the digest that its origin gives it, and claim it."""
        found = self.find(path)
        self.claim(path, origin)
        if found is None or found.entry.kind != FILE:
            self.complain(path, f"is missing, and {origin} has it")
        elif self.files.digest(found) != digest:
            self.complain(path, f"is not what {origin} has")
        else:
            self._hold_rights(path, found)

    def _hold_rights(self, path: bytes, found: File) -> None:
        entry = found.entry
        if (entry.uid, entry.gid) != (0, 0) or entry.mode & 0o7022:
            rights = f"{entry.uid}:{entry.gid} {entry.mode:04o}"
            self.complain(path, f"has owner and mode {rights}, and only root should change it")

    def complain(self, path: bytes, what: str) -> None:
        self.problems.append(f"{show_path(path)} {what}")

    def close(self) -> None:
        """Name every path that nothing answers for; a folder only where nothing is in it."""
        filled = {ancestor for path in self.files.files for ancestor in _ancestors(path)}
        for path, file in sorted(self.files.files.items()):
            if path not in self._claimed and not (file.entry.kind == FOLDER and path in filled):
                self.complain(path, "comes from nothing in the lock")


def _ancestors(path: bytes) -> Iterable[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
