"""Settings. Environment variables configure a deployment; docs/operation.md lists them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import bootstrap_wrapper
import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from dashboard.accounts.roles import EDIT, VIEW, VIEW_LEDGER
from dashboard.cloud.projects import load_projects

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.CACHE_SCHEMES["locmem"] = env.CACHE_SCHEMES["locmemcache"]

ENVIRONMENT = env.str("STREAMWARDEN_ENV", "production")
if ENVIRONMENT not in {"production", "development"}:
    raise ImproperlyConfigured(f"STREAMWARDEN_ENV is {ENVIRONMENT!r}; it must be production or development")
IS_PRODUCTION = ENVIRONMENT == "production"

SECRET_KEY = env.str("STREAMWARDEN_SECRET_KEY", "" if IS_PRODUCTION else "development-only")
if not SECRET_KEY:
    raise ImproperlyConfigured("STREAMWARDEN_SECRET_KEY is missing; production does not start without it")
ALLOWED_HOSTS = env.list("STREAMWARDEN_ALLOWED_HOSTS", default=[] if IS_PRODUCTION else ["localhost", "127.0.0.1"])
if not ALLOWED_HOSTS or (IS_PRODUCTION and "*" in ALLOWED_HOSTS):
    raise ImproperlyConfigured("STREAMWARDEN_ALLOWED_HOSTS must list the host names of this dashboard")
AUDIT_KEY = env.str("STREAMWARDEN_AUDIT_KEY", "" if IS_PRODUCTION else "development-only")
if AUDIT_KEY.startswith("file:"):
    try:
        AUDIT_KEY = Path(AUDIT_KEY.removeprefix("file:")).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"STREAMWARDEN_AUDIT_KEY names a file that cannot be read: {error}") from error
if not AUDIT_KEY:
    raise ImproperlyConfigured("STREAMWARDEN_AUDIT_KEY is missing; without it, a forged ledger could pass as genuine")
CHECKPOINT_DIRECTORY = env.str("STREAMWARDEN_CHECKPOINTS", "var/checkpoints")
if CHECKPOINT_DIRECTORY:
    CHECKPOINT_DIRECTORY = str(BASE_DIR / CHECKPOINT_DIRECTORY)
    with suppress(OSError):  # the log reports every checkpoint that cannot be written
        Path(CHECKPOINT_DIRECTORY).mkdir(parents=True, exist_ok=True)
CHECKPOINT_HOOK = env.str("STREAMWARDEN_CHECKPOINT_HOOK", "")
WORKER = env.str("STREAMWARDEN_WORKER", "embedded")
if WORKER not in {"embedded", "separate"}:
    raise ImproperlyConfigured(f"STREAMWARDEN_WORKER is {WORKER!r}; it must be embedded or separate")
PROXIES = env.int("STREAMWARDEN_PROXIES", 0)
DEBUG = False

CLOUD_PROJECTS = load_projects(os.environ)

REASON_REQUIRED = env.bool("STREAMWARDEN_REASON_REQUIRED", default=False)
TICKET_PATTERN = env.str("STREAMWARDEN_TICKET_PATTERN", "")
TICKET_URL = env.str("STREAMWARDEN_TICKET_URL", "")
if bool(TICKET_PATTERN) != bool(TICKET_URL) or (TICKET_URL and "{ticket}" not in TICKET_URL):
    raise ImproperlyConfigured(
        "STREAMWARDEN_TICKET_PATTERN, a regular expression, and STREAMWARDEN_TICKET_URL, an address with {ticket}, "
        "go together"
    )

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "dashboard.apps.StaticFiles",
    "allauth",
    "allauth.account",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "heroicons",
    "dashboard.accounts",
    "dashboard.audit",
    "dashboard.inventory",
    "dashboard.server_groups",
    "dashboard.activity",
    "dashboard.web",
    "dashboard.worker",
    "dashboard.simulator",
    "dashboard.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "dashboard.server_groups.middleware.CloudLimits",
    "dashboard.web.middleware.BehindProxies",
    "dashboard.web.middleware.PrivatePages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "dashboard.web.middleware.VisibleDirectionMarks",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.web.middleware.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "dashboard.server_groups.middleware.ProblemPages",
]

ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"

# A package does not import the packages above it. Their views are configured here.
NAVIGATION: list[dict[str, Any]] = [
    {"view": "server-groups:list", "label": _("Server groups"), "permission": VIEW},
    {"view": "activity:list", "label": _("Activity"), "permission": VIEW_LEDGER},
    {
        "view": "activity:attention",
        "label": _("Needs attention"),
        "permission": VIEW_LEDGER,
        "count": "dashboard.activity.attention.count_needing_attention",
    },
]
ACCOUNT_NAVIGATION: list[dict[str, Any]] = [
    {"view": "server-groups:cloud-check", "label": _("Cloud check"), "permission": EDIT}
]
LEDGER_VIEW = "activity:list"
ENTRY_VIEW = "activity:entry"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.web.frame.page_frame",
            ],
        },
    },
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

DATABASES = {"default": env.db("DATABASE_URL", default="sqlite:///var/streamwarden.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["NAME"] = str(BASE_DIR / DATABASES["default"]["NAME"])
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a write locks the database at BEGIN, so that a second writer waits and does not fail later.
        # FULL: an intent must survive a power failure before the PATCH is sent. Without recursive triggers, INSERT OR
        # REPLACE would bypass the guards of the ledger.
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON;",
        "timeout": 10,
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # As with SQLite, a write fails after 10 s of waiting for the ledger, so that it does not hold a thread for ever.
    # The just-in-time compiler takes longer than any query of a page.
    limits = {"connect_timeout": 5, "options": "-c lock_timeout=10s -c jit=off"}
    DATABASES["default"]["OPTIONS"] = limits | DATABASES["default"].get("OPTIONS", {})
CACHES = {"default": env.cache("CACHE_URL", default="locmem://")}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["dashboard.accounts.backends.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = False

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "dashboard" / "locale"]
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "static", ("bootstrap", bootstrap_wrapper.get_bootstrap_css_dir())]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_AGE = 60 * 60 * 12
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
if IS_PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^(healthz|readyz)$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # urllib3 logs response headers that it cannot parse, and a response can repeat our token.
    # Django's handlers send server errors by mail, or print them only with DEBUG. Here they go to stderr.
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "urllib3": {"level": "ERROR"},
    },
}
