"""Chat's refusals by the protocol's codes, which the storing statement uses too."""

from gateway.errors import Forbidden, NotFound, Refused


class NotAMember(Refused):
    """You are no member of this conversation."""

    code = "NOT_A_MEMBER"
    status = 403


class ReadOnly(Refused):
    """Only admins write here."""

    code = "READ_ONLY"
    status = 403


class ClockAhead(Refused):
    """You have seen messages that this server does not hold: load the conversation afresh."""

    code = "CLOCK_AHEAD"
    status = 409


class UrgentLimit(Refused):
    """No more urgent messages now."""

    code = "URGENT_LIMIT"
    status = 429


class GroupTooLarge(Refused):
    """The group would have too many members."""

    code = "GROUP_TOO_LARGE"
    status = 422


class AttachmentRejected(Refused):
    """This attachment cannot be sent."""

    code = "ATTACHMENT_REJECTED"
    status = 422


class EditWindowClosed(Refused):
    """It is too late to edit this message."""

    code = "EDIT_WINDOW_CLOSED"
    status = 403


class DeleteWindowClosed(Refused):
    """It is too late to delete this message for everyone."""

    code = "DELETE_WINDOW_CLOSED"
    status = 403


REFUSALS: dict[str, type[Refused]] = {
    refusal.code: refusal for refusal in (NotAMember, ReadOnly, ClockAhead, NotFound, Forbidden, AttachmentRejected)
}
