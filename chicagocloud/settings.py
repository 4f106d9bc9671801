"""Settings, all from the environment (`.env.example` lists them). There is no default secret.

A missing production setting stops the start with its name and how to make it. Times and rhythms are computed in
`retention.schedule` from `GRACE_SECONDS` alone, so that a trial with a grace of two minutes behaves like production.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
import structlog
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.dateparse import parse_date

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(str(BASE_DIR / ".env"))

HOW_TO_MAKE = {
    "SECRET_KEY": 'python -c "import secrets; print(secrets.token_urlsafe(64))"',
    "BLIND_INDEX_SECRET": 'python -c "import secrets; print(secrets.token_hex(32))"',
    "KEK_FILE": "python -m accounts.keys.make /path/outside/the/backups/kek.json",
    "DATABASE_URL": "postgres://portal_runtime@host/portal, made by manage.py prepare_databases",
    "KEYS_DATABASE_URL": "postgres://portal_runtime@otherhost/portal_keys, in another cluster than DATABASE_URL",
    "REDIS_URL": "redis://host:6379/0 or redis+socket:///run/redis.sock?virtual_host=0",
    "ALLOWED_HOSTS": "the host names the portal answers to, separated by commas",
    "PORTAL_ORIGIN": "the address links in mails begin with, e.g. https://portal.example.com",
    "DEFAULT_FROM_EMAIL": "the address mails are sent from",
    "EMAIL_URL": "smtp+tls://user:password@host:587, or consolemail:// to try",
    "HEALTH_TOKEN": 'python -c "import secrets; print(secrets.token_urlsafe(32))"',
}


def needed(name: str) -> str:
    """Return the variable `name`; stop the start, saying how to make it, when it is missing or empty."""
    value = str(env.str(name, default=""))
    if not value:
        raise ImproperlyConfigured(f"The setting {name} is missing. Set it in the environment: {HOW_TO_MAKE[name]}")
    return value


TRIAL = env.bool("CHICAGOCLOUD_TRIAL", default=False)
DEBUG = False
SECRET_KEY = needed("SECRET_KEY")
BLIND_INDEX_SECRET = needed("BLIND_INDEX_SECRET")
KEK_PROVIDER = env.str("KEK_PROVIDER", default="accounts.keys.local.LocalKeyFile")
KEK_FILE = needed("KEK_FILE") if KEK_PROVIDER.startswith("accounts.keys.local.") else ""
ALLOWED_HOSTS = needed("ALLOWED_HOSTS").split(",")
PORTAL_ORIGIN = needed("PORTAL_ORIGIN").rstrip("/")
HEALTH_TOKEN = needed("HEALTH_TOKEN")
CSRF_TRUSTED_ORIGINS = [PORTAL_ORIGIN]

# The grace period between closing and erasing, in seconds; every other rhythm scales with it.
GRACE_SECONDS = env.int("GRACE_SECONDS", default=30 * 24 * 3600)
# Overrides of numbers in retention.schedule by their name, with the operator's reason: {"name": [number, "reason"]}.
SCHEDULE_OVERRIDES: dict[str, Any] = env.json("SCHEDULE_OVERRIDES", default={})
# Overrides of numbers in accounts.fraud by their name, with the operator's reason, likewise.
FRAUD_OVERRIDES: dict[str, Any] = env.json("FRAUD_OVERRIDES", default={})
PAYMENT_PROVIDER = env.str(
    "PAYMENT_PROVIDER", default="accounts.paying.TrialProvider" if TRIAL else "accounts.paying.NoProvider"
)

INSTALLED_APPS = [
    "chicagocloud.apps.PortalConfig",
    "disclosures.apps.DisclosuresConfig",
    "retention.apps.RetentionConfig",
    "accounts.apps.AccountsConfig",
    "accounts.safeguards.apps.SafeguardsConfig",
    "accounts.keys.apps.KeysConfig",
    "chicagocloud.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
]

MIDDLEWARE = [
    # Before everything that needs a database: health answers whatever is down.
    "chicagocloud.health.HealthMiddleware",
    # Outside whatever may refuse: errors of the API carry the same header fields.
    "accounts.api_answers.ApiAnswersMiddleware",
    "chicagocloud.middleware.OneHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "chicagocloud.middleware.ReadableQueryMiddleware",
    "chicagocloud.middleware.RequestSizeMiddleware",
    "accounts.middleware.KeyringMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.PersonMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "retention.middleware.ClosedAccountMiddleware",
    "accounts.middleware.PageVisitMiddleware",
    "disclosures.middleware.SignalMiddleware",
]

ROOT_URLCONF = "chicagocloud.urls"
WSGI_APPLICATION = "chicagocloud.wsgi.application"
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
                "chicagocloud.context.portal",
            ],
        },
    },
]

# One alias, the environment decides who connects: the owner only for the commands manage.py names.
AS_OWNER = os.environ.get("CHICAGOCLOUD_DB_ROLE") == "owner"


def database(name: str, owner_name: str) -> dict[str, Any]:
    """Return Django's settings for the database addressed by `name`, or by `owner_name` for the owner's commands."""
    if AS_OWNER and env.str(owner_name, default=""):
        name = owner_name
    else:
        needed(name)
    config: dict[str, Any] = env.db_url(name)
    options = config.setdefault("OPTIONS", {})
    if "host" in options:  # a socket folder in the query string: psql and dbshell want it as the host
        config["HOST"] = options.pop("host")
    config["ENGINE"] = "django.db.backends.postgresql"
    config["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    config["CONN_HEALTH_CHECKS"] = True
    # A server that takes no connection is an error soon, not a page that hangs.
    options["connect_timeout"] = 5
    # A killed client's statement runs on at the server and keeps its locks: bounded by these.
    options["options"] = (
        "-c client_connection_check_interval=500ms -c statement_timeout=30s "
        "-c idle_in_transaction_session_timeout=60s -c lock_timeout=10s"
        if not AS_OWNER
        else ""
    )
    return config


DATABASES = {
    "default": database("DATABASE_URL", "DATABASE_OWNER_URL"),
    "keys": database("KEYS_DATABASE_URL", "KEYS_DATABASE_OWNER_URL"),
}
DATABASE_ROUTERS = ["accounts.keys.routing.KeysRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = needed("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("CACHE_URL", default=REDIS_URL.replace("redis+socket://", "unix://").split("?")[0]),
        # Rate limits put addresses into cache keys: only a keyed hash of the whole key reaches Redis.
        "KEY_FUNCTION": "accounts.safeguards.finding.cache_key",
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_TASK_TIME_LIMIT = 600
# Everything that runs by itself: how often in production, in seconds. Intervals follow the grace period, so that a
# trial of minutes shows what months do; what has no part in a deletion rings less often there, or its rings would crowd
# out the purge on a slow machine. A ring that waited for five rounds is dropped: a later one does the same work.
_DELETING = 2.0 if TRIAL else 1.0
_BESIDE = 5.0
CELERY_BEAT_SCHEDULE = {
    name: {"task": task, "schedule": every, "options": {"expires": max(5 * every, 30.0)}}
    for name, task, every in (
        (name, task, max(every * GRACE_SECONDS / (30 * 24 * 3600), least))
        for name, task, every, least in (
            ("ring the purge", "retention.tasks.ring", 60.0, _DELETING),
            ("relay the outbox", "accounts.tasks.relay", 10.0, _DELETING),
            ("send webhooks", "accounts.tasks.send_webhooks", 10.0, _DELETING),
            ("remind and report", "retention.tasks.remind", 300.0, _DELETING),
            ("sweep what expired", "retention.tasks.sweep", 3600.0, _DELETING),
            ("beat of the workers", "accounts.tasks.beat", 30.0, _DELETING),
            ("tend exports", "retention.tasks.tend_exports", 30.0, _DELETING),
            ("store page visits", "accounts.tasks.store_visits", 10.0, _DELETING),
            ("end consents", "disclosures.tasks.end_consents", 600.0, _BESIDE),
            ("tell of legal requests", "disclosures.tasks.tell", 300.0, _BESIDE),
            ("lapse disclosures", "disclosures.tasks.lapse", 300.0, _BESIDE),
            ("watch notices", "disclosures.tasks.watch_notices", 60.0, _BESIDE),
            ("issue figures", "disclosures.tasks.issue_figures", 86400.0, _BESIDE),
            ("remind of legal requests", "disclosures.tasks.remind_of_requests", 3600.0, _BESIDE),
            ("scan legal documents", "disclosures.tasks.scan_documents", 300.0, _BESIDE),
        )
    )
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.signing_in.IdentifierBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "handle"
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_ADAPTER = "accounts.signing_in.PortalAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.forms.SignInForm",
    "reauthenticate": "accounts.forms.ConfirmForm",
    "change_password": "accounts.forms.ChangeForm",
    "reset_password": "accounts.forms.ResetForm",
    "reset_password_from_key": "accounts.forms.NewPasswordForm",
}
ACCOUNT_RATE_LIMITS = {
    "find_deletion": "30/5m/ip,10/10m/key",
    "confirm_password": "5/5m/user",
    "write_message": "30/10m/user",
    "change_email": "5/h/user",
    "type_code": "30/5m/ip,10/10m/key",
    "invite_member": "20/h/user",
    "join_account": "30/5m/ip,10/10m/key",
    "change_settings": "30/10m/user",
    "send_file": "30/10m/user",
    "ask_export": "10/d/user",
    "find_request": "30/5m/ip,10/10m/key",
    "ask_request": "10/1h/ip,5/1d/key",
    "write_request": "20/10m/ip,20/10m/key",
    "open_delivery": "30/5m/ip",
    "report_abuse": "20/h/ip",
}
ACCOUNT_SESSION_REMEMBER = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# The sign-in library knows no e-mail address here: every one that is stored was confirmed by its own act.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "ChicagoCloud"
MFA_ADAPTER = "accounts.factors_adapter.FactorAdapter"
MFA_FORMS = {
    "authenticate": "accounts.factors_forms.CodeForm",
    "authenticate_webauthn": "accounts.factors_forms.PasskeyStepForm",
    "reauthenticate": "accounts.factors_forms.ConfirmCodeForm",
    "reauthenticate_webauthn": "accounts.factors_forms.ConfirmPasskeyForm",
    "login_webauthn": "accounts.factors_forms.PasskeySignInForm",
    "activate_totp": "accounts.factors_forms.AppForm",
    "add_webauthn": "accounts.factors_forms.PasskeyForm",
    "edit_webauthn": "accounts.factors_forms.PasskeyNameForm",
}
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
# A reset link in a mailbox is a key to the account: an hour is enough to use it.
PASSWORD_RESET_TIMEOUT = 3600
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True

# Plain http only where nothing but this machine can listen: the trial set-up on loopback.
SECURE = not TRIAL
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^health/$"]
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
# How many entries at the end of X-Forwarded-For the operator's own proxies wrote; what stands before them anybody
# can write. Access events and every limit by address go by it.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=1) if BEHIND_PROXY else 0
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF],
        "form-action": [SELF],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    "camera": [],
    "geolocation": [],
    "microphone": [],
    "payment": [],
    "publickey-credentials-create": ["self"],
    "publickey-credentials-get": ["self"],
}
# What a request may carry: one with files where a page takes them (accounts.uploads says how large each may be), any
# other. Files are held in memory: a temporary file would leave them on the disk in clear.
LARGEST_REQUEST = 1024 * 1024
LARGEST_UPLOAD = 25 * 1024 * 1024 + LARGEST_REQUEST
DATA_UPLOAD_MAX_MEMORY_SIZE = LARGEST_REQUEST
DATA_UPLOAD_MAX_NUMBER_FILES = 20
FILE_UPLOAD_MAX_MEMORY_SIZE = LARGEST_UPLOAD
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
VIRUS_SCANNER = env.str("VIRUS_SCANNER", default="accounts.scanning.NotConfigured")
CLAMD_URL = env.str("CLAMD_URL", default="")
# Private networks that webhooks may reach; loopback, over plain http too, in a trial alone.
WEBHOOK_NETWORKS: list[str] = env.list("WEBHOOK_NETWORKS", default=["127.0.0.0/8", "::1/128"] if TRIAL else [])

EMAIL_CONFIG = env.email_url("EMAIL_URL") if needed("EMAIL_URL") else {}
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = needed("DEFAULT_FROM_EMAIL")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# Whom the clocks of legal matters ask, and whom an emergency request wakes.
LEGAL_EMAIL = env("LEGAL_EMAIL", default=DEFAULT_FROM_EMAIL)
ONCALL_EMAIL = env("ONCALL_EMAIL", default=LEGAL_EMAIL)

# What a service that receives mail must send with each message; without it that door is shut.
INBOUND_MAIL_SECRET = env.str("INBOUND_MAIL_SECRET", default="")
if INBOUND_MAIL_SECRET and len(INBOUND_MAIL_SECRET) < 32:
    raise ImproperlyConfigured("INBOUND_MAIL_SECRET is too short to be no guess: use at least 32 characters.")

# The agent for copyright notices as it stands at the Copyright Office; empty where none is named.
COPYRIGHT_AGENT: dict[str, str] = env.json("COPYRIGHT_AGENT", default={})
AGENT_FIELDS = {"name", "organisation", "address", "phone", "email", "registration", "renew_by"}
if COPYRIGHT_AGENT and (set(COPYRIGHT_AGENT) != AGENT_FIELDS or not parse_date(COPYRIGHT_AGENT["renew_by"])):
    raise ImproperlyConfigured(f"COPYRIGHT_AGENT needs {', '.join(sorted(AGENT_FIELDS))}; renew_by like 2029-11-27.")

LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English")]
TIME_ZONE = env.str("TIME_ZONE", default="America/Chicago")
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "chicagocloud" / "static"]
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / ".static"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MANIFEST_STRICT = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api_tokens.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api_tokens.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api_parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "accounts.api_schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api_limits.Limit"],
    # A minute: each address that names no token, each token.
    "DEFAULT_THROTTLE_RATES": {"anon": "30/min", "token": env.str("API_TOKEN_RATE", default="600/min")},
    "EXCEPTION_HANDLER": "accounts.api_parsing.problem_details",
    "UNAUTHENTICATED_USER": None,
    # Never unset: the library would then believe all that X-Forwarded-For says.
    "NUM_PROXIES": TRUSTED_PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ChicagoCloud Portal API",
    "DESCRIPTION": (
        "For customers, for what is theirs, and for systems of billing, shop, provisioning and reports of abuse. "
        "Every write takes an Idempotency-Key. Lists go on by the links they give."
    ),
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api_schema.add_common_answers",
    ],
    "ENUM_NAME_OVERRIDES": {
        "CategoryEnum": "accounts.datamap.words.Category",
        "ConsentChannelEnum": "disclosures.models.consents.Channel",
        "RequestReasonEnum": "retention.models.privacy.Reason",
    },
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Logs carry ids, counts and names of acts; never a request body, a query string or a personal value.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "logger", "event"]),
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.db.backends": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        # What the workers erase can be watched, whatever the level of the rest.
        "retention.tasks": {"level": "INFO"},
    },
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
SILENCED_SYSTEM_CHECKS: list[str] = []
