"""Roles, actions on devices, moderation, the dashboard, the log and the pause of logins."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from countonme.operators import moderation
from countonme.operators.names import change_url, name_of
from devices import dashboard
from devices.models import Device, Phone
from entries.models import FoodEntry
from goals.models import Goal
from products.models import Portion, Product
from tests.helpers.api import Api, new_phone, twin
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

DEVICES = "/admin/devices/device/"
PRODUCTS = "/admin/products/product/"
MODERATION = "/admin/products/product/moderation/"
CONFIRMED = {"confirmed": "yes", "reason": "spam"}


def operator(role: str = "") -> Client:
    """Return a client signed in with a role, or as a superuser."""
    name = role or "Superuser"
    user = User.objects.create_user(name, is_staff=True, is_superuser=not role)
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def operator_again() -> Client:
    User.objects.filter(username="Superuser").delete()
    return operator()


def act(client: Client, page: str, action: str, row: Any, **values: str) -> Any:
    sent = {"action": action, "_selected_action": [name_of(row)], **values}
    return client.post(page, sent, follow=True)


class TestDevices:
    def test_it_works(self, phone: Api) -> None:
        client = operator()
        page = act(client, DEVICES, "block", device_of(phone)).content.decode()
        assert str(device_of(phone)) in page
        assert device_of(phone).blocked_at is None
        act(client, DEVICES, "block", device_of(phone), confirmed="yes", reason="spam")
        assert device_of(phone).blocked_reason == "spam"
        assert phone.get("/v1/products").status_code == 401
        assert LogEntry.objects.get().change_message == "Blocked: spam."

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
        assert LogEntry.objects.get().change_message == "Phones signed out: stolen."

    def test_erasing_asks_first(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "erase", device_of(phone))
        act(client, DEVICES, "erase", device_of(phone), confirmed="yes")
        assert device_of(phone).erased_at is None
        act(client, DEVICES, "erase", device_of(phone), confirmed="yes", reason="asked to")
        assert device_of(phone).erased_at is not None
        assert LogEntry.objects.get().change_message == "Erased: asked to."

    def test_an_export_is_a_file_without_secrets(self, phone: Api) -> None:
        product = phone.product()
        response = act(operator(), DEVICES, "export", device_of(phone))
        assert response["Content-Disposition"].startswith("attachment")
        assert response.json()["rows"]["products"][0]["id"] == product["id"]
        assert "token" not in response.content.decode()
        assert LogEntry.objects.get().change_message == "Exported."

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


class TestActsOfAPage:
    """The acts of a list on the page of one of its rows."""

    def test_a_device_is_blocked_and_unblocked_on_its_page(self, phone: Api) -> None:
        page = f"{DEVICES}{device_of(phone).pk}/change/"
        client = operator("Moderator")
        shown = client.get(page).content.decode()
        assert offered(shown) == ["block"]
        url = f"{DEVICES}?q={device_of(phone).pk}"
        assert f'action="{url}"' in shown
        sent = {"from_page": name_of(device_of(phone))}
        asked = act(client, url, "block", device_of(phone), **sent).content.decode()
        assert f'href="{page}">Cancel' in asked
        assert 'name="from_page"' in asked
        answer = act(client, url, "block", device_of(phone), **sent, **CONFIRMED)
        assert answer.redirect_chain == [(page, 302)]
        assert offered(answer.content.decode()) == ["unblock"]
        assert "Blocked" in answer.content.decode()

    def test_a_products_page_counts_deletes_and_restores(self, phone: Api) -> None:
        product = phone.product()
        phone.entry(product_id=product["id"], grams=10)
        row, client = Product._base_manager.get(), operator()
        shown = client.get(change_url(row)).content.decode()
        assert offered(shown) == ["soft_delete"]
        links = {
            "1 portion": "/admin/products/portion/",
            "1 food entry": "/admin/entries/foodentry/",
        }
        for text, page in links.items():
            url = f"{page}?deleted=no&of={row.device_id}&names={row.pk}"
            assert f'href="{escape(url)}">{text}<' in shown
            assert "1 result" in client.get(url).content.decode()
        url, sent = f"{PRODUCTS}?of={row.device_id}", {"from_page": name_of(row)}
        answer = act(client, url, "soft_delete", row, **sent, **CONFIRMED)
        assert answer.redirect_chain == [(change_url(row), 302)]
        assert offered(answer.content.decode()) == ["restore", "hard_delete"]
        act(client, url, "restore", row, **sent)
        assert Product.objects.across_devices().exists()

    def test_what_is_gone_leads_to_the_list(self, phone: Api) -> None:
        phone.delete(f"/v1/products/{phone.product()['id']}")
        row, url = Product._base_manager.get(), PRODUCTS
        answer = act(operator(), url, "hard_delete", row, from_page=name_of(row), **CONFIRMED)
        assert [url for url, _ in answer.redirect_chain] == [PRODUCTS]

    def test_who_may_nothing_is_offered_nothing(self, phone: Api) -> None:
        phone.product()
        row = Product._base_manager.get()
        assert offered(operator("Support").get(change_url(row)).content.decode()) == []


def offered(page: str) -> list[str]:
    """Return the acts that a row's page offers."""
    return re.findall(r'name="action" value="(\w+)"', page)


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
        assert LogEntry.objects.get().change_message == f"Phone signed out: {id_of(second)}: spam."

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
        entry = LogEntry.objects.get()
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
        assert LogEntry.objects.exists() is may
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
    def test_a_superuser_makes_an_operator_with_a_role(self, db: None) -> None:
        client = operator()
        sent = {"username": "new", "password1": "wq7-Xk2p-91z", "password2": "wq7-Xk2p-91z"}
        response = client.post("/admin/auth/user/add/", sent | {"usable_password": "true"})
        assert response.status_code == 302
        user = User.objects.get(username="new")
        page = client.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
        assert "Moderator" in page
        assert "wq7-Xk2p-91z" not in page

    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_no_role_sees_users(self, db: None, role: str) -> None:
        assert operator(role).get("/admin/auth/user/").status_code == 403


class TestDeletingForEver:
    def test_it_names_what_goes_along_and_asks(self, phone: Api) -> None:
        product = phone.product()
        phone.portion(product, name="1 fillet")
        phone.delete(f"/v1/products/{product['id']}")
        row, client = Product._base_manager.get(), operator()
        page = act(client, PRODUCTS, "hard_delete", row).content.decode()
        assert "Chicken Breast" in page
        assert "Delete 1 product for ever?" in page
        assert "2 portions" in page
        assert "for ever: nothing brings it back" in page
        assert Product._base_manager.exists()
        act(client, PRODUCTS, "hard_delete", row, **CONFIRMED)
        assert not Product._base_manager.exists()
        assert not Portion._base_manager.exists()

    def test_a_live_row_is_passed_over(self, phone: Api) -> None:
        phone.product()
        row = Product._base_manager.get()
        page = act(operator(), PRODUCTS, "hard_delete", row, **CONFIRMED).content.decode()
        assert "Nothing was done. Only what is soft-deleted can be deleted for ever." in page
        assert "Deleted for ever" not in page
        assert Product._base_manager.exists()

    def test_what_the_diary_names_is_refused_with_a_sentence(self, phone: Api) -> None:
        product = phone.product()
        phone.entry(product_id=product["id"], grams=10)
        phone.delete(f"/v1/products/{product['id']}")
        row = Product._base_manager.get()
        client = operator()
        asked = act(client, PRODUCTS, "hard_delete", row).content.decode()
        url = f"/admin/entries/foodentry/?of={row.device_id}&names={row.pk}"
        assert f'href="{escape(url)}">1 food entry names it</a>' in asked
        assert "Reason" not in asked
        assert "Chicken Breast" in client.get(url).content.decode()
        page = act(client, PRODUCTS, "hard_delete", row, **CONFIRMED).content.decode()
        assert "Deleted for ever" not in page
        assert "Another row still refers to it" in page
        assert Product._base_manager.exists()

    def test_the_number_of_several_is_typed(self, phone: Api) -> None:
        names = [name_of(self.deleted(phone)) for _ in range(2)]
        client = operator()
        sent = {"action": "hard_delete", "_selected_action": names, **CONFIRMED}
        for typed in ({}, {"typed": "3"}):
            page = client.post(PRODUCTS, sent | typed, follow=True).content.decode()
            assert "Type 2 to go on." in page
            assert "2 products" in page
        assert Product._base_manager.count() == 2
        page = client.post(PRODUCTS, sent | {"typed": "2"}, follow=True).content.decode()
        assert "Deleted for ever: 2 products." in page
        page = client.post(PRODUCTS, sent | {"typed": "2"}, follow=True).content.decode()
        assert "Deleted for ever" not in page

    def test_what_can_not_go_is_left_out_of_the_rest(self, phone: Api) -> None:
        named = phone.product(name="Named")
        phone.entry(product_id=named["id"], grams=10)
        phone.delete(f"/v1/products/{named['id']}")
        free, kept = self.deleted(phone), Product._base_manager.get(pk=named["id"])
        sent = {"action": "hard_delete", "_selected_action": [name_of(free), name_of(kept)]}
        page = operator().post(PRODUCTS, sent).content.decode()
        assert "Delete 1 product for ever?" in page
        assert f'value="{name_of(free)}"' in page
        assert f'value="{name_of(kept)}"' not in page
        assert "1 food entry names it" in page

    def deleted(self, phone: Api) -> Product:
        product = phone.product()
        phone.delete(f"/v1/products/{product['id']}")
        return Product._base_manager.get(pk=product["id"])


def moderated(model: Any = Product) -> Any:
    """Return the pages on which rows of a model are moderated."""
    return admin.site.get_model_admin(model)


def found(pattern: str, model: Any = Product) -> list[str]:
    return [row["name"] for row in moderated(model).names(pattern)]


class TestModeration:
    def test_it_works(self, phone: Api, other: Api) -> None:
        for one in (phone, other):
            one.product(name="Búy Pills")
            one.product(name="Rice")
        client = operator("Moderator")
        page = client.get(MODERATION, {"pattern": "buy*pil"}).content.decode()
        assert "Búy Pills" in page
        assert "Rice" not in page
        assert " checked" not in page.partition('id="moderation"')[2].partition("</form>")[0]
        sent = {"pattern": "buy*pil", "name": ["buy pills"]}
        asked = client.post(MODERATION, sent).content.decode()
        assert "Soft-delete 2 products?" in asked
        assert "of 2 devices" in asked
        assert Product.objects.across_devices().count() == 4
        client.post(MODERATION, sent | CONFIRMED)
        assert {row["name"] for row in phone.get("/v1/products").json()} == {"Rice"}
        messages = LogEntry.objects.values_list("change_message", flat=True)
        assert list(messages) == ["Soft-deleted by moderation: spam."] * 2

    def test_it_needs_a_reason_and_a_name(self, phone: Api) -> None:
        phone.product(name="Spam")
        client, sent = operator(), {"pattern": "spam", "confirmed": "yes", "name": ["spam"]}
        assert "Say why." in client.post(MODERATION, sent | {"reason": " "}).content.decode()
        sent |= {"name": [], "reason": "spam"}
        assert "tick a name first" in client.post(MODERATION, sent, follow=True).content.decode()
        assert Product.objects.across_devices().exists()

    def test_an_act_is_undone_as_far_as_nothing_changed_since(
        self, phone: Api, other: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(moderation, "BATCH", 2)
        gone, *spam = [one.product(name="Spam") for one in (phone, phone, other, phone)]
        phone.delete(f"/v1/products/{gone['id']}")
        client, sent = operator("Moderator"), {"pattern": "spam", "name": ["spam"], **CONFIRMED}
        page = client.post(MODERATION, sent, follow=True).content.decode()
        assert "Soft-deleted: 3 products." in page
        assert "Restore these (3)" in page
        first = Product._base_manager.get(pk=spam[0]["id"])
        first.restore()
        first.delete()
        again = re.search(r'name="restore" value="([^"]+)"', page)
        assert again
        page = client.post(MODERATION, {"restore": again[1]}, follow=True).content.decode()
        assert "Restored: 2 products." in page
        assert "Nothing of it is deleted any more." in page
        live = {str(pk) for pk in Product.objects.across_devices().values_list("pk", flat=True)}
        assert live == {each["id"] for each in spam[1:]}
        assert Portion.objects.across_devices().count() == 2
        page = client.post(MODERATION, {"restore": again[1]}, follow=True).content.decode()
        assert "Nothing was left to do." in page
        assert client.post(MODERATION, {"restore": "x"}, follow=True).status_code == 200

    def test_typed_entries_are_moderated_and_those_of_products_are_not(self, phone: Api) -> None:
        product = phone.product(name="Spám")
        phone.entry(product_id=product["id"], grams=10)
        phone.entry(name="Spám", kcal=1)
        page = "/admin/entries/foodentry/moderation/"
        assert found("spam", FoodEntry) == ["Spám"]
        sent = {"pattern": "spam", "name": ["spam"], **CONFIRMED}
        shown = operator("Moderator").post(page, sent, follow=True).content.decode()
        assert "Soft-deleted: 1 food entry." in shown
        assert FoodEntry.objects.across_devices().get().product is not None

    def test_a_products_only_portion_stays_and_that_is_said_before(self, phone: Api) -> None:
        phone.portion(phone.product(), name="Spam")
        only = phone.product()
        phone.portion(only, name="Spam")
        first = Portion._base_manager.get(product_id=only["id"], is_default=True)
        phone.delete(f"/v1/portions/{first.pk}")
        client, page = operator("Moderator"), "/admin/products/portion/moderation/"
        sent = {"pattern": "spam", "name": ["spam"]}
        asked = client.post(page, sent).content.decode()
        assert "Soft-delete 1 portion?" in asked
        assert "A product keeps at least one portion." in asked
        shown = client.post(page, sent | CONFIRMED, follow=True).content.decode()
        assert "Soft-deleted: 1 portion." in shown
        assert Portion.objects.across_devices().filter(name="Spam").count() == 1
        asked = client.post(page, sent).content.decode()
        assert "This can’t be done" in asked

    def test_it_counts_and_links(self, phone: Api, other: Api) -> None:
        for one in (phone, phone, other):
            one.product(name="Spam")
        only = Product._base_manager.get(pk=phone.product(name="Spam 2")["id"])
        assert moderated().names("spam") == [
            {
                "name_folded": "spam",
                "name": "Spam",
                "devices": 2,
                "rows": 3,
                "url": f"{PRODUCTS}?deleted=no&q=Spam",
            },
            {
                "name_folded": "spam 2",
                "name": "Spam 2",
                "devices": 1,
                "rows": 1,
                "url": change_url(only),
            },
        ]

    def test_a_pattern_is_no_regular_expression(self, phone: Api) -> None:
        phone.product(name="a+b (c)")
        phone.product(name="aab")
        assert found("A+B (") == ["a+b (c)"]

    def test_it_also_finds_what_a_search_finds(self, phone: Api) -> None:
        phone.product(name="S-p-a-m")
        phone.product(name="Kellogg\u2019s")
        assert found("spam") == ["S-p-a-m"]
        assert found("kelloggs") == ["Kellogg\u2019s"]
        assert found("ellogg's") == ["Kellogg\u2019s"]
        assert found("sp*m") == ["S-p-a-m"]
        assert found("am*sp") == []
        phone.product(name="Fizzy Cola")
        assert found("cola-fizzy") == ["Fizzy Cola"]

    def test_white_space_in_a_pattern_is_one_blank(self, phone: Api) -> None:
        phone.product(name="buy pills")
        assert "buy pills" in operator_page("uy\u00a0\u2003pil")

    def test_control_characters_in_a_pattern_are_refused(self, phone: Api) -> None:
        phone.product(name="Spam")
        for pattern in ("\0", "spam\0", "spam\x1c"):
            page = operator_page(pattern)
            assert "Control characters are not allowed." in page
            assert "Spam" not in page

    def test_an_act_is_bounded_and_says_what_is_left(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(moderation, "BATCH", 2)
        monkeypatch.setattr(moderation, "MAX_ROWS", 4)
        for _ in range(5):
            phone.product(name="Spam")
        client, sent = operator(), {"pattern": "spam", "name": ["spam"]}
        asked = client.post(MODERATION, sent).content.decode()
        assert "Soft-delete 4 products?" in asked
        assert "At most 4 are taken at a time." in asked
        page = client.post(MODERATION, sent | CONFIRMED, follow=True).content.decode()
        assert "Soft-deleted: 4 products. 1 are left: do it again." in page

    def test_without_a_pattern_it_finds_nothing(self, phone: Api) -> None:
        phone.product(name="Spam")
        for pattern in ("", " ", "*"):
            page = operator_page(pattern)
            assert "Spam" not in page


def operator_page(pattern: str) -> str:
    return operator_again().get(MODERATION, {"pattern": pattern}).content.decode()


class TestDashboard:
    def test_it_works(self, phone: Api, other: Api) -> None:
        product = phone.product()
        phone.entry(product_id=product["id"], grams=10)
        phone.delete(f"/v1/products/{product['id']}")
        sections = dashboard.dashboard(timezone.now())["sections"]
        shown = {figure.label: figure.value for figures in sections.values() for figure in figures}
        assert shown["Devices"] == "2"
        assert shown["Seen today"] == "2"
        assert shown["Products"] == "0"
        assert shown["Food entries"] == "1"
        assert shown["Deleted products"] == "1"
        assert shown["Oldest unpurged"] == f"{timezone.now():%Y-%m-%d}"

    def test_a_device_is_seen_once_however_many_phones_called(self, phone: Api) -> None:
        another_phone(phone)
        sections = dashboard.dashboard(timezone.now())["sections"]
        shown = {figure.label: figure.value for figure in sections["Devices"]}
        assert (shown["Devices"], shown["Seen today"]) == ("1", "1")

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
        figures = dashboard.waiting_figures()
        assert figures[-1][:2] == ("Throttled registrations today", "2")

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
        assert LogEntry.objects.get().object_id == name_of(mine)
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
        assert LogEntry.objects.get().object_id == name_of(mine)

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
        assert LogEntry.objects.count() == 2

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
        assert LogEntry.objects.get().object_id != name_of(left)
        assert moderated().soft_delete_names(["chicken breast"], "spam", user.pk) == (1, 0)
