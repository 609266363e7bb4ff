import pytest
from envgen_runtime.claims import ALWAYS, CLAIMS, REFUSES, STRICT, WORKSPACE, find_claim
from envgen_runtime.refusals import ADVICE, Advice, advise


@pytest.mark.parametrize(
    ("version", "workload", "says"),
    [
        ("2.0.1", "cumsum", REFUSES),
        ("2.13.0+cu130", "cumsum", REFUSES),
        ("2.14.1", "cumsum", STRICT),
        ("2.9.1", "gemm float32", WORKSPACE),
        ("2.10.0", "gemm float32", ALWAYS),
        ("2.0.1", "bincount", REFUSES),
        ("2.15.0", "bincount with weights", REFUSES),
    ],
)
def test_claim_is_the_one_of_the_release(version: str, workload: str, says: str) -> None:
    claim = find_claim("torch", version, workload, "cuda:1")
    assert claim is not None
    assert claim.says == says


@pytest.mark.parametrize(
    ("framework", "version", "workload", "device"),
    [
        ("torch", "2.13.0", "cumsum", "cpu"),
        ("torch", "1.13.1", "conv2d", "cuda:0"),
        ("torch", "nightly", "conv2d", "cuda:0"),
        ("torch", "2.6.0", "bincount", "cuda:0"),
        ("plain", "3.12", "draws", "cpu"),
    ],
)
def test_nothing_is_claimed_where_nothing_is_said(
    framework: str, version: str, workload: str, device: str
) -> None:
    assert find_claim(framework, version, workload, device) is None


def test_claims_on_one_workload_do_not_overlap() -> None:
    for claim in CLAIMS:
        assert claim.source
        found = find_claim(claim.framework, claim.since, claim.workload, f"{claim.device}:0")
        assert found is claim


@pytest.mark.parametrize("advice", ADVICE, ids=lambda advice: advice.pattern)
def test_every_pattern_is_reached(advice: Advice) -> None:
    assert advise(advice.pattern.partition("|")[0]) == advice.instead
