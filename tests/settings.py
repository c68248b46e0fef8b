"""The project's settings, and what is otherwise in tests."""

from __future__ import annotations

from countonme.settings import *  # noqa: F403  # Django's way to extend settings
from countonme.settings import INSTALLED_APPS, STORAGES

# Its `flush` takes the place of Django's.
INSTALLED_APPS = [*INSTALLED_APPS, "tests"]
# Without `collectstatic` there is no manifest; the browser's tests make one.
STORAGES = STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
# Operators' passwords are made to be slow; tests make many.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
