from __future__ import annotations

import warnings
from typing import Any

import jsonschema
import pytest

from countonme.api import docs

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return docs.document()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def test_it_works(nobody: Any) -> None:
    response = nobody.get("/openapi.json")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json()["openapi"].startswith("3.1")
    assert response.json()["info"]["title"] == "CountOnMe API"


def test_paths_stand_in_full_with_id_as_the_parameter(document: dict[str, Any]) -> None:
    assert "/v1/products/{id}/portions" in document["paths"]
    assert "/v1/stats/day/{date}" in document["paths"]


def test_every_call_under_v1_needs_the_token_but_registering(document: dict[str, Any]) -> None:
    open_calls = [path for _, path, call in operations(document) if not call.get("security")]
    assert open_calls == ["/v1/auth/register"]


def test_every_call_describes_its_errors(document: dict[str, Any]) -> None:
    for method, path, call in operations(document):
        expected = {"429", "500", "503"}
        if call.get("security"):
            expected.add("401")
        if "{" in path:
            expected.add("404")
        if "requestBody" in call:
            expected |= {"400", "411", "413", "415", "422"}
        assert expected <= set(call["responses"]), (method, path)


def test_every_json_answer_and_body_has_an_example(document: dict[str, Any]) -> None:
    for method, path, call in operations(document):
        contents = [answer.get("content") for answer in call["responses"].values()]
        contents.append(call.get("requestBody", {}).get("content"))
        for content in filter(None, contents):
            assert content["application/json"].get("examples"), (method, path, content)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    for _, _, call in operations(document):
        bodies = [*call["responses"].values(), call.get("requestBody", {})]
        for content in filter(None, (body.get("content") for body in bodies)):
            schema = content["application/json"]["schema"] | {"components": document["components"]}
            for example in content["application/json"]["examples"].values():
                jsonschema.validate(example["value"], schema)


def test_conditional_answers_describe_their_headers(document: dict[str, Any]) -> None:
    call = document["paths"]["/v1/products"]["get"]
    assert {"ETag", "Cache-Control", "Vary", "Link"} <= set(call["responses"]["200"]["headers"])
    assert "304" in call["responses"]
    assert "304" not in document["paths"]["/v1/auth/device"]["get"]["responses"]


def test_refusals_describe_their_headers(document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/products"]["post"]["responses"]
    assert "WWW-Authenticate" in responses["401"]["headers"]
    assert "Retry-After" in responses["429"]["headers"]
    assert "Retry-After" in responses["503"]["headers"]


def test_put_may_leave_fields_out_like_patch(document: dict[str, Any]) -> None:
    item = document["paths"]["/v1/products/{id}"]
    assert item["put"]["requestBody"] == item["patch"]["requestBody"]


def test_answers_of_the_server_fit_their_schema(phone: Any, document: dict[str, Any]) -> None:
    product = phone.product()
    phone.entry(product_id=product["id"], grams=10)
    answers = {
        "/v1/products": "/v1/products",
        "/v1/products?include=portions": "/v1/products",
        f"/v1/products/{product['id']}": "/v1/products/{id}",
        f"/v1/products/{product['id']}/portions": "/v1/products/{id}/portions",
        "/v1/food-entries": "/v1/food-entries",
        "/v1/stats/day/2025-02-05": "/v1/stats/day/{date}",
        "/v1/stats/daily?from=2025-02-01&to=2025-02-28": "/v1/stats/daily",
        "/v1/auth/device": "/v1/auth/device",
    }
    for url, path in answers.items():
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        schema = content["application/json"]["schema"] | {"components": document["components"]}
        jsonschema.validate(phone.get(url).json(), schema)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_for_people_ask_no_other_host(nobody: Any, path: str) -> None:
    response = nobody.get(path)
    assert response.status_code == 200
    assert b"//" not in response.content.replace(b"<!doctype html>", b"")
    assert "default-src 'self'" in response["Content-Security-Policy"]
