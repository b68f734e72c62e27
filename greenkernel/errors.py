"""What can go wrong, in three kinds: the user's to mend, worth another try, or final."""

from __future__ import annotations


class GreenKernelError(Exception):
    """Root of every error that GreenKernel raises on purpose."""


class UserError(GreenKernelError):
    """Something the user can mend: shown as plain sentences, never as a traceback of ours.

    Args:
        what: What is wrong, one sentence without a full stop at the end.
        where: The place it was found (an option, a file and line), or None.
        what_to_do: What to do about it, one sentence, or None.
    """

    def __init__(self, what: str, *, where: str | None = None, what_to_do: str | None = None) -> None:
        self.what = what
        self.where = where
        self.what_to_do = what_to_do
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        end = "" if self.what_to_do and self.what_to_do.endswith("?") else "."
        advice = f" {self.what_to_do.rstrip('.')}{end}" if self.what_to_do else ""
        return f"{place}{self.what.rstrip('.')}.{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_user_error, (type(self), self.what, self.where, self.what_to_do))


def _rebuild_user_error(kind: type[UserError], what: str, where: str | None, what_to_do: str | None) -> UserError:
    return kind(what, where=where, what_to_do=what_to_do)


class NotBuiltYetError(UserError):
    """An option that is planned but does not work yet: refused by name instead of being ignored."""


class TemporaryError(GreenKernelError):
    """An outside fault that another try may not meet again.

    Args:
        message: What happened.
        delay_s: Seconds to wait before the next try.
    """

    def __init__(self, message: str, *, delay_s: float = 1.0) -> None:
        self.delay_s = delay_s
        super().__init__(message)


class PermanentError(GreenKernelError):
    """An outside fault that no further try will mend."""


class IntegrityError(PermanentError):
    """Bytes are not what their address or seal says: cut, changed, or written with another key."""
