"""What operators see and do: the lag of each reaction, and dead jobs that are replayed or discarded."""

from datetime import timedelta
from io import StringIO
from secrets import token_hex

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import users
from accounts.models import User
from outbox import dead_letters, jobs
from outbox.lag import Lag, backlog
from outbox.models import Job, Outbox
from tests.outbox.reactions import Recorder, calling

ERROR = "RuntimeError at search/index.py:7"


def dead_job(reaction: str = "index", **more: object) -> Job:
    values = {"attempts": jobs.MOST_ATTEMPTS, "dead_at": timezone.now(), "error": ERROR, **more}
    return Job.objects.create(reaction=reaction, event="user.disabled", keys={"user_id": 7}, **values)


def staff(*permissions: str) -> Client:
    """Return a browser in which a member of the staff with these permissions has signed in."""
    email, password = f"{token_hex(8)}@example.org", "quiet-Harbour-lantern"
    person = users.register(display_name="Staff", email=email, password=password)
    User.objects.filter(id=person.pk).update(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="outbox", codename__in=permissions))
    browser = Client()
    browser.post(reverse("account_login"), {"login": email, "password": password, "next": "/admin/"})
    return browser


def act(browser: Client, action: str, *chosen: Job) -> int:
    form = {"action": action, "_selected_action": [job.id for job in chosen]}
    return browser.post(reverse("admin:outbox_job_changelist"), form).status_code


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("outbox", *arguments, stdout=out)
    return out.getvalue()


def test_replayed_job_is_run_again_from_the_start_of_the_ladder() -> None:
    job, recorder = dead_job(), Recorder()
    index = calling("index", recorder)
    assert jobs.work(index) == 0

    assert dead_letters.replay(dead_letters.dead_jobs("index")) == 1

    job.refresh_from_db()
    assert (job.dead_at, job.attempts, job.error) == (None, 1, "")
    assert jobs.work(index) == 1
    assert not Job.objects.exists()


def test_replayed_job_that_still_fails_delays_no_new_job() -> None:
    job, recorder = dead_job(), Recorder(broken=True)
    Job.objects.create(reaction="index", event="user.disabled", keys={"user_id": 8})
    dead_letters.replay(dead_letters.dead_jobs())

    jobs.work(calling("index", recorder))

    assert sorted(len(events) for events in recorder.runs) == [1, 1]
    assert Job.objects.get(id=job.id).attempts == 2


def test_only_dead_jobs_are_replayed_or_discarded() -> None:
    Job.objects.create(reaction="index", event="user.disabled", keys={}, attempts=3)

    assert dead_letters.replay(Job.objects.all()) == 0
    assert dead_letters.discard(Job.objects.all()) == 0
    assert Job.objects.get().attempts == 3


def test_backlog_counts_jobs_of_each_reaction_and_how_long_the_oldest_is_due() -> None:
    now = timezone.now()
    dead_job()
    for due_in in (-60, -90, 60):
        due = now + timedelta(seconds=due_in)
        Job.objects.create(reaction="index", event="user.disabled", keys={}, available_at=due)
    Outbox.objects.create(event="user.disabled", data={"user_id": 1})
    Outbox.objects.update(created_at=now - timedelta(seconds=30))

    rows, seconds, reactions = backlog([calling("idle", Recorder())])

    assert (rows, 30 <= seconds < 60) == (1, True)
    idle, index = reactions
    assert idle == Lag("idle", 0, 0, 0, 0.0)
    assert index[:4] == ("index", 2, 1, 1)
    assert 90 <= index.seconds < 120


def test_staff_lists_dead_jobs_and_no_others() -> None:
    dead = dead_job()
    Job.objects.create(reaction="alive", event="user.disabled", keys={})

    page = staff("view_job").get(reverse("admin:outbox_job_changelist"), {"reaction": "index", "error": ERROR})

    text = page.content.decode()
    assert page.status_code == 200
    assert ERROR in text and f"/{dead.id}/" in text
    assert "alive" not in text


def test_staff_replays_and_discards_dead_jobs() -> None:
    one, other = dead_job(), dead_job()
    browser = staff("view_job", "change_job")

    assert [act(browser, "replay", one), act(browser, "discard", other)] == [302, 302]

    assert [(job.id, job.dead_at) for job in Job.objects.all()] == [(one.id, None)]


@pytest.mark.parametrize("action", ["replay", "discard", "delete_selected"])
@pytest.mark.parametrize("permissions", [(), ("view_job",), ("view_job", "delete_job")])
def test_staff_without_the_permission_to_change_jobs_changes_none(action: str, permissions: tuple[str, ...]) -> None:
    job = dead_job()

    act(staff(*permissions), action, job)

    assert Job.objects.get().dead_at is not None


def test_dead_job_cannot_be_edited_or_made_by_the_staff() -> None:
    job = dead_job()
    browser = staff("view_job", "change_job", "add_job", "delete_job")

    browser.post(reverse("admin:outbox_job_change", args=[job.id]), {"reaction": "another", "keys": "{}"})
    answers = [
        browser.get(reverse("admin:outbox_job_add")).status_code,
        browser.post(reverse("admin:outbox_job_delete", args=[job.id]), {"post": "yes"}).status_code,
    ]

    assert answers == [403, 403]
    assert Job.objects.get().reaction == "index"


def test_command_shows_the_backlog_and_the_dead(settings: Settings) -> None:
    settings.REACTIONS = (calling("idle", Recorder()),)
    job = dead_job()

    assert "rows not drained: 0" in run()
    assert "idle: due 0 (the oldest for 0.0 s), waiting 0, dead 0" in run()
    assert "index: due 0 (the oldest for 0.0 s), waiting 0, dead 1" in run()
    assert f"{job.id} index user.disabled dead since" in run("--dead")
    assert ERROR in run("--dead")


@pytest.mark.parametrize("which", ["all", "reaction", "id"])
def test_command_replays_the_dead_jobs_that_it_is_told(which: str) -> None:
    index, other = dead_job("index"), dead_job("push")
    arguments = {"all": ["--replay"], "reaction": ["--replay", "index"], "id": ["--replay", str(index.id)]}[which]

    text = run(*arguments)

    replayed = set(Job.objects.filter(dead_at=None).values_list("id", flat=True))
    assert replayed == ({index.id, other.id} if which == "all" else {index.id})
    assert text == f"{len(replayed)} jobs are tried again\n"


def test_command_refuses_to_replay_what_there_is_not() -> None:
    with pytest.raises(CommandError, match="no dead job nothing"):
        run("--replay", "nothing")
