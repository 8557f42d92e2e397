"""The error family: each carries a sentence for the person and a code for the log.

LtiBadgesError
├── SettingsError          the start stops with this one line
├── InvalidInput           a form, option or file is wrong; nothing was changed (422)
├── NotFound               no such thing, or not in this person's course (404)
├── NotAllowed             the role does not permit it (403)
├── LaunchError            a login, launch or registration that is refused (400–403)
├── HttpError              an outbound call: NotSent (never left) or ReplyLost (may have arrived)
├── PlatformError          an LMS could not be read or written
│   ├── Unsupported        this LMS, as connected, has no such thing
│   ├── NotConnected       needs credentials that nobody has given yet
│   ├── NoRight            the LMS refuses our credentials or scope
│   ├── Gone               the item, course or member is no longer there
│   └── PlatformDown       down, slow, throttled or unreadable: later
└── BackendError           a badge backend did not take an award
    ├── Refused            it said no: a person must act
    │   ├── Unauthorized   … about our credentials
    │   └── NeedsRecipient … about the learner's e-mail or id
    ├── Unavailable        nothing was stored: repeat later
    └── OutcomeUnknown     perhaps stored: look up before any resend
"""

from __future__ import annotations


class LtiBadgesError(Exception):
    """`message` is a whole sentence for a person; `code` a short word for the log."""

    code = "error"
    status = 400

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.message


class SettingsError(LtiBadgesError):
    """A setting is missing, unknown or bad."""

    code = "settings"


class InvalidInput(LtiBadgesError):
    """What a person entered can't be taken; `field` names the input it came from, if one did."""

    code = "invalid_input"
    status = 422

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field


class NotFound(LtiBadgesError):
    """No such thing here."""

    code = "not_found"
    status = 404


class NotAllowed(LtiBadgesError):
    """The person's role in the course does not permit this."""

    code = "not_allowed"
    status = 403


class LaunchError(LtiBadgesError):
    """A login, launch or registration that is refused, with the HTTP status to answer;
    `return_url` is the LMS's own address to go back to, once it is proved to be its own."""

    code = "launch_refused"
    return_url: str | None = None

    def __init__(self, message: str, *, code: str, status: int = 400) -> None:
        super().__init__(message, code=code)
        self.status = status


class HttpError(LtiBadgesError):
    """An outbound call that brought no usable answer."""

    code = "http"
    status = 502


class NotSent(HttpError):
    """The request never reached the server: safe to repeat."""

    code = "not_sent"


class ReplyLost(HttpError):
    """The request may have been carried out, but no readable answer came back."""

    code = "reply_lost"


class PlatformError(LtiBadgesError):
    """An LMS could not be read or written."""

    code = "platform"
    status = 502


class Unsupported(PlatformError):
    """This LMS, as it is connected, offers no such thing."""

    code = "unsupported"


class NotConnected(PlatformError):
    """The LMS's own REST API is needed, and nobody has connected it yet."""

    code = "not_connected"


class NoRight(PlatformError):
    """The LMS refuses our credentials, scope or role."""

    code = "no_right"


class Gone(PlatformError):
    """The course, item or member is no longer there."""

    code = "gone"


class PlatformDown(PlatformError):
    """Down, slow, throttled or unreadable; `retry_after` in seconds where the LMS named a time."""

    code = "platform_down"

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class BackendError(LtiBadgesError):
    """A badge backend did not take an award."""

    code = "backend"
    status = 502


class Refused(BackendError):
    """The backend said no; repeating changes nothing until a person acts."""

    code = "refused"


class Unauthorized(Refused):
    """The backend refuses our credentials or rights; concerns all its awards."""

    code = "unauthorized"


class NeedsRecipient(Refused):
    """The backend needs an e-mail, name or id of the learner that we don't have."""

    code = "needs_recipient"


class Unavailable(BackendError):
    """Nothing was stored; repeat after `retry_after` seconds, or by our own pace when None."""

    code = "unavailable"

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class OutcomeUnknown(BackendError):
    """The backend may have stored the award: look it up before any resend."""

    code = "outcome_unknown"
