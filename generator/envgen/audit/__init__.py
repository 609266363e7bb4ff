"""Which locked packages have known vulnerabilities, and whether that breaks the spec's policy.

What cannot be audited is named, and is never counted as clean.
"""
