"""pylock.toml (PEP 751): the bridge from every locker to the image's installer.

Reading keeps only what an image can install: wheels for its Python and platforms, each with its
SHA-256. Writing gives one file per layer, which the image build installs as it stands.
"""

import tomllib
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from envgen.errors import LockError, Problem
from envgen.lock.packages import Artifact, GitCommit, LockedPackage
from envgen.lockers import LockRequest
from envgen.lockers.indexes import requirement_name
from envgen.platforms import MACHINES
from envgen.rendered import quote_toml

_NEWEST_GLIBC: Final = 41
"""Of Debian 13 (trixie), the newest base there is a row for in presets/data/bases.toml."""


def read_pylock(text: str, request: LockRequest) -> tuple[LockedPackage, ...]:
    """Return the packages of a pylock.toml that `request`'s image installs, sorted by name.

    Raises:
        LockError: Packages without a wheel for the image, or artifacts without a SHA-256.

    """
    pylock = Pylock.from_dict(tomllib.loads(text))
    selector = _Selector(request)
    packages = [selector.select(package) for package in pylock.packages]
    if selector.problems:
        raise LockError(*selector.problems)
    return tuple(
        sorted((package for package in packages if package), key=lambda package: package.name)
    )


class _Selector:
    """Chooses what one image can install and gathers what it cannot."""

    def __init__(self, request: LockRequest) -> None:
        self.request = request
        self.problems: list[Problem] = []
        self.may_build = {canonicalize_name(name) for name in request.allow_source}
        self.ranks = {
            platform: {tag: n for n, tag in enumerate(_tags(request.python, platform))}
            for platform in request.platforms
        }

    def select(self, package: Package) -> LockedPackage | None:
        platforms = [
            platform for platform in self.request.platforms if self._applies(package, platform)
        ]
        if not platforms:
            return None
        everywhere = len(platforms) == len(self.request.platforms)
        marker = "" if everywhere else str(package.marker)
        if package.vcs:
            return self._from_git(package, marker)
        wheels: dict[str, Artifact] = {}
        downloads: dict[str, Artifact] = {}
        source: Artifact | None = None
        for platform in platforms:
            fitting = sorted(self._fitting(package, platform), key=lambda found: found[0])
            for _, wheel in fitting:
                wheels[wheel.filename] = wheel
            if fitting:
                downloads[platform] = fitting[0][1]
            elif package.sdist and package.name in self.may_build:
                source = downloads[platform] = self._artifact(package, package.sdist)
            else:
                self._report_no_wheel(package, platform)
        return LockedPackage(
            name=package.name,
            version=str(package.version),
            wheels=tuple(wheels[name] for name in sorted(wheels)),
            source=source,
            marker=marker,
            downloads=downloads,
        )

    def _from_git(self, package: Package, marker: str) -> LockedPackage:
        """Return a package that a repository has; nobody is sent to one unasked."""
        assert package.vcs is not None  # noqa: S101 - the caller's question
        asked = (text for text in self.request.requirements if "git+" in text)
        if package.name not in {requirement_name(text) for text in asked} | self.may_build:
            self._report(
                f"{package.name} comes from the repository {package.vcs.url}",
                why="another package asks for it; its build would run code that nobody has chosen",
                fix=f'allow it: allow-source = ["{package.name}"]',
            )
        return LockedPackage(
            name=package.name,
            version=str(package.version or ""),
            marker=marker,
            git=GitCommit(
                url=package.vcs.url or "",
                commit=package.vcs.commit_id,
                ref=package.vcs.requested_revision or "",
                subdirectory=package.vcs.subdirectory or "",
            ),
        )

    def _applies(self, package: Package, platform: str) -> bool:
        environment = marker_environment(self.request.python, platform)
        return package.marker is None or package.marker.evaluate(environment)

    def _fitting(self, package: Package, platform: str) -> Iterator[tuple[int, Artifact]]:
        ranks = self.ranks[platform]
        for wheel in package.wheels or ():
            best = min(
                (ranks[tag] for tag in parse_wheel_filename(wheel.filename)[3] if tag in ranks),
                default=None,
            )
            if best is not None:
                yield best, self._artifact(package, wheel)

    def _artifact(self, package: Package, found: PackageWheel | PackageSdist) -> Artifact:
        sha256 = found.hashes.get("sha256", "")
        if not sha256:
            self._report(
                f"{package.name} {package.version} has no SHA-256",
                why=f"the index does not publish one for {found.filename}",
                fix="use an index that does",
            )
        return Artifact(
            filename=found.filename, url=found.url or "", sha256=sha256, size=found.size
        )

    def _report_no_wheel(self, package: Package, platform: str) -> None:
        who = f"{package.name} {package.version}"
        if not (package.sdist or package.wheels):
            self._report(
                f"{who} is a directory, an archive or a repository",
                why="only what an index publishes has a hash and can be fetched in a build",
                fix="publish it to an index, or put its files into the image with `copy`",
            )
            return
        tags = sorted({str(tag.interpreter) for tag in _all_tags(package)})
        have = f"it has wheels for {', '.join(tags)}" if tags else "it has only a source archive"
        fix = "ask for a version that has one, or for another Python"
        if package.sdist:
            fix += f',\nor allow the build: allow-source = ["{package.name}"]'
        self._report(
            f"{who} has no wheel for CPython {self.request.python} on {platform}",
            why=have + "; building from source gives other bytes each time",
            fix=fix,
        )

    def _report(self, what: str, *, why: str, fix: str) -> None:
        problem = Problem(what=what, key=f"images.{self.request.image}", why=why, fix=fix)
        if problem not in self.problems:
            self.problems.append(problem)


def fits(filename: str, package: str, request: LockRequest) -> bool:
    """Return whether an image can install a file: a wheel for it, or an archive it may build."""
    if not filename.endswith(".whl"):
        return package in {canonicalize_name(name) for name in request.allow_source}
    tags = parse_wheel_filename(filename)[3]
    return any(
        not tags.isdisjoint(_tags(request.python, platform)) for platform in request.platforms
    )


def _all_tags(package: Package) -> Iterator[Tag]:
    for wheel in package.wheels or ():
        yield from parse_wheel_filename(wheel.filename)[3]


def _tags(python: str, platform: str) -> Iterator[Tag]:
    """Yield the wheel tags that CPython on a glibc Linux accepts, best first (PEP 425, 600)."""
    major, minor = (int(part) for part in python.split("."))
    machine = MACHINES[platform]
    platforms = [f"manylinux_2_{n}_{machine}" for n in range(_NEWEST_GLIBC, 4, -1)]
    platforms += [f"manylinux{old}_{machine}" for old in ("2014", "2010", "1")]
    platforms.append(f"linux_{machine}")
    yield from cpython_tags((major, minor), platforms=platforms)
    yield from compatible_tags((major, minor), f"cp{major}{minor}", platforms)


def marker_environment(python: str, platform: str) -> dict[str, str | frozenset[str]]:
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": MACHINES[platform],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def render_pylock(
    packages: Collection[LockedPackage], python: str, hashed: Iterable[str] = ()
) -> str:
    """Return the text of a pylock.toml that holds just `packages`, an artifact a line.

    Args:
        packages: What it holds.
        python: Major and minor version.
        hashed: Names of files whose index publishes no hash.

    """
    lines = ['lock-version = "1.0"', f'requires-python = "=={python}.*"', 'created-by = "envgen"']
    if not packages:
        lines.append("packages = []")  # PEP 751 wants the key in any case, and so does uv
    for package in packages:
        lines += ["", "[[packages]]"]
        lines += [f"name = {quote_toml(package.name)}", f"version = {quote_toml(package.version)}"]
        if package.marker:
            lines.append(f"marker = {quote_toml(package.marker)}")
        if package.source:
            lines.append(f"sdist = {_artifact_row(package.source)}")
        if package.git:
            lines += ["# No hash: the commit is named by its content.", _git_row(package.git)]
        if package.wheels:
            rows = [f"    {_artifact_row(wheel)},\n" for wheel in package.wheels]
            lines.append("wheels = [\n" + "".join(rows) + "]")
    files = {wheel.filename for package in packages for wheel in package.wheels}
    names = [f"    {quote_toml(name)},\n" for name in hashed if name in files]
    if names:
        lines += ["", "[tool.envgen]", "# Their index publishes no hash: it was computed."]
        lines.append("hashed = [\n" + "".join(names) + "]")
    return "\n".join(lines) + "\n"


def _git_row(git: GitCommit) -> str:
    fields = {
        "type": "git",
        "url": git.url,
        "requested-revision": git.ref,
        "commit-id": git.commit,
        "subdirectory": git.subdirectory,
    }
    words = (f"{key} = {quote_toml(value)}" for key, value in fields.items() if value)
    return f"vcs = {{ {', '.join(words)} }}"


def _artifact_row(artifact: Artifact) -> str:
    size = "" if artifact.size is None else f"size = {artifact.size}, "
    return (
        f"{{ name = {quote_toml(artifact.filename)}, url = {quote_toml(artifact.url)}, "
        f'{size}hashes = {{ sha256 = "{artifact.sha256}" }} }}'
    )
