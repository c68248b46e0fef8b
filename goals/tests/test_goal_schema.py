"""What the OpenAPI document says of goals, weight and water is what the server does."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from countonme.api import docs
from goals.models import TARGETS
from goals.serializers import BY_HAND, METRICS
from goals.tests.maintain import MAINTAIN
from tests.helpers.api import Api


def fit(answer: Any, method: str, path: str, status: str = "200") -> None:
    """Check an answer against its schema."""
    document = docs.document()
    content = document["paths"][path][method]["responses"][status]["content"]
    schema = content["application/json"]["schema"] | {"components": document["components"]}
    jsonschema.validate(answer, schema)


def test_it_works(phone: Api) -> None:
    fit(phone.weight(), "post", "/v1/body-weights", "201")
    fit(phone.water(), "post", "/v1/water-entries", "201")
    for path in ("/v1/body-weights", "/v1/water-entries"):
        rows = phone.get(path).json()
        fit(rows, "get", path)
        fit(phone.get(f"{path}/{rows[0]['id']}").json(), "get", f"{path}/{{id}}")


@pytest.mark.parametrize("goal", ["none", "calculated", "maintain", "manual"])
def test_goals_fit(phone: Api, goal: str) -> None:
    calculated = {"calculated": METRICS, "maintain": MAINTAIN}
    if goal in calculated:
        fit(
            phone.post("/v1/goals/calculate", calculated[goal]).json(),
            "post",
            "/v1/goals/calculate",
        )
        created = phone.post("/v1/goals/calculated", calculated[goal]).json()
        fit(created, "post", "/v1/goals/calculated", "201")
    if goal == "manual":
        created = phone.post("/v1/goals/manual", BY_HAND).json()
        fit(created, "post", "/v1/goals/manual", "201")
    fit(phone.get("/v1/goals/current").json(), "get", "/v1/goals/current")
    fit(phone.get("/v1/goals/progress?date=2025-02-05").json(), "get", "/v1/goals/progress")
    if goal != "none":
        path = f"/v1/goals/{created['id']}"
        fit(phone.get(path).json(), "get", "/v1/goals/{id}")
        fit(phone.patch(path, {"water_ml": 1}).json(), "patch", "/v1/goals/{id}")


@pytest.mark.parametrize("name", ["weight", "expenditure", "streak"])
def test_statistics_fit(phone: Api, name: str) -> None:
    phone.weight()
    answer = phone.get(f"/v1/stats/{name}?from=2025-02-01&to=2025-02-28&date=2025-02-05").json()
    fit(answer, "get", f"/v1/stats/{name}")


def test_an_update_takes_the_targets_and_nothing_else() -> None:
    document = docs.document()
    for method in ("put", "patch"):
        call = document["paths"]["/v1/goals/{id}"][method]
        schema = call["requestBody"]["content"]["application/json"]["schema"]
        component = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert list(component["properties"]) == [*TARGETS]


def test_target_and_pace_may_be_left_out_of_a_request() -> None:
    component = docs.document()["components"]["schemas"]["MetricsRequest"]
    assert set(component["properties"]) - set(component["required"]) == {
        "target_weight_kg",
        "weight_change_pace",
    }
