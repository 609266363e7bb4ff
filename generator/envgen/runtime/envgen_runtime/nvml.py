"""Ask NVML, the driver's management library, about driver and GPUs.

CUDA is never touched: no context, no GPU memory, no framework. The question is asked in a process
of its own: the library may hang or crash on a broken GPU, and what it opens must not stay open in
the program that is started next.
"""

from __future__ import annotations

import os
import time

LIBRARY = "libnvidia-ml.so.1"

# nvml.h, nvmlReturn_t
NO_PERMISSION = 4
DRIVER_NOT_LOADED = 9
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
VERSION_MISMATCH = 18
ERROR_UNKNOWN = 999

_TEMPERATURE_GPU = 0  # nvmlTemperatureSensors_t
_ROOM = 96  # bytes; the largest text, NVML_DEVICE_NAME_V2_BUFFER_SIZE


class Gpu:
    """A GPU as NVML describes it.

    Attributes:
        name: As the driver names it.
        capability: Its compute capability; None where NVML does not tell.
        uuid: Its name among all GPUs.
        slices: How many MIG slices of it this container has; None for a GPU that is not cut.
        failure: The nvmlReturn_t to the request for a sign of life; 0 for a GPU that lives.

    """

    def __init__(
        self,
        name: str = "",
        capability: tuple[int, int] | None = None,
        *,
        uuid: str = "",
        slices: int | None = None,
        failure: int = 0,
    ) -> None:
        self.name = name
        self.capability = capability
        self.uuid = uuid
        self.slices = slices
        self.failure = failure

    def __str__(self) -> str:
        name = self.name or "a GPU that is not named"
        return f"{name} (sm_{self.capability[0]}{self.capability[1]})" if self.capability else name


class Answer:
    """What NVML says.

    Attributes:
        failure: The nvmlReturn_t of its start; 0 where that worked.
        problem: Why there was no answer at all, in words; empty where there was one.
        library: Whether the library could be loaded.
        driver: The version of the driver.
        cuda: The newest CUDA that the driver supports, in the driver's way: 12020 is 12.2.
        gpus: The GPUs that this container may see.

    """

    def __init__(
        self,
        *,
        failure: int = 0,
        problem: str = "",
        library: bool = True,
        driver: str = "",
        cuda: int = 0,
        gpus: list[Gpu] | None = None,
    ) -> None:
        self.failure = failure
        self.problem = problem
        self.library = library
        self.driver = driver
        self.cuda = cuda
        self.gpus = gpus or []


def ask(library: str, limit_s: float) -> Answer:
    """Return what NVML says, or that it says nothing within the limit."""
    try:
        reading, writing = os.pipe()
        child = os.fork()
    except OSError as error:
        return Answer(problem=f"no process for NVML can be made: {error.strerror}")
    if not child:
        _speak(library, writing)
    os.close(writing)
    heard, ended = _listen(reading, limit_s)
    os.close(reading)
    if not ended:
        _kill(child)
        return Answer(problem=f"NVML does not answer within {limit_s:g} s")
    _, status = os.waitpid(child, 0)
    if status:
        return Answer(problem=f"NVML takes its process down (wait status {status})")
    return _parse(heard.decode("utf-8", "replace").splitlines())


def _listen(pipe: int, limit_s: float) -> tuple[bytes, bool]:
    """Return what comes out of a pipe, and whether its other end was closed within the limit."""
    import select

    heard, deadline = b"", time.monotonic() + limit_s
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(pipe, 65536)
        if not chunk:
            return heard, True
        heard += chunk
    return heard, False


def _kill(child: int) -> None:
    """End a process, in vain where it waits for the kernel: so nobody waits long for its end."""
    os.kill(child, 9)
    for _ in range(100):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.001)


def _speak(library: str, pipe: int) -> None:
    """Ask, write down the answer, a word and its values in a line, and end this process."""
    code = 1
    try:
        os.write(pipe, "\n".join(_inquire(library)).encode("utf-8", "replace"))
        code = 0
    finally:
        os._exit(code)


def _parse(lines: list[str]) -> Answer:
    """Return the answer that `_speak` wrote down."""
    answer = Answer()
    for line in lines:
        word, _, value = line.partition(" ")
        if word == "library":
            answer.library, answer.problem = False, value
        elif word == "failure":
            answer.failure = int(value)
        elif word == "driver":
            answer.driver = value
        elif word == "cuda":
            answer.cuda = int(value)
        elif word == "gpu":
            answer.gpus.append(_parse_gpu(value))
    return answer


def _parse_gpu(text: str) -> Gpu:
    failure, major, minor, slices, uuid, name = text.split(" ", 5)
    return Gpu(
        name,
        (int(major), int(minor)) if major != "0" else None,
        uuid="" if uuid == "-" else uuid,
        slices=None if slices == "-" else int(slices),
        failure=int(failure),
    )


def _inquire(library: str) -> list[str]:
    try:
        nvml = _Nvml(library)
    except OSError as error:
        return [f"library {' '.join(str(error).split())}"]
    failure = nvml.call("nvmlInit_v2")
    if failure:
        return [f"failure {failure}"]
    try:
        failure, count = nvml.number("nvmlDeviceGetCount_v2")
        if failure:
            return [f"failure {failure}"]
        return [
            f"driver {nvml.text('nvmlSystemGetDriverVersion')}",
            f"cuda {nvml.number('nvmlSystemGetCudaDriverVersion_v2')[1]}",
            *(nvml.describe(index) for index in range(count)),
        ]
    finally:
        nvml.call("nvmlShutdown")


class _Nvml:
    """The functions of the library that are used here.

    Raises:
        OSError: It cannot be loaded.

    """

    def __init__(self, library: str) -> None:
        # Here, in the child: on a machine without a GPU nobody pays for this import.
        import ctypes

        self._c = ctypes
        self._library = ctypes.CDLL(library)

    def call(self, name: str, *arguments: object) -> int:
        function = getattr(self._library, name, None)  # an old driver has not all of them
        return FUNCTION_NOT_FOUND if function is None else int(function(*arguments))

    def number(self, name: str, *handle: object) -> tuple[int, int]:
        """Return the error of a function that fills in a number, and the number."""
        value = self._c.c_int()
        return self.call(name, *handle, self._c.byref(value)), value.value

    def numbers(self, name: str, *handle: object) -> tuple[int, int, int]:
        """Return the error of a function that fills in two numbers, and both."""
        one, two = self._c.c_int(), self._c.c_int()
        failure = self.call(name, *handle, self._c.byref(one), self._c.byref(two))
        return failure, one.value, two.value

    def text(self, name: str, *handle: object) -> str:
        buffer = self._c.create_string_buffer(_ROOM)
        failure = self.call(name, *handle, buffer, _ROOM)
        return "" if failure else buffer.value.decode("utf-8", "replace")

    def describe(self, index: int) -> str:
        gpu = self._c.c_void_p()
        failure = self.call("nvmlDeviceGetHandleByIndex_v2", index, self._c.byref(gpu))
        if failure:
            return f"gpu {failure} 0 0 - - GPU {index}"
        # The rest may come from what the library remembers; this asks the device itself. Not
        # every device has the sensor.
        alive, _ = self.number("nvmlDeviceGetTemperature", gpu, _TEMPERATURE_GPU)
        failure = alive if alive in (GPU_IS_LOST, RESET_REQUIRED) else 0
        _, major, minor = self.numbers("nvmlDeviceGetCudaComputeCapability", gpu)
        uuid = self.text("nvmlDeviceGetUUID", gpu) or "-"
        name = self.text("nvmlDeviceGetName", gpu)
        return f"gpu {failure} {major} {minor} {self._slices(gpu)} {uuid} {name}"

    def _slices(self, gpu: object) -> str:
        failure, enabled, _ = self.numbers("nvmlDeviceGetMigMode", gpu)
        if failure or not enabled:
            return "-"
        failure, most = self.number("nvmlDeviceGetMaxMigDeviceCount", gpu)
        if failure:
            return "-"
        return str(sum(self._has_slice(gpu, index) for index in range(most)))

    def _has_slice(self, gpu: object, index: int) -> bool:
        slot = self._c.byref(self._c.c_void_p())
        return not self.call("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index, slot)
