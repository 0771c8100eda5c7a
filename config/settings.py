"""The settings module. Values that differ between installations come from `config.env`, limits from `config.limits`."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlparse

from config.embedded import endpoints
from config.env import BASE_DIR, ENV, hosts, secret_key, sign_up
from config.limits import LIMITS as LIMITS
from config.reactions import REACTIONS as REACTIONS
from config.sync import PARTS

DEMO: bool = ENV["PARLEY_DEMO"]
DEBUG: bool = ENV["PARLEY_DEBUG"]
ROLE: str = ENV["PARLEY_ROLE"]
VAR = ENV["PARLEY_VAR"]
TLS: bool = ENV["PARLEY_TLS"] and not DEMO
SECRET_KEY = secret_key(ENV)
PORT: int = ENV["PARLEY_PORT"]
ALLOWED_HOSTS = hosts(ENV)
# The first name of PARLEY_HOSTS, for addresses in mails and invitations.
HOST = next((host for host in ALLOWED_HOSTS if "." in host.strip(".") and "*" not in host), "localhost").strip(".")
SIGN_UP, SIGN_UP_DOMAINS = sign_up(ENV)
SITE = f"https://{HOST}" if TLS else f"http://localhost:{ENV['PARLEY_PORT']}"
TOKEN_IN_URL: bool = DEMO if ENV["PARLEY_TOKEN_IN_URL"] is None else ENV["PARLEY_TOKEN_IN_URL"]
ORIGINS: list[str] = ENV["PARLEY_ORIGINS"]
SHARD: int = ENV["PARLEY_SHARD"]
THREADS: int = ENV["PARLEY_THREADS"]
METRICS_TOKEN: str = ENV["PARLEY_METRICS_TOKEN"]
WEB_PROCESSES: int = ENV["PARLEY_WEB_PROCESSES"]
PROTOCOL_VERSION = 1
SYNC_PARTS = PARTS

INSTALLED_APPS = [
    # Its import loads Twisted, 15 MB; only `manage.py runserver` needs it as an app.
    *(["daphne"] if ROLE == "manage" else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "gateway",
    "holds",
    "outbox",
    "accounts",
    "chat",
    "receipts",
    "presence",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.cors.add_headers",
    "config.csp.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
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
                "accounts.web.sign_up_is_open",
            ]
        },
    }
]

# --- stores -----------------------------------------------------------------------------------------------------------

DATABASE_URL, REDIS_URL = endpoints(VAR, database_url=ENV["DATABASE_URL"], redis_url=ENV["REDIS_URL"])
# Connections to a host that stopped answering break within seconds (K29). With the defaults of Linux a statement, and
# its lane, would wait for a quarter of an hour. In seconds; `tcp_user_timeout` in ms. Unix sockets ignore them.
CONNECTION_TIMEOUTS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def database(url: str, role: str) -> dict[str, Any]:
    """Return Django's database configuration for a process role.

    Web processes have a pool and no persistent connections (under ASGI `CONN_MAX_AGE` leaks them). The others keep
    one connection for a minute, because Celery closes a pool after every task.
    """
    parts = urlparse(url)
    profile: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(CONNECTION_TIMEOUTS),
    }
    for pair in filter(None, parts.query.split("&")):
        key, _, value = pair.partition("=")
        if key == "host":
            profile["HOST"] = unquote(value)
        else:
            profile["OPTIONS"][key] = unquote(value)
    profile["OPTIONS"]["options"] = f"-c parley.shard={SHARD}"
    if role == "web":
        profile["CONN_MAX_AGE"] = 0
        profile["OPTIONS"]["options"] += f" -c statement_timeout={ENV['PARLEY_SQL_TIMEOUT_MS']}"
        profile["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 2 * THREADS, "timeout": 5}
    else:
        profile["CONN_MAX_AGE"] = 60
    return profile


DATABASES = {"default": database(DATABASE_URL, ROLE)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Every timeout is explicit: redis-py's default of 5 s would end blocking reads.
REDIS_SOCKET = {"socket_timeout": None, "socket_connect_timeout": 2, "health_check_interval": 15}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, **REDIS_SOCKET}], "prefix": "parley"},
    }
}
CACHES = {
    "default": {
        "BACKEND": "accounts.cache.Cache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        # Not pickle, the default: whoever can write to Redis could run code in the web process.
        "OPTIONS": {
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 2,
            "SOCKET_TIMEOUT": 2,
        },
    }
}
# Celery has its own notation for the socket and the database of a Redis.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 30, "socket_connect_timeout": 2, "global_keyprefix": "celery:"}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}

# --- files ------------------------------------------------------------------------------------------------------------

CLAMD: str = ENV["PARLEY_CLAMD"]
UPLOAD_TYPES: list[str] = ENV["PARLEY_UPLOAD_TYPES"]
UPLOAD_TYPES_REFUSED: list[str] = ENV["PARLEY_UPLOAD_TYPES_REFUSED"]


def file_storage(folder: Path, *, bucket: str, endpoint: str, region: str) -> dict[str, Any]:
    """Return the storage of files: a folder that no web server serves, or a bucket with signed links (F215, F216)."""
    if not bucket:
        modes = {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder, **modes}}
    options = {"bucket_name": bucket, "endpoint_url": endpoint or None, "region_name": region or None}
    signing = {"signature_version": "s3v4", "querystring_auth": True, "default_acl": None, "file_overwrite": False}
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {**options, **signing}}


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "attachments": file_storage(
        VAR / "files",
        bucket=ENV["PARLEY_BUCKET"],
        endpoint=ENV["PARLEY_BUCKET_ENDPOINT"],
        region=ENV["PARLEY_BUCKET_REGION"],
    ),
}


def bucket_origin(bucket: str, endpoint: str) -> list[str]:
    """Return the origins of the bucket: links to files redirect there, and pages must be allowed to load them."""
    if not bucket:
        return []
    return [f"{urlparse(endpoint).scheme}://{urlparse(endpoint).netloc}"] if endpoint else ["https://*.amazonaws.com"]


_FILES_FROM = bucket_origin(ENV["PARLEY_BUCKET"], ENV["PARLEY_BUCKET_ENDPOINT"])

# --- people -----------------------------------------------------------------------------------------------------------

# In the demo nobody reads mails: an address counts as its owner's.
CONFIRM_EMAIL = not DEMO
MAIL = bool(ENV["EMAIL_URL"])
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["accounts.passwords.Argon2"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
ACCOUNT_ADAPTER = "accounts.web.Adapter"
ACCOUNT_FORMS = {
    "signup": "accounts.forms.SignupForm",
    "add_email": "accounts.forms.AddEmailForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if CONFIRM_EMAIL else "none"
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
# The limits of `accounts.sign_in` and `accounts.mails` stand for allauth's by address, which strangers could spend.
ACCOUNT_RATE_LIMITS = {"reset_password": "20/m/ip", "login_failed": ""}
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if TLS else "http"

# --- safe by default --------------------------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS
SESSION_ENGINE = "accounts.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "parley_session"
SECURE_SSL_REDIRECT = TLS
SECURE_HSTS_SECONDS = 31536000 if TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = TLS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV["PARLEY_BEHIND_PROXY"] else None
SECURE_REDIRECT_EXEMPT = [r"^readyz$", r"^metrics$"]
CSRF_TRUSTED_ORIGINS = ORIGINS
ADDRESS_IS_CLAIMED: bool = ENV["PARLEY_BEHIND_PROXY"] and ENV["PARLEY_SERVER"] == "daphne"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# Larger bodies and files are spooled to disk while they arrive.
FILE_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:", *_FILES_FROM],
        "media-src": ["'self'", "blob:", *_FILES_FROM],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "worker-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "require-trusted-types-for": ["'script'"],
    },
}

# --- REST -------------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.WebSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["gateway.http.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "gateway.http.problem",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Parley",
    "DESCRIPTION": "Messaging for teams: conversations, messages, receipts, sync.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["gateway.schema.add_components"],
}

# --- pages ------------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Scripts import each other by relative paths; in the demo WhiteNoise serves them from the finders, with an ETag.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEMO or DEBUG

# --- mail and log -----------------------------------------------------------------------------------------------------

_MAIL = urlparse(ENV["EMAIL_URL"])
MAIL_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _MAIL.hostname else 'console'}.EmailBackend"
EMAIL_HOST, EMAIL_PORT = _MAIL.hostname or "", _MAIL.port or MAIL_PORTS.get(_MAIL.scheme, 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_MAIL.username or ""), unquote(_MAIL.password or "")
# STARTTLS is asked for and the certificate checked; `smtps` is TLS from the first byte, `smtp+plain` is for a relay on this
# machine. A silent server must not hold a request's thread for long.
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.scheme == "smtp", _MAIL.scheme == "smtps"
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = SERVER_EMAIL = dict(parse_qsl(_MAIL.query)).get("from") or f"parley@{HOST}"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"expected": {"()": "gateway.logs.Expected"}, "redact": {"()": "gateway.logs.Redact"}},
    "formatters": {
        "console": {"format": "%(asctime)s %(levelname)-7s %(name)s %(message)s", "datefmt": "%H:%M:%S"},
        "json": {"()": "gateway.logs.JsonFormatter"},
    },
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": ENV["PARLEY_LOG"], "filters": ["expected", "redact"]},
    },
    "root": {"handlers": ["out"], "level": "INFO"},
    "loggers": {"uvicorn.access": {"level": "WARNING"}, "daphne": {"level": "WARNING"}},
}
