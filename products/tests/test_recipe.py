"""`GET`, `PUT` and `DELETE /v1/products/{id}/recipe`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api, defaults, offences


def path(product: dict[str, Any]) -> str:
    return f"/v1/products/{product['id']}"


def grams_of(food: dict[str, Any], grams: float, **values: Any) -> dict[str, Any]:
    return {"ingredient_id": food["id"], "grams": grams} | values


def read(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = phone.get(path(product)).json()
    return answer


def serving_of(phone: Api, product: dict[str, Any]) -> Any:
    key = uuid.uuid5(uuid.UUID(product["id"]), "serving")
    response = phone.get(f"/v1/portions/{key}")
    return response.json() if response.status_code == 200 else None


@pytest.fixture
def oil(phone: Api) -> dict[str, Any]:
    return phone.product(name="Oil", kcal_100g=884, fat_100g=100, protein_100g=0, salt_100g=0)


@pytest.fixture
def rice(phone: Api) -> dict[str, Any]:
    return phone.product(name="Rice", kcal_100g=130, fat_100g=0.3, protein_100g=2.7)


@pytest.fixture
def dish(phone: Api) -> dict[str, Any]:
    return phone.product(name="Fried rice", kcal_100g=150, fat_100g=4.25)


@pytest.fixture
def made(phone: Api, dish: dict[str, Any], rice: dict[str, Any], oil: dict[str, Any]) -> Any:
    """300 g of rice and 20 g of oil, for two."""
    body = {"servings": 2, "items": [grams_of(rice, 300), grams_of(oil, 20)]}
    response = phone.put(f"{path(dish)}/recipe", body)
    assert response.status_code == 200, response.content
    return response.json()


def test_it_works(phone: Api, dish: Any, rice: Any, oil: Any, made: Any) -> None:
    assert [item["ingredient_id"] for item in made["items"]] == [rice["id"], oil["id"]]
    assert made["items"][1] == {
        "id": made["items"][1]["id"],
        "ingredient_id": oil["id"],
        "portion_id": None,
        "quantity": None,
        "grams": 20,
        "position": 1,
    }
    assert phone.get(f"{path(dish)}/recipe").json() == made
    product = read(phone, dish)
    # (300 * 130 + 20 * 884) / 320 = 177.125; fat (300 * 0.3 + 20 * 100) / 320 = 6.53125.
    assert (product["kcal_100g"], product["fat_100g"], product["protein_100g"]) == (177, 6.53, 2.53)
    # Unknown of the rice.
    assert product["salt_100g"] is None
    assert (product["servings"], product["cooked_grams"]) == (2, None)
    assert product["updated_at"] is not None
    serving = serving_of(phone, dish)
    assert (serving["name"], serving["grams"]) == ("serving", 160)
    assert defaults(phone, dish) == [serving["id"]]


# FDC's own figures for 100 g of the dish are beside ours: USDA FoodData Central, SR Legacy (2018),
# public domain. Ours are worked out by hand from FDC's figures for what is in it.
OIL_50 = ("Oil, soybean, salad or cooking", 50, {"kcal": 884, "protein": 0, "carbs": 0, "fat": 100})
VINEGAR_50 = ("Vinegar, distilled", 50, {"kcal": 18, "protein": 0, "carbs": 0.04, "fat": 0})
POWDER_18 = (
    "Beverages, Lemonade, powder",
    18,
    {"kcal": 376, "protein": 0, "carbs": 97.57, "fat": 1.05, "sugars": 94.7},
)
WATER_473 = (
    "Beverages, water, tap, drinking",
    473,
    {"kcal": 0, "protein": 0, "carbs": 0, "fat": 0, "sugars": 0},
)
RICE_195 = (
    "Rice, white, medium-grain, raw, enriched",
    195,
    {"kcal": 360, "protein": 6.61, "carbs": 79.34, "fat": 0.58, "fiber": 1.4},
)


@pytest.mark.parametrize(
    ("foods", "cooked_grams", "expected", "published"),
    [
        # "Salad dressing, home recipe, vinegar and oil", half of each. kcal (50 * 884 + 50 * 18) /
        # 100 = 451; carbs 50 * 0.04 / 100 = 0.02; fat 50.
        (
            [OIL_50, VINEGAR_50],
            None,
            {"kcal": 451, "protein": 0, "carbs": 0.02, "fat": 50, "sugars": None},
            {"kcal": 449, "protein": 0, "fat": 50.1},
        ),
        # "Lemonade, powder, prepared with water", 18 g in 16 fl oz. kcal 18 * 376 / 491 = 13.78;
        # carbs 1756.26 / 491 = 3.5769; fat 18.9 / 491 = 0.0385; sugars 1704.6 / 491 = 3.4717.
        (
            [POWDER_18, WATER_473],
            None,
            {"kcal": 14, "protein": 0, "carbs": 3.58, "fat": 0.04, "sugars": 3.47},
            {"kcal": 14, "protein": 0, "carbs": 3.59, "fat": 0.04, "sugars": 3.5},
        ),
        # "Rice, white, medium-grain, enriched, cooked": a cup of it takes up water until it weighs
        # 541 g. kcal 195 * 360 / 541 = 129.76; protein 1288.95 / 541 = 2.3825; carbs 15471.3 /
        # 541 = 28.598; fat 113.1 / 541 = 0.2091; fiber 273 / 541 = 0.5046, of which FDC has 0.3.
        (
            [RICE_195],
            541,
            {"kcal": 130, "protein": 2.38, "carbs": 28.6, "fat": 0.21, "fiber": 0.5, "salt": None},
            {"kcal": 130, "protein": 2.38, "carbs": 28.59, "fat": 0.21},
        ),
    ],
    ids=["dressing", "lemonade", "rice"],
)
def test_it_comes_to_what_a_food_table_has(
    phone: Api, foods: Any, cooked_grams: Any, expected: Any, published: Any
) -> None:
    dish = phone.product(name="Dish", kcal_100g=0)
    items = [
        grams_of(
            phone.product(name=name, **{f"{n}_100g": value for n, value in per_100g.items()}), grams
        )
        for name, grams, per_100g in foods
    ]
    body = {"servings": 1, "cooked_grams": cooked_grams, "items": items}
    assert phone.put(f"{path(dish)}/recipe", body).status_code == 200
    product = read(phone, dish)
    assert {name: product[f"{name}_100g"] for name in expected} == expected
    for name, value in published.items():
        assert expected[name] == pytest.approx(value, rel=0.01, abs=0.005), name


def test_results_are_rounded_half_up_once(phone: Api, dish: Any) -> None:
    # 3 g of 0.05 in 10 g are 0.015, and 1 kcal in 2 g are half a kcal in 1 g.
    half = phone.product(name="Half", kcal_100g=1, protein_100g=0.05)
    nothing = phone.product(name="Nothing", kcal_100g=0, protein_100g=0)
    body = {"servings": 3, "items": [grams_of(half, 3), grams_of(nothing, 7)]}
    phone.put(f"{path(dish)}/recipe", body)
    assert (read(phone, dish)["protein_100g"], read(phone, dish)["kcal_100g"]) == (0.02, 0)
    assert serving_of(phone, dish)["grams"] == 3.33
    body["items"] = [grams_of(half, 5), grams_of(nothing, 5)]
    phone.put(f"{path(dish)}/recipe", body)
    assert (read(phone, dish)["protein_100g"], read(phone, dish)["kcal_100g"]) == (0.03, 1)


def test_portions_weigh_what_they_did_when_they_were_put_in(
    phone: Api, dish: Any, rice: Any
) -> None:
    cup = phone.portion(rice, name="1 cup", grams=158)
    item = {"ingredient_id": rice["id"], "portion_id": cup["id"], "quantity": 1.5, "grams": 1}
    body = {"servings": 1, "items": [item]}
    made = phone.put(f"{path(dish)}/recipe", body).json()
    assert made["items"][0]["grams"] == 237
    assert phone.patch(f"/v1/portions/{cup['id']}", {"grams": 200}).status_code == 200
    assert phone.get(f"{path(dish)}/recipe").json() == made
    assert phone.put(f"{path(dish)}/recipe", made).json() == made
    del item["quantity"]
    again = phone.put(f"{path(dish)}/recipe", {"servings": 1, "items": [item]}).json()
    assert again["items"][0] | {"quantity": 1.5, "grams": 237} == made["items"][0]


def test_a_repeated_put_changes_nothing(phone: Api, dish: Any, rice: Any, oil: Any) -> None:
    body = {"servings": 2, "items": [grams_of(rice, 300), grams_of(oil, 20), grams_of(rice, 5)]}
    made = phone.put(f"{path(dish)}/recipe", body).json()
    before = phone.get("/v1/sync?last_pulled_at=").json()
    assert phone.put(f"{path(dish)}/recipe", body).json() == made
    assert phone.put(f"{path(dish)}/recipe", made).json() == made
    assert phone.get("/v1/sync?last_pulled_at=").json() == before


def test_a_put_is_the_whole_recipe(phone: Api, dish: Any, rice: Any, oil: Any, made: Any) -> None:
    changed = {"servings": 4, "cooked_grams": 200, "items": [grams_of(rice, 100, position=7)]}
    answer = phone.put(f"{path(dish)}/recipe", changed).json()
    assert [(item["id"], item["position"]) for item in answer["items"]] == [
        (made["items"][0]["id"], 7)
    ]
    assert read(phone, dish)["kcal_100g"] == 65
    assert serving_of(phone, dish)["grams"] == 50
    whole = {name: answer[name] for name in ("servings", "items")}
    assert phone.put(f"{path(dish)}/recipe", whole).json()["cooked_grams"] is None
    assert read(phone, dish)["kcal_100g"] == 130
    gone = phone.put(f"{path(dish)}/recipe", made)
    assert (gone.status_code, gone.json()["detail"]) == (409, "ID already in use")


def test_a_change_of_an_ingredient_is_the_recipes_too(
    phone: Api, dish: Any, rice: Any, made: Any
) -> None:
    before = read(phone, dish)
    assert phone.patch(path(rice), {"kcal_100g": 140, "salt_100g": 1}).status_code == 200
    after = read(phone, dish)
    assert after["updated_at"] > before["updated_at"]
    # (300 * 140 + 20 * 884) / 320 = 186.5, and 300 g of 1 g salt are 0.9375 g in 100 g.
    assert (after["kcal_100g"], after["salt_100g"]) == (187, 0.94)
    # A name is no value of a recipe.
    assert phone.patch(path(rice), {"name": "Basmati"}).status_code == 200
    assert read(phone, dish) == after


def test_a_change_of_an_ingredient_that_breaks_a_rule_is_409(
    phone: Api, dish: Any, oil: Any
) -> None:
    body = {"servings": 1, "cooked_grams": 90, "items": [grams_of(oil, 90)]}
    oil_80 = phone.product(name="Spread", kcal_100g=700, fat_100g=80)
    body["items"] = [grams_of(oil_80, 100)]
    assert phone.put(f"{path(dish)}/recipe", body).status_code == 200
    before = read(phone, oil_80), read(phone, dish)
    answer = phone.patch(path(oil_80), {"kcal_100g": 905, "name": "Butter"})
    sentence = 'The recipe "Fried rice" would have more than 1000 kcal in 100 g'
    assert (answer.status_code, answer.json()["detail"]) == (409, sentence)
    answer = phone.patch(path(oil_80), {"fat_100g": 99.5})
    assert answer.json()["detail"].endswith("have more than 100 g of fat in 100 g")
    assert (read(phone, oil_80), read(phone, dish)) == before


def test_a_cooked_weight_that_is_too_low_is_422(phone: Api, dish: Any, oil: Any) -> None:
    before = read(phone, dish)
    body = {"servings": 1, "cooked_grams": 88, "items": [grams_of(oil, 100)]}
    answer = phone.put(f"{path(dish)}/recipe", body)
    assert offences(answer) == [(["body", "cooked_grams"], "max_value")]
    assert "The cooked weight is too low" in answer.json()["errors"][0]["msg"]
    assert read(phone, dish) == before
    assert phone.get(f"{path(dish)}/recipe").status_code == 404


def test_recipes_do_not_nest(phone: Api, dish: Any, rice: Any, made: Any) -> None:
    menu = phone.product(name="Menu")
    for name in (dish, menu):
        answer = phone.put(f"{path(menu)}/recipe", {"servings": 1, "items": [grams_of(name, 100)]})
        assert offences(answer) == [(["body", "items"], "invalid")]
    answer = phone.put(f"{path(rice)}/recipe", {"servings": 1, "items": [grams_of(menu, 100)]})
    assert (answer.status_code, answer.json()["detail"]) == (409, "This product is in a recipe")


def test_bad_bodies_are_422_and_change_nothing(phone: Api, dish: Any, rice: Any) -> None:
    def put(**body: Any) -> Any:
        whole = {"servings": 1, "items": [grams_of(rice, 100)]} | body
        return offences(phone.put(f"{path(dish)}/recipe", whole))

    key = str(uuid.uuid4())
    assert offences(phone.put(f"{path(dish)}/recipe", {})) == [
        (["body", "servings"], "required"),
        (["body", "items"], "required"),
    ]
    assert put(servings=0.004) == [(["body", "servings"], "min_value")]
    assert put(servings=100.01) == [(["body", "servings"], "max_value")]
    assert put(servings=None) == [(["body", "servings"], "null")]
    assert put(cooked_grams=0) == [(["body", "cooked_grams"], "min_value")]
    assert put(cooked_grams=100000.01) == [(["body", "cooked_grams"], "max_value")]
    assert [kind for _, kind in put(items=[])] == ["min_length"]
    assert [kind for _, kind in put(items=[grams_of(rice, 1)] * 101)] == ["max_length"]
    assert put(items=[{"ingredient_id": rice["id"]}]) == [(["body", "items", "grams"], "required")]
    assert put(items=[grams_of(rice, 0)]) == [(["body", "items", "grams"], "min_value")]
    assert put(items=[grams_of(rice, 10001)]) == [(["body", "items", "grams"], "max_value")]
    assert put(items=[{"grams": 1}]) == [(["body", "items", "ingredient_id"], "required")]
    assert put(items=[grams_of(rice, 1, id=key), grams_of(rice, 2, id=key.upper())]) == [
        (["body", "items"], "invalid")
    ]
    assert phone.get(f"{path(dish)}/recipe").json() == {"detail": "Recipe not found"}


def test_a_hundred_items_of_one_product_are_good(phone: Api, dish: Any, rice: Any) -> None:
    body = {"servings": 100, "items": [grams_of(rice, 10000)] * 100}
    assert phone.put(f"{path(dish)}/recipe", body).status_code == 200
    assert read(phone, dish)["kcal_100g"] == 130
    # A million grams by a hundred servings: as much as a portion holds.
    assert serving_of(phone, dish)["grams"] == 10000


def test_what_is_not_there_is_404(phone: Api, other: Api, dish: Any, rice: Any, made: Any) -> None:
    theirs = other.product(name="Theirs")
    piece = phone.portion(dish)
    gone = phone.product(name="Gone")
    phone.delete(path(gone))
    for food in (theirs, gone):
        answer = phone.put(f"{path(dish)}/recipe", {"servings": 1, "items": [grams_of(food, 1)]})
        assert (answer.status_code, answer.json()["detail"]) == (404, "Product not found")
        assert phone.get(f"{path(food)}/recipe").json() == {"detail": "Product not found"}
        assert phone.delete(f"{path(food)}/recipe").json() == {"detail": "Product not found"}
    item = {"ingredient_id": rice["id"], "portion_id": piece["id"]}
    answer = phone.put(f"{path(dish)}/recipe", {"servings": 1, "items": [item]})
    assert (answer.status_code, answer.json()["detail"]) == (404, "Portion not found")
    assert phone.delete(f"{path(rice)}/recipe").json() == {"detail": "Recipe not found"}


def test_a_deleted_product_stays_in_recipes(phone: Api, dish: Any, oil: Any, made: Any) -> None:
    before = read(phone, dish)
    assert phone.delete(path(oil)).status_code == 204
    assert read(phone, dish) == before
    body = made | {"servings": 1}
    assert phone.put(f"{path(dish)}/recipe", body).status_code == 200
    assert read(phone, dish)["kcal_100g"] == before["kcal_100g"]


def test_deleting_gives_the_former_values_back(phone: Api, dish: Any, made: Any) -> None:
    assert phone.delete(f"{path(dish)}/recipe").status_code == 204
    now = read(phone, dish)
    assert now == dish | {"updated_at": now["updated_at"]}
    assert phone.get(f"{path(dish)}/recipe").status_code == 404
    # The serving stays, as a portion like others.
    serving = serving_of(phone, dish)
    assert phone.patch(f"/v1/portions/{serving['id']}", {"grams": 150}).json()["grams"] == 150
    assert phone.patch(path(dish), {"kcal_100g": 151}).json()["kcal_100g"] == 151


def test_a_recipes_own_values_can_not_be_changed(phone: Api, dish: Any, made: Any) -> None:
    before = read(phone, dish)
    sent = {"kcal_100g": 1, "fat_100g": None, "servings": 9, "cooked_grams": 9}
    assert phone.patch(path(dish), sent).json() == before
    plain = phone.product(name="Plain", servings=2, cooked_grams=3)
    assert (plain["servings"], plain["cooked_grams"]) == (None, None)


def test_the_serving_follows_and_comes_back(phone: Api, dish: Any, made: Any) -> None:
    serving = serving_of(phone, dish)
    renamed = phone.patch(f"/v1/portions/{serving['id']}", {"name": "1 plate", "grams": 7}).json()
    assert (renamed["name"], renamed["grams"]) == ("1 plate", 160)
    phone.put(f"{path(dish)}/recipe", made | {"servings": 4})
    assert (serving_of(phone, dish)["name"], serving_of(phone, dish)["grams"]) == ("1 plate", 80)
    assert phone.delete(f"/v1/portions/{serving['id']}").status_code == 204
    assert serving_of(phone, dish) is None
    others = defaults(phone, dish)
    phone.put(f"{path(dish)}/recipe", made)
    assert serving_of(phone, dish)["grams"] == 160
    # It becomes the default only when the recipe is made.
    assert defaults(phone, dish) == others


def test_a_serving_is_made_beside_as_many_portions_as_allowed(
    phone: Api, dish: Any, rice: Any, settings: Any
) -> None:
    settings.MAX_PORTIONS_PER_PRODUCT = 1
    body = {"servings": 1, "items": [grams_of(rice, 100)]}
    assert phone.put(f"{path(dish)}/recipe", body).status_code == 200
    assert serving_of(phone, dish)["is_default"]
    full = phone.post(f"{path(dish)}/portions", {"name": "1 cup", "grams": 1})
    assert full.status_code == 409


def test_a_deleted_recipe_takes_its_items_along(
    phone: Api, dish: Any, rice: Any, made: Any
) -> None:
    assert phone.delete(path(dish)).status_code == 204
    assert phone.get(f"{path(dish)}/recipe").json() == {"detail": "Product not found"}
    # Nothing has the rice in it any more.
    body = {"servings": 1, "items": [grams_of(phone.product(name="Corn"), 100)]}
    assert phone.put(f"{path(rice)}/recipe", body).status_code == 200


def test_include_adds_recipes_and_portions_with_one_query_each(
    phone: Api, dish: Any, rice: Any, made: Any, django_assert_num_queries: Any
) -> None:
    for include in ("recipe", "portions,recipe"):
        rows = {row["id"]: row for row in phone.get(f"/v1/products?include={include}").json()}
        assert rows[dish["id"]]["recipe"] == made["items"]
        assert rows[rice["id"]]["recipe"] is None
        assert ("portions" in rows[rice["id"]]) == ("portions" in include)
    assert phone.get(f"{path(dish)}?include=recipe").json()["recipe"] == made["items"]
    with django_assert_num_queries(4):
        phone.get("/v1/products?include=recipe,portions")
    assert offences(phone.get("/v1/products?include=recipe,cheese")) == [
        (["query", "include"], "invalid_choice")
    ]


def test_a_recipe_is_logged_and_restated_as_any_product(
    phone: Api, dish: Any, rice: Any, made: Any
) -> None:
    serving = serving_of(phone, dish)
    entry = phone.entry(product_id=dish["id"], portion_id=serving["id"], quantity=2)
    # 320 g of 177 kcal in 100 g.
    assert (entry["grams"], entry["kcal"]) == (320, 566.4)
    phone.patch(path(rice), {"kcal_100g": 140})
    assert phone.get(f"/v1/food-entries/{entry['id']}").json() == entry
    days = {"product_id": dish["id"], "from": "2025-01-01", "to": "2025-12-31"}
    assert phone.post("/v1/food-entries/restate", days).json() == {"restated": 1}
    assert phone.get(f"/v1/food-entries/{entry['id']}").json()["kcal"] == 598.4
