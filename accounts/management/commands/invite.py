"""`manage.py invite`: prints a link by which somebody makes an account."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts import invitations, users
from gateway.errors import InvalidPayload


class Command(BaseCommand):
    help = "Print an invitation link. Revoke it in the admin, under Invitations."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", help="only for this address, which the link also confirms")
        parser.add_argument("--uses", type=int, default=1, help="accounts that it makes (default 1)")
        parser.add_argument(
            "--days", type=float, default=invitations.EXPIRES_AFTER.days, help="its life (default 7, at most 90)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SIGN_UP == "closed":
            raise CommandError("PARLEY_SIGN_UP=closed takes no new accounts: set it to invite.")
        if options["uses"] < 1 or not 0 < options["days"] <= invitations.MOST_DAYS:
            raise CommandError(f"--uses: from 1. --days: 1 to {invitations.MOST_DAYS} days.")
        try:
            email = options["email"] and users.clean_email(options["email"])
        except InvalidPayload as refusal:
            raise CommandError(f"--email: {refusal.message}.") from None
        invitation = invitations.create(email=email or None, max_uses=options["uses"], days=options["days"])
        self.stdout.write(invitations.link_to(invitation))
