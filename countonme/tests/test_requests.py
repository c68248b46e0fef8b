"""How what phones send is read, over all resources: numbers, ids and empty strings."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from countonme.api import docs
from products.nutrients import OPTIONAL
from tests.helpers.api import Api, offences, request_body

ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
PRODUCT = "abcdef12-3456-4abc-8def-abcdef123456"
PORTION = "abcdef12-3456-4abc-8def-abcdef654321"
WHEN = {"date": "2025-02-05", "meal_type": "lunch"}
PERCENTS = {"protein_percent": 30, "carbs_percent": 40, "fat_percent": 30}


@dataclass(frozen=True)
class Kind:
    """A kind of resource: a body that creates one, where to, and where it lies then."""

    body: dict[str, Any]
    path: str
    rows: str


KINDS = {
    "product": Kind({"name": "Rice", "kcal_100g": 130}, "/v1/products", "/v1/products"),
    "portion": Kind(
        {"name": "1 cup", "grams": 158}, f"/v1/products/{PRODUCT}/portions", "/v1/portions"
    ),
    "entry": Kind(WHEN | {"name": "Soup", "kcal": 250}, "/v1/food-entries", "/v1/food-entries"),
    "entry by grams": Kind(
        WHEN | {"product_id": PRODUCT, "grams": 150}, "/v1/food-entries", "/v1/food-entries"
    ),
    "entry by portions": Kind(
        WHEN | {"product_id": PRODUCT, "portion_id": PORTION, "quantity": 2},
        "/v1/food-entries",
        "/v1/food-entries",
    ),
    "weight": Kind({"date": "2025-02-05", "weight_kg": 80}, "/v1/body-weights", "/v1/body-weights"),
    "water": Kind({"date": "2025-02-05", "ml": 250}, "/v1/water-entries", "/v1/water-entries"),
    "manual goal": Kind(
        {"daily_calories_kcal": 2000, **PERCENTS, "water_ml": 2000}, "/v1/goals/manual", "/v1/goals"
    ),
    "calculated goal": Kind(
        {
            "gender": "female",
            "birth_date": "1990-05-17",
            "height_cm": 168,
            "current_weight_kg": 500,
            "activity_level": "light",
            "weight_goal_type": "lose",
            "target_weight_kg": 0.01,
            "weight_change_pace": "moderate",
            **PERCENTS,
            "water_ml": 2000,
        },
        "/v1/goals/calculated",
        "/v1/goals",
    ),
}
# Fields with two decimals, by kind, and what they keep.
DECIMALS = [
    *(("product", f"{name}_100g", "0", "100") for name in OPTIONAL),
    ("portion", "grams", "0.01", "10000"),
    ("entry", "kcal", "0", "10000"),
    ("entry", "grams", "0.01", "10000"),
    *(("entry", name, "0", "1000") for name in OPTIONAL),
    ("entry by grams", "grams", "0.01", "10000"),
    # The portion has a gram.
    ("entry by portions", "quantity", "0.01", "10000"),
    ("weight", "weight_kg", "0.01", "500"),
    ("calculated goal", "height_cm", "50", "300"),
    ("calculated goal", "current_weight_kg", "10", "500"),
    # Below the current weight.
    ("calculated goal", "target_weight_kg", "0.01", "499.99"),
]
# Integer fields, by kind, and what they keep.
INTEGERS = [
    ("product", "kcal_100g", 0, 1000),
    ("water", "ml", 1, 10_000),
    ("manual goal", "daily_calories_kcal", 1, 10_000),
    ("manual goal", "water_ml", 0, 10_000),
    ("calculated goal", "water_ml", 0, 10_000),
    *(
        (kind, percent, value, value)
        for kind in ("manual goal", "calculated goal")
        for percent, value in PERCENTS.items()
    ),
]
# Numbers as phones write them, and what is kept of them, where a field's bounds allow it.
ROUNDED = {
    "0.30000000000000004": "0.3",
    "72.400000000000006": "72.4",
    "3.5999999046325684": "3.6",
    "81.6466266": "81.65",
    "0.3333333333333333": "0.33",
    "1.005": "1.01",
    "0.004": "0",
    "0.005": "0.01",
    "-0.004": "0",
    "-0.005": "-0.01",
    "49.994": "49.99",
    "49.995": "50",
    "100.004": "100",
    "100.005": "100.01",
    "499.99499999999995": "499.99",
    "500.005": "500.01",
    "1000.0049999999999": "1000",
    "10000.004": "10000",
    "10000.005": "10000.01",
    "1e-400": "0",
}
# Optional fields that are strings in JSON, by kind; and the id, of every kind.
NULLABLE_STRINGS = [
    ("product", "brand"),
    ("product", "barcode"),
    ("entry", "eaten_at"),
    ("entry", "product_id"),
    ("entry", "portion_id"),
    ("calculated goal", "weight_change_pace"),
]


@pytest.fixture
def phone(phone: Api) -> Api:
    """A phone with a product and a portion of a gram."""
    product = phone.product(id=PRODUCT)
    phone.portion(product, id=PORTION, grams=1)
    return phone


@pytest.fixture
def create(phone: Api) -> Callable[..., Any]:
    """Send what creates a resource of a kind, some fields with their value or as raw text."""

    def send(kind: str, values: dict[str, Any] | None = None, **raw: str) -> Any:
        return phone.post(KINDS[kind].path, request_body(KINDS[kind].body | (values or {}), **raw))

    return send


def row_of(kind: str, response: Any) -> str:
    """Return the path of what was created."""
    assert response.status_code == 201, response.content
    return f"{KINDS[kind].rows}/{response.json()['id']}"


def test_it_works(phone: Api, create: Any) -> None:
    for kind in KINDS:
        assert phone.get(row_of(kind, response := create(kind))).json() == response.json()


class TestNumber:
    @pytest.mark.parametrize(("kind", "field", "low", "high"), DECIMALS)
    def test_it_is_rounded_half_up_and_then_judged(
        self, phone: Api, create: Any, kind: str, field: str, low: str, high: str
    ) -> None:
        for sent, rounded in ROUNDED.items():
            response = create(kind, **{field: sent})
            if Decimal(low) <= Decimal(rounded) <= Decimal(high):
                path = row_of(kind, response)
                assert response.json()[field] == float(rounded), sent
                assert phone.get(path).json() == response.json()
                phone.delete(path)
            else:
                code = "min_value" if Decimal(rounded) < Decimal(low) else "max_value"
                assert offences(response) == [(["body", field], code)], sent

    @pytest.mark.parametrize(
        ("kind", "field"), [(kind, field) for kind, field, *_ in DECIMALS if "goal" not in kind]
    )
    def test_an_update_that_rounds_to_what_is_kept_changes_nothing(
        self, phone: Api, create: Any, kind: str, field: str
    ) -> None:
        path = row_of(kind, created := create(kind, **{field: "3.6"}))
        for method in ("PUT", "PATCH"):
            for sent in ("3.5999999046325684", "3.6000000000000001", "3.595", "3.604"):
                response = phone.request(method, path, request_body({}, **{field: sent}))
                assert (response.status_code, response.json()) == (200, created.json()), sent
            response = phone.request(method, path, request_body({}, **{field: "3.605"}))
            assert response.json()[field] == 3.61
            phone.patch(path, {field: 3.6})
            created = phone.get(path)

    @pytest.mark.parametrize(("kind", "field", "low", "high"), INTEGERS)
    def test_an_integer_is_what_is_within_a_millionth_of_one(
        self, phone: Api, create: Any, kind: str, field: str, low: int, high: int
    ) -> None:
        for kept in {low, high}:
            for off in ("-1e-6", "-1e-9", "0", "1e-9", "1e-6"):
                sent = str(Decimal(kept) + Decimal(off))
                path = row_of(kind, response := create(kind, **{field: sent}))
                assert response.json()[field] == kept, sent
                assert type(response.json()[field]) is int, sent
                phone.delete(path)

    @pytest.mark.parametrize(("kind", "field", "low", "high"), INTEGERS)
    def test_an_integer_is_no_other_fraction(
        self, create: Any, kind: str, field: str, low: int, high: int
    ) -> None:
        for whole in {low, high}:
            for off in ("-0.5", "-0.0000011", "0.0000011", "0.01", "0.5"):
                sent = str(Decimal(whole) + Decimal(off))
                assert offences(create(kind, **{field: sent})) == [(["body", field], "invalid")]

    @pytest.mark.parametrize(
        ("kind", "field"), [(kind, field) for kind, field, *_ in (*DECIMALS, *INTEGERS)]
    )
    def test_it_is_no_string_and_no_boolean(self, create: Any, kind: str, field: str) -> None:
        for sent in ('"1"', '""', '" "', "true", "false", "[1]", "{}"):
            assert offences(create(kind, **{field: sent})) == [(["body", field], "invalid")], sent
        for sent in ("NaN", "Infinity", "-Infinity"):
            assert create(kind, **{field: sent}).status_code == 400, sent

    def test_every_number_of_a_request_is_tried_here(self) -> None:
        tried = {field for _, field, *_ in (*DECIMALS, *INTEGERS)}
        assert {name for name, field in sent_fields() if is_number(field)} == tried


class TestId:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("spelt", [ID.upper(), ID.title()])
    def test_of_a_new_row_it_is_read_in_either_case_and_answered_in_lower(
        self, phone: Api, create: Any, kind: str, spelt: str
    ) -> None:
        response = create(kind, {"id": spelt})
        assert row_of(kind, response) == f"{KINDS[kind].rows}/{ID}"
        for again in (ID, ID.upper(), ID.title()):
            repeated = create(kind, {"id": again})
            assert (repeated.status_code, repeated.json()) == (200, response.json())

    @pytest.mark.parametrize("kind", KINDS)
    def test_in_a_path_it_is_read_in_either_case(self, phone: Api, create: Any, kind: str) -> None:
        path = row_of(kind, create(kind, {"id": ID}))
        for spelt in (ID.upper(), ID.title()):
            found = phone.get(f"{KINDS[kind].rows}/{spelt}")
            assert (found.status_code, found.json()["id"]) == (200, ID)
            for method in ("PUT", "PATCH"):
                changed = phone.request(method, f"{KINDS[kind].rows}/{spelt}", {})
                assert (changed.status_code, changed.json()) == (200, phone.get(path).json())
        assert phone.delete(f"{KINDS[kind].rows}/{ID.upper()}").status_code == 204
        assert phone.get(path).status_code == 404

    def test_of_a_deleted_row_it_is_in_use_in_either_case(self, phone: Api, create: Any) -> None:
        for kind in KINDS:
            chosen = str(uuid.uuid4())
            phone.delete(row_of(kind, create(kind, {"id": chosen})))
            assert create(kind, {"id": chosen.upper()}).status_code == 409, kind

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("sent", [None, "", " "])
    def test_null_and_an_empty_string_are_no_id(
        self, phone: Api, create: Any, kind: str, sent: str | None
    ) -> None:
        path = row_of(kind, create(kind, {"id": sent}))
        assert phone.get(path).status_code == 200
        phone.delete(path)
        assert row_of(kind, create(kind, {"id": sent})) != path

    def test_of_portions_the_product_is_named_in_either_case(self, phone: Api) -> None:
        path = f"/v1/products/{PRODUCT.upper()}/portions"
        created = phone.post(path, KINDS["portion"].body)
        assert (created.status_code, created.json()["product_id"]) == (201, PRODUCT)
        assert len(phone.get(path).json()) == 3

    @pytest.mark.parametrize("kind", ["entry by grams", "entry by portions"])
    def test_what_an_entry_names_is_named_in_either_case(
        self, phone: Api, create: Any, kind: str
    ) -> None:
        names = {"product_id": PRODUCT.upper()}
        if "portions" in kind:
            names["portion_id"] = PORTION.title()
        response = create(kind, names)
        path = row_of(kind, response)
        expected = {name: value.lower() for name, value in names.items()}
        assert {name: response.json()[name] for name in names} == expected
        changed = phone.patch(path, names)
        assert (changed.status_code, changed.json()) == (200, response.json())

    def test_in_a_query_it_is_read_in_either_case(self, phone: Api, create: Any) -> None:
        entry = create("entry by grams").json()
        for spelt in (PRODUCT, PRODUCT.upper(), PRODUCT.title()):
            assert phone.get(f"/v1/food-entries?product_id={spelt}").json() == [entry]


class TestEmptyString:
    @pytest.mark.parametrize(("kind", "field"), NULLABLE_STRINGS)
    @pytest.mark.parametrize("sent", ["", "  "])
    def test_for_an_optional_string_it_is_null(
        self, phone: Api, create: Any, kind: str, field: str, sent: str
    ) -> None:
        # To keep one's weight takes no pace.
        values = {"weight_goal_type": "maintain"} if field == "weight_change_pace" else {}
        response = create(kind, values | {field: sent})
        assert phone.get(row_of(kind, response)).json() == response.json()
        assert response.json()[field] is None

    def test_in_an_update_it_clears_an_optional_string(self, phone: Api) -> None:
        product = phone.product(brand="Farm", barcode="96385074")
        entry = phone.entry(eaten_at="2025-02-05T12:30:00Z")
        for method in ("PUT", "PATCH"):
            for path, field, value in (
                (f"/v1/products/{product['id']}", "brand", "Farm"),
                (f"/v1/products/{product['id']}", "barcode", "96385074"),
                (f"/v1/food-entries/{entry['id']}", "eaten_at", "2025-02-05T12:30:00Z"),
            ):
                assert phone.patch(path, {field: value}).json()[field] == value
                assert phone.request(method, path, {field: ""}).json()[field] is None

    def test_in_an_update_it_takes_the_product_from_an_entry(self, phone: Api, create: Any) -> None:
        for kind in ("entry by grams", "entry by portions"):
            path = row_of(kind, created := create(kind))
            changed = phone.patch(path, {"product_id": ""}).json()
            freed = {"product_id": None, "portion_id": None, "quantity": None}
            assert changed == created.json() | freed | {"updated_at": changed["updated_at"]}

    def test_in_an_update_it_takes_the_portion_from_an_entry(self, phone: Api, create: Any) -> None:
        path = row_of("entry by portions", create("entry by portions"))
        changed = phone.patch(path, {"portion_id": "", "grams": 80}).json()
        assert (changed["portion_id"], changed["quantity"], changed["grams"]) == (None, None, 80)

    @pytest.mark.parametrize("kind", ["product", "portion", "entry"])
    @pytest.mark.parametrize("sent", ["", "  "])
    def test_for_a_required_name_it_is_blank(self, create: Any, kind: str, sent: str) -> None:
        assert offences(create(kind, {"name": sent})) == [(["body", "name"], "blank")]

    @pytest.mark.parametrize(
        ("kind", "field", "code"),
        [
            ("entry", "date", "invalid"),
            ("entry", "meal_type", "invalid_choice"),
            ("calculated goal", "gender", "invalid_choice"),
            ("calculated goal", "birth_date", "invalid"),
            # To lose weight takes one.
            ("calculated goal", "weight_change_pace", "null"),
        ],
    )
    def test_for_a_required_string_it_is_refused(
        self, create: Any, kind: str, field: str, code: str
    ) -> None:
        assert offences(create(kind, {field: ""})) == [(["body", field], code)]

    def test_every_optional_string_of_a_request_is_tried_here(self) -> None:
        tried = {"id"} | {field for _, field in NULLABLE_STRINGS}
        described = {name for name, field in sent_fields() if is_nullable_string(field)}
        assert described == tried


def sent_fields() -> list[tuple[str, dict[str, Any]]]:
    """Return every field of every body of REST, as the OpenAPI document describes it."""
    return [
        field
        for name, component in docs.document()["components"]["schemas"].items()
        if name.endswith("Request") and not name.endswith("RecordRequest")
        for field in component["properties"].items()
    ]


def is_number(field: dict[str, Any]) -> bool:
    return bool({"number", "integer"} & types_of(field))


def is_nullable_string(field: dict[str, Any]) -> bool:
    return types_of(field) == {"string", "null"}


def types_of(field: dict[str, Any]) -> set[str]:
    """Return the JSON types that a field may have."""
    schemas = docs.document()["components"]["schemas"]
    if "$ref" in field:
        return types_of(schemas[field["$ref"].rpartition("/")[2]])
    if "oneOf" in field:
        return set[str]().union(*map(types_of, field["oneOf"]))
    types = field.get("type", "string" if "enum" in field else "")
    return {types} if isinstance(types, str) else set(types)
