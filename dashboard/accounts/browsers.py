"""A signed cookie that names the person who signed in last in this browser.

It outlives the session and gives no access.
"""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard.accounts.models import User

SALT = "last-person"
MAX_AGE = timedelta(days=7)
"""The longest time between a sign-in and the post of a form whose input is kept."""


def remember_person(response: HttpResponseBase, person: User) -> None:
    response.set_cookie(
        settings.PERSON_COOKIE_NAME,
        signing.dumps(person.pk, salt=SALT),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def last_person(request: HttpRequest) -> User | None:
    """The person who signed in last in this browser, if the account is active."""
    try:
        person_id = signing.loads(request.COOKIES.get(settings.PERSON_COOKIE_NAME, ""), salt=SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=person_id, is_active=True).first()
