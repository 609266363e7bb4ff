"""What a conda-lock.yml holds, and whether it holds together.

conda-lock writes down whatever its solver answers. So this asks the channels for each locked
package and checks that every dependency is met inside of the lock. conda-lock's own environment
runs it, with a JSON question on standard input; it imports nothing of envgen.

    {"lock": "/tmp/x/conda-lock.yml", "ready": "/tmp/x/ready", "platforms": {"linux-64":
     {"specs": ["python 3.13.*"], "channels": ["conda-forge"], "virtual": {"__glibc": "2.41"}}}}

The answer has a row for each package and platform, and a line for each fault. It is started beside
conda-lock, because loading py-rattler takes a while, and waits until the file `ready` is there.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rattler  # type: ignore[import-not-found]  # only conda-lock's own environment has it
import yaml
from rattler.exceptions import GatewayError  # type: ignore[import-not-found]

Json = dict[str, Any]


def main() -> None:
    """Answer the question on standard input."""
    question = json.load(sys.stdin)
    wait_for(Path(question["ready"]))
    # In C where PyYAML was built with it: ten times as fast, and locks are long.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lock = yaml.load(Path(question["lock"]).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    packages: list[Json] = []
    faults: list[Json] = []
    for platform, asked in question["platforms"].items():
        rows = [
            row
            for row in lock["package"]
            if row["manager"] == "conda" and row["platform"] == platform
        ]
        records = find_records(rows, asked["channels"], platform)
        faults += check(platform, rows, records, asked)
        packages += [describe(platform, row, records.get(row["url"])) for row in rows]
    json.dump({"packages": packages, "faults": faults}, sys.stdout)


def wait_for(file: Path) -> None:
    """Wait until a file is there; end where its folder, or who asked, is gone."""
    asker = os.getppid()
    while not file.exists():
        if not file.parent.exists() or os.getppid() != asker:
            os._exit(1)
        time.sleep(0.01)


def find_records(
    rows: Iterable[Json], channels: Iterable[str], platform: str
) -> dict[str, rattler.RepoDataRecord]:
    """Return what the channels say of locked packages, by URL."""
    try:
        return asyncio.run(_query(rows, channels, platform, sharded=True))
    except GatewayError:
        # py-rattler 0.28.0 takes "304 Not Modified", where it asks for shards, for a failure.
        return asyncio.run(_query(rows, channels, platform, sharded=False))


async def _query(
    rows: Iterable[Json], channels: Iterable[str], platform: str, *, sharded: bool
) -> dict[str, rattler.RepoDataRecord]:
    wanted = {row["url"]: row["name"] for row in rows}
    gateway = rattler.Gateway(default_config=rattler.SourceConfig(sharded_enabled=sharded))
    found = await gateway.query(
        [rattler.Channel(channel) for channel in channels],
        [rattler.Subdir(platform), rattler.Subdir("noarch")],
        sorted(set(wanted.values())),
        recursive=False,
    )
    return {record.url: record for records in found for record in records if record.url in wanted}


def describe(platform: str, row: Json, record: rattler.RepoDataRecord | None) -> Json:
    """Return what envgen keeps of a package."""
    return {
        "platform": platform,
        "name": row["name"],
        "version": row["version"],
        "url": row["url"],
        "sha256": row["hash"].get("sha256") or "",
        "build": str(record.build) if record else "",
        "size": record.size if record else None,
        "python": bool(record and any(_name(spec) == "python" for spec in record.depends)),
    }


def check(
    platform: str,
    rows: Iterable[Json],
    records: Mapping[str, rattler.RepoDataRecord],
    asked: Json,
) -> Iterator[Json]:
    """Yield every fault of a platform's packages."""
    here: dict[str, rattler.PackageRecord] = {
        name: _virtual_package(name, text) for name, text in asked["virtual"].items()
    }
    for row in rows:
        record = records.get(row["url"])
        if record is None:
            what = f"{row['name']} {row['version']} is on none of the channels"
            yield _fault(platform, what, f"the lock has it from {row['url']}")
            continue
        here[row["name"]] = record
        locked, published = row["hash"].get("sha256"), record.sha256
        if not locked:
            what = f"{row['name']} {row['version']} has no SHA-256"
            yield _fault(platform, what, "the channel publishes none, so nothing can be verified")
        elif published and published.hex() != locked:
            what = f"{row['name']} {row['version']} is not the file that its channel has"
            yield _fault(platform, what, f"locked {locked}, published {published.hex()}")
    for spec in asked["specs"]:
        yield from _check_spec(platform, "the spec", spec, here, required=True)
    for row in rows:
        record = here.get(row["name"])
        who = f"{row['name']} {row['version']}"
        for spec in record.depends if record else ():
            yield from _check_spec(platform, who, spec, here, required=True)
        for spec in record.constrains if record else ():
            yield from _check_spec(platform, who, spec, here, required=False)


def _check_spec(
    platform: str,
    who: str,
    text: str,
    here: Mapping[str, rattler.PackageRecord],
    *,
    required: bool,
) -> Iterator[Json]:
    found = here.get(_name(text))
    if found is None:
        if required:
            yield _fault(platform, f"{who} needs {text}", "the lock has no such package")
    elif not rattler.MatchSpec(text).matches(found):
        has = f"{found.name.normalized} {found.version} {found.build}"
        yield _fault(platform, f"{who} needs {text}", f"the lock has {has}")


def _name(spec: str) -> str:
    return str(rattler.MatchSpec(spec).name.normalized)


def _virtual_package(name: str, text: str) -> rattler.PackageRecord:
    version, _, build = text.partition(" ")
    return rattler.PackageRecord(name, version, rattler.BuildString(build or "0"), 0, "noarch")


def _fault(platform: str, what: str, why: str) -> Json:
    return {"platform": platform, "what": what, "why": why}


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # As in conda_executable.py: threads of py-rattler do not bear that Python is taken down.
    os._exit(0)
