from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from envgen.errors import LockError
from envgen.lockers.poetry_versions import choose_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from envgen.lockers import LockRequest

LINUX = 'platform_system == "Linux"'
TOOLKIT = {
    "name": "cuda-toolkit",
    "version": "13.2",
    "dependencies": {
        "nvidia-cublas": {"version": "==13.4.1.3.*", "markers": 'extra == "cublas"'},
        "nvidia-cufft": [{"version": "<1 || >2"}],
    },
}
CUDNN = {"name": "nvidia-cudnn-cu13", "version": "9.26", "dependencies": {"nvidia-cublas": "*"}}


def cublas(version: str, marker: str = LINUX) -> dict[str, Any]:
    return {"name": "nvidia-cublas", "version": version, "markers": marker}


def test_version_that_all_others_admit_stays(make_request: Callable[..., LockRequest]) -> None:
    old, new = cublas("13.4.1.3"), cublas("13.10.0.20")

    chosen = choose_versions([TOOLKIT, CUDNN, old, new], make_request("torch"))

    assert chosen == (TOOLKIT, CUDNN, old)


def test_versions_of_other_platforms_stay(make_request: Callable[..., LockRequest]) -> None:
    arm = cublas("13.10.0.20", 'platform_machine == "aarch64"')
    entries = (CUDNN, cublas("13.4.1.3", 'platform_machine == "x86_64"'), arm)
    request = make_request("torch", platforms=("linux/amd64", "linux/arm64"))

    assert choose_versions(entries, request) == entries


@pytest.mark.parametrize("wants", ["*", "<1"])
def test_versions_that_nothing_tells_apart_are_refused(
    make_request: Callable[..., LockRequest], wants: str
) -> None:
    cudnn = {**CUDNN, "dependencies": {"nvidia-cublas": wants}}
    with pytest.raises(LockError, match=r"nvidia-cublas 13\.4\.1\.3 and 13\.10\.0\.20") as caught:
        choose_versions([cudnn, cublas("13.4.1.3"), cublas("13.10.0.20")], make_request("torch"))

    assert "nvidia-cublas==13.4.1.3" in caught.value.problems[0].fix
