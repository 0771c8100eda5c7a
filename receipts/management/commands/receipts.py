"""How long the receipt log of a conversation is kept, and legal holds; by whoever runs this installation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

from gateway.errors import Refused
from receipts import policies


class Command(BaseCommand):
    help = "Regulate a conversation's receipts (WORM), hold them, release a hold, list the holds."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        regulate = verbs.add_parser("regulate", help="keep a conversation's receipts for so many days, from now on")
        regulate.add_argument("chat", type=int)
        regulate.add_argument("days", type=int, help="1 to 2557; 0: as everywhere else")
        regulate.add_argument("--reason", required=True)
        hold = verbs.add_parser("hold", help="let nothing of a conversation, or of a user, be swept")
        hold.add_argument("--chat", type=int)
        hold.add_argument("--user", type=int)
        hold.add_argument("--by", required=True, help="who orders it")
        hold.add_argument("--reason", required=True)
        hold.add_argument("--until", help="an ISO time with its zone; none: until released")
        verbs.add_parser("release", help="end a hold").add_argument("hold", type=int)
        verbs.add_parser("holds", help="list the holds in force")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(getattr(self, options["verb"])(options))
        except Refused as refusal:
            raise CommandError(refusal.message) from refusal

    def regulate(self, options: dict[str, Any]) -> str:
        policies.regulate(options["chat"], days=options["days"] or None, reason=options["reason"])
        return f"conversation {options['chat']}: {options['days'] or 'the usual'} days"

    def hold(self, options: dict[str, Any]) -> str:
        until = parse_datetime(options["until"]) if options["until"] else None
        if options["until"] and (until is None or not is_aware(until)):
            raise CommandError("--until: an ISO time with its zone, 2027-01-31T00:00:00Z")
        made = policies.hold(
            by=options["by"],
            reason=options["reason"],
            conversation_id=options["chat"],
            user_id=options["user"],
            until=until,
        )
        return f"hold {made}"

    def release(self, options: dict[str, Any]) -> str:
        policies.release(options["hold"])
        return f"hold {options['hold']} is released"

    def holds(self, options: dict[str, Any]) -> str:
        return "\n".join(
            f"hold {h.pk}: conversation {h.conversation_id or 'any'}, user {h.user_id or 'any'}, "
            f"by {h.held_by}, until {h.held_until or 'released'}: {h.reason}"
            for h in policies.holds()
        )
