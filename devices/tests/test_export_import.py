from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from countonme.scope.models import device_scoped_models
from devices import transfer
from devices.models import Device, Phone
from goals.serializers import METRICS
from tests.helpers.api import Api, twin
from tests.helpers.phones import (
    another_phone,
    device_of,
    get_code,
    get_key,
    id_of,
    pair,
    row_of,
    sign_out,
    status,
    try_pair,
)


@pytest.fixture
def exported(phone: Api, tmp_path: Path) -> Path:
    product = phone.product(name="Crème", protein_100g=1.1, barcode="4006381333931")
    portion = phone.portion(product, grams=33.33)
    phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=1.5)
    phone.entry(eaten_at="2025-02-05T12:00:00.123456+02:00")
    phone.delete(f"/v1/portions/{portion['id']}")
    phone.goal()
    created = phone.post("/v1/goals/calculated", METRICS)
    assert created.status_code == 201
    phone.weight(weight_kg=79.95)
    phone.water()
    return export(phone, tmp_path)


def export(phone: Api, folder: Path) -> Path:
    assert phone.device is not None
    path = folder / "device.json"
    call_command("export_device", str(phone.device.pk), output=path.open("wb"))
    return path


def forget(phone: Api) -> None:
    """Remove the device as if this were another database."""
    assert phone.device is not None
    Device.objects.get(pk=phone.device.pk).erase()
    for model in reversed(device_scoped_models()):
        model.all_objects.for_device(phone.device).hard_delete()
    Device.objects.filter(pk=phone.device.pk).delete()


def load(path: Path) -> str:
    out = StringIO()
    call_command("import_device", str(path), stdout=out)
    return out.getvalue().strip()


def snapshot(phone: Api) -> list[Any]:
    paths = [
        "/v1/products?include=portions",
        "/v1/food-entries",
        "/v1/stats/day/2025-02-05",
        "/v1/goals/current",
        "/v1/body-weights",
        "/v1/water-entries",
    ]
    return [phone.get(path).json() for path in paths]


def test_it_works(phone: Api, exported: Path) -> None:
    before = snapshot(phone)
    forget(phone)
    phone.token = load(exported)
    assert snapshot(phone) == before


def test_names_and_barcodes_are_cleaned_as_over_the_api(phone: Api, exported: Path) -> None:
    document = orjson.loads(exported.read_bytes())
    for table in ("products", "portions", "food_entries"):
        for row in document["rows"][table]:
            row["name"] = " Cre\u0300me\u3000\n fraîche "
    document["rows"]["products"][0]["barcode"] = "0-425261-4"
    exported.write_bytes(orjson.dumps(document))
    forget(phone)
    phone.token = load(exported)
    (product,) = phone.get("/v1/products?include=portions&search=creme").json()
    assert product["barcode"] == "04252614"
    named = [product, *product["portions"], *phone.get("/v1/food-entries").json()]
    assert {row["name"] for row in named} == {"Crème fraîche"}


def test_a_barcode_of_hyphens_alone_is_none(phone: Api, exported: Path) -> None:
    document = orjson.loads(exported.read_bytes())
    document["rows"]["products"][0]["barcode"] = " - "
    exported.write_bytes(orjson.dumps(document))
    forget(phone)
    phone.token = load(exported)
    assert [row["barcode"] for row in phone.get("/v1/products").json()] == [None]


def test_a_round_trip_keeps_every_row_deleted_ones_included(
    phone: Api, exported: Path, tmp_path: Path
) -> None:
    before = orjson.loads(exported.read_bytes())
    forget(phone)
    load(exported)
    assert orjson.loads(export(phone, tmp_path).read_bytes())["rows"] == before["rows"]
    for table in ("portions", "goals"):
        assert any(row["deleted_at"] for row in before["rows"][table])


def test_a_recipe_moves_with_the_values_that_it_had_before(phone: Api) -> None:
    rice, dish = phone.product(name="Rice", kcal_100g=130), phone.product(protein_100g=31)
    made = phone.recipe(dish, {rice["id"]: 100})
    moved, path = twin(phone), f"/v1/products/{dish['id']}"
    assert moved.get(f"{path}/recipe").json() == made
    assert moved.get(path).json()["kcal_100g"] == 130
    assert moved.delete(f"{path}/recipe").status_code == 204
    now = moved.get(path).json()
    assert now == dish | {"updated_at": now["updated_at"]}


def test_the_revision_is_greater_than_the_exported_one(phone: Api, exported: Path) -> None:
    before = orjson.loads(exported.read_bytes())["device"]["revision"]
    forget(phone)
    load(exported)
    assert Device.objects.get().revision > before


def test_the_old_token_is_of_no_use(phone: Api, exported: Path) -> None:
    forget(phone)
    load(exported)
    assert phone.get("/v1/products").status_code == 401


def test_no_secret_is_in_the_file(phone: Api, exported: Path) -> None:
    text = exported.read_text()
    row = row_of(phone)
    for secret in (phone.token, phone.token.split(".")[1], row.token_hash, row.token_hmac):
        assert secret is not None
        assert secret not in text
    assert "token" not in text


class TestPhones:
    @pytest.fixture
    def exported(self, phone: Api, tmp_path: Path) -> Path:
        """The file of a device of which two phones are signed in and one was signed out."""
        another_phone(phone, name="Tablet")
        sign_out(another_phone(phone))
        get_key(phone)
        pair(get_code(phone), name="A phone that never called")
        get_code(phone)
        return export(phone, tmp_path)

    def test_it_works(self, phone: Api, exported: Path) -> None:
        tablet, gone, new = device_of(phone).phones.in_order()[1:]
        before = row_of(phone)
        forget(phone)
        phone.token = load(exported)
        first, *others = device_of(phone).phones.in_order()
        assert (first.id, first.created_at, first.last_seen_at) == (
            before.id,
            before.created_at,
            before.last_seen_at,
        )
        assert first.signed_out_at is None
        assert [row.id for row in others] == [tablet.id, gone.id, new.id]
        assert [row.created_at for row in others] == [row.created_at for row in (tablet, gone, new)]
        assert others[1].signed_out_at == gone.signed_out_at

    def test_only_the_first_phone_is_signed_in(self, phone: Api, exported: Path) -> None:
        second = another_phone(phone)
        forget(phone)
        first = Api(phone.device, load(exported))
        assert (status(first), status(second), status(phone)) == (200, 401, 401)
        assert [row["id"] for row in first.get("/v1/auth/phones").json()] == [str(id_of(first))]

    def test_the_other_phones_pair_anew_with_other_ids(self, phone: Api, exported: Path) -> None:
        tablet = device_of(phone).phones.get(name="Tablet")
        forget(phone)
        phone.token = load(exported)
        assert try_pair(get_code(phone), tablet.id).status_code == 409
        assert status(pair(get_code(phone))) == 200

    def test_the_first_phone_is_signed_in_if_it_was_signed_out(
        self, phone: Api, exported: Path, tmp_path: Path
    ) -> None:
        sign_out(phone)
        path = export(phone, tmp_path)
        forget(phone)
        phone.token = load(path)
        assert status(phone) == 200

    def test_the_first_phone_is_made_anew_if_it_was_forgotten(
        self, phone: Api, exported: Path, tmp_path: Path
    ) -> None:
        second = another_phone(phone)
        device_of(phone).phones.exclude(id=id_of(second)).delete()
        path = export(phone, tmp_path)
        forget(phone)
        phone.token = load(path)
        assert status(phone) == 200
        assert device_of(phone).phones.count() == 2

    def test_codes_and_keys_stay_where_they_are(self, phone: Api, exported: Path) -> None:
        key, code = get_key(phone), get_code(phone)
        assert not {"pairing_codes", "recovery_keys"} & orjson.loads(exported.read_bytes()).keys()
        forget(phone)
        phone.token = load(exported)
        assert [try_pair(each).status_code for each in (key, code)] == [404, 404]
        assert phone.get("/v1/auth/device").json()["recovery_key_created_at"] is None

    def test_a_phone_is_exported_with_these_columns_alone(self, phone: Api, exported: Path) -> None:
        phones = orjson.loads(exported.read_bytes())["phones"]
        assert len(phones) == 4
        assert {name for row in phones for name in row} == set(transfer.PHONE_FIELDS)
        assert phones[1]["name"] == "Tablet"

    @pytest.mark.parametrize("change", [{"id": None}, {"id": "tablet"}, {"created_at": "today"}])
    def test_what_is_no_phone_is_refused(
        self, phone: Api, exported: Path, change: dict[str, Any]
    ) -> None:
        document = orjson.loads(exported.read_bytes())
        document["phones"][1] |= change
        exported.write_bytes(orjson.dumps(document))
        forget(phone)
        with pytest.raises(CommandError):
            load(exported)
        assert not Device.objects.exists()
        assert not Phone.objects.exists()


def test_a_device_that_is_here_is_refused(phone: Api, exported: Path) -> None:
    with pytest.raises(CommandError, match="is here already"):
        load(exported)


class TestAFormerVersion:
    """A file that was exported when the format was new is imported by every version since."""

    FILE = Path(__file__).parent / "exports" / "countonme-device-1.json"

    @pytest.fixture
    def phone(self, db: None) -> Api:
        known = orjson.loads(self.FILE.read_bytes())["device"]
        return Api(Device(pk=known["id"]), load(self.FILE))

    def test_it_works(self, phone: Api) -> None:
        (product,) = phone.get("/v1/products?include=portions").json()
        assert (product["name"], product["kcal_100g"], product["protein_100g"]) == (
            "Crème",
            165,
            1.1,
        )
        assert [portion["name"] for portion in product["portions"]] == ["100g"]
        logged, soup = phone.get("/v1/food-entries").json()
        assert (logged["product_id"], logged["kcal"]) == (product["id"], 82.5)
        assert (soup["name"], soup["eaten_at"]) == ("Soup", "2025-02-05T10:00:00.123456Z")
        assert phone.get("/v1/goals/current").json()["goal_type"] == "calculated"
        assert [row["weight_kg"] for row in phone.get("/v1/body-weights").json()] == [79.95]
        assert [row["ml"] for row in phone.get("/v1/water-entries").json()] == [250]

    def test_deleted_rows_and_the_times_of_all_are_kept(self, phone: Api, tmp_path: Path) -> None:
        before = orjson.loads(self.FILE.read_bytes())["rows"]
        after = orjson.loads(export(phone, tmp_path).read_bytes())["rows"]
        for table, rows in before.items():
            kept = [{name: row[name] for name in row} for row in after[table]]
            assert [row | kept for row, kept in zip(rows, kept, strict=True)] == kept

    def test_the_device_is_its_first_phone(self, phone: Api) -> None:
        known = orjson.loads(self.FILE.read_bytes())["device"]
        answer = phone.get("/v1/auth/device").json()
        assert answer["id"] == answer["phone_id"] == known["id"]
        (row,) = device_of(phone).phones.all()
        assert row.created_at.isoformat() == known["created_at"]
        assert (row.name, row.signed_out_at) == (None, None)

    def test_every_rule_holds(self, phone: Api) -> None:
        call_command("check_integrity", stdout=StringIO())


class TestTheVersionBeforePhones:
    """The file of a version in which a device was a phone and noted when it called."""

    def test_it_works(self, phone: Api, exported: Path) -> None:
        before, registered_at = snapshot(phone), device_of(phone).created_at
        document = orjson.loads(exported.read_bytes())
        del document["phones"]
        document["device"]["last_seen_at"] = "2025-02-05T12:30:00+00:00"
        exported.write_bytes(orjson.dumps(document))
        forget(phone)
        token = load(exported)
        (first,) = device_of(phone).phones.all()
        assert first.last_seen_at == datetime(2025, 2, 5, 12, 30, tzinfo=UTC)
        assert first.created_at == registered_at
        assert snapshot(Api(phone.device, token)) == before

    def test_a_device_that_was_never_seen_has_no_time(self, phone: Api, exported: Path) -> None:
        document = orjson.loads(exported.read_bytes())
        del document["phones"]
        document["device"]["last_seen_at"] = None
        exported.write_bytes(orjson.dumps(document))
        forget(phone)
        load(exported)
        assert device_of(phone).phones.get().last_seen_at is None


def test_tables_and_columns_that_came_later_may_be_missing(phone: Api, exported: Path) -> None:
    document = orjson.loads(exported.read_bytes())
    del document["rows"]["water_entries"]
    for row in document["rows"]["products"]:
        del row["barcode"], row["protein_100g"]
    for row in document["rows"]["portions"]:
        del row["deleted_at"]
    exported.write_bytes(orjson.dumps(document))
    forget(phone)
    phone.token = load(exported)
    (product,) = phone.get("/v1/products?include=portions").json()
    assert (product["barcode"], product["protein_100g"]) == (None, None)
    assert len(product["portions"]) == 2
    assert phone.get("/v1/water-entries").json() == []


@pytest.mark.parametrize("column", ["id", "name", "kcal_100g"])
def test_a_column_that_nothing_stands_for_is_required(
    phone: Api, exported: Path, column: str
) -> None:
    document = orjson.loads(exported.read_bytes())
    del document["rows"]["products"][0][column]
    exported.write_bytes(orjson.dumps(document))
    forget(phone)
    with pytest.raises(CommandError, match="incomplete"):
        load(exported)
    assert not Device.objects.exists()


def test_ids_that_another_device_has_are_free(phone: Api, other: Api, exported: Path) -> None:
    for table, rows in orjson.loads(exported.read_bytes())["rows"].items():
        for row in rows:
            if table == "products":
                other.product(id=row["id"])
            elif table == "food_entries":
                other.entry(id=row["id"])
    theirs, mine = snapshot(other), snapshot(phone)
    forget(phone)
    phone.token = load(exported)
    assert (snapshot(phone), snapshot(other)) == (mine, theirs)


@pytest.mark.parametrize("place", [("rows", "food_entries"), ("phones",)])
def test_an_id_that_is_in_it_twice_imports_nothing(
    phone: Api, exported: Path, place: tuple[str, ...]
) -> None:
    document = orjson.loads(exported.read_bytes())
    *outer, last = place
    part = document[outer[0]] if outer else document
    part[last] *= 2
    exported.write_bytes(orjson.dumps(document))
    forget(phone)
    with pytest.raises(CommandError, match="Nothing was imported"):
        load(exported)
    assert not Device.objects.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "not JSON"),
        (b"[]", "no export of the format"),
        (b'{"format": "countonme-device-0"}', "no export of the format"),
        (b'{"format": "countonme-device-1"}', "incomplete"),
        (b'{"format": "countonme-device-1", "device": {}, "rows": {}}', "incomplete"),
    ],
)
def test_it_refuses_what_is_no_export(
    db: None, tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "device.json"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=sentence):
        load(path)


@pytest.mark.parametrize("name", ["x" * 51, "NUL \0"])
def test_a_text_that_its_column_can_not_hold_imports_nothing(
    phone: Api, exported: Path, name: str
) -> None:
    document = orjson.loads(exported.read_bytes())
    document["phones"][0]["name"] = name
    exported.write_bytes(orjson.dumps(document))
    forget(phone)
    with pytest.raises(CommandError, match="Nothing was imported"):
        load(exported)
    assert not Device.objects.exists()


def test_a_value_that_is_none_of_its_columns_is_refused(phone: Api, exported: Path) -> None:
    broken = orjson.loads(exported.read_bytes())
    broken["rows"]["products"][0]["kcal_100g"] = "much"
    exported.write_bytes(orjson.dumps(broken))
    forget(phone)
    with pytest.raises(CommandError, match="integer"):
        load(exported)
    assert not Device.objects.exists()
