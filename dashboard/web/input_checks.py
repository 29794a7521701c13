"""Refuse a request with a large body, and text that is not UTF-8, before anything reads it."""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import get_bytes_from_wsgi
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class InputChecks:
    """Respond with 413 to a body over `settings.DATA_UPLOAD_MAX_MEMORY_SIZE`, and with 400 to text that is not UTF-8.

    Django replaces bytes that are not UTF-8 by U+FFFD, and another text than the person typed would reach the cloud.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                return render(request, "413.html", status=413)
            _require_utf8(request)
        except UnreadablePostError as error:  # the browser closed the connection
            raise BadRequest("The body of the request is incomplete") from error
        except ValueError as error:
            raise BadRequest("The request has bytes that are not UTF-8, or a wrong length") from error
        return self.get_response(request)


def _require_utf8(request: HttpRequest) -> None:
    charset = (request.content_params or {}).get("charset", "utf-8")
    if charset.lower() not in {"utf-8", "utf8"}:
        raise BadRequest("The request has a charset other than UTF-8")
    if request.method not in {"GET", "HEAD"}:  # filters in an address ignore what they cannot read
        unquote_to_bytes(get_bytes_from_wsgi(request.META, "QUERY_STRING", "")).decode()
    if request.content_type == URLENCODED:
        unquote_to_bytes(request.body).decode()
    elif request.content_type == MULTIPART:
        request.body.decode()
