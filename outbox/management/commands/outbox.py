"""How far the outbox is behind, and its dead jobs; by whoever runs this installation."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from outbox import dead_letters
from outbox.lag import backlog
from outbox.models import Job

ALL = "all"


class Command(BaseCommand):
    help = "Show how far the outbox and its reactions are behind; list dead jobs, or try them again."

    def add_arguments(self, parser: CommandParser) -> None:
        wanted = parser.add_mutually_exclusive_group()
        wanted.add_argument("--dead", action="store_true", help="list the dead jobs")
        wanted.add_argument(
            "--replay",
            metavar="WHICH",
            nargs="?",
            const=ALL,
            help="a reaction's name, a job's id; without one, all dead jobs",
        )

    def handle(self, *args: Any, dead: bool, replay: str | None, **options: Any) -> None:
        if replay is not None:
            self.stdout.write(f"{dead_letters.replay(self._chosen(replay))} jobs are tried again")
        elif dead:
            self._list_dead()
        else:
            self._show_backlog()

    def _chosen(self, which: str) -> QuerySet[Job]:
        if which == ALL:
            return dead_letters.dead_jobs()
        jobs = dead_letters.dead_jobs().filter(id=int(which)) if which.isdecimal() else dead_letters.dead_jobs(which)
        if not jobs.exists():
            raise CommandError(f"no dead job {which}, nor of a reaction of that name: see --dead")
        return jobs

    def _list_dead(self) -> None:
        for job in dead_letters.dead_jobs():
            self.stdout.write(
                f"{job.id} {job.reaction} {job.event} dead since {job.dead_at:%Y-%m-%d %H:%M:%S}Z"
                f" after {job.attempts} attempts: {job.error}"
            )

    def _show_backlog(self) -> None:
        rows, seconds, reactions = backlog(settings.REACTIONS)
        self.stdout.write(f"rows not drained: {rows}, the oldest for {seconds:.1f} s")
        for lag in reactions:
            self.stdout.write(
                f"{lag.reaction}: due {lag.due} (the oldest for {lag.seconds:.1f} s), waiting {lag.waiting}, dead {lag.dead}"
            )
