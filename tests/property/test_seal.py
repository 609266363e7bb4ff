"""An untouched file is known, whatever its line endings; a touched one is never missed."""

from hypothesis import assume, given
from hypothesis import strategies as st

from envgen.rendered import is_untouched, seal

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\r")
headers = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=30)
bodies = st.text(letters, max_size=200).map(lambda text: text + "\n")


@given(headers, bodies)
def test_sealed_file_is_untouched(header: str, body: str) -> None:
    assert is_untouched(seal(header, body))


@given(headers, bodies)
def test_checkout_with_other_line_endings_is_untouched(header: str, body: str) -> None:
    assert is_untouched(seal(header, body).replace(b"\n", b"\r\n"))


@given(headers, bodies, st.data())
def test_any_changed_byte_is_an_edit(header: str, body: str, data: st.DataObject) -> None:
    sealed = seal(header, body)
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[place] ^= data.draw(st.integers(1, 255))
    assume(bytes(changed).replace(b"\r\n", b"\n") != sealed)

    assert not is_untouched(bytes(changed))


@given(headers, bodies, st.text(letters, min_size=1, max_size=20), st.data())
def test_anything_put_in_is_an_edit(header: str, body: str, new: str, data: st.DataObject) -> None:
    sealed = seal(header, body)
    place = data.draw(st.integers(0, len(sealed)))

    assert not is_untouched(sealed[:place] + new.encode() + sealed[place:])


@given(st.binary(max_size=200))
def test_file_that_is_not_ours_counts_as_edited(content: bytes) -> None:
    assert not is_untouched(content)
