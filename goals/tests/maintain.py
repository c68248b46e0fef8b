"""What is sent to keep one's weight, and when."""

from __future__ import annotations

from datetime import UTC, datetime

from goals.serializers import METRICS

# Which ages depend on.
NOW = datetime(2025, 2, 5, 12, tzinfo=UTC)
MAINTAIN = {name: METRICS[name] for name in METRICS if name not in ("target_weight_kg",)} | {
    "weight_goal_type": "maintain"
}
