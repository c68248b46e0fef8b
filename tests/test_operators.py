"""Roles, actions on devices, moderation, the dashboard, the log and the pause of logins."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from countonme import dashboard
from countonme.operators import moderation
from countonme.operators.names import change_url, name_of
from devices.models import Device, Phone
from entries.models import FoodEntry
from goals.models import Goal
from products.models import Portion, Product
from tests.helpers.api import Api, new_phone, twin
from tests.helpers.operators import (
    CONFIRMED,
    DEVICES,
    MODERATION,
    PRODUCTS,
    act,
    logged,
    moderated,
    operator,
    operator_again,
)
from tests.helpers.phones import (
    another_phone,
    device_of,
    get_code,
    id_of,
    pair,
    sign_out,
    status,
    try_pair,
)


class TestDevices:
    def test_it_works(self, phone: Api) -> None:
        client = operator()
        page = act(client, DEVICES, "block", device_of(phone)).content.decode()
        assert str(device_of(phone)) in page
        assert device_of(phone).blocked_at is None
        act(client, DEVICES, "block", device_of(phone), confirmed="yes", reason="spam")
        assert device_of(phone).blocked_reason == "spam"
        assert phone.get("/v1/products").status_code == 401
        assert logged().get().change_message == "Blocked: spam."

    def test_a_block_needs_a_reason(self, phone: Api) -> None:
        act(operator(), DEVICES, "block", device_of(phone), confirmed="yes", reason=" ")
        assert device_of(phone).blocked_at is None

    def test_unblocking_lets_the_phone_back_to_its_data(self, phone: Api) -> None:
        product = phone.product()
        device_of(phone).block("spam")
        act(operator(), DEVICES, "unblock", device_of(phone))
        assert [row["id"] for row in phone.get("/v1/products").json()] == [product["id"]]

    def test_all_phones_are_signed_out(self, phone: Api, other: Api) -> None:
        second, code = another_phone(phone), get_code(phone)
        act(operator(), DEVICES, "sign_out", device_of(phone), confirmed="yes", reason="stolen")
        assert [status(each) for each in (phone, second, other)] == [401, 401, 200]
        assert try_pair(code).status_code == 404
        assert logged().get().change_message == "Phones signed out: stolen."

    def test_erasing_asks_first(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "erase", device_of(phone))
        act(client, DEVICES, "erase", device_of(phone), confirmed="yes")
        assert device_of(phone).erased_at is None
        act(client, DEVICES, "erase", device_of(phone), confirmed="yes", reason="asked to")
        assert device_of(phone).erased_at is not None
        assert logged().get().change_message == "Erased: asked to."

    def test_an_export_is_a_file_without_secrets(self, phone: Api) -> None:
        product = phone.product()
        response = act(operator(), DEVICES, "export", device_of(phone))
        assert response["Content-Disposition"].startswith("attachment")
        assert response.json()["rows"]["products"][0]["id"] == product["id"]
        assert "token" not in response.content.decode()
        assert logged().get().change_message == "Exported."

    def test_a_device_links_to_what_it_owns(self, phone: Api, other: Api) -> None:
        phone.product(name="Mine")
        other.product(name="Theirs")
        client = operator()
        page = client.get(f"{DEVICES}{device_of(phone).pk}/change/").content.decode()
        url = f"{PRODUCTS}?deleted=no&of={device_of(phone).pk}"
        assert f'href="{escape(url)}"' in page
        rows = client.get(url).content.decode()
        assert "Mine" in rows
        assert "Theirs" not in rows

    @pytest.mark.parametrize(
        ("query", "found"),
        [("seen=today", True), ("seen=week", True), ("seen=never", False), ("state=usable", True)],
    )
    def test_devices_are_filtered(self, phone: Api, query: str, found: bool) -> None:
        page = operator().get(f"{DEVICES}?{query}").content.decode()
        assert (f"{device_of(phone).pk}/change/" in page) is found

    def test_a_list_costs_the_same_for_any_number_of_devices(
        self, db: None, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(10):
            another_phone(new_phone())
        client = operator()
        with django_assert_max_num_queries(8):
            client.get(DEVICES)


class TestPhones:
    """The phones on a device's page, and signing one of them out."""

    def page(self, phone: Api, client: Client | None = None) -> str:
        url = f"{DEVICES}{device_of(phone).pk}/change/"
        return str((client or operator_again()).get(url).content.decode())

    def sign_out_url(self, phone: Api) -> str:
        return f"{DEVICES}{device_of(phone).pk}/phones/{id_of(phone)}/sign-out/"

    def test_it_works(self, phone: Api) -> None:
        second, client = another_phone(phone, name="Tablet"), operator()
        url = self.sign_out_url(second)
        page = self.page(phone, client)
        assert f'href="{url}"' in page
        assert f'href="{self.sign_out_url(phone)}"' in page
        assert "Tablet" in page
        asked = client.get(url).content.decode()
        assert "Sign 1 phone out?" in asked
        assert "Tablet" in asked
        assert status(second) == 200
        client.post(url, {"confirmed": "yes", "reason": " "})
        assert status(second) == 200
        shown = client.post(url, CONFIRMED, follow=True).content.decode()
        assert (status(phone), status(second)) == (200, 401)
        assert "Tablet" in shown
        assert url not in self.page(phone, client)
        assert logged().get().change_message == f"Phone signed out: {id_of(second)}: spam."

    def test_the_last_phone_may_be_signed_out(self, phone: Api) -> None:
        client = operator()
        assert "no phone" not in client.get(DEVICES).content.decode().lower()
        client.post(self.sign_out_url(phone), CONFIRMED)
        assert status(phone) == 401
        assert "no phone" in client.get(DEVICES).content.decode().lower()

    def test_the_code_that_it_asked_for_goes_with_it(self, phone: Api) -> None:
        code = get_code(phone)
        operator().post(self.sign_out_url(phone), CONFIRMED)
        assert try_pair(code).status_code == 404

    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_no_role_may(self, phone: Api, role: str) -> None:
        client, url = operator(role), self.sign_out_url(phone)
        assert url not in self.page(phone, client)
        assert client.get(url).status_code == 403
        assert client.post(url).status_code == 403
        assert status(phone) == 200

    def test_nobody_else_may(self, phone: Api) -> None:
        url = self.sign_out_url(phone)
        response = Client().post(url)
        assert response.status_code == 302
        assert "/admin/login/" in response["Location"]
        assert status(phone) == 200

    def test_what_is_no_phone_of_the_device_is_not_found(self, phone: Api, other: Api) -> None:
        gone = another_phone(phone)
        sign_out(gone)
        theirs = f"{DEVICES}{device_of(phone).pk}/phones/{id_of(other)}/sign-out/"
        client = operator()
        for url in (theirs, self.sign_out_url(gone)):
            assert client.get(url).status_code == 404
            assert client.post(url).status_code == 404
        assert status(other) == 200

    def test_a_phone_of_a_device_that_is_erased_meanwhile_is_not_found(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, url = operator(), self.sign_out_url(phone)
        lock = Device.lock

        def erase_first(device: Device) -> None:
            Device.objects.get(pk=device.pk).erase()
            lock(device)

        monkeypatch.setattr(Device, "lock", erase_first)
        assert client.post(url, CONFIRMED).status_code == 404

    def token_url(self, phone: Api) -> str:
        return self.sign_out_url(phone).replace("sign-out", "token")

    def form(self, client: Client, url: str) -> dict[str, str]:
        replaces = re.search(r'name="replaces" value="(\w+)"', client.get(url).content.decode())
        assert replaces
        return {"replaces": replaces[1], **CONFIRMED}

    def test_a_new_token_is_shown_once(self, phone: Api) -> None:
        second, client = another_phone(phone), operator()
        url = self.token_url(second)
        assert f'href="{url}"' in self.page(phone, client)
        sent = self.form(client, url)
        client.post(url, sent | {"reason": ""})
        assert status(second) == 200
        answer = client.post(url, sent)
        assert "no-store" in answer["Cache-Control"]
        shown = re.search(r'value="([^"]+)" aria-label="Token"', answer.content.decode())
        assert shown
        assert [status(each) for each in (phone, second)] == [200, 401]
        assert status(Api(None, shown[1])) == 200
        entry = logged().get()
        assert entry.change_message == f"Token issued: {id_of(second)}: spam."
        again = client.post(url, sent, follow=True).content.decode()
        assert "has changed meanwhile" in again
        assert status(Api(None, shown[1])) == 200
        assert shown[1] not in again + self.page(phone, client)
        assert shown[1] not in str(client.session.items()) + str(client.cookies)

    def test_the_first_phone_gets_one_where_none_is_signed_in(self, phone: Api) -> None:
        second, client = another_phone(phone), operator()
        device_of(phone).sign_out_all()
        url = self.token_url(phone)
        assert f'href="{url}"' in self.page(phone, client)
        assert client.get(self.token_url(second)).status_code == 404
        assert client.post(url, self.form(client, url)).status_code == 200
        assert device_of(phone).phones.live().get().id == device_of(phone).pk
        device_of(phone).erase()
        assert client.get(url).status_code == 404

    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_no_role_issues_tokens(self, phone: Api, role: str) -> None:
        client, url = operator(role), self.token_url(phone)
        assert url not in self.page(phone, client)
        assert client.get(url).status_code == 403
        assert client.post(url, CONFIRMED).status_code == 403
        assert status(phone) == 200

    def test_it_needs_a_csrf_token(self, phone: Api) -> None:
        client = operator()
        client.handler.enforce_csrf_checks = True
        assert client.post(self.sign_out_url(phone)).status_code == 403
        assert status(phone) == 200

    def test_a_phone_that_was_signed_out_is_not_shown(self, phone: Api) -> None:
        sign_out(another_phone(phone, name="Tablet"))
        gone = device_of(phone).phones.exclude(signed_out_at=None).get()
        assert str(gone.id) not in self.page(phone)

    def test_a_name_is_shown_as_it_is_written(self, phone: Api) -> None:
        second = another_phone(phone, name="<script>alert(1)</script>")
        assert "<script>alert(1)" not in self.page(phone)
        assert escape("<script>alert(1)</script>") in self.page(phone)
        client = operator_again()
        assert "<script>alert(1)" not in client.get(self.sign_out_url(second)).content.decode()
        shown = client.post(self.sign_out_url(second), CONFIRMED, follow=True).content.decode()
        assert "<script>alert(1)" not in shown

    def test_a_phone_that_never_called_is_shown(self, phone: Api) -> None:
        pair(get_code(phone))
        assert "last seen never" in self.page(phone)

    def test_devices_are_filtered_by_the_phone_that_called_last(self, phone: Api) -> None:
        second = another_phone(phone)
        now = timezone.now()
        for days, found in ((0, {"today", "week"}), (2, {"week"}), (8, set())):
            seen_at = now - timedelta(days=days)
            Phone.objects.update(last_seen_at=now - timedelta(days=9))
            Phone.objects.filter(id=id_of(second)).update(last_seen_at=seen_at)
            for query in ("today", "week", "never"):
                page = operator_again().get(f"{DEVICES}?seen={query}").content.decode()
                assert (f"{device_of(phone).pk}/change/" in page) == (query in found), (days, query)
        Phone.objects.update(last_seen_at=None)
        page = operator_again().get(f"{DEVICES}?seen=never").content.decode()
        assert f"{device_of(phone).pk}/change/" in page


class TestRoles:
    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_a_role_sees_every_list(self, phone: Api, role: str) -> None:
        client = operator(role)
        pages = ["devices/device/", "products/product/", "entries/foodentry/", "goals/goal/"]
        for page in ("", *pages, "goals/bodyweight/", "goals/waterentry/"):
            assert client.get(f"/admin/{page}").status_code == 200
        assert client.get("/admin/admin/logentry/").status_code == 200

    @pytest.mark.parametrize(
        ("role", "action", "may"),
        [
            ("Moderator", "block", True),
            ("Moderator", "export", False),
            ("Moderator", "sign_out", False),
            ("Moderator", "erase", False),
            ("Support", "export", True),
            ("Support", "block", False),
            ("Support", "sign_out", False),
            ("Support", "erase", False),
        ],
    )
    def test_a_role_acts_on_devices(self, phone: Api, role: str, action: str, may: bool) -> None:
        before = device_of(phone)
        client = operator(role)
        act(client, DEVICES, action, before, confirmed="yes", reason="spam")
        assert logged().exists() is may
        if not may:
            after = device_of(phone)
            assert (after.blocked_at, after.erased_at) == (before.blocked_at, before.erased_at)
            assert status(phone) == 200

    @pytest.mark.parametrize(("role", "may"), [("Moderator", True), ("Support", False)])
    def test_a_role_deletes_softly_and_restores(self, phone: Api, role: str, may: bool) -> None:
        phone.product()
        product = Product._base_manager.get()
        client = operator(role)
        act(client, PRODUCTS, "soft_delete", product, **CONFIRMED)
        product.refresh_from_db()
        assert (product.deleted_at is not None) is may
        act(client, PRODUCTS, "restore", product)
        product.refresh_from_db()
        assert product.deleted_at is None

    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_no_role_deletes_for_ever(self, phone: Api, role: str) -> None:
        product = phone.product()
        phone.delete(f"/v1/products/{product['id']}")
        row = Product._base_manager.get()
        act(operator(role), PRODUCTS, "hard_delete", row, **CONFIRMED)
        assert Product._base_manager.exists()

    def test_support_can_not_moderate(self, phone: Api) -> None:
        assert operator("Support").get(f"{MODERATION}?pattern=x").status_code == 403

    def test_no_role_corrects(self, phone: Api) -> None:
        product = phone.product()
        assert phone.device is not None
        url = f"{PRODUCTS}{phone.device.pk}~{product['id']}/change/"
        assert operator("Moderator").post(url, {"name": "x"}).status_code == 403


class TestUsers:
    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_no_role_sees_users(self, db: None, role: str) -> None:
        assert operator(role).get("/admin/auth/user/").status_code == 403


class TestDashboard:
    def figures(self) -> dict[str, dashboard.Figure]:
        sections = dashboard.dashboard(timezone.now())["sections"]
        return {figure.label: figure for figures in sections.values() for figure in figures}

    def test_it_works(self, phone: Api, other: Api) -> None:
        product = phone.product()
        phone.entry(product_id=product["id"], grams=10)
        phone.delete(f"/v1/products/{product['id']}")
        shown = self.figures()
        assert shown["Devices"].value == "2"
        assert shown["Seen today"].value == "2"
        assert shown["Products"].value == "0"
        assert shown["Products"].note == f"1 deleted, since {timezone.now():%Y-%m-%d}"
        assert shown["Food entries"][1::2] == ("1", "")

    def test_a_device_is_seen_once_however_many_phones_called(self, phone: Api) -> None:
        another_phone(phone)
        shown = self.figures()
        assert (shown["Devices"].value, shown["Seen today"].value) == ("1", "1")

    def test_phones_last_seen_are_drawn_by_day(self, db: None) -> None:
        now = timezone.now()
        with time_machine.travel(now - timedelta(days=2), tick=False):
            phone = new_phone()
        another_phone(phone), another_phone(phone)
        seen = dashboard.charts(now - timedelta(days=dashboard.DAYS - 1))[1]
        assert seen.title == "Phones last seen: 3"
        assert '1,0,2],"backgroundColor"' in seen.data

    def test_every_figure_and_chart_links_to_a_list(self, phone: Api) -> None:
        phone.product()
        client = operator()
        shown = dashboard.dashboard(timezone.now())
        links = [figure.url for figures in shown["sections"].values() for figure in figures]
        links += [figure.url for figure in shown["waiting"]]
        links += [chart.url for chart in shown["charts"]]
        for link in links:
            assert client.get(link).status_code == 200, link

    def test_a_chart_counts_by_day(self, db: None) -> None:
        now = timezone.now()
        with time_machine.travel(now - timedelta(days=2), tick=False):
            new_phone()
        new_phone()
        registered = dashboard.charts(now - timedelta(days=dashboard.DAYS - 1))[0]
        assert '1,0,1],"backgroundColor"' in registered.data

    def test_throttled_registrations_are_counted(self, nobody: Api, db: None) -> None:
        for _ in range(12):
            nobody.post("/v1/auth/register", {})
        figures = {each.label: each for each in dashboard.waiting_figures(timezone.now())}
        assert figures["Registrations throttled today"].value == "2"

    def test_an_operator_without_a_role_sees_no_figures(self, db: None) -> None:
        User.objects.create_user("new", password="x", is_staff=True)
        client = Client()
        client.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
        assert b"Devices" not in client.get("/admin/").content


class TestLogin:
    @pytest.fixture(autouse=True)
    def user(self, db: None) -> None:
        User.objects.create_superuser("operator", password="right")

    def login(self, name: str, password: str, address: str = "127.0.0.1") -> Any:
        sent = {"username": name, "password": password}
        return Client(REMOTE_ADDR=address).post("/admin/login/", sent)

    def test_it_works(self) -> None:
        assert self.login("operator", "right").status_code == 302

    def test_five_wrong_passwords_for_a_name_pause_it(self) -> None:
        for number in range(5):
            self.login("operator", "wrong", f"127.0.0.{number + 1}")
        response = self.login("operator", "right", "127.0.0.99")
        assert response.status_code == 429
        assert "Login paused" in response.content.decode()

    def test_five_wrong_passwords_from_an_address_pause_it(self) -> None:
        for number in range(5):
            self.login(f"name{number}", "wrong")
        assert self.login("operator", "right").status_code == 429
        assert self.login("operator", "right", "127.0.0.2").status_code == 302

    def test_four_wrong_passwords_pause_nothing(self) -> None:
        for _ in range(4):
            self.login("operator", "wrong")
        assert self.login("operator", "right").status_code == 302

    def test_the_pause_ends(self) -> None:
        for _ in range(5):
            self.login("operator", "wrong")
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
            assert self.login("operator", "right").status_code == 302


class TestAlikeIds:
    """Two devices have rows with the same ids; an operator's action changes only one row."""

    PAGES = ("products/product", "products/portion", "entries/foodentry", "goals/goal")

    @pytest.fixture
    def rows(self, phone: Api) -> Any:
        """Return a row of the phone and one of its twin for each of PAGES."""
        product = phone.product()
        portion = phone.portion(product)
        phone.entry(product_id=product["id"], portion_id=portion["id"])
        phone.goal()
        another = twin(phone)
        assert phone.device is not None
        assert another.device is not None
        found = {}
        for page, model in zip(self.PAGES, (Product, Portion, FoodEntry, Goal), strict=True):
            mine, theirs = (
                model.all_objects.for_device(each.device).latest("created_at")
                for each in (phone, another)
            )
            assert mine.pk == theirs.pk
            found[page] = mine, theirs
        return found

    @pytest.mark.parametrize("page", PAGES)
    def test_a_row_is_found_corrected_and_remembered_by_device_and_id(
        self, rows: Any, page: str
    ) -> None:
        mine, theirs = rows[page]
        client = operator()
        list_page = client.get(f"/admin/{page}/").content.decode()
        for row in (mine, theirs):
            assert f'href="{change_url(row)}"' in list_page
            assert f'value="{name_of(row)}"' in list_page
            shown = client.get(change_url(row)).content.decode()
            assert str(row.device_id)[:13] in shown
            assert change_url(row).replace("/change/", "/history/") in shown
        act(client, f"/admin/{page}/", "soft_delete", mine, **CONFIRMED)
        mine.refresh_from_db(), theirs.refresh_from_db()
        assert (mine.deleted_at is None, theirs.deleted_at) == (False, None)
        assert logged().get().object_id == name_of(mine)
        log = client.get("/admin/admin/logentry/").content.decode()
        assert "Soft-deleted: spam." in log
        for row, is_in in ((mine, True), (theirs, False)):
            history = client.get(change_url(row).replace("/change/", "/history/")).content.decode()
            assert ("Soft-deleted: spam." in history) is is_in
            assert change_url(row) in history

    def test_a_correction_changes_one(self, rows: Any) -> None:
        mine, theirs = rows["products/product"]
        form = {"name": "Turkey", "kcal_100g": "1"}
        assert operator().post(change_url(mine), form).status_code == 302
        mine.refresh_from_db(), theirs.refresh_from_db()
        assert (mine.name, theirs.name) == ("Turkey", "Chicken Breast")
        assert logged().get().object_id == name_of(mine)

    def test_a_hard_delete_confirms_and_removes_one(self, rows: Any) -> None:
        mine, theirs = rows["entries/foodentry"]
        mine.delete(), theirs.delete()
        page, client = "/admin/entries/foodentry/", operator()
        confirm = act(client, page, "hard_delete", mine).content.decode()
        assert f'value="{name_of(mine)}"' in confirm
        assert name_of(theirs) not in confirm
        act(client, page, "hard_delete", mine, **CONFIRMED)
        assert list(FoodEntry.all_objects.across_devices()) == [theirs]

    def test_all_of_a_list_are_chosen_at_once(self, rows: Any) -> None:
        page = "/admin/entries/foodentry/"
        row = rows["entries/foodentry"][0]
        act(operator(), page, "soft_delete", row, select_across="1", **CONFIRMED)
        assert not FoodEntry.objects.across_devices().exists()
        assert logged().count() == 2

    def test_a_row_links_to_what_it_names_of_its_own_device(self, rows: Any) -> None:
        for number, entry in enumerate(rows["entries/foodentry"]):
            shown = operator_again().get(change_url(entry)).content.decode()
            for page in ("products/product", "products/portion"):
                named = rows[page][number]
                assert f'href="{change_url(named)}"' in shown
                assert change_url(rows[page][1 - number]) not in shown

    @pytest.mark.parametrize("name", ["{id}", "x~{id}", "{id}~x", "{id}~{id}", "~", "{id}~{id}~"])
    def test_what_names_no_row_finds_none(self, rows: Any, name: str) -> None:
        row, _ = rows["products/product"]
        name = name.format(id=row.pk)
        client = operator()
        assert client.get(f"{PRODUCTS}{name}/change/").status_code == 302
        assert client.get(f"{PRODUCTS}{name}/history/").status_code == 302
        sent = {"action": "soft_delete", "_selected_action": [name], **CONFIRMED}
        client.post(PRODUCTS, sent, follow=True)
        assert Product.objects.across_devices().count() == 2

    def test_moderation_takes_a_batch_by_device_and_id(
        self, rows: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(moderation, "BATCH", 1)
        monkeypatch.setattr(moderation, "MAX_ROWS", 1)
        assert moderated().names("chicken")[0]["rows"] == 2
        user = User.objects.create_user("moderator")
        assert moderated().soft_delete_names(["chicken breast"], "spam", user.pk) == (1, 1)
        assert Product.objects.across_devices().count() == 1
        assert Portion.objects.across_devices().count() == 2
        left = Product.objects.across_devices().get()
        assert logged().get().object_id != name_of(left)
        assert moderated().soft_delete_names(["chicken breast"], "spam", user.pk) == (1, 0)
