"""Invites somebody to create an account, for the people who run this installation."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from django.utils.http import urlencode

from accounts import invitations


class Command(BaseCommand):
    help = "Print a link by which people may create an account while PARLEY_SIGN_UP is `invite`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default="", help="for this address only; empty: whoever has the link")
        parser.add_argument("--days", type=int, default=invitations.DAYS, help=f"1 to {invitations.MOST_DAYS}")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SIGN_UP == invitations.CLOSED:
            raise CommandError("PARLEY_SIGN_UP=closed takes no new accounts: set it to invite")
        try:
            invitation = invitations.invite(options["email"], days=options["days"])
        except ValueError as wrong:
            raise CommandError(f"--days: {wrong}") from None
        self.stdout.write(f"{settings.SITE}{reverse('account_signup')}?{urlencode({'invitation': invitation})}")
