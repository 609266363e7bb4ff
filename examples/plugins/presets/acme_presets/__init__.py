"""Presets of the team: only the files beside this one matter, and nothing here is run."""
