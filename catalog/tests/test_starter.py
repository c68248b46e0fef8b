from __future__ import annotations

from pathlib import Path

import pytest

from catalog.formats import table
from catalog.records import CleanFood, Record, clean_food

STARTER = Path(__file__).parent.parent / "starter.csv"


@pytest.fixture(scope="module")
def foods() -> list[CleanFood]:
    records = list(table.read(str(STARTER), lambda size: None))
    return [clean_food(record) for record in records if isinstance(record, Record)]


def test_every_line_is_a_food_without_doubt(foods: list[CleanFood]) -> None:
    assert len(foods) == len(STARTER.read_text().splitlines()) - 1
    assert [food.name for food in foods if food.doubtful] == []


def test_there_are_some_hundred_foods(foods: list[CleanFood]) -> None:
    assert len(foods) >= 300


def test_names_and_ids_are_unique(foods: list[CleanFood]) -> None:
    assert len({food.name.casefold() for food in foods}) == len(foods)
    assert len({food.source_id for food in foods}) == len(foods)


def test_all_foods_are_generic_and_in_english(foods: list[CleanFood]) -> None:
    assert {(food.is_generic, food.language, food.brand) for food in foods} == {(True, "en", None)}


def test_all_foods_have_macros(foods: list[CleanFood]) -> None:
    assert [food.name for food in foods if None in food.values[:3]] == []


def test_first_meal_of_the_readme_finds_its_chicken(foods: list[CleanFood]) -> None:
    chicken = next(food for food in foods if food.source_id == "171477")
    assert (chicken.name, chicken.kcal) == ("Chicken breast, roasted", 165)
