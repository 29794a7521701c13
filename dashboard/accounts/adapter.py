"""The points at which allauth calls us."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard.accounts.browsers import last_person, remember_person
from dashboard.accounts.models import KeptInput, User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def post_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponseBase:
        """Remember the person in this browser, and drop the input that another person left here."""
        response: HttpResponseBase = super().post_login(request, user, **options)
        previous = last_person(request)
        if previous is not None and previous != user:
            KeptInput.objects.filter(person=previous).delete()
        remember_person(response, user)
        return response
