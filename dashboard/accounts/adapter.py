"""The points at which allauth calls us."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard.accounts.browsers import last_person, remember_person
from dashboard.accounts.models import KeptInput, User
from dashboard.accounts.sign_in_limits import begin_sign_in, remember_address


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Check the password, within the limits. Raises ValidationError when a limit is reached."""
        attempt = begin_sign_in(credentials.get("username", ""), address_of(request))
        if attempt is None:
            raise self.validation_error("too_many_login_attempts")
        user: User | None = super().authenticate(request, **credentials)
        if user is not None:
            attempt.delete()
        return user

    def post_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponseBase:
        """Remember the person in this browser, and drop the input that another person left here."""
        response: HttpResponseBase = super().post_login(request, user, **options)
        previous = last_person(request)
        if previous is not None and previous != user:
            KeptInput.objects.filter(person=previous).delete()
        remember_person(response, user)
        remember_address(user, address_of(request))
        return response


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))
