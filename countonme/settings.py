"""Settings: one file, each value from one environment variable (or a line of `.env`)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from countonme import __version__
from countonme.server.environment import (
    address,
    env,
    flag,
    log_level,
    postgresql,
    rate,
    redis_url,
    strings,
    whole_number,
)

BASE_DIR = Path(__file__).resolve().parent.parent
env.read_env(BASE_DIR / ".env")


def secret_key() -> str:
    """Return SECRET_KEY, or the key that the first `make run` wrote into DATA_DIR.

    Raises:
        ImproperlyConfigured: neither exists, or the key can be guessed.
    """
    local = DATA_DIR / "secret_key"
    key = env.str("SECRET_KEY", "") or (local.read_text().strip() if local.exists() else "")
    if not key:
        raise ImproperlyConfigured("Set SECRET_KEY to a random text of at least 50 characters.")
    if not DEBUG and (len(key) < 50 or len(set(key)) < 5 or key.startswith("django-insecure")):
        raise ImproperlyConfigured("SECRET_KEY is too weak: set 50 random characters or more.")
    return key


def database_url() -> str:
    """Return DATABASE_URL, or if it is not set, the URL of the private PostgreSQL."""
    if url := env.str("DATABASE_URL", ""):
        return url
    from countonme.server import embedded

    return embedded.database_url(DATA_DIR)


def source_digest() -> str:
    """Return a digest of everything in the release that can change an answer."""
    digest = hashlib.blake2b((BASE_DIR / "requirements.txt").read_bytes(), digest_size=8)
    for app in OWN_APPS:
        for path in sorted((BASE_DIR / app).rglob("*.py")):
            if "tests" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()


DATA_DIR = (BASE_DIR / env.str("DATA_DIR", ".data")).resolve()
DEBUG = flag("DEBUG", False)
HTTPS = flag("HTTPS", not DEBUG)
SECRET_KEY = secret_key()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
OWN_APPS = ["countonme", "devices", "products", "catalog", "entries", "goals", "sync", "transfer"]
RELEASE = source_digest()

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
if "*" in ALLOWED_HOSTS and not DEBUG:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts: * is for DEBUG only.")

INSTALLED_APPS = [
    # The configuration that leaves the choice of the site to us.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "countonme.operators.apps.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    *OWN_APPS,
]

MIDDLEWARE = [
    "countonme.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "countonme.middleware.BrowsersCorsMiddleware",
    "countonme.middleware.PagesMiddleware",
]
# Where /metrics is served to Prometheus, beside the API; see countonme.server.metrics.
METRICS_ADDRESS = address("METRICS_ADDRESS")
if METRICS_ADDRESS:
    MIDDLEWARE.insert(0, "countonme.server.metrics.MetricsMiddleware")
# For pages, not for the API. The checks silenced below look for these in MIDDLEWARE.
PAGES_MIDDLEWARE = [
    "countonme.middleware.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]
SILENCED_SYSTEM_CHECKS = [
    *("admin.E408", "admin.E409", "admin.E410", "axes.W002"),
    *("security.W002", "security.W003"),
]

ROOT_URLCONF = "countonme.urls"
WSGI_APPLICATION = "countonme.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "countonme" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

database = postgresql(database_url())
# In seconds, but the last in milliseconds: a server whose power is cut says no goodbye.
bounds = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
options = bounds | {"tcp_user_timeout": 10_000} | database.pop("OPTIONS", {})
# The folder of a Unix socket comes as an option, but dbshell reads HOST.
database["HOST"] = options.pop("host", database["HOST"])
# A connection prepares a statement when it runs it for the second time; not every pooler allows it.
PREPARED_STATEMENTS = flag("PREPARED_STATEMENTS", True)
options |= {"server_side_binding": True, "prepare_threshold": 1 if PREPARED_STATEMENTS else None}
DATABASES = {"default": database | {"CONN_MAX_AGE": None, "OPTIONS": options}}
# In seconds; see countonme.server.timeouts.
DATABASE_TIMEOUTS = {
    "statement_timeout": whole_number("STATEMENT_TIMEOUT", 10),
    "lock_timeout": whole_number("LOCK_TIMEOUT", 3),
    "idle_in_transaction_session_timeout": 30,
}
# The model that the rows of device-scoped models belong to; see countonme.scope.
DEVICE_MODEL = "devices.Device"
# Models of our apps whose rows are no device's. Every other one has to be scoped to devices.
GLOBAL_MODELS = [
    "devices.MaintenanceRun",
    "catalog.Source",
    "catalog.Food",
    "catalog.PopularFood",
    "catalog.Word",
    "catalog.Correction",
    "catalog.Report",
    "catalog.Seen",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# "default" may lose entries and differ between workers. "shared" may not: it counts registrations.
CACHE_URL = redis_url()
CACHES: dict[str, dict[str, Any]]
if CACHE_URL:
    redis = {
        "BACKEND": "countonme.server.cache.ForgivingRedisCache",
        "LOCATION": CACHE_URL,
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
    CACHES = {"default": redis, "shared": redis}
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        },
        "shared": {
            "BACKEND": "countonme.server.cache.AtomicDatabaseCache",
            "LOCATION": "cache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        },
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Five wrong passwords for one name, or from one address, pause its logins for 15 minutes.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_CLIENT_IP_CALLABLE = "countonme.operators.site.address"
AXES_LOCKOUT_TEMPLATE = "operators/paused.html"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

UNFOLD = {
    "SITE_TITLE": "CountOnMe",
    "SITE_HEADER": "CountOnMe",
    "SITE_SYMBOL": "nutrition",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "href": "countonme.operators.site.icon"}],
    "DASHBOARD_CALLBACK": "countonme.dashboard.add_to_context",
    "STYLES": ["countonme.operators.site.stylesheet"],
    "SIDEBAR": {"show_search": True, "navigation": "countonme.operators.site.navigation"},
}

LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health(/ready)?$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

CORS_ALLOWED_ORIGINS = strings("CORS_ORIGINS", ["*"])
CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ALLOWED_ORIGINS
if CORS_ALLOW_ALL_ORIGINS:
    CORS_ALLOWED_ORIGINS = []
CORS_ALLOW_CREDENTIALS = False
CORS_EXPOSE_HEADERS = ["ETag", "Link", "Retry-After", "X-Request-ID"]
# Any, because tracing libraries add theirs. In the Fetch standard * leaves authorization out.
CORS_ALLOW_HEADERS = ["*", "authorization", "content-type", "if-none-match", "x-request-id"]
CORS_URLS_REGEX = r"^/(v1/.*|health.*|openapi\.json)$"

# The largest body of a request, in bytes.
MAX_BODY_BYTES = 1024 * 1024
MAX_SYNC_BODY_BYTES = 32 * 1024 * 1024
MAX_PRODUCTS_PER_DEVICE = whole_number("MAX_PRODUCTS_PER_DEVICE", 5000, 1)
MAX_PORTIONS_PER_PRODUCT = 50
MAX_ENTRIES_PER_DAY = whole_number("MAX_ENTRIES_PER_DAY", 500, 1)
MAX_WATER_ENTRIES_PER_DAY = 100
BCRYPT_ROUNDS = whole_number("BCRYPT_ROUNDS", 12, 4, 31)

REGISTER_THROTTLE = rate("REGISTER_THROTTLE", "10/min")
PAIR_THROTTLE = rate("PAIR_THROTTLE", "10/min")
DEVICE_THROTTLE = rate("DEVICE_THROTTLE", "600/min")
SEARCH_THROTTLE = rate("SEARCH_THROTTLE", "240/min")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["devices.authentication.DeviceTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["devices.throttling.DeviceThrottle"],
    "DEFAULT_PARSER_CLASSES": ["countonme.api.json.JSONParser"],
    # Only tells the OpenAPI document the media type: views return JSONAnswer.
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "countonme.api.json.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "countonme.api.schema.ApiSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "countonme.api.errors.exception_handler",
    "COERCE_DECIMAL_TO_STRING": False,
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": whole_number("NUM_PROXIES", 0),
}

SPECTACULAR_SETTINGS = {
    "TITLE": "CountOnMe API",
    # Two fields have these choices.
    "ENUM_NAME_OVERRIDES": {"MealTypeEnum": "entries.models.MealType"},
    "DESCRIPTION": (BASE_DIR / "countonme" / "api" / "introduction.md").read_text(),
    # In the order in which a phone meets them.
    "TAGS": [
        {"name": "auth", "description": "A device, its phones, their tokens, codes and key."},
        {"name": "foods", "description": "What a search box shows."},
        {"name": "catalog", "description": "Foods that all phones can look up and copy."},
        {"name": "products", "description": "The device's foods, and their portions."},
        {"name": "portions", "description": "Measures of a product, such as a slice."},
        {"name": "food-entries", "description": "The diary."},
        {"name": "stats", "description": "What days and ranges add up to."},
        {"name": "goals", "description": "Daily targets, and what is left of them."},
        {"name": "body-weights", "description": "Weighings, one a day."},
        {"name": "water-entries", "description": "Water drunk."},
        {"name": "sync", "description": "For apps that work offline."},
        {"name": "data", "description": "Everything at once: out, in, and away."},
    ],
    "VERSION": __version__,
    "SERVERS": [{"url": "/", "description": "The server that answers this document"}],
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
    ],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "refused_host": {"()": "countonme.middleware.RefusedHostFilter"},
        "request_id": {"()": "countonme.middleware.RequestIdFilter"},
    },
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["request_id"],
        },
    },
    "root": {"handlers": ["console"], "level": log_level()},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        # The access log has these already, with their status.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"filters": ["refused_host"]},
    },
}
