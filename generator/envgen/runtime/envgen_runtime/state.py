"""Where a verdict is kept, and what it is a verdict on.

This module is on the path of every health check, so it does without json, re, pathlib, tempfile
and typing: each of them takes about as long as the interpreter takes to start.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import sys
from contextlib import suppress  # comes with importlib.util, at no cost

from envgen_runtime import __version__
from envgen_runtime.frameworks import FRAMEWORKS, location

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "ENVGEN_SELFTEST_COMPILE",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "JAX_THREEFRY_PARTITIONABLE",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "NCCL_ALGO",
    "NCCL_NVLS_ENABLE",
    "NCCL_PROTO",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "XLA_FLAGS",
)
"""Environment variables that can change a result, or which library computes it."""

LOCK = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lock.txt")
"""Beside this package: a line `sha256` with the hash of the lock of the image, and a
line `framework` with name and version for each that is locked."""

_SWITCHES = (
    "ENVGEN_SELFTEST",
    "ENVGEN_SELFTEST_COMPILE",
    "ENVGEN_SELFTEST_FLIP",
    "ENVGEN_SELFTEST_MEMORY",
)
"""Those that change what is tested; the others decide when, and where the verdict is kept."""

_LARGEST = 256 * 1024  # bytes; a verdict has a few thousand
_KEPT_FILES = 64


def container_start() -> str | None:
    """Return a name for this start of this container, or None where the kernel does not tell.

    The start time of PID 1 (in ticks since boot, so clock changes do not matter) and the boot id
    make `docker restart` test anew. Where PID 1 is not the container's own (--pid=host,
    shareProcessNamespace), the age of /dev/fd does: the OCI runtime makes it at every start.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open("/proc/1/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before it may hold spaces
        made = os.lstat("/dev/fd").st_ctime_ns
    except OSError:
        return None
    return f"{boot} {int(fields[19])} {made}"  # proc_pid_stat(5): field 22, the first three cut


def _installed(name: str) -> list[str]:
    """Return what changes when a framework is installed anew: size and time of its two best files.

    pip and conda both write RECORD last; reading every file would cost more than the test.
    """
    origin = location(name)
    if origin is None:
        return []
    packages = os.path.dirname(os.path.dirname(origin))
    files = [origin]
    files += [
        os.path.join(packages, entry, "RECORD")
        for entry in sorted(os.listdir(packages))
        if entry.startswith(f"{name}-") and entry.endswith(".dist-info")
    ]
    described = []
    for path in files:
        try:
            status = os.stat(path)
        except OSError:
            continue
        described.append(f"{path} {status.st_mtime_ns} {status.st_size}")
    return described


def lock_hash() -> str:
    """Return the hash of the image's lock; empty outside of an image."""
    return next(iter(_locked("sha256")), "")


def locked_frameworks() -> dict[str, str]:
    """Return the version of each framework that the image has to have, by name."""
    return dict(line.partition(" ")[::2] for line in _locked("framework"))


def _locked(word: str) -> list[str]:
    """Return what lock.txt says after a word, line by line."""
    try:
        with open(LOCK, encoding="ascii", errors="replace") as file:
            lines = file.read(4096).splitlines()
    except OSError:
        return []
    return [line[len(word) + 1 :].strip() for line in lines if line.startswith(f"{word} ")]


def identity(start: str, gpus: str = "") -> str:
    """Return the digest of all that a verdict depends on; it is no answer to anything else.

    Args:
        start: The name of this start of the container.
        gpus: The driver and the UUIDs of the GPUs; empty for an image that uses none.

    """
    facts = [__version__, start, sys.version, sys.executable, lock_hash(), gpus]
    for name in FRAMEWORKS:
        facts += [name, *_installed(name)]
    facts += [f"{name}={os.environ.get(name)!r}" for name in (*VARIABLES, *_SWITCHES)]
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Store:
    """The verdict on one identity: a file of this user, and a lock while it is being made."""

    def __init__(self, directory: str, key: str) -> None:
        self.directory = directory
        self.key = key
        self.path = os.path.join(directory, f"{key}.verdict")

    def read(self) -> str | None:
        """Return the text that the health check answers with, or None without a sound verdict.

        A file that is damaged, edited, a link or somebody else's counts as none. This guards
        against accidents: whoever runs as the same user can write a verdict, as it can write the
        program that is tested.
        """
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                return None
            header, _, body = os.read(file, _LARGEST).partition(b"\n")
        except OSError:
            return None
        finally:
            os.close(file)
        if header != self._header(body):
            return None
        return body.partition(b"\n\n")[0].decode("utf-8", "replace")

    def write(self, text: str, report: str) -> None:
        """Keep a verdict: a header, `text`, an empty line, the report as JSON.

        There is no fsync: after a crash of the machine the boot id is another one.

        Raises:
            OSError: It cannot be written; what was there before is still there.

        """
        body = f"{text}\n\n{report}\n".encode("utf-8", "backslashreplace")
        unfinished = f"{self.path}.{os.getpid()}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with open(os.open(unfinished, flags, 0o600), "wb") as file:
                file.write(self._header(body) + b"\n" + body)
            os.replace(unfinished, self.path)
        except OSError:
            _remove(unfinished)
            raise
        self._prune()

    def lock(self) -> int | None:
        """Return a descriptor that holds the lock, or None while another process holds it.

        The kernel lets go of it when its holder dies, however it dies.

        Raises:
            OSError: The file system cannot lock, or is full.

        """
        path = os.path.join(self.directory, f"{self.key}.lock")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except OSError:
            os.close(file)
            raise
        return file

    def _header(self, body: bytes) -> bytes:
        return f"envgen-verdict 1 {self.key} {hashlib.sha256(body).hexdigest()}".encode("ascii")

    def _prune(self) -> None:
        """Remove the verdicts of starts long past: every restart leaves two small files."""
        files = [os.path.join(self.directory, name) for name in os.listdir(self.directory)]
        ages = sorted((_modified(path), path) for path in files)
        for _, path in ages[:-_KEPT_FILES]:
            _remove(path)


def open_store(gpus: str = "") -> tuple[Store | None, str]:
    """Return the place for the verdict, or None and the reason why there is none.

    Args:
        gpus: What the verdict depends on besides: see `identity`.

    """
    start = container_start()
    if start is None:
        return None, "/proc does not tell when this container started"
    reasons = []
    for base in _bases():
        try:
            directory = _own_directory(base)
        except OSError as error:
            reasons.append(f"{base}: {error.strerror or error}")
        else:
            return Store(directory, identity(start, gpus)), ""
    return None, "; ".join(reasons)


def _bases() -> list[str]:
    """Return where to try, best first.

    Not tempfile.gettempdir(): as a last resort that is the working directory, which may be a
    directory of the host. /dev/shm is there under `docker run --read-only`.
    """
    chosen = os.environ.get("ENVGEN_STATE_DIR")
    if chosen:
        return [chosen]
    temporary = os.environ.get("TMPDIR")
    return [*([temporary] if temporary else []), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108 see _own_directory


def _own_directory(base: str) -> str:
    """Return `base`/envgen-<uid>, which only this user can enter; made where it is missing."""
    user = os.geteuid()
    directory = os.path.join(base, f"envgen-{user}")
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(f"{directory} is not a directory")
    if status.st_uid != user:
        raise OSError(f"{directory} belongs to another user")
    if status.st_mode & 0o077:
        raise OSError(f"{directory} is open to other users")
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise OSError(f"{directory} is not writable")
    return directory


def _modified(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
