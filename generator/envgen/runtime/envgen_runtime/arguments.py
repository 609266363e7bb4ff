"""The command line of what people run; the health check and the start do without argparse."""

from __future__ import annotations

import argparse

from envgen_runtime.table import FORMATS, JSON, TEXT

EXIT_CODES = """\
exit codes:
  0  nothing is wrong
  1  run: something does not repeat its bits, or fails
     compare, run --against: other bits, although nothing explains them (--exact: or does)
     matrix: a device that gives other bits than its equals
  2  no answer: wrong usage, an unreadable file, nothing to compare"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of run, record, compare, matrix, cost and explain."""
    parser = argparse.ArgumentParser(
        prog="envgen_runtime",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    run = verbs.add_parser("run", help="test now and print every result")
    record = verbs.add_parser("record", help="test now and write the fingerprint of this machine")
    compare = verbs.add_parser("compare", help="say what changed between two fingerprints")
    matrix = verbs.add_parser("matrix", help="find the odd one out in the fingerprints of a fleet")
    cost = verbs.add_parser("cost", help="measure what deterministic mode costs here")
    verbs.add_parser("explain", help="tell what a probe would do here, and why")

    run.add_argument("--against", metavar="FILE", help="compare with a fingerprint, too")
    run.add_argument("--json", dest="as_json", action="store_true", help="write all")
    record.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    record.add_argument("--name", default="", help="of this machine; default: its host name")
    compare.add_argument("files", nargs=2, metavar="FILE", help="a fingerprint; - reads it here")
    compare.add_argument("--exact", action="store_true", help="expected differences fail as well")
    matrix.add_argument("files", nargs="*", metavar="FILE", help="fingerprints; - reads them here")
    for verb in (compare, matrix, cost):
        verb.add_argument("--format", dest="form", choices=FORMATS, default=TEXT)
        verb.add_argument(
            "--json", dest="form", action="store_const", const=JSON, help="--format json"
        )
    return parser
