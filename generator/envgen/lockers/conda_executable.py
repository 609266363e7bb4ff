"""A conda for conda-lock: `create`, `install` and `list` as dry runs over py-rattler.

conda-lock asks a conda, mamba or micromamba to solve. Where a machine has none, this script takes
its place: conda-lock's own environment runs it, so it imports nothing of envgen. It answers what
`conda_lock/conda_solver.py` (4.0) calls, in the JSON that conda documents, and writes nothing.

Virtual packages come from CONDA_OVERRIDE_*, as conda reads them. conda-lock also passes them as a
channel of its own on this disk, which a solver that reads the variables must not see twice.

CONDA_LOCK_WISHES may name a JSON file: `keep` has platform, name and URL of packages that are kept
where they still fit, `constraints` MatchSpecs for packages that need not be there, `exclude_newer`
the moment (RFC 3339) after which nothing is taken.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rattler  # type: ignore[import-not-found]  # only conda-lock's own environment has it
from rattler.exceptions import (  # type: ignore[import-not-found]
    GatewayError,
    InvalidMatchSpecError,
    SolverError,
)

Json = dict[str, Any]
_VIRTUAL = {
    "ARCHSPEC": "__archspec",
    "CUDA": "__cuda",
    "GLIBC": "__glibc",
    "LINUX": "__linux",
    "UNIX": "__unix",
}
_FAKE_CHANNEL = "conda-lock-fake-repodata-"


def main(words: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    arguments = _parse(words)
    try:
        answer = _COMMANDS[arguments.command](arguments)
    except (GatewayError, InvalidMatchSpecError, SolverError) as error:
        sys.stdout.write(
            json.dumps({"success": False, "message": f"{type(error).__name__}: {error}"})
        )
        return 1
    sys.stdout.write(json.dumps(answer))
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conda", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"py-rattler {rattler.__version__}")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("-p", "--prefix", type=Path)
    parser.add_argument("-c", "--channel", action="append", default=[])
    for flag in ("--dry-run", "--json", "--override-channels", "--no-pip"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("specs", nargs="*")
    arguments = parser.parse_intermixed_args(words)
    if arguments.command in {"create", "install"} and not arguments.dry_run:
        parser.error("only dry runs are supported")
    return arguments


def _create(arguments: argparse.Namespace) -> Json:
    wishes = _read_wishes()
    more = {
        "constraints": wishes["constraints"],
        "exclude_newer": _read_moment(wishes["exclude_newer"]),
    }
    here = os.environ["CONDA_SUBDIR"]
    kept = {row["url"]: row["name"] for row in wishes["keep"] if row["platform"] == here}
    return _actions(_solve(arguments, arguments.specs, kept=kept, more=more))


def _install(arguments: argparse.Namespace) -> Json:
    """Solve with everything kept that is installed, but for what the specs name."""
    installed = _read_prefix(arguments.prefix)
    moved = {rattler.MatchSpec(spec).name.normalized for spec in arguments.specs}
    kept = [entry for entry in installed if entry["name"] not in moved]
    # Everything installed stays wanted, at whatever version the rest then needs.
    wanted = [*arguments.specs, *(entry["name"] for entry in kept)]
    solved = _solve(arguments, wanted, map(_read_record, kept))
    known = {entry["url"] for entry in installed}
    return _actions(record for record in solved if record.url not in known)


def _list(arguments: argparse.Namespace) -> list[Json]:
    return [
        {
            "base_url": entry["channel"].rpartition("/")[0],
            "channel": entry["channel"].rpartition("/")[0].rpartition("/")[2],
            "dist_name": f"{entry['name']}-{entry['version']}-{entry['build']}",
            "name": entry["name"],
            "platform": entry["subdir"],
            "version": entry["version"],
        }
        for entry in _read_prefix(arguments.prefix)
    ]


def _info(_: argparse.Namespace) -> Json:
    return {"pkgs_dirs": [os.environ.get("CONDA_PKGS_DIRS", "")]}


_COMMANDS = {"create": _create, "install": _install, "list": _list, "info": _info}


def _read_prefix(prefix: Path) -> list[Json]:
    files = sorted((prefix / "conda-meta").glob("*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _solve(
    arguments: argparse.Namespace,
    specs: Iterable[str],
    keep: Iterable[rattler.RepoDataRecord] = (),
    *,
    kept: Mapping[str, str] | None = None,
    more: Json | None = None,
) -> list[rattler.RepoDataRecord]:
    """Solve; `keep` stays where it fits, and so does what `kept` names by URL."""
    channels = (url for url in arguments.channel if _FAKE_CHANNEL not in url)
    question = {
        "sources": [rattler.Channel(url) for url in channels],
        # As texts they are read strictly, and `numpy 2.1.0`, which conda-lock writes, is refused.
        "specs": [rattler.MatchSpec(spec) for spec in specs],
        "platforms": [rattler.Subdir(os.environ["CONDA_SUBDIR"]), rattler.Subdir("noarch")],
        "locked_packages": list(keep),
        **(more or {}),
        "virtual_packages": list(_virtual_packages()),
    }
    try:
        return asyncio.run(_ask(question, kept or {}, sharded=True))
    except GatewayError:
        # py-rattler 0.28.0 takes "304 Not Modified", where it asks for shards, for a failure.
        return asyncio.run(_ask(question, kept or {}, sharded=False))


async def _ask(
    question: Json, kept: Mapping[str, str], *, sharded: bool
) -> list[rattler.RepoDataRecord]:
    settings = rattler.SourceConfig(sharded_enabled=sharded)
    gateway = rattler.Gateway(default_config=settings)
    locked = [*question["locked_packages"]]
    if kept:
        names = sorted(set(kept.values()))
        found = await gateway.query(
            question["sources"], question["platforms"], names, recursive=False
        )
        newest = question.get("exclude_newer")
        locked += [r for one in found for r in one if r.url in kept and _is_older(r, newest)]
    solved: list[rattler.RepoDataRecord] = await rattler.solve(
        **{**question, "locked_packages": locked}, gateway=gateway
    )
    return solved


def _read_wishes() -> Json:
    file = os.environ.get("CONDA_LOCK_WISHES", "")
    empty: Json = {"keep": [], "constraints": [], "exclude_newer": ""}
    return json.loads(Path(file).read_text(encoding="utf-8")) if file else empty


def _read_moment(text: str) -> datetime | None:
    # py-rattler takes the moment for UTC, whatever zone it carries.
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _is_older(record: rattler.RepoDataRecord, newest: datetime | None) -> bool:
    """Tell whether a record may be kept: as for all others, one without a time may not."""
    if newest is None:
        return True
    return record.timestamp is not None and record.timestamp <= newest


def _read_record(index: Json) -> rattler.RepoDataRecord:
    """Return a record from the JSON of a prefix."""
    package = rattler.PackageRecord(
        index["name"],
        index["version"],
        rattler.BuildString(index["build"]),
        index["build_number"],
        index["subdir"],
        noarch=index.get("noarch"),
        depends=index.get("depends", []),
        constrains=index.get("constrains", []),
        sha256=bytes.fromhex(index["sha256"]) if index.get("sha256") else None,
        md5=bytes.fromhex(index["md5"]) if index.get("md5") else None,
        size=index.get("size"),
    )
    return rattler.RepoDataRecord(package, index["fn"], index["url"], index["channel"])


def _virtual_packages() -> Iterable[rattler.GenericVirtualPackage]:
    for suffix, name in _VIRTUAL.items():
        value = os.environ.get(f"CONDA_OVERRIDE_{suffix}", "")
        if name == "__unix":
            value = "0"
        if not value:
            continue
        version, build = ("1", value) if name == "__archspec" else (value, "0")
        yield rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString(build)
        )


def _actions(records: Iterable[rattler.RepoDataRecord]) -> Json:
    ordered = sorted(records, key=lambda record: record.name.normalized)
    return {
        "success": True,
        "dry_run": True,
        "actions": {
            "FETCH": [_fetch(record) for record in ordered],
            "LINK": [_link(record) for record in ordered],
        },
    }


def _fetch(record: rattler.RepoDataRecord) -> Json:
    return {
        "channel": record.channel,
        "constrains": list(record.constrains),
        "depends": list(record.depends),
        "fn": record.file_name,
        "md5": record.md5.hex() if record.md5 else "",
        "sha256": record.sha256.hex() if record.sha256 else None,
        "name": record.name.normalized,
        "subdir": record.subdir,
        "timestamp": 0,
        "url": record.url,
        "version": str(record.version),
    }


def _link(record: rattler.RepoDataRecord) -> Json:
    return {
        "base_url": record.channel,
        "channel": record.channel.rstrip("/").rpartition("/")[2],
        "dist_name": re.sub(r"\.(?:tar\.bz2|conda)$", "", record.file_name),
        "name": record.name.normalized,
        "platform": record.subdir,
        "version": str(record.version),
    }


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Threads of py-rattler 0.28.0 outlive its calls, and a Python that is taken down under them
    # crashes now and then (2 of 40 runs), when all is done.
    os._exit(code)
