"""The request of a view: the person, the permissions, and input that was kept after an expired sign-in."""

import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import quote

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

from dashboard.accounts.browsers import last_person
from dashboard.accounts.models import Actor, KeptInput, User

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)

MAX_KEPT = 20_000
"""Characters of a form, with its address, that are kept for a person."""


class SignedInRequest(HttpRequest):
    """A request of a signed-in person."""

    user: User
    htmx: HtmxDetails


class Project(Protocol):
    """The values of a cloud project that pages show."""

    @property
    def slug(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def is_simulated(self) -> bool: ...


def requires(
    permission: str,
) -> Callable[[Callable[Concatenate[SignedInRequest, P], R]], Callable[Concatenate[SignedInRequest, P], R]]:
    """Decorate a view that responds with 403 to a person without `permission`."""

    def decorate(
        view: Callable[Concatenate[SignedInRequest, P], R],
    ) -> Callable[Concatenate[SignedInRequest, P], R]:
        @wraps(view)
        def guarded(request: SignedInRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if not request.user.has_perm(permission):
                raise PermissionDenied(permission)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def actor(request: SignedInRequest) -> Actor:
    return Actor(user=request.user, address=request.META.get("REMOTE_ADDR", ""))


def shown_cause(request: HttpRequest, error: Exception) -> Exception | None:
    """The error that a page may show. A message of PostgreSQL can have its host and port, so a visitor sees none.

    `request.user` would read the database, so this uses the person only if an earlier step has read it.
    """
    user: User | None = getattr(request, "_cached_user", None)
    is_harmless = isinstance(error.__cause__, sqlite3.Error)
    return error if is_harmless or (user and user.is_authenticated) else None


def keeps_input(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a view whose posted form is kept if the sign-in has expired."""
    view.keeps_input = True  # type: ignore[attr-defined]  # read by SignInRequired
    return view


def keep_input(request: HttpRequest) -> None:
    """Keep the posted form for the person who signed in last in this browser. Each person has at most one."""
    path, data = quote(request.path), request.POST.urlencode()
    if not data or len(path) + len(data) > MAX_KEPT:
        return
    if (person := last_person(request)) is not None:
        KeptInput.objects.update_or_create(person=person, defaults={"path": path, "data": data})


def take_kept_input(request: SignedInRequest) -> QueryDict | None:
    """Return the person's kept form of this page, or of a page below it, and delete it. None if there is none."""
    kept = KeptInput.objects.filter(person=request.user).first()
    if kept is None or not kept.path.startswith(quote(request.path)):
        return None
    kept.delete()
    return QueryDict(kept.data)
