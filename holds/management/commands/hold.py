"""Legal holds, by the people who run this installation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

from gateway.errors import Refused
from holds import holds


class Command(BaseCommand):
    help = "Set a legal hold on a conversation or a user, release one, list those in force."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        new = verbs.add_parser("set", help="let nothing of a conversation, or of a user, be removed")
        new.add_argument("--chat", type=int)
        new.add_argument("--user", type=int)
        new.add_argument("--by", required=True, help="who orders it")
        new.add_argument("--reason", required=True)
        new.add_argument("--until", help="an ISO time with its zone; none: until released")
        verbs.add_parser("release", help="end a hold").add_argument("hold", type=int)
        verbs.add_parser("list", help="list the holds in force")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(getattr(self, options["verb"])(options))
        except Refused as refusal:
            raise CommandError(refusal.message) from refusal

    def set(self, options: dict[str, Any]) -> str:
        until = parse_datetime(options["until"]) if options["until"] else None
        if options["until"] and (until is None or not is_aware(until)):
            raise CommandError("--until: an ISO time with its zone, 2027-01-31T00:00:00Z")
        number = holds.set_hold(
            by=options["by"],
            reason=options["reason"],
            conversation_id=options["chat"],
            user_id=options["user"],
            until=until,
        )
        return f"hold {number}"

    def release(self, options: dict[str, Any]) -> str:
        holds.release(options["hold"])
        return f"hold {options['hold']} is released"

    def list(self, options: dict[str, Any]) -> str:
        return "\n".join(
            f"hold {h.pk}: conversation {h.conversation_id or 'any'}, user {h.user_id or 'any'}, "
            f"by {h.held_by}, until {h.held_until or 'released'}: {h.reason}"
            for h in holds.in_force()
        )
