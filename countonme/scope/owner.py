"""What device scope needs of a device."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from typing import Protocol


class Owner(Protocol):
    """The device that rows belong to; `settings.DEVICE_MODEL` names its model."""

    pk: uuid.UUID
    # Every transaction that writes one of its rows increases it.
    revision: int

    def locked(self) -> AbstractContextManager[None]:
        """Return a transaction that has locked the device's row before any other."""

    def writing(self) -> AbstractContextManager[None]:
        """Return the same, for a call of the device itself.

        Raises:
            DeviceGone: its token is no longer accepted.
        """
