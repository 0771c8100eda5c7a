"""`manage.py invite`."""

from io import StringIO
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command

from accounts import invitations


def test_command_prints_a_link_of_an_invitation() -> None:
    out = StringIO()
    call_command("invite", email="Ada@Example.org", days=2, stdout=out)

    link = urlsplit(out.getvalue().strip())
    query = parse_qs(link.query)
    found = invitations.find(query["invitation"][0])
    assert found is not None
    assert (found.email, found.max_uses, query["email"]) == ("ada@example.org", 1, ["ada@example.org"])
    assert link.path == "/accounts/signup/"


@pytest.mark.parametrize("wrong", [{"email": "nobody"}, {"uses": 0}, {"days": 0}])
def test_command_refuses_wrong_values(wrong: dict[str, object]) -> None:
    with pytest.raises(CommandError):
        call_command("invite", **wrong)
