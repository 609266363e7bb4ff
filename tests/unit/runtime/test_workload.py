from envgen_runtime.workload import Piece, digest, flip_one_bit, one_line
from hypothesis import given
from hypothesis import strategies as st

pieces = st.lists(
    st.builds(
        Piece,
        label=st.text(max_size=5),
        dtype=st.sampled_from(["<f4", "<f8"]),
        shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
        data=st.binary(max_size=40),
    ),
    min_size=1,
    max_size=4,
)


@given(pieces)
def test_one_flipped_bit_changes_the_hash(result: list[Piece]) -> None:
    flipped = flip_one_bit(result)
    if any(piece.data for piece in result):
        assert digest(flipped) != digest(result)
        assert sum(_distance(a.data, b.data) for a, b in zip(result, flipped, strict=True)) == 1
    else:
        assert flipped == result


def _distance(left: bytes, right: bytes) -> int:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).bit_count()


@given(pieces)
def test_flip_leaves_the_original_alone(result: list[Piece]) -> None:
    before = digest(result)
    flip_one_bit(result)
    assert digest(result) == before


@given(pieces, pieces)
def test_equal_hashes_mean_equal_results(left: list[Piece], right: list[Piece]) -> None:
    assert (digest(left) == digest(right)) == (left == right)


def test_signed_zero_and_nan_payload_count() -> None:
    import numpy as np

    def of(value: float, bits: int | None = None) -> str:
        array = np.array([value])
        if bits is not None:
            array.view(np.uint64)[0] = bits
        return digest([Piece("x", array.dtype.str, array.shape, array.tobytes())])

    assert of(0.0) != of(-0.0)
    assert of(0.0, 0x7FF8000000000000) != of(0.0, 0x7FF8000000000001)


def test_no_pieces_can_be_flipped_without_an_error() -> None:
    assert flip_one_bit([]) == []


@given(st.text(max_size=500))
def test_one_line_is_one_short_printable_line(text: str) -> None:
    line = one_line(text, limit=100)
    assert len(line) <= 100
    assert line.isprintable()
