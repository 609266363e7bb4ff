"""Hosts that are not this machine: from flags and from a fleet file.

A fleet file names pools of machines that are alike:

    [pools.training]
    driver = "535.129.03"
    gpus = ["A100", "T4"]
    injection = "cdi"            # hook | cdi | none
    toolkit = "1.17.8"
    platform = "linux"           # linux | wsl2 | windows
    disable-require = false
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator

import msgspec

from envgen.cuda.gpus import find_gpu
from envgen.cuda.host import Host, Injection, Platform
from envgen.cuda.tables import tables
from envgen.cuda.version import is_version, parse_version
from envgen.errors import Problem, SpecError, UsageError


class Pool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One pool as it is written."""

    driver: str
    gpus: tuple[str, ...] = ()
    cuda: str = ""
    platform: Platform = "linux"
    injection: Injection = "hook"
    toolkit: str = ""
    disable_require: bool = False


class Fleet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    pools: dict[str, Pool]


def host_from_flags(
    driver: str,
    gpus: Iterable[str] = (),
    *,
    name: str = "",
    platform: Platform = "linux",
    injection: Injection = "hook",
) -> Host:
    """Return the host that `--driver 535.129.03 --gpu A100` means.

    Raises:
        UsageError: The driver is not a version, or a GPU is not known.

    """
    pool = Pool(driver=driver, gpus=tuple(gpus), platform=platform, injection=injection)
    problems = tuple(_find_problems(pool, "--", ""))
    if problems:
        raise UsageError(*problems)
    return _make_host(name, pool)


def parse_fleet(text: str, file: str) -> tuple[Host, ...]:
    """Return the hosts of a fleet file, one per pool.

    Raises:
        SpecError: The file is not valid; all of its problems at once.

    """
    try:
        fleet = msgspec.convert(tomllib.loads(text), Fleet)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SpecError.single(str(error), file=file, fix="see docs/cuda.md") from error
    problems = [
        problem
        for name, pool in fleet.pools.items()
        for problem in _find_problems(pool, f"pools.{name}.", file)
    ]
    if problems:
        raise SpecError(*problems)
    return tuple(_make_host(name, pool) for name, pool in fleet.pools.items())


def _find_problems(pool: Pool, prefix: str, file: str) -> Iterator[Problem]:
    for key, text in (("driver", pool.driver), ("cuda", pool.cuda), ("toolkit", pool.toolkit)):
        if (text or key == "driver") and not is_version(text):
            yield Problem(
                what=f"{text!r} is not a version",
                file=file,
                key=prefix + key,
                fix="write it as nvidia-smi prints it, for example 535.129.03",
            )
    for text in pool.gpus:
        if find_gpu(text) is None:
            yield Problem(
                what=f"{text!r} is not a GPU that envgen knows",
                file=file,
                key=prefix + ("gpu" if prefix == "--" else "gpus"),
                fix=_suggest(text),
            )


def _suggest(text: str) -> str:
    names = {row.name.lower(): row.name for row in tables().gpus}
    close = difflib.get_close_matches(text.lower(), names, n=3)
    if not close:
        return "use the name that `nvidia-smi --query-gpu=name --format=csv` prints"
    return "did you mean " + " or ".join(names[name] for name in close) + "?"


def _make_host(name: str, pool: Pool) -> Host:
    return Host(
        name=name,
        driver=parse_version(pool.driver),
        cuda=parse_version(pool.cuda) if pool.cuda else None,
        gpus=tuple(gpu for text in pool.gpus if (gpu := find_gpu(text))),
        platform=pool.platform,
        injection=pool.injection,
        toolkit=parse_version(pool.toolkit) if pool.toolkit else None,
        disable_require=pool.disable_require,
    )
