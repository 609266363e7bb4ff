"""Version constraints of poetry and conda as PEP 440 says them, and the other way round.

A translation admits the same versions or there is none: what cannot be said is refused, with the
reason. PEP 440's own words need no translation for poetry, which reads all of them but `===`.
"""


class TranslationError(ValueError):
    """A constraint that the other language cannot say, or that is none; its text tells why."""
