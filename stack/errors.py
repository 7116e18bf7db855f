"""What the stack says when it cannot run."""


class StackError(Exception):
    """The stack cannot start or go on; the message is one plain sentence that also says what to do."""
