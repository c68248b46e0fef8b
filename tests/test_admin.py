"""Operators: find, read, correct, soft-delete and restore every model's rows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from countonme.operators.names import change_url, name_of
from countonme.scope.models import DeviceScoped, device_scoped_models
from devices.models import PairingCode, Phone, RecoveryKey
from devices.models.phone import CURRENT_TOKEN, PREVIOUS_TOKEN
from entries.models import FoodEntry
from goals.models import BodyWeight, Goal, WaterEntry
from products.models import Portion, Product, RecipeItem
from products.nutrients import COLUMNS_100G
from tests.helpers.api import Api
from tests.helpers.operators import logged
from tests.helpers.phones import get_code, get_key, pair

PAGES: dict[Any, str] = {
    Product: "products/product",
    Portion: "products/portion",
    RecipeItem: "products/recipeitem",
    FoodEntry: "entries/foodentry",
    Goal: "goals/goal",
    BodyWeight: "goals/bodyweight",
    WaterEntry: "goals/waterentry",
}


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    user = User.objects.create_superuser("operator", password="x")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def world(phone: Api) -> dict[Any, Any]:
    product = phone.product()
    portion = phone.portion(product)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"])
    [item] = phone.recipe(phone.product(name="Salad"), {product["id"]: 100})["items"]
    found: dict[Any, Any] = {
        Product: product,
        Portion: portion,
        RecipeItem: item,
        FoodEntry: entry,
        Goal: phone.goal(),
        BodyWeight: phone.weight(),
        WaterEntry: phone.water(),
    }
    return {model: model._base_manager.get(pk=row["id"]) for model, row in found.items()}


def act(operator: Client, action: str, row: DeviceScoped) -> str:
    response = operator.post(
        f"/admin/{PAGES[type(row)]}/",
        {"action": action, "_selected_action": [name_of(row)], "confirmed": "yes", "reason": "-"},
        follow=True,
    )
    assert response.status_code == 200
    return response.content.decode()


def correct(operator: Client, row: DeviceScoped, **values: str) -> Any:
    url = change_url(row)
    form = operator.get(url).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in sent.items() if value is not None and value is not False}
    for name in [name for name in sent if hasattr(sent[name], "isoformat")]:
        moment = sent.pop(name)
        sent[name] = moment.isoformat()
    return operator.post(url, sent | values)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "devices/device/",
        *(f"catalog/{name}/" for name in ("food", "correction", "report", "source")),
        *(f"{page}/" for page in PAGES.values()),
    ],
)
def test_it_works(operator: Client, world: Any, path: str) -> None:
    assert operator.get(f"/admin/{path}").status_code == 200


def test_every_device_scoped_model_has_its_page() -> None:
    assert set(PAGES) == set(device_scoped_models())


def test_the_site_is_found_without_its_slash(operator: Client) -> None:
    assert operator.get("/admin")["Location"] == "/admin/"


def test_an_unknown_page_is_a_page_for_people(operator: Client) -> None:
    response = operator.get("/admin/nothing/")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_strangers_are_sent_to_the_login(db: None) -> None:
    assert "/admin/login/" in Client().get("/admin/products/product/")["Location"]


@pytest.mark.parametrize("model", [Product, Portion, FoodEntry])
def test_a_row_is_found_by_its_name(operator: Client, world: Any, model: Any) -> None:
    url = f"/admin/{PAGES[model]}/"
    assert str(world[model].pk) in operator.get(url, {"q": world[model].name}).content.decode()
    assert str(world[model].pk) not in operator.get(url, {"q": "no such"}).content.decode()


@pytest.mark.parametrize("model", [Product, Portion, FoodEntry])
def test_an_accent_hides_no_name(operator: Client, phone: Api, model: Any) -> None:
    product = phone.product(name="Spám Føód")
    phone.portion(product, name="Spám Føód")
    phone.entry(name="Spám Føód", kcal=1)
    page = operator.get(f"/admin/{PAGES[model]}/", {"q": "SPAM food"}).content.decode()
    assert "1 found" in page


def test_a_product_is_found_by_its_brand(operator: Client, phone: Api) -> None:
    product, other = phone.product(brand="Kellogg's"), phone.product()
    page = operator.get("/admin/products/product/", {"q": "kelloggs"}).content.decode()
    assert product["id"] in page
    assert other["id"] not in page


@pytest.mark.parametrize("searched", ["kelloggs", "flakes corn", "ellogg's corn", "CORN\u3000FL"])
def test_a_product_is_found_by_a_part_of_its_name_or_as_a_phone_finds_it(
    operator: Client, phone: Api, searched: str
) -> None:
    product = phone.product(name="Kellogg\u2019s Corn Flakes")
    other = phone.product(name="Corn")
    page = operator.get("/admin/products/product/", {"q": searched}).content.decode()
    assert product["id"] in page
    assert other["id"] not in page


@pytest.mark.parametrize("model", [Product, Portion, FoodEntry])
def test_a_corrected_name_is_kept_as_a_phones_is(operator: Client, phone: Api, model: Any) -> None:
    product = phone.product()
    phone.portion(product)
    phone.entry()
    row = model._base_manager.latest("created_at")
    for name in ("a\x1cb", "\x1f", "a\x00", " \u3000", "a" * 101):
        assert correct(operator, row, name=name).status_code == 200, name
    typed = "  Cre\u0300me\u00a0 " + "\t" * 100 + "fraîche\u3000"
    assert correct(operator, row, name=typed).status_code == 302
    row.refresh_from_db()
    assert row.name == "Crème fraîche"
    assert logged().get().change_message.endswith("→ Crème fraîche")


@pytest.mark.parametrize("searched", ["042100005264", "04252614", "0-425261-4", "0 42100 00526 4"])
def test_a_product_is_found_by_its_barcode_in_any_form(
    operator: Client, phone: Api, searched: str
) -> None:
    product, other = phone.product(barcode="04252614"), phone.product(barcode="96385074")
    page = operator.get("/admin/products/product/", {"q": searched}).content.decode()
    assert product["id"] in page
    assert other["id"] not in page


def test_a_corrected_barcode_is_kept_as_a_phones_is(operator: Client, world: Any) -> None:
    row = world[Product]
    for typed in ("04252615", "4006381333931 4006381333931", "x"):
        page = correct(operator, row, barcode=typed).content.decode()
        assert "A barcode is a GTIN" in page
    for typed, kept in (("4 006381\u2011333931 ", "4006381333931"), ("- ", None)):
        assert correct(operator, row, barcode=typed).status_code == 302
        row.refresh_from_db()
        assert row.barcode == kept


def test_a_row_is_read_and_corrected(operator: Client, world: Any) -> None:
    response = correct(operator, world[Product], name="Turkey")
    assert response.status_code == 302
    product = Product._base_manager.get(pk=world[Product].pk)
    assert product.name == "Turkey"
    assert product.name_folded == "turkey"
    assert product.updated_at is not None


def test_a_broken_rule_is_an_error_of_the_form(operator: Client, world: Any) -> None:
    response = correct(operator, world[Product], protein_100g="60", fat_100g="60")
    assert response.status_code == 200
    assert "must not exceed 105" in response.content.decode()
    assert Product._base_manager.filter(protein_100g=None, fat_100g=None).exists()


def test_every_nutrient_and_the_brand_are_corrected(operator: Client, world: Any) -> None:
    values = {"brand": " Farm ", **dict.fromkeys(COLUMNS_100G, "1")}
    assert correct(operator, world[Product], **values).status_code == 302
    rows = Product._base_manager.filter(pk=world[Product].pk)
    stored = rows.values("brand", "brand_words", *COLUMNS_100G).get()
    assert stored == {"brand": "Farm", "brand_words": " farm", **dict.fromkeys(COLUMNS_100G, 1)}
    assert correct(operator, world[Product], brand=" ").status_code == 302
    assert Product._base_manager.get(pk=world[Product].pk).brand is None


def test_the_unit_of_a_product_is_shown_and_no_field(operator: Client, world: Any) -> None:
    form = operator.get(change_url(world[Product])).context["adminform"]
    assert "unit" in form.readonly_fields
    assert "unit" not in form.form.fields


def test_the_default_portion_cannot_be_unset(operator: Client, world: Any) -> None:
    default = Portion._base_manager.get(is_default=True, product=world[Product])
    response = correct(operator, default, is_default="")
    assert "Make another portion the default instead" in response.content.decode()


def test_grams_follow_when_a_goals_targets_are_corrected(operator: Client, world: Any) -> None:
    assert correct(operator, world[Goal], protein_percent="40").status_code == 200
    response = correct(operator, world[Goal], protein_percent="40", carbs_percent="30")
    assert response.status_code == 302
    world[Goal].refresh_from_db()
    assert (world[Goal].protein_grams, world[Goal].carbs_grams) == (200, 150)


def test_what_was_calculated_from_is_not_corrected(operator: Client, world: Any) -> None:
    correct(operator, world[Goal], goal_type="calculated", protein_grams="1", gender="male")
    world[Goal].refresh_from_db()
    assert (world[Goal].goal_type, world[Goal].protein_grams) == ("manual", 150)


def test_a_weighing_is_not_moved_to_a_day_that_has_one(
    operator: Client, world: Any, phone: Api
) -> None:
    phone.weight(date="2025-02-06")
    response = correct(operator, world[BodyWeight], date="2025-02-06")
    assert "This day has a body weight already" in response.content.decode()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [(Goal, "delete the current one first"), (BodyWeight, "has a body weight already")],
)
def test_a_row_whose_place_is_taken_is_not_restored(
    operator: Client, world: Any, phone: Api, model: Any, sentence: str
) -> None:
    act(operator, "soft_delete", world[model])
    assert phone.goal()
    assert phone.post("/v1/body-weights", {"date": "2025-02-05", "weight_kg": 81})
    assert sentence in act(operator, "restore", world[model])


def test_making_a_portion_the_default_takes_it_from_the_other(operator: Client, world: Any) -> None:
    assert correct(operator, world[Portion], is_default="on").status_code == 302
    rows = Portion._base_manager.filter(is_default=True, product=world[Product])
    assert list(rows) == [world[Portion]]


def test_the_device_is_no_field_of_a_form(operator: Client, world: Any, other: Api) -> None:
    assert other.device is not None
    correct(operator, world[Product], name="Turkey", device=str(other.device.pk))
    product = Product._base_manager.get(pk=world[Product].pk)
    assert product.device_id == world[Product].device_id


@pytest.mark.parametrize("model", PAGES)
def test_a_row_is_soft_deleted_and_restored(operator: Client, world: Any, model: Any) -> None:
    row = world[model]
    assert f"Soft-deleted: 1 {row._meta.verbose_name}." in act(operator, "soft_delete", row)
    row.refresh_from_db()
    assert row.deleted_at is not None
    assert f"Restored: 1 {row._meta.verbose_name}." in act(operator, "restore", row)
    row.refresh_from_db()
    assert row.deleted_at is None


def test_a_product_comes_back_with_the_portions_that_went_with_it(
    operator: Client, phone: Api, world: Any
) -> None:
    gone_before = phone.portion({"id": str(world[Product].pk)}, name="gone before")
    phone.delete(f"/v1/portions/{gone_before['id']}")
    act(operator, "soft_delete", world[Product])
    act(operator, "restore", world[Product])
    names = [row["name"] for row in phone.get(f"/v1/products/{world[Product].pk}/portions").json()]
    assert names == ["100g", "1 piece"]


def test_the_last_portion_is_not_soft_deleted(operator: Client, phone: Api) -> None:
    phone.product()
    portion = Portion._base_manager.get()
    assert "keeps at least one portion" in act(operator, "soft_delete", portion)
    portion.refresh_from_db()
    assert portion.deleted_at is None


def test_a_portion_of_a_deleted_product_is_not_restored(operator: Client, world: Any) -> None:
    act(operator, "soft_delete", world[Product])
    assert "Restore its product first" in act(operator, "restore", world[Portion])


def test_a_restored_portion_leaves_the_default_where_it_is(
    operator: Client, phone: Api, world: Any
) -> None:
    first = Portion._base_manager.get(name="100g", product=world[Product])
    act(operator, "soft_delete", first)
    act(operator, "restore", first)
    of_product = Portion._base_manager.filter(product=world[Product])
    default = of_product.get(is_default=True, deleted_at=None)
    assert default == world[Portion]


def test_a_product_is_not_restored_past_the_quota(
    operator: Client, phone: Api, settings: Any
) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    phone.product()
    settings.MAX_PRODUCTS_PER_DEVICE = 1
    row = Product._base_manager.get(pk=product["id"])
    assert "at most 1 products" in act(operator, "restore", row)


def test_actions_stand_in_the_log(operator: Client, world: Any) -> None:
    act(operator, "soft_delete", world[FoodEntry])
    assert logged().get().change_message == "Soft-deleted: -."


def test_nothing_is_added_or_deleted_for_ever(operator: Client, world: Any) -> None:
    for model, page in PAGES.items():
        assert operator.get(f"/admin/{page}/add/").status_code == 403
        assert operator.post(f"/admin/{page}/{name_of(world[model])}/delete/").status_code == 403


def test_rows_of_a_blocked_device_can_be_corrected(operator: Client, world: Any) -> None:
    world[Product].device.block("spam")
    assert correct(operator, world[Product], name="Turkey").status_code == 302


def test_no_secret_of_phones_is_on_any_page(operator: Client, phone: Api) -> None:
    code, key = get_code(phone, move=True), get_key(phone)
    pair(code)
    code = get_code(phone)
    phone.post("/v1/auth/rotate")
    secrets = [
        *(text for each in (code, key) for text in (each, each.replace("-", ""))),
        *PairingCode.objects.values_list("digest", flat=True),
        *RecoveryKey.objects.values_list("digest", flat=True),
    ]
    columns = (*CURRENT_TOKEN, *PREVIOUS_TOKEN, "joined_by")
    secrets += [secret for row in Phone.objects.values_list(*columns) for secret in row if secret]
    assert len(secrets) == 4 + 2 + 4 + 3
    for path in ("", f"{phone.device}/change/", f"{phone.device}/history/"):
        page = operator.get(f"/admin/devices/device/{path}").content.decode()
        assert str(phone.device) in page
        for secret in secrets:
            assert secret not in page
            assert secret.split(":")[-1] not in page


def test_a_device_is_found_by_the_start_of_its_id(operator: Client, phone: Api) -> None:
    assert phone.device is not None
    url = "/admin/devices/device/"
    start = str(phone.device.pk)[:13]
    assert str(phone.device.pk) in operator.get(url, {"q": start}).content.decode()


def test_a_list_page_costs_the_same_for_any_number_of_rows(
    operator: Client, phone: Api, django_assert_max_num_queries: Any
) -> None:
    product = phone.product()
    for _ in range(20):
        phone.portion(product)
    with django_assert_max_num_queries(12):
        page = operator.get("/admin/products/portion/").content.decode()
    assert (
        len(set(re.findall(r"/admin/products/portion/[0-9a-f-]{36}~[0-9a-f-]{36}/change/", page)))
        == 21
    )


def test_a_recipe_follows_what_operators_correct(operator: Client, world: Any, phone: Api) -> None:
    item, salad = world[RecipeItem], world[RecipeItem].product
    rice = phone.product(name="Rice", kcal_100g=130)
    half = {"ingredient_id": rice["id"], "grams": 100}
    body = phone.get(f"/v1/products/{salad.pk}/recipe").json()
    phone.put(f"/v1/products/{salad.pk}/recipe", body | {"items": [*body["items"], half]})
    assert correct(operator, item, grams="300").status_code == 302
    # (300 * 165 + 100 * 130) / 400 = 156.25.
    assert phone.get(f"/v1/products/{salad.pk}").json()["kcal_100g"] == 156
    assert correct(operator, world[Product], kcal_100g="100").status_code == 302
    assert phone.get(f"/v1/products/{salad.pk}").json()["kcal_100g"] == 108
    page = operator.get(change_url(salad))
    assert change_url(item) in page.content.decode()
    # What follows from its items is shown, and is no field.
    assert not {"kcal_100g", "servings"} & page.context["adminform"].form.fields.keys()
    serving = Portion._base_manager.get(product=salad, name="serving")
    act(operator, "soft_delete", serving)
    act(operator, "soft_delete", item)
    assert phone.get(f"/v1/products/{salad.pk}").json()["kcal_100g"] == 130
    act(operator, "restore", serving)
    assert phone.get(f"/v1/portions/{serving.pk}").json()["grams"] == 50
    act(operator, "restore", item)
    assert phone.get(f"/v1/products/{salad.pk}").json()["kcal_100g"] == 108


def test_operators_break_no_rule_of_recipes(operator: Client, world: Any, phone: Api) -> None:
    item, salad = world[RecipeItem], world[RecipeItem].product
    body = phone.get(f"/v1/products/{salad.pk}/recipe").json() | {"cooked_grams": 100}
    phone.put(f"/v1/products/{salad.pk}/recipe", body)
    sentence = "would have more than 1000 kcal in 100 g"
    assert sentence in correct(operator, item, grams="700").content.decode()
    phone.put(f"/v1/products/{salad.pk}/recipe", body | {"cooked_grams": 50})
    assert sentence in correct(operator, world[Product], kcal_100g="501").content.decode()
    # While the salad is deleted, its ingredient becomes a recipe.
    act(operator, "soft_delete", salad)
    phone.recipe({"id": str(world[Product].pk)}, {phone.product()["id"]: 100})
    assert "A recipe can&#x27;t be in a recipe" in act(operator, "restore", salad)
    assert "Restore its product first" in act(operator, "restore", item)
