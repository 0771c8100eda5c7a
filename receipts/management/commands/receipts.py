"""How long the receipt log of a conversation is kept, by the people who run this installation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway.errors import Refused
from receipts import policies


class Command(BaseCommand):
    help = "Regulate a conversation's receipts (WORM)."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        regulate = verbs.add_parser("regulate", help="keep a conversation's receipts for so many days, from now on")
        regulate.add_argument("chat", type=int)
        regulate.add_argument("days", type=int, help="1 to 2557; 0: as everywhere else")
        regulate.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(getattr(self, options["verb"])(options))
        except Refused as refusal:
            raise CommandError(refusal.message) from refusal

    def regulate(self, options: dict[str, Any]) -> str:
        policies.set_retention(options["chat"], days=options["days"] or None, reason=options["reason"])
        return f"conversation {options['chat']}: {options['days'] or 'the usual'} days"
