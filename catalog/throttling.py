"""Throttles of the catalog: each device may search and report so often."""

from __future__ import annotations

from django.conf import settings

from devices.throttling import DeviceThrottle


class SearchThrottle(DeviceThrottle):
    """Limits the searches of one device."""

    scope = "search"

    def get_rate(self) -> str | None:
        return settings.SEARCH_THROTTLE or None


class ReportThrottle(DeviceThrottle):
    """Limits the reports of one device, over all workers."""

    scope = "report"
    cache_alias = "shared"

    def get_rate(self) -> str | None:
        return "20/day"
