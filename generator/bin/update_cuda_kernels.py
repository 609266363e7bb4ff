"""Refresh the frameworks' rows in presets/data/cuda/kernels.toml from their build files.

    python generator/bin/update_cuda_kernels.py            # shows the difference
    python generator/bin/update_cuda_kernels.py --write

Read are PyTorch's .ci/manywheel/build_cuda.sh, JAX's and TensorFlow's .bazelrc and vLLM's
docker/Dockerfile, each at the tag of every release that has no row yet. Rows that exist stay as
they are: what a release was built for does not change. The other packages are kept by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from envgen.cuda.refresh import ask, download, replace_rows, update
from envgen.cuda.requirement import Machine
from envgen.cuda.tables import FOLDER, KernelRow, tables
from envgen.cuda.version import parse_version

FILE: Final = "kernels.toml"
Codes = tuple[tuple[str, ...], tuple[str, ...]]
"""SASS and PTX."""
Builds = Mapping[tuple[str, Machine], Codes]
"""Codes by CUDA release and processor."""

_ARM: Final = re.compile(r'\$\(\[\[ "\$ARCH" == "aarch64" \]\] && echo "([^"]*)" \|\| echo ""\)')
_LIST: Final = re.compile(r'TORCH_CUDA_ARCH_LIST="(?P<value>(?:\$\([^)]*\)|[^"])*)"')
_REMOVED: Final = re.compile(r'remove_archs "\$arch_list"((?: "[\d.]+")+)')
_XLA: Final = re.compile(
    r'^build:(?P<name>\w+) .*CUDA_COMPUTE_CAPABILITIES="(?P<codes>[^"]+)"', re.MULTILINE
)
_XLA_CUDA: Final = re.compile(
    r'^build:(?P<name>\w+) .*HERMETIC_CUDA_VERSION="?(?P<cuda>\d+\.\d+)', re.MULTILINE
)


class Project(NamedTuple):
    """Where a package's build file is, and how it is read."""

    package: str
    repository: str
    tags: str
    path: str
    read: Callable[[str], Builds]


def split_codes(text: str) -> Codes:
    """Return SASS and PTX of a list such as `8.0;9.0a;12.0+PTX`."""
    words = [word for word in re.split(r"[;, ]+", text) if word]
    plain = [re.sub(r"[af]?(?:\+PTX)?$", "", word) for word in words]
    ptx = [code for word, code in zip(words, plain, strict=True) if word.endswith("+PTX")]
    return tuple(plain), tuple(ptx)


def read_torch(text: str) -> Builds:
    """Return what PyTorch's build script names for each CUDA release and processor."""
    start = re.search(r'^TORCH_CUDA_ARCH_LIST="([^"]*)"', text, re.MULTILINE)
    arms = re.findall(r"^ {4}([\d.]+)\)(.*?);;", text, re.MULTILINE | re.DOTALL)
    removed = _REMOVED.search(text)
    without = frozenset(re.findall(r"[\d.]+", removed[1])) if removed else frozenset[str]()
    builds: dict[tuple[str, Machine], Codes] = {}
    for cuda, body in arms:
        for machine in ("x86_64", "aarch64"):
            found = _torch_list(body, start[1] if start else "", machine)
            sass, ptx = split_codes(found)
            kept = sass if machine == "x86_64" else tuple(c for c in sass if c not in without)
            if kept:
                builds[cuda, machine] = (kept, ptx)
    return builds


def _torch_list(body: str, common: str, machine: str) -> str:
    """Return the value that an arm of the script's `case` ends with, for wheels."""
    body = re.sub(r"if \[\[[^\n]*libtorch.*?\bfi\b", "", body, flags=re.DOTALL)
    arm_only = re.search(
        r"if \[\[[^\n]*aarch64[^\n]*then(.*?)else(.*?)\bfi\b", body, flags=re.DOTALL
    )
    if arm_only:
        body = arm_only[1] if machine == "aarch64" else arm_only[2]
    value = common
    for found in _LIST.finditer(body):
        text = _ARM.sub(lambda m: m[1] if machine == "aarch64" else "", found["value"])
        value = text.replace("${TORCH_CUDA_ARCH_LIST}", value)
    return value


def read_bazelrc(text: str) -> Builds:
    """Return what a .bazelrc of XLA's kin names: `sm_80` is SASS, `compute_90` SASS and PTX."""
    cudas = {found["name"]: found["cuda"] for found in _XLA_CUDA.finditer(text)}
    builds: dict[tuple[str, Machine], Codes] = {}
    for found in _XLA.finditer(text):
        cuda = cudas.get(found["name"], cudas.get("cuda", ""))
        words = found["codes"].split(",")
        sass = tuple(_dotted(word) for word in words if word.startswith("sm_"))
        ptx = tuple(_dotted(word) for word in words if word.startswith("compute_"))
        if cuda:
            builds[cuda, "x86_64"] = (sass, ptx)
    return builds


def _dotted(code: str) -> str:
    digits = code.partition("_")[2].rstrip("af")
    return f"{digits[:-1]}.{digits[-1]}"


def read_dockerfile(text: str) -> Builds:
    """Return what vLLM's Dockerfile names; its +PTX covers no newer GPU (see the table)."""
    cuda = re.search(r"^ARG CUDA_VERSION=(\d+\.\d+)", text, re.MULTILINE)
    codes = re.search(r"^ARG torch_cuda_arch_list='([^']+)'", text, re.MULTILINE)
    if not (cuda and codes):
        return {}
    return {(cuda[1], "x86_64"): (split_codes(codes[1])[0], ())}


PROJECTS: Final = (
    Project("torch", "pytorch/pytorch", r"v(2\.\d+\.0)", ".ci/manywheel/build_cuda.sh", read_torch),
    Project("jax", "jax-ml/jax", r"jax-v(0\.\d+\.0)", ".bazelrc", read_bazelrc),
    Project("tensorflow", "tensorflow/tensorflow", r"v(2\.\d+\.0)", ".bazelrc", read_bazelrc),
    Project("vllm", "vllm-project/vllm", r"v(0\.\d+\.0)", "docker/Dockerfile", read_dockerfile),
)


def make_rows(project: Project, version: str, builds: Builds) -> tuple[KernelRow, ...]:
    """Return the rows of one release; its series stands for it."""
    source = f"{project.repository} {project.path} at the tag of {version}"
    return tuple(
        KernelRow(
            package=_package(project.package, cuda),
            version=str(parse_version(version).release),
            cuda=cuda,
            machine=machine,
            sass=sass,
            ptx=ptx,
            source=source,
            verified=True,
        )
        for (cuda, machine), (sass, ptx) in builds.items()
    )


def _package(name: str, cuda: str) -> str:
    return f"jax-cuda{parse_version(cuda).major}-plugin" if name == "jax" else name


def missing_releases(
    project: Project, tags: Iterable[str], rows: Iterable[KernelRow]
) -> tuple[str, ...]:
    """Return the releases that are newer than every row of the package."""
    names = {_package(project.package, cuda) for cuda in ("12.0", "13.0")}
    newest = max(parse_version(row.version).release for row in rows if row.package in names)
    found = (re.fullmatch(project.tags, tag) for tag in tags)
    releases = {tag[1] for tag in found if tag and parse_version(tag[1]).release > newest}
    return tuple(sorted(releases, key=parse_version))


def list_tags(repository: str) -> tuple[str, ...]:
    """Ask GitHub for a repository's tags."""
    listed = ask(["git", "ls-remote", "--tags", f"https://github.com/{repository}"])
    return tuple(re.findall(r"refs/tags/([^\s^]+)$", listed, re.MULTILINE))


def fetch(project: Project, version: str) -> str:
    """Ask GitHub for the build file of a release."""
    tag = re.sub(r"\(.*\)", version, project.tags).replace("\\", "")
    return download(f"https://raw.githubusercontent.com/{project.repository}/{tag}/{project.path}")


def main() -> int:
    """Show what changed, or write it; 1 where a build file names nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    rows = list(tables().kernels)
    empty = []
    for project in PROJECTS:
        for version in missing_releases(project, list_tags(project.repository), rows):
            found = make_rows(project, version, project.read(fetch(project, version)))
            rows += found
            empty += [] if found else [f"{project.package} {version}"]
    if empty:
        print(f"nothing was read for {', '.join(empty)}", file=sys.stderr)
        return 1
    text = replace_rows((FOLDER / FILE).read_text("utf-8"), "kernels", rows)
    sys.stdout.write(update(FILE, text, write=arguments.write))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
