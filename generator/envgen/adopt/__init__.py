"""From the dependency files of a project to a spec, and the list of what has no place in one."""
