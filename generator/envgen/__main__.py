"""`python -m envgen`, and the `envgen` program."""

import gc
import sys

# Most runs live for less time than their first full collections would take.
gc.disable()

from envgen.cli import run  # noqa: E402


def main() -> int:
    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
