"""Package URLs (https://github.com/package-url/purl-spec): one name for a package in every list."""

from urllib.parse import quote

from envgen.export import LockedContent
from envgen.export.conda_lock import CondaPackage, read_conda_lock
from envgen.lock.model import LockedBase
from envgen.lock.packages import GitCommit, LockedPackage


def python_url(package: LockedPackage) -> str:
    place = f"?vcs_url={_encode(git_url(package.git))}" if package.git else ""
    return f"pkg:pypi/{_encode(package.name)}@{_encode(package.version)}{place}"


def git_url(git: GitCommit) -> str:
    """Return where a commit is, in SPDX's form for version control systems."""
    return f"git+{git.url}@{git.commit}" + (f"#{git.subdirectory}" if git.subdirectory else "")


def base_url(base: LockedBase) -> str:
    repository, _, tag = base.image.partition("@")[0].rpartition(":")
    name = repository.rpartition("/")[2]
    return (
        f"pkg:oci/{_encode(name)}@{_encode(base.digest)}"
        f"?repository_url={quote(repository, safe='/:')}&tag={_encode(tag)}"
    )


def conda_url(package: CondaPackage) -> str:
    qualifiers = {
        "build": package.build,
        "channel": package.channel,
        "subdir": package.subdir,
        "type": package.archive,
    }
    query = "&".join(f"{key}={_encode(value)}" for key, value in qualifiers.items() if value)
    return f"pkg:conda/{_encode(package.name)}@{_encode(package.version)}?{query}"


def list_conda(content: LockedContent) -> list[CondaPackage]:
    """Return the conda packages of all platforms, those for every platform once."""
    if not content.conda_lock:
        return []
    found = {package.url: package for package in read_conda_lock(content.conda_lock)}
    return [package for package in found.values() if package.manager == "conda"]


def _encode(text: str) -> str:
    """Percent-encode a part of a package URL."""
    return quote(text, safe="")
