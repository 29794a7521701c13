"""Settings. Environment variables configure a deployment; docs/operation.md lists them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import bootstrap_wrapper
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from dashboard.accounts.roles import EDIT, VIEW, VIEW_LEDGER
from dashboard.cloud.projects import Project, load_projects
from dashboard.environment import Environment, hook_fault, hosts_fault, ticket_url_fault

BASE_DIR = Path(__file__).resolve().parent.parent
environment = Environment(os.environ)

ENVIRONMENT = environment.choice("STREAMWARDEN_ENV", ("production", "development"), "production")
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = False

DEVELOPMENT_KEY = None if IS_PRODUCTION else "development-only"
SECRET_KEY = environment.key("STREAMWARDEN_SECRET_KEY", default=DEVELOPMENT_KEY)
AUDIT_KEY = environment.key("STREAMWARDEN_AUDIT_KEY", default=DEVELOPMENT_KEY)
ALLOWED_HOSTS = environment.names("STREAMWARDEN_ALLOWED_HOSTS", "" if IS_PRODUCTION else "localhost,127.0.0.1")
if IS_PRODUCTION:
    environment.check("STREAMWARDEN_ALLOWED_HOSTS", hosts_fault(ALLOWED_HOSTS))
PROXIES = environment.count("STREAMWARDEN_PROXIES", default=None if IS_PRODUCTION else 0)
HSTS = environment.choice(
    "STREAMWARDEN_HSTS", ("off", "host", "subdomains", "preload"), "host" if IS_PRODUCTION else "off"
)
CHECKPOINT_DIRECTORY = environment.text("STREAMWARDEN_CHECKPOINTS", "var/checkpoints")
if CHECKPOINT_DIRECTORY:
    CHECKPOINT_DIRECTORY = str(BASE_DIR / CHECKPOINT_DIRECTORY)
    with suppress(OSError):  # the log reports every checkpoint that cannot be written
        Path(CHECKPOINT_DIRECTORY).mkdir(parents=True, exist_ok=True)
CHECKPOINT_HOOK = environment.text("STREAMWARDEN_CHECKPOINT_HOOK")
environment.check("STREAMWARDEN_CHECKPOINT_HOOK", hook_fault(CHECKPOINT_HOOK))
WORKER = environment.choice("STREAMWARDEN_WORKER", ("embedded", "separate"), "embedded")

CLOUD_PROJECTS: tuple[Project, ...] = environment.parse(lambda: load_projects(os.environ), ())

REASON_REQUIRED = environment.flag("STREAMWARDEN_REASON_REQUIRED")
TICKET_PATTERN = environment.pattern("STREAMWARDEN_TICKET_PATTERN")
TICKET_URL = environment.text("STREAMWARDEN_TICKET_URL")
environment.check(
    "STREAMWARDEN_TICKET_URL", ticket_url_fault(TICKET_URL, pattern=environment.text("STREAMWARDEN_TICKET_PATTERN"))
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
    "dashboard.cloud",
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
    "dashboard.web.middleware.ClientAddress",
    "dashboard.web.browser_policy.PrivatePages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "dashboard.web.browser_policy.SameOriginRequests",
    "dashboard.web.input_checks.InputChecks",
    "dashboard.web.middleware.Probes",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "dashboard.web.middleware.VisibleDirectionMarks",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.web.middleware.SignInRequired",
    "dashboard.web.middleware.KnownProject",
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

DATABASES = {"default": environment.database("DATABASE_URL", "sqlite:///var/streamwarden.sqlite3")}
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
CACHES = {"default": environment.cache("CACHE_URL", "locmem://")}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["dashboard.accounts.backends.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "dashboard.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"change_password": "dashboard.accounts.forms.LimitedChangePasswordForm"}
ACCOUNT_RATE_LIMITS = False  # they count in the cache; dashboard/accounts/sign_in_limits.py counts in the database
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
        "report-uri": "/csp-reports/",
    },
}
# Pages need far less. No page takes a file.
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 0
FILE_UPLOAD_HANDLERS: list[str] = []

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_AGE = 60 * 60 * 12
CSRF_COOKIE_HTTPONLY = True
PERSON_COOKIE_NAME = "person"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
SECURE_HSTS_SECONDS = 0 if HSTS == "off" else 60 * 60 * 24 * 365
SECURE_HSTS_INCLUDE_SUBDOMAINS = HSTS in {"subdomains", "preload"}
SECURE_HSTS_PRELOAD = HSTS == "preload"
# Whether HSTS covers other host names of the domain is the operator's decision: STREAMWARDEN_HSTS.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if IS_PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^(healthz|livez|readyz)$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    PERSON_COOKIE_NAME = "__Host-person"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"short refusals": {"()": "dashboard.web.logs.ShortRefusals"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["short refusals"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # urllib3 logs response headers that it cannot parse, and a response can repeat our token.
    # Django's handlers send server errors by mail, or print them only with DEBUG. Here they go to stderr.
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "urllib3": {"level": "ERROR"},
    },
}

environment.require_no_problems()
