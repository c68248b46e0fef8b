"""POST /v1/import of the diaries of other apps.

The files in `diaries/` are made for these tests: the headers are those of the apps, and all figures
are invented.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.api import Api
from tests.helpers.transfer import load_file, rows, send_file

FOLDER = Path(__file__).parent / "diaries"
FILES = {
    "myfitnesspal": (FOLDER / "nutrition-summary.csv").read_bytes(),
    "cronometer": (FOLDER / "servings.csv").read_bytes(),
}
# How many entries they have; the header is one row more.
ROWS = {"myfitnesspal": 6, "cronometer": 7}
MEALS = "Date,Meal,Calories,Fat (g),Sodium (mg)\n"
SERVINGS = "Day,Group,Food Name,Amount,Energy (kcal)\n"


def totals(phone: Api, day: str) -> dict[str, float]:
    found: dict[str, float] = phone.get(f"/v1/stats/day/{day}").json()["totals"]
    return found


def entries(phone: Api) -> list[dict[str, Any]]:
    return rows(phone)["food_entries"]


def meals(*lines: str, header: str = MEALS) -> bytes:
    """Return a file of MyFitnessPal's."""
    return (header + "\n".join(lines)).encode()


def rejected(answer: dict[str, Any]) -> dict[str, str]:
    """Return why rows of the diary were left out, by number."""
    found: dict[str, str] = answer["rejected"].get("food_entries", {})
    return found


def sentence(response: Any) -> str:
    """Return what a person is told about a file that is refused."""
    assert response.status_code == 422, response.content
    ((error),) = response.json()["errors"]
    assert error["loc"] == ["body"]
    return str(error["msg"])


def test_myfitnesspal_is_a_meal_a_row(phone: Api) -> None:
    answer = load_file(phone, "myfitnesspal", FILES["myfitnesspal"])
    assert answer == {
        "imported": {"food_entries": 6},
        "skipped": {"food_entries": 0},
        "rejected": {},
    }
    found = [(entry["meal_type"], entry["name"], entry["kcal"]) for entry in entries(phone)]
    assert found == [
        ("snacks", "Snacks", 95),
        ("breakfast", "Breakfast", 412.5),
        ("snacks", "Second breakfast", 4),
        ("snacks", "Second breakfast", 4),
        ("lunch", "Lunch", 655),
        ("dinner", "Dinner", 720.4),
    ]
    # Added up by hand from the file; sodium is 310 + 5 + 5 + 1240 + 980 mg.
    assert totals(phone, "2025-02-03") == {
        "kcal": 1795.9,
        "protein": 101,
        "carbs": 184.7,
        "fat": 68.6,
        "fiber": 22.3,
        "sugars": 40.2,
        "saturated_fat": 23.2,
        "salt": 6.35,
    }
    # An empty cell is unknown, and not zero.
    assert entries(phone)[0]["saturated_fat"] is None


def test_cronometer_is_a_food_a_row(phone: Api) -> None:
    answer = load_file(phone, "cronometer", FILES["cronometer"])
    assert (answer["imported"], answer["rejected"]) == ({"food_entries": 7}, {})
    found = {
        entry["name"]: (entry["meal_type"], entry["grams"], entry["unit"])
        for entry in entries(phone)
    }
    assert found == {
        "Oats, Rolled, Dry": ("breakfast", 60, "g"),
        "Milk, Whole": ("breakfast", 250, "ml"),
        "Egg, Boiled (2 large)": ("breakfast", None, "g"),
        "Coffee (1 cup)": ("snacks", None, "g"),
        "Lentil Stew (1.5 full recipe)": ("lunch", None, "g"),
        "Salmon": ("dinner", 170.1, "g"),
    }
    # Added up by hand from the file; sodium is 3.6 + 107.5 + 124 + 4.7 + 4.7 + 1105.5 + 104 mg, and
    # each row's salt is rounded: 0.01 + 0.27 + 0.31 + 0.01 + 0.01 + 2.76 + 0.26 g.
    assert totals(phone, "2025-03-13") == {
        "kcal": 1431.9,
        "protein": 100.02,
        "carbs": 132.64,
        "fat": 52.9,
        "fiber": 30.36,
        "sugars": 24.09,
        "saturated_fat": 14.07,
        "salt": 3.63,
    }


@pytest.mark.parametrize("format", FILES)
class TestEachApp:
    def test_a_second_import_adds_nothing(self, phone: Api, other: Api, format: str) -> None:
        file = FILES[format]
        first, second = (load_file(phone, format, file) for _ in range(2))
        assert second["skipped"] == first["imported"]
        assert second["imported"] == {"food_entries": 0}
        # On any server, and however the line ends are, the ids are the same.
        plain = file.decode("utf-8-sig").replace("\r\n", "\n").encode()
        load_file(other, format, plain)
        assert {row["id"] for row in entries(phone)} == {row["id"] for row in entries(other)}
        assert all(row["id"][14] == "5" for row in entries(phone))

    def test_a_preview_writes_nothing(self, phone: Api, format: str) -> None:
        preview = load_file(phone, format, FILES[format], "&preview=true")
        assert entries(phone) == []
        assert load_file(phone, format, FILES[format]) == preview

    def test_the_wrong_file_is_named(self, phone: Api, format: str) -> None:
        other = next(name for name in FILES if name != format)
        told = sentence(send_file(phone, format, FILES[other]))
        assert told.endswith(f"send it with format={other}.")
        title = {"myfitnesspal": "Nutrition Summary", "cronometer": "Servings"}[format]
        for file in (
            b"Date,Exercise,Type,Exercise Calories\n2025-02-03,Running,Cardio,300\n",
            b"Date,Energy (kcal),Completed\n2025-02-03,2000,true\n",
            b"",
            b"\n\n",
            b"<html></html>",
            b'{"format": "countonme-diary-1"}',
            b"x" * 100_000,
        ):
            told = sentence(send_file(phone, format, file))
            assert title in told, told
        for file, words in (
            (b"PK\x03\x04rest", "Unpack it"),
            (FILES[format].decode("utf-8-sig").encode("utf-16"), "UTF-8"),
            (b"\xff\xfe", "UTF-8"),
            (b"Date,\0", "NUL"),
            (b'"' + b"x" * 2**18, "can't be read as CSV"),
            (FILES[format] + b'"' + b"x" * 2**18, f"Row {ROWS[format] + 2} can't be read"),
        ):
            assert words in sentence(send_file(phone, format, file))
        assert entries(phone) == []

    def test_of_many_columns_those_that_it_knows_count(self, phone: Api, format: str) -> None:
        header, _, lines = FILES[format].decode("utf-8-sig").partition("\n")
        for columns in (900, 100_000):
            more = ",".join(f"column {number}" for number in range(columns))
            response = send_file(phone, format, f"{header.strip()},{more}\n{lines}".encode())
            if columns < 1000:
                assert (response.status_code, rejected(response.json())) == (200, {})
            else:
                assert "more than 1,000 columns" in sentence(response)

    def test_it_takes_a_csv_alone(self, phone: Api, format: str) -> None:
        response = phone.post(f"/v1/import?format={format}", {})
        assert response.status_code == 415
        assert response.json() == {"detail": "The body must be text/csv"}


def test_a_csv_without_a_format_is_415(phone: Api) -> None:
    response = phone.request(
        "POST", "/v1/import", FILES["cronometer"], {"Content-Type": "text/csv"}
    )
    assert response.status_code == 415


def test_more_rows_than_anybody_wrote_are_refused(phone: Api) -> None:
    line = "2025-02-03,Lunch,1,,"
    assert "in parts" in sentence(send_file(phone, "myfitnesspal", meals(*[line] * 100_001)))


class TestBadRows:
    def test_they_are_named_by_the_number_that_spreadsheets_show(self, phone: Api) -> None:
        file = meals(
            "2025-02-03,Lunch,500,10,100",
            "1900-01-01,Lunch,500,10,100",
            "",
            "2025-02-30,Lunch,500,10,100",
            "2025-02-03,Lunch,-5,10,100",
            "2025-02-03,Lunch,,10,100",
            "2025-02-03,Lunch,a lot,10,some",
            "2025-02-03,Lunch,500,2000,100",
            "2025-02-03,,500,10,100",
            "2025-02-03,Lunch",
            "Totals,Total,2500,50,500",
            f"2025-02-03,Lunch,{'9' * 400},10,100",
            "2025-02-03,Dinner,300,10,100",
        )
        answer = load_file(phone, "myfitnesspal", file)
        assert answer["imported"] == {"food_entries": 2}
        why = rejected(answer)
        assert list(why) == ["3", "5", "6", "7", "8", "9", "10", "11", "12", "13"]
        assert why["3"].startswith("date: Ensure")
        assert why["5"].startswith("date: ")
        assert why["6"].startswith("kcal: Ensure")
        assert why["7"] == why["11"] == "kcal: This field may not be null."
        assert why["8"] == "kcal: Not a number. salt: Not a number."
        assert why["9"].startswith("fat: Ensure")
        assert why["10"].startswith("name: ")
        assert "This is a total of other rows." in why["12"]
        assert why["13"].startswith("kcal: Ensure")
        assert [row["name"] for row in entries(phone)] == ["Lunch", "Dinner"]

    def test_at_a_quota_the_rest_of_the_day_is_left_out(self, phone: Api, settings: Any) -> None:
        settings.MAX_ENTRIES_PER_DAY = 2
        phone.entry(date="2025-02-03")
        file = meals(*(f"2025-02-0{day},Lunch,500,10,100" for day in (3, 3, 4)))
        answer = load_file(phone, "myfitnesspal", file)
        assert answer["imported"] == {"food_entries": 2}
        assert rejected(answer) == {"3": "A day has at most 2 food entries"}


class TestDates:
    def days(self, phone: Api, *dates: str) -> list[str]:
        file = meals(*(f'"{date}",Lunch,500,10,100' for date in dates))
        answer = load_file(phone, "myfitnesspal", file)
        assert rejected(answer) == {}
        return [row["date"] for row in entries(phone)]

    @pytest.mark.parametrize(
        ("dates", "days"),
        [
            (("13/02/2025", "03/02/2025"), ["2025-02-13", "2025-02-03"]),
            (("2/13/2025", "2/3/2025"), ["2025-02-13", "2025-02-03"]),
            (("3.2.2025",), ["2025-02-03"]),
            (("02/02/25",), ["2025-02-02"]),
            (("2025-02-03 12:30", "2025-2-4"), ["2025-02-04", "2025-02-03"]),
        ],
    )
    def test_the_file_decides_what_the_day_is(
        self, phone: Api, dates: tuple[str, ...], days: list[str]
    ) -> None:
        assert self.days(phone, *dates) == days

    def test_where_it_does_not_the_person_is_told(self, phone: Api) -> None:
        file = meals("03/04/2025,Lunch,500,10,100")
        assert "03/04/2025" in sentence(send_file(phone, "myfitnesspal", file))
        file = meals("13/02/2025,Lunch,500,10,100", "02/13/2025,Lunch,500,10,100")
        told = sentence(send_file(phone, "myfitnesspal", file))
        assert told == "Some of its dates have the day first, and others the month."
        assert entries(phone) == []


class TestNumbers:
    @pytest.mark.parametrize(
        ("header", "line", "expected"),
        [
            (MEALS, '2025-02-03,Lunch,"1,250.5","10.5","1,000"', (1250.5, 10.5, 2.5)),
            (MEALS, '2025-02-03,Lunch,"1250,5","10,55","400"', (1250.5, 10.55, 1)),
            (MEALS.replace(",", ";"), "2025-02-03;Lunch;1.250,5;10;400", (1250.5, 10, 1)),
            (MEALS.replace(",", ";"), "2025-02-03;Lunch;1250.5;10;400", (1250.5, 10, 1)),
            (MEALS.replace(",", "\t"), "2025-02-03\tLunch\t1250\t-\t400", (1250, None, 1)),
            (
                MEALS.replace("Calories", "Energy (kJ)"),
                "2025-02-03,Lunch,4184,10,400",
                (1000, 10, 1),
            ),
            (MEALS.upper(), "2025-02-03,LUNCH,500,10,400", (500, 10, 1)),
        ],
    )
    def test_the_file_decides_what_a_comma_is(
        self, phone: Api, header: str, line: str, expected: tuple[float | None, ...]
    ) -> None:
        assert rejected(load_file(phone, "myfitnesspal", meals(line, header=header))) == {}
        (entry,) = entries(phone)
        assert (entry["kcal"], entry["fat"], entry["salt"]) == expected
        assert entry["meal_type"] == "lunch"

    def test_kilojoules_are_what_the_header_calls_them(self, phone: Api) -> None:
        file = FILES["cronometer"].replace(b"Energy (kcal)", b"Energy (kJ)")
        load_file(phone, "cronometer", file)
        assert entries(phone)[0]["kcal"] == 54.35  # 227.4 / 4.184

    def test_energy_in_a_unit_that_nobody_knows_is_no_energy(self, phone: Api) -> None:
        file = meals(
            "2025-02-03,Lunch,500,10,100", header=MEALS.replace("Calories", "Energy (BTU)")
        )
        assert "of the energy" in sentence(send_file(phone, "myfitnesspal", file))


@pytest.mark.parametrize(
    ("name", "amount", "expected"),
    [
        ("Rice", "1.00 kg", ("Rice", 1000, "g")),
        ("Rice", "0.001 g", ("Rice", None, "g")),
        ("Rice", "100 grams", ("Rice (100 grams)", None, "g")),
        ("Wine", "8.00 fl oz", ("Wine (8 fl oz)", None, "g")),
        ("Egg", "3.00", ("Egg (3)", None, "g")),
        ("Egg", "some", ("Egg (some)", None, "g")),
        ("Egg", "", ("Egg", None, "g")),
        ("word " * 30, "2.00 cup", ("word " * 17 + "word (2 cup)", None, "g")),
        ("x" * 300, "2.00 " + "y" * 300, ("x" * 96 + " (2)", None, "g")),
    ],
)
def test_an_amount_that_is_no_weight_is_in_the_name(
    phone: Api, name: str, amount: str, expected: tuple[Any, ...]
) -> None:
    file = f'{SERVINGS}2025-02-03,Lunch,"{name}","{amount}",100'.encode()
    assert rejected(load_file(phone, "cronometer", file)) == {}
    (entry,) = entries(phone)
    assert (entry["name"], entry["grams"], entry["unit"]) == expected
    assert len(entry["name"]) <= 100
