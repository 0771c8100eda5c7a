"""Teams and their people."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from accounts.ids import NEW_ID


class Team(models.Model):
    """People who share channels (F3)."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=500, default="", blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class TeamMember(models.Model):
    """A member of a team. Its owner and admins manage its members; leaving a team leaves its channels."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    team = models.ForeignKey(Team, models.CASCADE, related_name="members", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="team_member_once", fields=["team", "user"])]
        indexes = [models.Index(name="team_of_user", fields=["user", "team"])]

    def __str__(self) -> str:
        return f"{self.user_id} in team {self.team_id}"
