from datetime import date

import msgspec
import pytest

from bin import update_bases
from envgen import tables
from envgen.registry.client import FetchedImage

TODAY = date(2026, 12, 1)
ROW = tables.bases()[0]
OTHER = "sha256:" + "0" * 64
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def answer(digest: str, media_type: str = INDEX) -> dict[str, FetchedImage]:
    fetched = FetchedImage(digest=digest, media_type=media_type, platforms=("linux/amd64",))
    return {ROW.image: fetched}


def test_new_digest_replaces_the_recorded_one_with_its_evidence() -> None:
    (row,) = update_bases.refresh([ROW], answer(OTHER), TODAY)

    assert row == msgspec.structs.replace(
        ROW,
        digest=OTHER,
        kind="index",
        date="2026-12-01",
        seen=0,
        verified=True,
        source="registry, 2026-12-01",
    )


def test_recorded_digest_becomes_verified() -> None:
    (row,) = update_bases.refresh([ROW], answer(ROW.digest), TODAY)

    assert row.verified
    assert row.seen == ROW.seen


def test_verified_row_that_still_holds_does_not_change() -> None:
    verified = msgspec.structs.replace(ROW, verified=True)

    assert update_bases.refresh([verified], answer(ROW.digest), TODAY) == (verified,)


def test_digest_of_one_platform_is_refused() -> None:
    assert update_bases.refuse(answer(OTHER)) == []
    assert update_bases.refuse(answer(OTHER, MANIFEST)) == [f"{ROW.image} covers linux/amd64 only"]


def test_missing_answer_leaves_no_table() -> None:
    with pytest.raises(KeyError):
        update_bases.refresh([ROW], {}, TODAY)
