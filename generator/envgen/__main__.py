"""`python -m envgen`, and the `envgen` program."""

import gc
import signal
import sys

# Most runs live for less time than their first full collections would take.
gc.disable()

from envgen.cli import run  # noqa: E402


def main() -> int:
    # As after Ctrl-C, what is staged goes and what runs is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
