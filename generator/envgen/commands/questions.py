"""Questions to a person at a terminal; Enter takes what is proposed."""

import sys
from collections.abc import Sequence


def can_ask() -> bool:
    """Return whether a person sees questions and can answer them."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str, choices: Sequence[str] = ()) -> str:
    """Return the answer to a question, the default for Enter and for the end of the input.

    Args:
        question: Without its question mark.
        default: What is proposed.
        choices: What may be answered; empty for anything.

    """
    among = f" ({', '.join(choices)})" if choices else ""
    while True:
        tell(f"{question}?{among} [{default}] ", end="")
        line = sys.stdin.readline()
        answer = line.strip() or default
        if not line:
            tell("")
        if not line or not choices or answer in choices:
            return answer
        tell(f"{answer!r} is none of them")


def confirm(question: str, *, default: bool) -> bool:
    """Return whether a person says yes."""
    return ask(question, "yes" if default else "no", ("yes", "no")) == "yes"


def tell(text: str, end: str = "\n") -> None:
    """Write beside standard output, which `init >> pyproject.toml` redirects."""
    sys.stderr.write(text + end)
    sys.stderr.flush()
