"""OS packages of Debian and Ubuntu, pinned: read from dated archives, resolved without apt."""
