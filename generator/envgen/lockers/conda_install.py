"""Install the packages of a conda.toml into a prefix, so that a second run gives the same bytes.

    PYTHONPATH=<py-rattler> python3 conda.py conda.toml /opt/venv

It runs in a stage of the image's build, where nothing of envgen is: the standard library, and
py-rattler, which refuses a file whose SHA-256 is another than the locked one.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import rattler  # type: ignore[import-not-found]  # only the build stage has it

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: pip brings the parser that became tomllib.
    from pip._vendor import tomli as tomllib  # type: ignore[no-redef]

_SUBDIRS = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}


def main(file: str, prefix: str) -> None:
    """Install, and take out what differs from run to run."""
    document = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    subdir = _SUBDIRS[platform.machine()]
    records = [
        make_record(package, archive)
        for package in document["packages"]
        for archive in package["archives"]
        if archive["platform"] == subdir
    ]
    refuse_disks(records)
    asyncio.run(install(records, prefix, subdir))
    warn_of_link_scripts(Path(prefix))
    normalise(Path(prefix))
    compile_bytecode(Path(prefix))


def make_record(package: dict[str, Any], archive: dict[str, Any]) -> "rattler.RepoDataRecord":
    """Return what py-rattler has to know of a package; the rest it reads in the package itself."""
    channel, subdir, name = archive["url"].rsplit("/", 2)
    stem = name.removesuffix(".conda").removesuffix(".tar.bz2")
    build = stem.rsplit("-", 1)[1]
    record = rattler.PackageRecord(
        package["conda"],
        package["version"],
        rattler.BuildString(build),
        0,
        subdir,
        sha256=bytes.fromhex(archive["sha256"]),
        size=archive.get("size"),
    )
    return rattler.RepoDataRecord(record, name, archive["url"], channel)


def refuse_disks(records: "list[rattler.RepoDataRecord]") -> None:
    """Refuse files that are not fetched: py-rattler 0.28.0 does not compare their SHA-256."""
    for record in records:
        if not record.url.startswith(("https://", "http://")):
            sys.exit(f"{record.url} would not be verified; serve the channel over HTTP")


async def install(records: "list[rattler.RepoDataRecord]", prefix: str, subdir: str) -> None:
    """Download, verify and link. Scripts that packages bring for this moment are not run."""
    settings = 'tls-root-certs = "native"\n' if "SSL_CERT_FILE" in os.environ else ""
    await rattler.install(
        records,
        target_prefix=prefix,
        platform=rattler.Subdir(subdir),
        execute_link_scripts=False,
        show_progress=False,
        client=rattler.Client.from_config(rattler.Config.from_toml(settings)),
    )


def warn_of_link_scripts(prefix: Path) -> None:
    """Say which packages bring a script that conda would have run."""
    for script in sorted(prefix.glob("bin/.*-post-link.sh")):
        sys.stderr.write(f"warning: {script.name} is not run\n")


def normalise(prefix: Path) -> None:
    """Take out what tells of this machine and this moment, and what calls the prefix a cache."""
    for name in ("conda-meta/history", "CACHEDIR.TAG"):
        (prefix / name).unlink(missing_ok=True)
    for file in (prefix / "conda-meta").glob("*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        for key in ("extracted_package_dir", "package_tarball_full_path", "link"):
            record.pop(key, None)
        file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def compile_bytecode(prefix: Path) -> None:
    """Compile everything anew, serially and checked by content.

    Packages bring bytecode that is checked by the time of its source, and times are not kept. What
    cannot be compiled, as templates and tests for errors, has no bytecode and needs none.
    """
    python = prefix / "bin" / "python"
    command = ["-B", "-m", "compileall", "-f", "-qq", "--invalidation-mode=checked-hash"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONPATH", None)
    for folder in sorted(prefix.glob("lib/python3.*")):
        subprocess.run([python, *command, folder], check=False, env=environment)  # noqa: TID251 - envgen is not there


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stderr.flush()
    # Threads of py-rattler 0.28.0 outlive its calls, and a Python that is taken down under them
    # crashes now and then, when all is done.
    os._exit(0)
