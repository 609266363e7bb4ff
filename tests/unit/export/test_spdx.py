"""SPDX 2.3, held to the validator of its own project."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.export.test_export_forms import ALL, CONDA_LOCK, NUMPY, UVLOOP, make_content

from envgen.export import export

if TYPE_CHECKING:
    from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the validator's own dependencies
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


@pytest.mark.parametrize("packages", [(), ALL])
@pytest.mark.parametrize("conda_lock", ["", CONDA_LOCK])
def test_document_is_valid(tmp_path: Path, packages: Any, conda_lock: str) -> None:
    path = tmp_path / "x.spdx.json"
    path.write_bytes(export("spdx", make_content(*packages, conda_lock=conda_lock)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert validate_full_spdx_document(parse_file(str(path)), "SPDX-2.3") == []


def test_packages_have_their_address_and_hash() -> None:
    document = json.loads(export("spdx", make_content(UVLOOP)))

    (found,) = (package for package in document["packages"] if package["name"] == "uvloop")
    assert found["externalRefs"][0]["referenceLocator"] == "pkg:pypi/uvloop@0.22.1"
    assert found["downloadLocation"] == UVLOOP.wheels[0].url
    assert found["checksums"] == [{"algorithm": "SHA256", "checksumValue": UVLOOP.wheels[0].sha256}]


def test_package_with_several_files_names_them_all() -> None:
    document = json.loads(export("spdx", make_content(NUMPY)))

    (found,) = (package for package in document["packages"] if package["name"] == "numpy")
    assert all(wheel.sha256 in found["comment"] for wheel in NUMPY.wheels)
    assert "checksums" not in found


def test_another_lock_is_another_document() -> None:
    one, other = (json.loads(export("spdx", make_content(each))) for each in (NUMPY, UVLOOP))

    assert one["documentNamespace"] != other["documentNamespace"]
