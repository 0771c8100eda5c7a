"""`GET /api/v1/contract`: all active limits and protocol versions, which clients must obey."""

from dataclasses import fields

from django.conf import settings
from django.http import HttpResponse
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from config.limits import Limits
from gateway.frames import Frame
from gateway.http import answer
from gateway.schema import described


class Number(Frame, frozen=True):
    """One limit: its active value, its meaning, and the requirement behind it."""

    value: float
    meaning: str
    source: str


class Contract(Frame, frozen=True):
    """The supported protocol versions, all limits by their wire names, and whether files are scanned for malware."""

    versions: list[int]
    files_scanned: bool
    limits: dict[str, Number]


def contract(limits: Limits) -> Contract:
    """Return the contract with the values of `limits`."""
    published = {
        wire_name(entry.name): Number(
            value=getattr(limits, entry.name), meaning=entry.metadata["meaning"], source=entry.metadata["source"]
        )
        for entry in fields(limits)
    }
    return Contract(versions=[settings.PROTOCOL_VERSION], files_scanned=bool(settings.CLAMD), limits=published)


def wire_name(name: str) -> str:
    """Return a limit's name on the wire, in camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class ContractView(APIView):
    permission_classes = [AllowAny]

    @described(answers=Contract)
    def get(self, request: Request) -> HttpResponse:
        """Return all active limits and protocol versions."""
        return answer(contract(settings.LIMITS))
