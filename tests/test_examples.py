"""The examples of the OpenAPI document, sent as somebody does who tries the API in /docs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from django.core.management import call_command

from countonme.api.docs import document
from tests.helpers.api import Api

# What needs something that only an earlier answer tells: a code, a key, or a phone's id; and of the
# other calls the examples that do.
NEEDS_AN_ANSWER = {"pairPhone", "renamePhone", "signPhoneOut", "deleteRecoveryKey"}
EXAMPLES_THAT_NEED_AN_ANSWER = {"With the present key", "What was deleted"}
# What ends the diary, in the order in which it can be tried.
AT_LAST = ["deleteEverything", "eraseDevice"]
# First what makes rows, then what looks at them, changes them, and deletes them.
METHODS = ["post", "put", "get", "patch", "delete"]


class Sent(NamedTuple):
    """A call with one of its examples."""

    operation_id: str
    method: str
    path: str
    body: Any


def examples() -> Iterator[Sent]:
    """Yield the calls with all their examples, by tag, as one would try them."""
    schema = document()
    tags = [tag["name"] for tag in schema["tags"]]
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] not in NEEDS_AN_ANSWER
    ]

    def place(found: Any) -> Any:
        _, method, operation = found
        operation_id = operation["operationId"]
        if operation_id == "registerDevice":
            return (-1, 0, 0)
        if operation_id in AT_LAST:
            return (2, AT_LAST.index(operation_id), 0)
        tag = tags.index(operation["tags"][0])
        # What is deleted goes after everything else, and what refers to others goes before these.
        return (1, -tag, 0) if method == "delete" else (0, tag, METHODS.index(method))

    for path, method, operation in sorted(operations, key=place):
        named = {
            parameter["name"]: parameter["example"]
            for parameter in operation.get("parameters", [])
            if "example" in parameter
        }
        in_path = {name: value for name, value in named.items() if f"{{{name}}}" in path}
        query = {name: value for name, value in named.items() if name not in in_path}
        url = path.format(**in_path) + (f"?{urlencode(query)}" if query else "")
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        bodies = [
            given["value"]
            for given in content.get("examples", {}).values()
            if given.get("summary") not in EXAMPLES_THAT_NEED_AN_ANSWER
        ]
        for body in bodies or [None]:
            yield Sent(operation["operationId"], method.upper(), url, body)


@pytest.mark.django_db(transaction=True)
def test_they_work_one_after_the_other(settings: Any) -> None:
    call_command("start_catalog", verbosity=0)
    phone = Api()
    refused = []
    for sent in examples():
        response = phone.request(sent.method, sent.path, sent.body)
        if response.status_code >= 300:
            refused.append((*sent, response.status_code, response.content.decode()[:300]))
        elif "token" in (answer := response.json() if response.content else {}):
            phone.token = answer["token"]
    assert not refused, "\n".join(map(str, refused))
