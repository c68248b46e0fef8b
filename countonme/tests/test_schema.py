from __future__ import annotations

import inspect
import json
import re
import tomllib
import warnings
from typing import Any

import jsonschema
import pytest
from django.conf import settings
from django.urls import get_resolver

from countonme import __version__
from countonme.api import docs
from countonme.api.fields import Reader, StrictModelSerializer
from countonme.api.query import QuerySerializer

ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
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


def test_every_route_under_v1_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    routes = {
        f"/{route.pattern}".replace("<str:", "{").replace(">", "}")
        for route in get_resolver().url_patterns
        if str(route.pattern).startswith("v1/")
    }
    assert set(document["paths"]) == routes


def test_every_call_under_v1_needs_the_token_but_registering_and_pairing(
    document: dict[str, Any],
) -> None:
    open_calls = [path for _, path, call in operations(document) if not call.get("security")]
    assert sorted(open_calls) == ["/v1/auth/pair", "/v1/auth/register"]


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
            components = {"components": document["components"]}
            described = content["application/json"]["schema"] | components
            for example in content["application/json"]["examples"].values():
                jsonschema.validate(example["value"], described)


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


def test_a_body_is_optional_where_nothing_has_to_be_sent(document: dict[str, Any]) -> None:
    optional = {
        f"{method.upper()} {path}"
        for method, path, call in operations(document)
        if "requestBody" in call and not call["requestBody"]["required"]
    }
    assert optional == {
        "POST /v1/auth/pairing-code",
        "POST /v1/auth/recovery-key",
        "DELETE /v1/auth/recovery-key",
        "POST /v1/catalog/foods/{id}/copy",
    }


def test_a_delete_with_a_body_is_described_with_it(document: dict[str, Any]) -> None:
    item = document["paths"]["/v1/auth/recovery-key"]
    assert item["delete"]["requestBody"] == item["post"]["requestBody"]
    assert "content" not in item["delete"]["responses"]["204"]


def test_a_body_that_nobody_reads_is_not_described(document: dict[str, Any]) -> None:
    without = {
        f"{method.upper()} {path}"
        for method, path, call in operations(document)
        if "requestBody" not in call and method not in ("get", "delete")
    }
    assert without == {"POST /v1/auth/rotate"}
    assert "requestBody" not in document["paths"]["/v1/auth/device"]["delete"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "0b7a1f3e5a574c5e9f4b0d7b8e1c2a3f"),
        ("id", 1),
        ("name", " \t"),
        ("name", "x" * 101),
        ("kcal_100g", 1001),
        ("kcal_100g", 0.5),
        ("fat_100g", 100.01),
        ("fat_100g", ""),
        ("barcode", "123456789"),
        ("barcode", "4006381a3931"),
    ],
)
def test_the_document_refuses_what_the_server_refuses(
    phone: Any, document: dict[str, Any], field: str, value: Any
) -> None:
    body = {"name": "Rice", "kcal_100g": 130}
    components = {"components": document["components"]}
    described = {"$ref": "#/components/schemas/ProductRequest"} | components
    jsonschema.validate(body, described)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body | {field: value}, described)
    assert phone.post("/v1/products", body | {field: value}).status_code == 422


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ProductRequest", {"id": None, "barcode": None}),
        ("ProductRequest", {"id": "", "barcode": ""}),
        ("ProductRequest", {"id": ID.upper(), "fat_100g": 0.1 + 0.2}),
        ("PatchedProductRequest", {"barcode": "", "fat_100g": 3.5999999046325684}),
        ("PortionRequest", {"id": "", "name": "1 cup", "grams": 81.6466266}),
        ("FoodEntryRequest", dict.fromkeys(("id", "product_id", "portion_id", "eaten_at"), "")),
        ("FoodEntryRequest", {"product_id": ID.upper(), "portion_id": ID.title(), "grams": 1 / 3}),
        ("PatchedFoodEntryRequest", {"product_id": "", "portion_id": "", "eaten_at": ""}),
        ("MetricsRequest", {"weight_change_pace": "", "height_cm": 168.00000000000003}),
        ("MetricsRequest", {"weight_change_pace": None}),
        ("CalculatedGoalRequest", {"id": "", "weight_change_pace": ""}),
        ("ManualGoalRequest", {"id": ID.title()}),
        (
            "CopyEntriesRequest",
            {"from_date": "", "meal_type": "", "to_meal_type": "", "copy_id": ""},
        ),
        (
            "CopyEntriesRequest",
            {"entry_ids": [ID.upper()], "from_date": None, "copy_id": ID.title()},
        ),
        ("BodyWeightRequest", {"id": None, "weight_kg": 72.400000000000006}),
        ("WaterEntryRequest", {"id": "", "ml": 250.0}),
        ("RegisterRequest", {"device_id": ID.upper(), "name": ""}),
        ("RegisterRequest", {"name": None}),
        ("PatchedPhoneRequest", {"name": ""}),
        ("PatchedPhoneRequest", {"name": None}),
        ("RecoveryKeyRequest", {"recovery_key": ""}),
        ("RecoveryKeyRequest", {"recovery_key": None}),
        ("PairRequest", {"code": "bcdf ghjk lmnp", "phone_id": ID.upper(), "name": None}),
    ],
)
def test_the_document_admits_what_phones_send(
    document: dict[str, Any], name: str, values: dict[str, Any]
) -> None:
    component = document["components"]["schemas"][name]
    described = component | {"required": [], "components": document["components"]}
    assert values.keys() <= component["properties"].keys()
    jsonschema.validate(values, described)


def test_a_delete_that_reads_a_body_describes_it(document: dict[str, Any]) -> None:
    deletes = {path: call for method, path, call in operations(document) if method == "delete"}
    with_body = {path for path, call in deletes.items() if "requestBody" in call}
    assert with_body == {"/v1/auth/recovery-key", "/v1/data"}
    assert all("422" in deletes[path]["responses"] for path in with_body)


def test_no_description_is_that_of_a_base_class(document: dict[str, Any]) -> None:
    bases = {inspect.getdoc(base) for base in (Reader, StrictModelSerializer, QuerySerializer)}
    schemas = document["components"]["schemas"].items()
    assert [name for name, schema in schemas if schema.get("description") in bases] == []


def test_no_number_is_described_as_a_multiple(document: dict[str, Any]) -> None:
    assert "multipleOf" not in str(document)


def test_the_id_of_a_new_row_may_be_null_and_that_of_an_answer_is_not(
    document: dict[str, Any],
) -> None:
    schemas = document["components"]["schemas"]
    for name in ("Product", "Portion", "FoodEntry", "BodyWeight", "WaterEntry"):
        assert schemas[f"{name}Request"]["properties"]["id"]["type"] == ["string", "null"], name
        assert schemas[name]["properties"]["id"]["type"] == "string", name
    for name in ("ManualGoalRequest", "CalculatedGoalRequest"):
        assert schemas[name]["properties"]["id"]["type"] == ["string", "null"], name
    assert schemas["Goal"]["properties"]["id"]["type"] == "string"


def test_a_string_that_may_be_empty_has_one_type(document: dict[str, Any]) -> None:
    brand = document["components"]["schemas"]["Product"]["properties"]["brand"]
    assert brand == {"type": ["string", "null"]}
    assert "'maxLength': 0" not in str(document)


def test_no_answer_is_described_with_an_empty_choice(document: dict[str, Any]) -> None:
    for name, component in document["components"]["schemas"].items():
        if not name.endswith("Request"):
            assert "BlankEnum" not in str(component), name


def test_an_id_in_a_path_or_a_query_is_described_in_either_case(document: dict[str, Any]) -> None:
    parameters = [
        parameter
        for _, _, call in operations(document)
        for parameter in call.get("parameters", [])
        if parameter["schema"].get("format") == "uuid"
    ]
    assert {parameter["in"] for parameter in parameters} == {"path", "query"}
    for parameter in parameters:
        for spelt in (ID, ID.upper(), ID.title()):
            jsonschema.validate(spelt, parameter["schema"])
        for other in ("", ID.replace("-", ""), f"{{{ID}}}", ID[:-1]):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(other, parameter["schema"])


def test_a_barcode_to_look_for_is_described_as_one(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/v1/products"]["get"]["parameters"]
    (barcode,) = (parameter for parameter in parameters if parameter["name"] == "barcode")
    for typed in ("4006381333931", "4 006381 333931", "0-425261-4", " 0 06 14141 00041 5 "):
        jsonschema.validate(typed, barcode["schema"])
    for typed in ("rice", "400-638", "123456789", "12 3456 7890", "1" * 15, ""):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(typed, barcode["schema"])


def test_a_barcode_may_be_sent_with_blanks_and_hyphens(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    sent = schemas["ProductRequest"]["properties"]["barcode"]
    jsonschema.validate("4 006381-333931", sent)
    assert "maxLength" not in sent
    assert "pattern" not in schemas["Product"]["properties"]["barcode"]


def test_a_day_is_described_with_its_bounds(document: dict[str, Any]) -> None:
    for name in ("FoodEntryRequest", "PatchedFoodEntryRequest"):
        day = document["components"]["schemas"][name]["properties"]["date"]
        assert day["description"] == "2000-01-01 to 2100-12-31."


def test_what_binds_requests_does_not_bind_answers(document: dict[str, Any]) -> None:
    bounds = {"maximum", "minimum", "multipleOf", "maxLength", "minLength", "pattern"}
    for name, component in document["components"]["schemas"].items():
        for field in component.get("properties", {}).values():
            assert name.endswith("Request") or not bounds & field.keys(), name


def reads(phone: Any) -> dict[str, str]:
    """Create something to read, and return which calls read it, each by its path."""
    product = phone.product()
    phone.entry(product_id=product["id"], grams=10)
    return {
        "/v1/products": "/v1/products",
        "/v1/products?include=portions": "/v1/products",
        f"/v1/products/{product['id']}": "/v1/products/{id}",
        f"/v1/products/{product['id']}/portions": "/v1/products/{id}/portions",
        "/v1/food-entries": "/v1/food-entries",
        "/v1/food-entries/products?order=frequent": "/v1/food-entries/products",
        "/v1/stats/day/2025-02-05": "/v1/stats/day/{date}",
        "/v1/stats/daily?from=2025-02-01&to=2025-02-28": "/v1/stats/daily",
        "/v1/auth/device": "/v1/auth/device",
        "/v1/auth/phones": "/v1/auth/phones",
        "/v1/sync": "/v1/sync",
        "/v1/sync?last_pulled_at=1000": "/v1/sync",
    }


def test_answers_of_the_server_fit_their_schema_and_have_no_other_field(
    phone: Any, document: dict[str, Any]
) -> None:
    components = {
        name: component | ({"additionalProperties": False} if "properties" in component else {})
        for name, component in document["components"]["schemas"].items()
    }
    for url, path in reads(phone).items():
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        described = content["application/json"]["schema"] | {"components": {"schemas": components}}
        jsonschema.validate(phone.get(url).json(), described)


def test_answers_of_the_server_carry_the_headers_that_are_always_there(
    phone: Any, document: dict[str, Any]
) -> None:
    for url, path in reads(phone).items():
        responses = document["paths"][path]["get"]["responses"]
        first = phone.get(url)
        again = phone.get(url, **{"If-None-Match": first.headers.get("ETag", "")})
        assert (again.status_code == 304) == ("304" in responses)
        for answer in (first, again):
            described = responses[str(answer.status_code)].get("headers", {})
            always = {name for name, header in described.items() if header["required"]}
            assert always == described.keys() - {"Link"}
            assert always <= dict(answer.headers).keys()


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_pages_for_people_ask_no_other_host(nobody: Any, path: str) -> None:
    response = nobody.get(path)
    assert response.status_code == 200
    assert b"//" not in response.content.replace(b"<!doctype html>", b"")
    assert "default-src 'self'" in response["Content-Security-Policy"]


def test_the_first_page_leads_to_everything(nobody: Any) -> None:
    page = nobody.get("/").content.decode()
    paths = re.findall(r'<a href="([^"]+)"', page)
    assert paths == ["/docs", "/redoc", "/openapi.json", "/admin/", "/health/ready"]
    assert nobody.get("/favicon.ico").headers["Location"].endswith(".svg")


def test_version_is_the_same_everywhere(nobody: Any) -> None:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    changelog = re.findall(
        r"^## (\d\S*\.\d+)\b", (settings.BASE_DIR / "CHANGELOG.md").read_text(), re.M
    )
    client = settings.BASE_DIR / "clients" / "typescript" / "package.json"
    versions = {
        project["version"],
        json.loads(client.read_text())["version"],
        changelog[0],
        nobody.get("/openapi.json").json()["info"]["version"],
    }
    assert versions == {__version__}
    assert f"version {__version__}" in (settings.BASE_DIR / "README.md").read_text()


def test_each_operation_says_what_it_does(nobody: Any) -> None:
    document = nobody.get("/openapi.json").json()
    operations = [call for item in document["paths"].values() for call in item.values()]
    for unique in ("operationId", "summary"):
        assert len({call[unique] for call in operations}) == len(operations)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]*)*", call["operationId"]) for call in operations)
    assert all(call["description"].endswith(".") for call in operations)
    # PUT and PATCH of a path do the same, other calls of a path don't.
    for item in document["paths"].values():
        descriptions = [call["description"] for method, call in item.items() if method != "put"]
        assert len(set(descriptions)) == len(descriptions)


def test_each_tag_is_described(nobody: Any) -> None:
    document = nobody.get("/openapi.json").json()
    used = {
        tag for item in document["paths"].values() for call in item.values() for tag in call["tags"]
    }
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}
