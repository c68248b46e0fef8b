"""Throttles that keep one counter for each caller and time window.

DRF's own keep a list of timestamps for each caller.
"""

from __future__ import annotations

import time
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from devices.models import Phone


class WindowThrottle(SimpleRateThrottle):
    """Allows a number of calls in each window of time, such as `10/min`; no rate means no limit."""

    cache_alias = "default"
    # Set by DRF from the rate; the duration in seconds.
    num_requests: int
    duration: int

    def get_rate(self) -> str | None:
        raise NotImplementedError

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the call and return whether it is within the rate."""
        if not self.rate:
            return True
        cache = caches[self.cache_alias]
        window, self.elapsed = divmod(time.time(), self.duration)
        key = f"{self.get_cache_key(request, view)}:{int(window)}"
        cache.add(key, 0, timeout=self.duration)
        try:
            self.count = cache.incr(key)
        except ValueError:  # the window ended between the two lines
            return True
        return bool(self.count <= self.num_requests)

    def get_ident(self, request: Request) -> str:
        """Return the caller's address, or its /64 for IPv6: one subscriber has at least a /64."""
        ident = super().get_ident(request)
        with suppress(ValueError):
            address = ip_address(ident)
            if isinstance(address, IPv6Address):
                return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
        return ident

    def wait(self) -> float:
        """Return the seconds until the window ends."""
        return float(self.duration - self.elapsed)


class DeviceThrottle(WindowThrottle):
    """Limits the calls of one device."""

    scope = "device"

    def get_rate(self) -> str | None:
        return settings.DEVICE_THROTTLE or None

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"throttle:{self.scope}:{request.user.pk}"


class AddressThrottle(WindowThrottle):
    """Limits the attempts of one address to become a phone, valid or not, over all workers."""

    cache_alias = "shared"

    def allow_request(self, request: Request, view: Any) -> bool:
        return request.method != "POST" or super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class PairThrottle(AddressThrottle):
    """Limits the attempts to pair."""

    scope = "pair"

    def get_rate(self) -> str | None:
        return settings.PAIR_THROTTLE or None


class RegisterThrottle(AddressThrottle):
    """Limits the attempts to register."""

    scope = "register"

    def get_rate(self) -> str | None:
        return settings.REGISTER_THROTTLE or None

    def allow_request(self, request: Request, view: Any) -> bool:
        allowed = super().allow_request(request, view)
        if not allowed:
            self.count_refusal()
        return allowed

    @classmethod
    def count_refusal(cls) -> None:
        """Count a refused registration, for the operators' dashboard."""
        cache = caches[cls.cache_alias]
        cache.add(cls._refusals_key(), 0, timeout=24 * 3600)
        with suppress(ValueError):  # the key expired between the two lines
            cache.incr(cls._refusals_key())

    @classmethod
    def refused_today(cls) -> int:
        """Return how many registrations were refused since midnight, UTC."""
        return int(caches[cls.cache_alias].get(cls._refusals_key(), 0))

    @staticmethod
    def _refusals_key() -> str:
        return f"throttle:register:refused:{timezone.now():%Y-%m-%d}"


class RekeyThrottle(WindowThrottle):
    """Limits the bcrypt checks of one phone's token from one address.

    Only a token whose HMAC's key is gone is checked with bcrypt.
    """

    scope = "rekey"
    cache_alias = "shared"

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def get_rate(self) -> str | None:
        return "5/min"

    def get_cache_key(self, request: Request, view: Any) -> str:
        phone = f"{self.phone.device_id}:{self.phone.id}"
        return f"throttle:rekey:{phone}:{self.get_ident(request)}"
