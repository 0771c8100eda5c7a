"""Creation of the demo before the first start."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from accounts import users
from accounts.models import User
from config import prepare


def test_interrupted_demo_setup_rolls_back_its_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    email = "broken-off@example.com"

    def register_then_interrupt(name: str, **options: Any) -> None:
        users.register(display_name="Ada", email=email, password="parley-demo")
        raise KeyboardInterrupt

    no_users = SimpleNamespace(objects=SimpleNamespace(exists=lambda: False))
    monkeypatch.setattr(prepare, "get_user_model", lambda: no_users)
    monkeypatch.setattr(prepare, "call_command", register_then_interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare.create_demo(tmp_path / "sign-ins")

    assert not User.objects.filter(email=email).exists()
    assert not (tmp_path / "sign-ins").exists()
