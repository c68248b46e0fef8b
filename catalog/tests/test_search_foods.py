"""GET /v1/catalog/foods."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import search
from catalog.models import POPULAR_SCANS, Food
from tests.helpers.api import Api, links, names, offences
from tests.helpers.catalog import new_food, new_source

FOODS = "/v1/catalog/foods"


def find(phone: Api, text: str, **query: str) -> list[str]:
    """Return the names that a search finds, in order."""
    return names(phone.get(f"{FOODS}?{urlencode({'search': text, **query})}"))


def test_a_food_has_these_fields(phone: Api) -> None:
    food = new_food(
        source_id="171477",
        brand="Farm",
        language="en",
        protein_100g="31.02",
        barcode="96385074",
        portions=[{"name": "1 cup", "grams": 140.5}],
    )
    assert phone.get(f"{FOODS}?search=chicken").json() == [
        {
            "id": str(food.pk),
            "source": "fdc",
            "source_id": "171477",
            "name": "Chicken Breast",
            "brand": "Farm",
            "unit": "g",
            "language": "en",
            "kcal_100g": 165,
            "protein_100g": 31.02,
            "carbs_100g": None,
            "fat_100g": None,
            "fiber_100g": None,
            "sugars_100g": None,
            "saturated_fat_100g": None,
            "salt_100g": None,
            "barcode": "96385074",
            "portions": [{"name": "1 cup", "grams": 140.5}],
            "doubtful": False,
            "updated_at": food.updated_at.isoformat().replace("+00:00", "Z"),
        }
    ]


@pytest.mark.parametrize(
    ("name", "brand", "text"),
    [
        ("Chicken Breast", None, "chicken"),
        ("Chicken Breast", None, "chick"),
        ("Chicken Breast", None, "breast chick"),
        ("Chicken Breast", "Farm", "farm breast"),
        ("Crème brûlée", None, "creme bru"),
        ("Weißbrot", None, "WEISS"),
        ("Corn Flakes", "Kellogg's", "kelloggs"),
        ("Peanut", "M&M's", "mms"),
        ("Coca-Cola", None, "cocacola"),
        ("Coca-Cola", None, "coca cola"),
        ("CocaCola", None, "coca-cola"),
        ("低脂肪牛乳", None, "牛乳"),
        ("น้ำปลา", None, "ปลา"),
        ("Молоко", None, "моло"),
        ("O'Brien \\ quote", None, "o'brien"),
    ],
)
@pytest.mark.parametrize("popularity", [0, POPULAR_SCANS])
def test_each_word_starts_a_word_of_name_or_brand(
    phone: Api, name: str, brand: str | None, text: str, popularity: int
) -> None:
    new_food("Something else")
    new_food(name, brand=brand, popularity=popularity)
    assert find(phone, text) == [name]


@pytest.mark.parametrize("text", ["hicken", "breast chickenss", "farm", "!", "'", "& | :*", "%"])
def test_other_texts_find_nothing(phone: Api, text: str) -> None:
    new_food("Chicken Breast")
    assert find(phone, text) == []


def test_whole_names_come_first_then_names_that_start_so_then_the_rest(phone: Api) -> None:
    for name in ("Green apple", "Apple pie", "Apple"):
        new_food(name, is_generic=True)
    assert find(phone, "apple") == ["Apple", "Apple pie", "Green apple"]


def test_a_whole_name_comes_before_more_popular_names(phone: Api) -> None:
    new_food("Apple pie", popularity=10_000)
    new_food("Apple", popularity=0)
    assert find(phone, "apple") == ["Apple", "Apple pie"]


def test_generic_foods_come_before_branded_ones_then_the_more_popular(phone: Api) -> None:
    new_food("Apple x", popularity=1)
    new_food("Apple y", popularity=POPULAR_SCANS)
    new_food("Apple z", is_generic=True)
    assert find(phone, "apple") == ["Apple z", "Apple y", "Apple x"]


def test_of_names_alike_those_of_the_language_come_first_and_the_others_stay(phone: Api) -> None:
    for language in ("de", "fr", "en", None):
        new_food("Banana", language=language, popularity=5, source_id=f"b-{language}")
    for language in ("de", "fr", "en"):
        query = urlencode({"search": "banana", "language": language.upper()})
        found = [food["language"] for food in phone.get(f"{FOODS}?{query}").json()]
        assert found[0] == language
        assert sorted(map(str, found)) == ["None", "de", "en", "fr"]


def test_a_language_does_not_outrank_a_better_match(phone: Api) -> None:
    new_food("Banana bread", language="de")
    new_food("Banana", language="en")
    assert find(phone, "banana", language="de") == ["Banana", "Banana bread"]


def test_doubtful_foods_come_last(phone: Api) -> None:
    new_food("Apple", doubtful=True, is_generic=True)
    new_food("Green apple")
    assert find(phone, "apple") == ["Green apple", "Apple"]


def test_a_whole_name_is_found_beside_more_popular_foods_than_are_ranked(
    phone: Api, monkeypatch: Any
) -> None:
    monkeypatch.setattr(search, "CANDIDATES", 3)
    monkeypatch.setattr(search, "POPULAR", search.POPULAR.replace("LIMIT 200", "LIMIT 3"))
    for number in range(5):
        new_food(f"Apple {number}", popularity=POPULAR_SCANS + number)
    new_food("Apple", popularity=0)
    assert find(phone, "apple") == ["Apple", "Apple 4", "Apple 3", "Apple 2"]


def test_nothing_but_words_of_one_or_two_letters_is_looked_up_among_popular_foods_alone(
    phone: Api,
) -> None:
    new_food("Abd", popularity=0)
    new_food("Abc", popularity=POPULAR_SCANS)
    assert find(phone, "ab") == ["Abc"]
    assert find(phone, "abd") == ["Abd"]


def test_a_whole_name_of_short_words_is_found_among_all_foods(phone: Api) -> None:
    new_food("7 up")
    new_food("7 up light")
    assert find(phone, "7 up") == ["7 up"]


def test_short_words_beside_longer_ones_count_among_all_foods(phone: Api) -> None:
    new_food("Pâte à tartiner")
    new_food("Pâte brisée, tartiner")
    assert find(phone, "pate a tartiner") == ["Pâte à tartiner"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Banana", "bananna"),
        ("Banana", "banna"),
        ("Banana", "bamana"),
        ("Banana", "baanna"),
        ("Chicken breast", "chiken brest"),
        ("Chicken breast", "chikc"),
        ("Молоко", "малоко"),
    ],
)
def test_where_nothing_is_found_words_with_one_letter_wrong_count(
    phone: Api, name: str, text: str
) -> None:
    new_food("Something else", is_generic=True)
    new_food(name)
    assert find(phone, text) == [name]


def test_words_are_found_by_their_start_however_many_there_are(
    phone: Api, monkeypatch: Any
) -> None:
    monkeypatch.setattr(search, "MOST_WORDS", 2)
    for name in ("Banana bread", "Bananas bread", "Bananensaft bread", "Apple bread"):
        new_food(name)
    assert len(find(phone, "banana bread")) == 2
    assert len(find(phone, "bread banan")) == 3
    assert len(find(phone, "bread banxn")) == 3


def test_rare_short_words_narrow_a_search_among_all_foods(phone: Api, monkeypatch: Any) -> None:
    for number in range(3):
        new_food(f"Corn {number}")
    new_food("Corn jam")
    for name in ("KNOWN", "OTHERS"):
        monkeypatch.setattr(search, name, getattr(search, name).replace("LIMIT 60", "LIMIT 1"))
    assert find(phone, "corn ja") == ["Corn jam"]


def test_the_best_of_many_popular_foods_with_a_letter_are_those_that_start_with_it(
    phone: Api, monkeypatch: Any
) -> None:
    monkeypatch.setattr(search, "CANDIDATES", 2)
    for name in ("POPULAR", "POPULAR_STARTS"):
        monkeypatch.setattr(search, name, getattr(search, name).replace("LIMIT 200", "LIMIT 2"))
    new_food("Red apple", popularity=100)
    new_food("Apple", popularity=99, doubtful=True)
    new_food("Apricot", popularity=30)
    assert find(phone, "a") == ["Apricot", "Red apple"]
    new_food("Avocado", popularity=20)
    assert find(phone, "a") == ["Apricot", "Avocado"]


def test_a_mistyped_search_ranks_like_the_right_one(phone: Api) -> None:
    new_food("Bread with banana", popularity=POPULAR_SCANS)
    new_food("Banana bread", popularity=POPULAR_SCANS)
    new_food("Banana", popularity=POPULAR_SCANS)
    assert find(phone, "bananna") == ["Banana", "Banana bread", "Bread with banana"]


def test_right_words_leave_mistyped_ones_out(phone: Api) -> None:
    new_food("Mile end bagel")
    new_food("Milk")
    assert find(phone, "milk") == ["Milk"]


def test_a_word_that_foods_have_is_right_beside_one_that_none_has(phone: Api) -> None:
    new_food("Tomato malt")
    new_food("Tomato salt")
    assert find(phone, "tomado salt") == ["Tomato salt"]


def test_words_that_only_others_have_may_be_wrong_too(phone: Api) -> None:
    new_food("Bread with salt")
    new_food("Tomato sallt")
    assert find(phone, "tomado salt") == ["Tomato sallt"]


@pytest.mark.parametrize("text", ["96385074", "0000096385074", " 9638 5074 ", "9638-5074"])
def test_the_digits_of_a_barcode_are_asked_as_one(phone: Api, text: str) -> None:
    new_food("Soup", barcode="96385074")
    assert find(phone, text) == ["Soup"]
    assert names(phone.get(f"{FOODS}?{urlencode({'barcode': text})}")) == ["Soup"]


def test_a_barcode_finds_one_food_a_source_the_best_known_first(phone: Api) -> None:
    for name, source, popularity in [
        ("Less", "openfoodfacts", 1),
        ("Most", "openfoodfacts", 9),
        ("Own", "fdc", 5),
    ]:
        new_food(name, source, barcode="96385074", popularity=popularity)
    assert names(phone.get(f"{FOODS}?barcode=96385074")) == ["Most", "Own"]


def test_an_unknown_barcode_finds_nothing(phone: Api) -> None:
    assert phone.get(f"{FOODS}?barcode=96385074").json() == []


@pytest.mark.parametrize("query", ["", "search=", "search=%20", "language=de", "limit=5"])
def test_without_search_or_barcode_it_is_422(phone: Api, query: str) -> None:
    assert offences(phone.get(f"{FOODS}?{query}")) == [(["query", "search"], "required")]


@pytest.mark.parametrize(
    ("query", "place", "code"),
    [
        ("barcode=96385075", "barcode", "invalid"),
        ("search=a&language=eng", "language", "invalid"),
        ("search=a&limit=0", "limit", "min_value"),
        ("search=a&limit=201", "limit", "max_value"),
        (f"search={'a' * 101}", "search", "max_length"),
        ("search=%00", "search", "invalid"),
    ],
)
def test_wrong_parameters_are_422(phone: Api, query: str, place: str, code: str) -> None:
    assert offences(phone.get(f"{FOODS}?{query}")) == [(["query", place], code)]


def test_pages_follow_one_order(phone: Api) -> None:
    for number in range(7):
        new_food(f"Apple {number}", popularity=number)
    first = phone.get(f"{FOODS}?search=apple&limit=3")
    second = phone.get(links(first)["next"])
    third = phone.get(links(second)["next"])
    found = [*names(first), *names(second), *names(third)]
    assert found == [f"Apple {number}" for number in range(6, -1, -1)]
    assert set(links(third)) == {"prev"}


def test_withdrawn_and_hidden_foods_are_not_found(phone: Api) -> None:
    new_food("Apple 1", withdrawn_at=timezone.now(), barcode="96385074")
    new_food("Apple 2", is_hidden=True, barcode="96385074")
    assert find(phone, "apple") == []
    assert phone.get(f"{FOODS}?barcode=96385074").json() == []


def test_a_search_that_takes_too_long_answers_the_popular_foods(
    phone: Api, monkeypatch: Any
) -> None:
    new_food("Apple", popularity=POPULAR_SCANS)
    new_food("Apple pie")
    slow = search.OTHERS.replace("SELECT *", "SELECT pg_sleep(10), *")
    monkeypatch.setattr(search, "OTHERS", slow)
    monkeypatch.setattr(search, "SETTINGS", search.SETTINGS.replace("'1000'", "'50'"))
    assert find(phone, "apple") == ["Apple"]


def test_a_search_that_takes_too_long_is_not_tried_with_wrong_letters(
    phone: Api, monkeypatch: Any
) -> None:
    new_food("Apple")
    slow = search.KNOWN.replace("SELECT *", "SELECT pg_sleep(10), *")
    monkeypatch.setattr(search, "KNOWN", slow)
    monkeypatch.setattr(search, "SETTINGS", search.SETTINGS.replace("'1000'", "'50'"))
    monkeypatch.setattr(search, "one_letter_off", lambda word: pytest.fail(word))
    new_food("Appel", popularity=1)
    assert find(phone, "appe") == []


def test_the_number_of_queries_does_not_grow(phone: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            find(phone, "apple")
        return len(captured)

    new_food("Apple")
    before = queries()
    for number in range(30):
        new_food(f"Apple {number}")
    assert queries() == before


def test_an_unchanged_catalog_is_304_whatever_the_device_wrote(phone: Api) -> None:
    new_food("Apple")
    first = phone.get(f"{FOODS}?search=apple")
    assert first.headers["Cache-Control"] == "private, no-cache"
    phone.product()
    again = phone.get(f"{FOODS}?search=apple", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_change_of_the_catalog_changes_the_etag(phone: Api) -> None:
    def etag() -> str:
        return str(phone.get(f"{FOODS}?search=apple").headers["ETag"])

    tags = [etag()]
    food = new_food("Apple")
    tags.append(etag())
    Food.objects.filter(pk=food.pk).update(kcal_100g=53)
    tags.append(etag())
    Food.objects.filter(pk=food.pk).update(withdrawn_at=timezone.now())
    tags.append(etag())
    new_source("another")
    tags.append(etag())
    assert len(set(tags)) == len(tags)


def test_searches_have_a_throttle_of_their_own(phone: Api, settings: Any) -> None:
    settings.SEARCH_THROTTLE = "2/min"
    assert [phone.get(f"{FOODS}?search=a").status_code for _ in range(3)] == [200, 200, 429]
    assert phone.get("/v1/products").status_code == 200
