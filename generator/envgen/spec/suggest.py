"""The "did you mean" of every message that has one."""

from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to `word`, or all of them."""
    import difflib  # noqa: PLC0415 - only a user with a typo pays for it

    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known are " + ", ".join(names) if names else ""
