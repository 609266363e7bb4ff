"""Which CUDA a driver supports, and which driver a toolkit needs."""

import pytest

from envgen.cuda.drivers import (
    compat_package,
    find_branch,
    host_branch,
    minor_floor,
    reaches,
    release_floor,
    supported_cuda,
)
from envgen.cuda.host import Host, Platform
from envgen.cuda.version import parse_version


def host(driver: str, platform: Platform = "linux", cuda: str = "") -> Host:
    return Host(
        driver=parse_version(driver) if driver else None,
        cuda=parse_version(cuda) if cuda else None,
        platform=platform,
    )


@pytest.mark.parametrize(
    ("driver", "platform", "cuda"),
    [
        ("367.44", "linux", "8.0"),
        ("418", "linux", "10.1"),
        ("450.36.06", "linux", "11.0"),
        ("535.129.03", "linux", "12.2"),
        ("580.65.06", "linux", "13.0"),
        ("551.76", "wsl2", "12.4"),
        ("528.33", "windows", "12.0"),
        ("456.71", "windows", "11.1"),
        ("581.57", "wsl2", "13.0"),
    ],
)
def test_branch_tells_the_supported_cuda(driver: str, platform: Platform, cuda: str) -> None:
    support = supported_cuda(host(driver, platform))
    assert support is not None
    assert support.exact
    assert str(support.low) == cuda


def test_what_the_driver_reports_counts_more_than_the_table() -> None:
    support = supported_cuda(host("535.129.03", cuda="12.8"))
    assert support is not None
    assert str(support) == "12.8"


def test_branch_that_the_table_does_not_know_is_bounded_by_its_neighbours() -> None:
    support = supported_cuda(host("540.4.0"))
    assert support is not None
    assert (str(support.low), str(support.high)) == ("12.2", "12.3")
    assert find_branch(parse_version("540.4.0"), "linux") is None


def test_driver_newer_than_the_table_supports_at_least_its_last_row() -> None:
    support = supported_cuda(host("999.1"))
    assert support is not None
    assert support.high is None


def test_driver_older_than_the_table_is_not_guessed() -> None:
    assert supported_cuda(host("173.14")) is None
    assert supported_cuda(host("")) is None


def test_branch_follows_from_cuda_where_the_driver_is_not_given() -> None:
    assert host_branch(host("", cuda="12.8")) == 570
    assert host_branch(host("")) is None


@pytest.mark.parametrize(
    ("major", "platform", "floor"),
    [(11, "linux", "450.80.02"), (12, "linux", "525.60.13"), (13, "linux", "580.65.06")],
)
def test_major_version_has_a_floor(major: int, platform: Platform, floor: str) -> None:
    assert str(minor_floor(major, platform)) == floor


def test_cuda_before_11_has_no_floor_for_its_major_version() -> None:
    assert minor_floor(10, "linux") is None


def test_release_without_patch_number_gets_the_lowest_floor() -> None:
    assert str(release_floor(parse_version("8.0"), "linux")) == "367.48"
    assert str(release_floor(parse_version("8.0.61"), "linux")) == "375.26"
    assert release_floor(parse_version("99.0"), "linux") is None


def test_bare_branch_counts_as_its_newest_release() -> None:
    assert reaches(parse_version("525"), parse_version("525.60.13"))
    assert not reaches(parse_version("525.53"), parse_version("525.60.13"))


def test_compat_package_is_found_by_release() -> None:
    package = compat_package(parse_version("12.9.1"))
    assert package is not None
    assert 570 in package.branches
    assert compat_package(parse_version("9.0")) is None
