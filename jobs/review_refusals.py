"""Why a person's decision does not count."""

from collections.abc import Sequence

from schemas.answer import Violation


class DecisionRefused(ValueError):
    """The decision does not count. The review stays as it was and can be decided anew.

    Attributes:
        errors: what is wrong and where; an empty path means the whole.
        reasons: the same, each as one plain sentence.
    """

    def __init__(self, errors: Sequence[Violation | str]) -> None:
        self.errors = [Violation(path="", message=error) if isinstance(error, str) else error for error in errors]
        self.reasons = [str(error) for error in self.errors]
        super().__init__("; ".join(self.reasons))


class ClaimLost(DecisionRefused):
    """It is not, or no longer, this person's to decide, whatever the decision: the review has to be looked at again."""

    def __init__(self, reason: str) -> None:
        super().__init__([reason])
