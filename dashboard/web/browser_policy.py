"""What browsers may do with responses, and which requests of other sites are refused."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

DENIED_FEATURES = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation"),
    *("gyroscope", "hid", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock"),
    *("serial", "usb", "xr-spatial-tracking"),
)
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in DENIED_FEATURES),
}
SAFE_METHODS = ("GET", "HEAD")
OWN_SITES = ("same-origin", "none")


class PrivatePages:
    """Tell browsers and proxies not to store pages, and browsers not to give them or their own abilities to others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response


class SameOriginRequests:
    """Respond with 403 to a request that another site caused, except a link to a page.

    `Sec-Fetch-Site` names the relation of the two sites; `none` is an address that the person entered. A browser that
    does not send it is protected by the CSRF token and by the cookies' `SameSite`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.headers.get("Sec-Fetch-Site", "none") in OWN_SITES or _is_link(request):
            return self.get_response(request)
        return render(request, "403_other_site.html", status=403)


def _is_link(request: HttpRequest) -> bool:
    """Whether the browser opens a page in a tab, and not in a frame or for a script."""
    fetch = [request.headers.get(f"Sec-Fetch-{name}") for name in ("Mode", "Dest")]
    return request.method in SAFE_METHODS and fetch == ["navigate", "document"]
