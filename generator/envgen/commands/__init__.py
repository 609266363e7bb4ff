"""What each command does. `cli` parses the arguments and imports the one that is asked for."""
