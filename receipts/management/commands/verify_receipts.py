"""Proves the receipt log's chain, or names the first broken row."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from receipts import chain
from receipts.states import State


class Command(BaseCommand):
    help = "Prove that no row of the receipt log was altered, put in or taken out; else name the first one."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = chain.find_broken_row()
        if broken is not None:
            raise CommandError(
                f"conversation {broken.conversation_id}, user {broken.user_id}, device {broken.device_id}, "
                f"{State(broken.state).wire}, row {broken.n}: {broken.fault}"
            )
        extent = chain.measure_extent()
        self.stdout.write(f"whole: {extent.rows} rows in {extent.lanes} lanes, digest {extent.digest}")
