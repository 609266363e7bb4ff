"""What this container sees of the machine's NVIDIA driver and GPUs.

This module is on the path of every start and of every health check. So it does without json, re,
typing, signal and collections: each of them takes milliseconds to import.
"""

from __future__ import annotations

import errno
import os

from envgen_runtime import nvml
from envgen_runtime.nvml import Answer, Gpu
from envgen_runtime.requirement import is_version

WORKS = "works"
ABSENT = "absent"
BROKEN = "broken"
UNKNOWN = "unknown"

GRANT = "start the container with --gpus all, or ask for nvidia.com/gpu in Kubernetes"
_MEND = "look for Xid messages in the machine's kernel log, then reset the GPU or reboot"
_FAILURES = {
    nvml.NO_PERMISSION: ("the driver refuses this container its GPU", GRANT),
    nvml.DRIVER_NOT_LOADED: (
        "no NVIDIA kernel module is loaded",
        "load it on the machine; after a kernel upgrade it may have to be built again",
    ),
    nvml.GPU_IS_LOST: ("a GPU has fallen off the bus", _MEND),
    nvml.RESET_REQUIRED: ("a GPU needs a reset", _MEND),
    nvml.VERSION_MISMATCH: (
        "the driver was upgraded underneath: its library and kernel module differ",
        "restart the container; where that does not help, reboot the machine",
    ),
}
"""What NVML's errors mean, in the words of `envgen doctor`, and what helps."""


class Files:
    """What the file systems show, before anything is asked.

    Attributes:
        driver: The version of the kernel module; empty where none is to be seen.
        devices: The device nodes of GPUs that this container has.
        wsl: Whether this is WSL2, where the driver is that of Windows.
        compat: Whether the image carries a driver library of its own (cuda-compat).

    """

    def __init__(
        self, driver: str, devices: list[str], *, wsl: bool = False, compat: bool = False
    ) -> None:
        self.driver = driver
        self.devices = devices
        self.wsl = wsl
        self.compat = compat


class Seen:
    """What is here, with a plain answer to every way in which it can fail.

    Attributes:
        state: WORKS, ABSENT (no GPU for this container), BROKEN or UNKNOWN.
        detail: What is wrong, in words; empty where it works.
        fix: What would help.
        watched: Whether this container was given a GPU that NVML can watch, working or not.
        driver: Its version; empty where nothing tells.
        cuda: The newest CUDA that it supports; None where nothing tells.
        gpus: The GPUs that live.
        wsl: Whether this is WSL2.
        compat: Whether the image carries a driver library of its own.
        lost: What became of GPUs that no longer live, while others do.
        notes: What else is worth saying although it works.

    """

    def __init__(
        self, state: str, detail: str = "", fix: str = "", *, watched: bool = True
    ) -> None:
        self.state = state
        self.detail = detail
        self.fix = fix
        self.watched = watched
        self.driver = ""
        self.cuda: tuple[int, int] | None = None
        self.gpus: list[Gpu] = []
        self.wsl = False
        self.compat = False
        self.lost: list[str] = []
        self.notes: list[str] = []

    def __str__(self) -> str:
        parts = [f"driver {self.driver}"] if self.driver else []
        parts += [f"CUDA {self.cuda[0]}.{self.cuda[1]}"] if self.cuda else []
        return ", ".join(parts) or "no driver"


def look(root: str = "/", library: str = nvml.LIBRARY, limit_s: float = 5.0) -> Seen:
    """Return what this container sees.

    Args:
        root: Where /proc, /sys and /dev are.
        library: NVML.
        limit_s: How long NVML may take. Where nothing keeps the driver initialised (as
            nvidia-persistenced does), it takes a second or so for each GPU.

    """
    files = read_files(root)
    if not (files.devices or files.driver):
        return conclude(files, Answer(library=False))
    answer = nvml.ask(library, limit_s)
    refused = answer.failure in (nvml.NO_PERMISSION, nvml.ERROR_UNKNOWN)
    return conclude(files, answer, _open_device(root, files) if refused else 0)


def read_files(root: str = "/") -> Files:
    """Return what /proc, /sys and /dev show."""
    devices = _devices(os.path.join(root, "dev"))
    release = _read(os.path.join(root, "proc/sys/kernel/osrelease"))
    return Files(
        _kernel_driver(root),
        devices,
        wsl="dxg" in devices or "microsoft" in release.lower(),
        compat=os.path.isdir(os.path.join(root, "usr/local/cuda/compat")),
    )


def _devices(folder: str) -> list[str]:
    """Return nvidia0 …, nvidiactl, WSL2's dxg and Jetson's nvhost-gpu, those that are there.

    What the driver makes besides (nvidia-uvm, nvidia-caps) gives nobody a GPU.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    numbered = [name for name in names if name.startswith("nvidia") and name[6:].isdigit()]
    return sorted(numbered) + [n for n in ("nvidiactl", "dxg", "nvhost-gpu") if n in names]


def _kernel_driver(root: str) -> str:
    first = _read(os.path.join(root, "proc/driver/nvidia/version")).partition("\n")[0]
    versions = [word for word in first.split() if "." in word and is_version(word)]
    return versions[0] if versions else _read(os.path.join(root, "sys/module/nvidia/version"))


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""


def _open_device(root: str, files: Files) -> int:
    """Return the errno with which the driver's device refuses to open; 0 where it does open."""
    name = "nvidiactl" if "nvidiactl" in files.devices else "dxg"
    try:
        os.close(os.open(os.path.join(root, "dev", name), os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or 0
    return 0


def conclude(files: Files, answer: Answer, refusal: int = 0) -> Seen:
    """Return what it all means.

    Args:
        files: What the file systems show.
        answer: What NVML says.
        refusal: The errno with which the driver's device refuses to open.

    """
    seen = _conclude(files, answer, refusal)
    seen.driver = answer.driver or files.driver
    seen.cuda = (answer.cuda // 1000, answer.cuda % 1000 // 10) if answer.cuda else None
    seen.gpus = [gpu for gpu in answer.gpus if not gpu.failure]
    seen.wsl = files.wsl
    seen.compat = files.compat
    return seen


def _conclude(files: Files, answer: Answer, refusal: int) -> Seen:
    if not files.devices:
        return _without_devices(files, answer)
    if not answer.library:
        return Seen(
            UNKNOWN,
            f"{nvml.LIBRARY} cannot be loaded in this container",
            "give it NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            watched=False,
        )
    if answer.problem:
        return Seen(UNKNOWN, answer.problem, _MEND)
    if answer.failure:
        return _not_initialised(answer.failure, refusal)
    if not answer.gpus:
        return Seen(ABSENT, f"driver {answer.driver or files.driver} finds no GPU", GRANT)
    return _with_gpus(answer.gpus)


def _without_devices(files: Files, answer: Answer) -> Seen:
    if not files.driver:
        detail = "neither an NVIDIA driver nor a GPU device is to be seen"
        return Seen(ABSENT, detail, f"use a machine with a GPU, and {GRANT}", watched=False)
    machine = f"the machine has driver {files.driver}, but this container has"
    if not answer.library:
        return Seen(ABSENT, f"{machine} neither its library nor a GPU device", GRANT, watched=False)
    return Seen(ABSENT, f"{machine} no GPU device (/dev/nvidia*)", f"restart it, or {GRANT}")


def _not_initialised(failure: int, refusal: int) -> Seen:
    if refusal == errno.EPERM:
        return Seen(
            BROKEN,
            "this container has lost its GPU devices, as after a cgroup reload",
            "restart the container; with CDI the devices survive such a reload",
        )
    if refusal == errno.EACCES:
        return Seen(
            BROKEN,
            f"user {os.geteuid()} may not open the GPU's device",
            "add the group that owns /dev/nvidiactl to the user (docker run --group-add)",
        )
    if failure in _FAILURES:
        return Seen(BROKEN, *_FAILURES[failure])
    return Seen(UNKNOWN, f"NVML answers with error {failure}", _MEND)


def _with_gpus(gpus: list[Gpu]) -> Seen:
    """Return the state of several GPUs: one that lives is enough to start."""
    failed = [gpu for gpu in gpus if gpu.failure]
    if len(failed) == len(gpus):
        first = failed[0].failure
        state = BROKEN if first in _FAILURES else UNKNOWN
        return Seen(state, _describe_failure(failed[0]), _FAILURES.get(first, ("", _MEND))[1])
    seen = Seen(WORKS)
    # A refusal here is no fault: NVML counts the GPUs of other containers as well.
    lost = [gpu for gpu in failed if gpu.failure != nvml.NO_PERMISSION]
    seen.lost = [_describe_failure(gpu) for gpu in lost]
    uncut = [gpu for gpu in gpus if gpu.slices == 0]
    seen.notes = [f"{gpu} is in MIG mode, and this container has no slice of it" for gpu in uncut]
    return seen


def _describe_failure(gpu: Gpu) -> str:
    words = _FAILURES.get(gpu.failure, (f"NVML answers with error {gpu.failure}", ""))[0]
    return f"{words}: {gpu.uuid or gpu}"


def find_fault(seen: Seen, *, required: bool) -> str:
    """Return what is wrong with the GPU of a container that runs; empty where nothing is.

    Args:
        seen: What is here.
        required: Whether the image needs a GPU.

    """
    if seen.state == WORKS:
        return f"{'; '.join(seen.lost)}; fix: {_MEND}" if seen.lost else ""
    if seen.state == UNKNOWN and not seen.watched:
        return ""
    # NVIDIA's toolkit takes these words for "no GPU", and may give its libraries all the same.
    refused = os.environ.get("NVIDIA_VISIBLE_DEVICES", "all") in ("", "none", "void")
    if not required and (refused or not seen.watched):
        return ""
    return f"{seen.detail}; fix: {seen.fix}"
