"""What an import writes, whatever the format."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from catalog import importing
from catalog.importing import Filters, Import
from catalog.models import Correction, Food, PopularFood, Seen, Source, Word
from catalog.records import Unreadable
from countonme.scope.exceptions import Conflict
from tests.helpers.catalog import new_food, new_source, record, run_import

pytestmark = pytest.mark.django_db


def day(number: int) -> datetime:
    return datetime(2025, 2, number, tzinfo=UTC)


def food(source_id: str = "1") -> Any:
    return Food.objects.get(source="fdc", source_id=source_id)


def written() -> list[tuple[str, str]]:
    """Return the version of each row as the database counts them: a write changes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT source_id, ctid::text FROM catalog_foods ORDER BY source_id")
        return cursor.fetchall()


def test_a_new_record_is_a_food() -> None:
    run = run_import(
        record(
            brand="Farm",
            unit="ml",
            language="en",
            values={"protein": "31.024", "carbs": 0, "fat": 3.6},
            barcode="96385074",
            portions=[("1 cup", 140)],
            popularity=7,
            updated_at=day(5),
        )
    )
    assert run.counts == {"new": 1}
    found = food()
    assert (found.name, found.brand, found.unit, found.language) == (
        *("Chicken Breast", "Farm", "ml", "en"),
    )
    assert (found.kcal_100g, found.protein_100g, found.fiber_100g) == (165, Decimal("31.02"), None)
    assert (found.barcode, found.gtin_14) == ("96385074", "00000096385074")
    assert found.portions == [{"name": "1 cup", "grams": 140}]
    assert (found.popularity, found.source_updated_at) == (7, day(5))


def test_once_more_no_row_is_written() -> None:
    records = [record(str(number), portions=[("1 cup", 140)]) for number in range(5)]
    run_import(*records)
    before = written()
    assert run_import(*records).counts == {"unchanged": 5}
    assert written() == before


def test_what_the_source_changed_is_written_and_the_rest_is_not() -> None:
    run_import(record("1"), record("2"))
    before = dict(written())
    assert run_import(record("1"), record("2", kcal=170)).counts == {"unchanged": 1, "changed": 1}
    after = dict(written())
    assert after["1"] == before["1"]
    assert food("2").kcal_100g == 170


def test_a_change_that_no_phone_sees_is_no_update() -> None:
    run_import(record(popularity=1))
    before = food().updated_at
    run_import(record(popularity=2))
    assert (food().popularity, food().updated_at) == (2, before)
    run_import(record(popularity=2, kcal=170))
    assert food().updated_at > before


def test_new_rules_write_all_foods_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    run_import(record())
    monkeypatch.setattr(importing, "RULES", b"another")
    assert run_import(record()).counts == {"changed": 1}


def test_of_two_records_of_a_food_the_newer_counts_whatever_their_order() -> None:
    older, newer = record(name="Old", updated_at=day(1)), record(name="New", updated_at=day(2))
    run_import(older, newer)
    assert food().name == "New"
    run_import(newer, older)
    assert food().name == "New"
    assert run_import(older).counts == {"older": 1}
    assert food().name == "New"


def test_of_two_records_as_old_the_first_counts_also_in_other_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "BATCH", 1)
    for moment in (None, day(1)):
        one, two = record(name="One", updated_at=moment), record(name="Two", updated_at=moment)
        assert run_import(one, two).counts["repeated"] == 1
        assert food().name == "One"
        before = written()
        run_import(one, two)
        assert written() == before


def test_what_is_no_food_is_counted_by_reason_and_told() -> None:
    told: list[Any] = []
    run = run_import(
        record("1", kcal=None, place="line 1"),
        record("2", name="", place="line 2"),
        Unreadable("no object", "line 3"),
        record("4"),
        refuse=lambda *refusal: told.append(refusal),
    )
    assert run.counts == {"refused": 3, "new": 1}
    assert run.reasons == {"no energy": 1, "no name": 1, "no object": 1}
    assert told == [
        ("line 3", "", "no object"),
        ("line 1", "1", "no energy"),
        ("line 2", "2", "no name"),
    ]


def test_filters_leave_records_out() -> None:
    records = [
        record("1", language="de", popularity=5, countries=("germany",)),
        record("2", language="en", popularity=5, countries=("germany",)),
        record("3", language="de", popularity=1, countries=("germany",)),
        record("4", language="de", popularity=5, countries=("france",)),
    ]
    filters = Filters(frozenset({"de"}), frozenset({"germany", "austria"}), 2)
    run = run_import(*records, filters=filters)
    assert run.counts == {"new": 1, "unwanted": 3}
    assert food("1")


def test_a_dry_run_counts_and_writes_nothing() -> None:
    run_import(record("1"))
    before = written()
    revision = Source.objects.get(pk="fdc").revision
    run = run_import(record("1", kcal=170), record("2"), is_dry=True)
    assert run.counts == {"changed": 1, "new": 1}
    assert written() == before
    assert Source.objects.get(pk="fdc").revision == revision


def full(*records: Any, force: bool = False, **options: Any) -> Import:
    """Import records as all that the source has."""
    run = run_import(*records, **options)
    run.withdraw(force=force)
    return run


def test_what_a_full_file_lacks_is_withdrawn_and_comes_back() -> None:
    everything = [record(str(number)) for number in range(40)]
    run_import(*everything)
    assert full(*everything[:38]).counts == {"unchanged": 38, "withdrawn": 2}
    assert sorted(Food.objects.filter(is_live=False).values_list("source_id", flat=True)) == [
        *("38", "39"),
    ]
    assert run_import(*everything).counts == {"unchanged": 38, "changed": 2}
    assert not Food.objects.filter(is_live=False).exists()


def test_more_than_5_percent_is_withdrawn_only_by_force() -> None:
    everything = [record(str(number)) for number in range(40)]
    run_import(*everything)
    with pytest.raises(Conflict, match="3 of 40 foods are not in the file"):
        full(*everything[:37])
    assert not Food.objects.filter(is_live=False).exists()
    assert full(*everything[:37], force=True).counts["withdrawn"] == 3


def test_what_is_withdrawn_is_found_by_a_join() -> None:
    run = run_import(record())
    # With NOT IN, 3 million foods would each be compared with 3 million that were seen.
    plan = run._missing({}).explain()
    assert "Anti Join" in plan
    assert "SubPlan" not in plan


def test_a_record_that_is_refused_or_unwanted_is_not_withdrawn() -> None:
    run_import(record("1", language="en"), record("2", language="en"), record("3", language="en"))
    run = full(
        record("1", language="en", kcal=None),
        record("2", language="de"),
        record("3", language="en"),
        filters=Filters(languages=frozenset({"en"})),
    )
    assert run.counts["withdrawn"] == 0
    assert food("1").kcal_100g == 165


def test_other_sources_are_not_withdrawn() -> None:
    run_import(record("1"), source="ciqual")
    run_import(record("1"))
    assert full(record("1")).counts["withdrawn"] == 0


def test_what_a_run_noted_is_forgotten_at_its_end() -> None:
    run = run_import(record())
    assert Seen.objects.count() == 1
    run.forget()
    assert not Seen.objects.exists()


def test_a_correction_survives_and_waits_for_review_where_the_source_changed_its_mind(
    admin_user: Any,
) -> None:
    run_import(record(kcal=165, name="Chiken"))
    food().correct({"kcal_100g": 170, "name": "Chicken"}, "the pack says so", admin_user.pk)
    run_import(record(kcal=165, name="Chiken", brand="Farm"))
    assert (food().kcal_100g, food().name, food().brand) == (170, "Chicken", "Farm")
    assert not Correction.objects.exclude(review_since=None).exists()
    run_import(record(kcal=180, name="Chiken", brand="Farm"))
    assert (food().kcal_100g, food().name) == (170, "Chicken")
    (changed,) = Correction.objects.exclude(review_since=None)
    assert (changed.field, changed.value, changed.source_value) == ("kcal_100g", 170, 180)
    changed.undo(admin_user.pk)
    assert food().kcal_100g == 180


def test_a_corrected_name_is_what_searches_find(admin_user: Any) -> None:
    run_import(record(name="Chiken", is_generic=True))
    food().correct({"name": "Poultry"}, "typo", admin_user.pk)
    run_import(record(name="Chicken", is_generic=True))
    assert food().name_key == "poultry"
    assert PopularFood.objects.get().name_key == "poultry"


def test_a_hidden_food_stays_hidden(admin_user: Any) -> None:
    run_import(record())
    food().correct({"is_hidden": True}, "offensive", admin_user.pk)
    run_import(record(kcal=170))
    assert (food().is_hidden, food().is_live, food().kcal_100g) == (True, False, 170)


def test_a_record_that_breaks_a_rule_beside_a_correction_leaves_the_food_as_it_is(
    admin_user: Any,
) -> None:
    run_import(record(values={"protein": 30, "carbs": 0, "fat": 3}))
    food().correct({"carbs_100g": 60}, "the pack says so", admin_user.pk)
    run = run_import(record(values={"protein": 30, "carbs": 0, "fat": 30}))
    assert run.counts == {"refused": 1}
    assert food().fat_100g == 3


def test_popular_foods_are_kept_apart_by_whoever_writes() -> None:
    run_import(record("1", popularity=0), record("2", is_generic=True), record("3", popularity=99))

    def popular() -> list[str]:
        ids = PopularFood.objects.values_list("food_id", flat=True)
        return sorted(Food.objects.filter(pk__in=list(ids)).values_list("source_id", flat=True))

    assert popular() == ["2", "3"]
    Food.objects.filter(source_id="1").update(popularity=99)
    Food.objects.filter(source_id="3").update(is_hidden=True)
    assert popular() == ["1", "2"]


def test_the_source_counts_what_can_be_found_and_its_revision_rises_with_every_write() -> None:
    source = new_source()

    def state() -> tuple[int, int]:
        source.refresh_from_db()
        return source.foods, source.revision

    states = [state()]
    run_import(record("1"), record("2"))
    states.append(state())
    Food.objects.filter(source_id="1").update(is_hidden=True)
    states.append(state())
    assert [foods for foods, _ in states] == [0, 2, 1]
    revisions = [revision for _, revision in states]
    assert revisions == sorted(set(revisions))


def test_a_batch_that_fails_leaves_the_batches_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    run = Import(new_source())
    batches = run.records([record("1"), record("2"), record("3")])
    next(batches)

    def fail(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Import, "_insert", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        next(batches)
    monkeypatch.undo()
    assert run_import(record("1"), record("2")).counts == {"unchanged": 2}


def test_what_another_import_inserted_meanwhile_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert = Import._insert

    def insert_later(*args: Any) -> None:
        monkeypatch.undo()
        run_import(record("1", name="Theirs"))
        insert(*args)

    monkeypatch.setattr(Import, "_insert", insert_later)
    run_import(record("1", name="Ours"), record("2", name="Ours"))
    assert (food("1").name, food("2").name) == ("Theirs", "Ours")


def test_the_words_of_all_foods_that_can_be_found_are_kept_by_whoever_writes() -> None:
    def words() -> list[str]:
        return list(Word.objects.order_by("word").values_list("word", flat=True))

    run_import(record("1", name="Rye bread"), record("2", name="Bread", brand="O'Mill"))
    assert words() == ["bread", "mill", "o", "omill", "rye"]
    new_food("Oats", source_id="3", is_hidden=True)
    assert "oats" not in words()
    Food.objects.filter(name="Oats").update(is_hidden=False)
    assert "oats" in words()
