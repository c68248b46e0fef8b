"""`/v1/sync`."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from countonme.api.json import JSONAnswer
from devices.views import CallerView
from sync.changes import CHANGED
from sync.pull import pull
from sync.push import push
from sync.serializers import ChangesSerializer, PullQuery, PullSerializer, PushQuery, PushSerializer


class SyncView(CallerView):
    """WatermelonDB's sync protocol: a phone pulls what changed here, then pushes its changes."""

    summaries = {"get": "Pull changes", "post": "Push changes"}
    serializer_class = ChangesSerializer
    max_body_bytes = settings.MAX_SYNC_BODY_BYTES
    get_query_class = PullQuery
    get_response_class = PullSerializer
    post_query_class = PushQuery
    post_response_class = PushSerializer
    answers = {"post": {409: [CHANGED]}}

    def get(self, request: Request) -> HttpResponse:
        """Answer what was written and deleted since the last pull; on the first, all live rows."""
        query = PullQuery.of(request)
        return JSONAnswer(
            pull(self.device, query.get("last_pulled_at", 0), query.get("migration", ()))
        )

    def post(self, request: Request) -> HttpResponse:
        """Apply the phone's changes. Records that break a rule are left out and named."""
        changes = self.read_body()
        after = PushQuery.of(request)["last_pulled_at"]
        return JSONAnswer(self.write(push, self.device, after, changes))
