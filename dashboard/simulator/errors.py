"""The error codes of the simulator, and the four forms of error bodies (API reference, 3).

The available page of error codes is incomplete. Codes marked `invented`, or their use, are not documented: clients
should decide by the HTTP status first.
"""

from dataclasses import dataclass
from enum import Enum, unique

from dashboard.simulator.responses import SimulatedResponse, json_response

LONGEST_MESSAGE = 255  # ErrorResp of the API definition


class Shape(Enum):
    SERVICE = "error_code and error_msg"
    GATEWAY = "the same with request_id"
    IMS = "error: code and message"
    IAM = "error: code, message and title"


@dataclass(frozen=True)
class CodeDetails:
    code: str
    status: int
    message: str
    shape: Shape = Shape.SERVICE
    invented: bool = False


_AUTHENTICATION = "Incorrect IAM authentication information"


@unique
class Code(Enum):
    """All error codes."""

    INVALID = CodeDetails("WKS.00129901", 400, "The request message is invalid.")
    EMPTY = CodeDetails("WKS.0001", 400, "The request message input by the interface is empty.")
    INVALID_LIST = CodeDetails("WKS.00169901", 400, "The request message is invalid.")
    INVALID_VOLUME = CodeDetails("WKS.00149901", 400, "The request message is invalid.")
    INVALID_SESSIONS = CodeDetails("WKS.00139901", 400, "The request message is invalid.")
    INVALID_TAGS = CodeDetails("WKS.00211102", 400, "The parameter is invalid.")
    FORBIDDEN = CodeDetails("WKS.00081102", 403, "User does not have permission to access this resource.")
    METHOD_NOT_ALLOWED = CodeDetails(
        "WKS.00000405", 405, "The method specified in the request is not allowed for this resource."
    )
    FAILED = CodeDetails("WKS.00211401", 500, "The requested operation failed. Please try again delayed.")
    UNAVAILABLE = CodeDetails("WKS.00050902", 503, "The service is now unavailable to process the request.")

    GROUP_NOT_FOUND = CodeDetails("WKS.00120404", 404, "The server group does not exist.", invented=True)
    NAME_TAKEN = CodeDetails("WKS.00129901", 400, "The server group name is already used.", invented=True)
    DISK_TOO_SMALL = CodeDetails(
        "WKS.00129901", 400, "The system disk is smaller than the image's minimum disk.", invented=True
    )
    DISK_TOO_LARGE = CodeDetails(
        "WKS.00129901", 400, "The system disk is larger than a system disk can be.", invented=True
    )
    OU_WITHOUT_DIRECTORY = CodeDetails(
        "WKS.00129901", 400, "An OU can be set only when the tenant is connected to a directory.", invented=True
    )
    PRODUCT_ID_MISSING = CodeDetails("WKS.00129901", 400, "A marketplace image needs its product ID.", invented=True)
    PRODUCT_ID_UNWANTED = CodeDetails("WKS.00129901", 400, "Only a marketplace image has a product ID.", invented=True)
    IMAGE_UNKNOWN = CodeDetails("WKS.00129901", 400, "The image does not exist.", invented=True)
    NOT_MULTI_SESSION = CodeDetails(
        "WKS.00129901", 400, "Only multi-session server groups have routing.", invented=True
    )
    TOO_MANY_SESSIONS = CodeDetails(
        "WKS.00129901", 400, "The tenant may not have so many sessions on one server.", invented=True
    )
    STANDBY_DEVIATES = CodeDetails(
        "WKS.00129901", 400, "A standby server group must agree with its primary.", invented=True
    )
    EMPTY_PATCH = CodeDetails("WKS.00129901", 400, "The request changes nothing.", invented=True)
    TAGS_REPEATED = CodeDetails("WKS.00211102", 400, "The parameter is invalid: a tag key is repeated.", invented=True)
    TOO_MANY_TAGS = CodeDetails(
        "WKS.00211102", 400, "The parameter is invalid: a server group has at most 20 tags.", invented=True
    )

    NO_SUCH_API = CodeDetails(
        "APIGW.0101", 404, "The API does not exist or has not been published in the environment.", Shape.GATEWAY
    )
    NO_SUCH_METHOD = CodeDetails("APIGW.0101", 404, "The API does not exist.", Shape.GATEWAY)
    TOO_LARGE = CodeDetails("APIGW.0201", 413, "Request entity too large.", Shape.GATEWAY)
    BACKEND_UNAVAILABLE = CodeDetails("APIGW.0201", 502, "Backend unavailable.", Shape.GATEWAY)
    BACKEND_TIMEOUT = CodeDetails("APIGW.0201", 504, "Backend timeout.", Shape.GATEWAY)
    NOT_AUTHENTICATED = CodeDetails("APIGW.0301", 401, _AUTHENTICATION, Shape.GATEWAY)
    NOT_AUTHORIZED = CodeDetails("APIGW.0302", 403, "The IAM user is not authorized to access the API.", Shape.GATEWAY)
    THROTTLED = CodeDetails("APIGW.0308", 429, "The throttling threshold has been reached.", Shape.GATEWAY)
    # Three possible responses to a token of another project: the documents do not name the real one.
    PROJECT_UNAVAILABLE = CodeDetails("APIGW.0310", 403, "The project is unavailable.", Shape.GATEWAY, invented=True)
    PROJECT_REFUSED = CodeDetails("APIGW.0301", 401, _AUTHENTICATION, Shape.GATEWAY, invented=True)
    PROJECT_NOT_FOUND = CodeDetails("APIGW.0101", 404, "The API does not exist.", Shape.GATEWAY, invented=True)

    INVALID_IMS = CodeDetails("IMG.0029", 400, "The request parameter is invalid.", Shape.IMS, invented=True)
    INVALID_IAM = CodeDetails("400", 400, "The request body is invalid", Shape.IAM)
    WRONG_PASSWORD = CodeDetails("401", 401, "The username or password is wrong.", Shape.IAM)
    IAM_NOT_AUTHENTICATED = CodeDetails(
        "401", 401, "The request you have made requires authentication.", Shape.IAM, True
    )


_TITLES = {400: "Bad Request", 401: "Unauthorized"}


class SimulatedError(Exception):
    """A request that gets an error response. `detail` completes the message of the code."""

    def __init__(self, code: Code, detail: str = "", **headers: str) -> None:
        self.code = code
        self.headers = headers
        self.message = _joined(code.value.message, detail)[:LONGEST_MESSAGE]
        super().__init__(f"{code.value.status} {code.value.code} {self.message}")


def _joined(message: str, detail: str) -> str:
    return f"{message.rstrip('.')}: {detail}" if detail else message


def error_response(error: SimulatedError, request_id: str) -> SimulatedResponse:
    row = error.code.value
    match row.shape:
        case Shape.SERVICE:
            body: object = {"error_code": row.code, "error_msg": error.message}
        case Shape.GATEWAY:
            body = {"error_msg": error.message, "error_code": row.code, "request_id": request_id}
        case Shape.IMS:
            body = {"error": {"message": error.message, "code": row.code}}
        case _:
            body = {"error": {"code": row.status, "message": error.message, "title": _TITLES[row.status]}}
    return json_response(body, row.status, **error.headers)
