"""Everything that came from outside, pinned: the second stage of the flow."""
