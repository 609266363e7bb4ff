"""What a run ran with: `envgen-run -- COMMAND` writes run.json.

A field that nothing is known about holds `{"missing": reason}`, so that nobody has to guess whether
it was forgotten. Standard library only.
"""

from __future__ import annotations
