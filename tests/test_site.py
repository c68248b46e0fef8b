"""The operators' site as a whole: sidebar, search, log, accounts, dashboard, errors."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from catalog.models import Report
from countonme import dashboard
from countonme.operators.names import change_url
from countonme.operators.site import GROUPS
from devices.models import Device, MaintenanceRun
from entries.models import FoodEntry
from products.models import Portion, Product
from tests.helpers.api import Api, new_phone
from tests.helpers.catalog import new_food
from tests.helpers.operators import CONFIRMED, DEVICES, PRODUCTS, act, operator
from tests.helpers.phones import device_of

LOG = "/admin/admin/logentry/"
USERS = "/admin/auth/user/"
PASSWORDS = {"password1": "wq7-Xk2p-91z", "password2": "wq7-Xk2p-91z", "usable_password": "true"}


def sidebar(client: Client) -> dict[str, list[str]]:
    """Return the titles of what the sidebar links to, by group."""
    groups: Any = client.get("/admin/").context["sidebar_navigation"]
    return {group["title"]: [item["title"] for item in group["items"]] for group in groups}


class TestSidebar:
    def test_it_works(self, db: None) -> None:
        shown = sidebar(operator())
        assert tuple(shown) == GROUPS
        assert shown["Overview"] == ["Dashboard", "Who did what", "Maintenance"]
        assert shown["Operators"] == ["Roles", "Operators"]
        assert {"Devices", "Products", "Food entries", "Goals"} <= set(shown["Diaries"])
        assert set(shown["Catalog"]) == {"Foods", "Sources", "Corrections", "Reports"}

    def test_every_list_is_in_it_with_an_icon(self, db: None) -> None:
        client = operator()
        listed = [title for titles in sidebar(client).values() for title in titles]
        registered = [model for model in apps.get_models() if admin.site.is_registered(model)]
        assert len(listed) == len(registered) + 1
        groups: Any = client.get("/admin/").context["sidebar_navigation"]
        assert all(item["icon"] for group in groups for item in group["items"])

    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_it_has_what_the_operator_may_see(self, db: None, role: str) -> None:
        shown = sidebar(operator(role))
        assert shown["Operators"] == []
        assert "Devices" in shown["Diaries"]


class TestSearch:
    def search(self, client: Client, term: str) -> str:
        response = client.get("/admin/search/", {"s": term})
        assert response.status_code == 200
        return str(response.content.decode())

    def test_it_finds_a_device_by_the_start_of_its_id(self, phone: Api) -> None:
        device = device_of(phone)
        found = self.search(operator(), str(device.pk)[:8].upper())
        assert f'href="{change_url(device)}"' in found

    def test_it_finds_a_product_by_its_name(self, phone: Api) -> None:
        phone.product(name="Crème fraîche")
        found = self.search(operator(), "CREME")
        assert f'href="{change_url(Product._base_manager.get())}"' in found

    def test_it_finds_a_list(self, db: None) -> None:
        assert f'href="{DEVICES}"' in self.search(operator(), "devi")

    def test_it_finds_nothing_that_the_operator_may_not_see(self, db: None) -> None:
        assert USERS in self.search(operator(), "operators")
        assert USERS not in self.search(operator("Support"), "operators")

    def test_what_it_found_is_kept_nowhere(self, phone: Api) -> None:
        phone.product(name="Muesli")
        client = operator()
        assert "Muesli" in self.search(client, "muesli")
        Product._base_manager.update(name_folded="porridge", name_words=" porridge")
        assert "Muesli" not in self.search(client, "muesli")

    def test_it_asks_no_list_whose_rows_it_does_not_show(self, phone: Api) -> None:
        foods = "catalog.admin.FoodAdmin.get_search_results"
        with mock.patch(foods, side_effect=AssertionError("asked")):
            self.search(operator(), "chicken")

    def test_one_letter_is_no_search(self, phone: Api) -> None:
        phone.product()
        assert self.search(operator(), "c") == ""

    def test_strangers_find_nothing(self, db: None) -> None:
        assert Client().get("/admin/search/", {"s": "devi"}).status_code == 302


class TestLog:
    """Who did what."""

    def log(self, client: Client, query: str = "") -> str:
        return str(client.get(f"{LOG}{query}").content.decode())

    def test_it_says_who_did_what_to_what(self, phone: Api) -> None:
        phone.product(name="Muesli")
        product, client = Product._base_manager.get(), operator()
        act(client, PRODUCTS, "soft_delete", product, **CONFIRMED)
        page = self.log(client)
        assert "Superuser" in page
        assert "Soft-deleted: spam." in page
        assert f'href="{change_url(product)}">Muesli<' in page
        assert "repr" not in page.lower()

    def test_what_is_deleted_for_ever_has_no_link(self, phone: Api) -> None:
        phone.delete(f"/v1/products/{phone.product(name='Muesli')['id']}")
        product, client = Product._base_manager.get(), operator()
        act(client, PRODUCTS, "hard_delete", product, **CONFIRMED)
        page = self.log(client)
        assert "Muesli" in page
        assert change_url(product) not in page

    def test_sign_ins_and_sign_outs_are_in_it(self, db: None) -> None:
        User.objects.create_superuser("operator", password="right")
        client = Client(REMOTE_ADDR="203.0.113.7")
        client.post("/admin/login/", {"username": "operator", "password": "right"})
        client.post("/admin/logout/")
        messages = list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))
        assert messages == ["Signed in from 203.0.113.7.", "Signed out."]
        assert "Signed in from 203.0.113.7." in self.log(operator())

    def test_what_django_logs_as_json_is_in_words(self, db: None) -> None:
        client = operator()
        client.post(f"{USERS}add/", {"username": "new", "role": "Moderator", **PASSWORDS})
        page = self.log(client)
        assert "Added." in page
        assert "[{" not in page

    def test_it_is_filtered_by_operator(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "block", device_of(phone), **CONFIRMED)
        other = User.objects.create_superuser("other")
        mine = User.objects.get(username="Superuser")
        assert "Blocked: spam." in self.log(client, f"?of={mine.pk}")
        assert "Blocked: spam." not in self.log(client, f"?of={other.pk}")
        assert f'href="{LOG}?of={mine.pk}"' in client.get(USERS).content.decode()

    @pytest.mark.parametrize("query", ["?of=x", "?of=99999999999999999999", "?to=x", "?to=x.y"])
    def test_what_names_no_filter_is_no_error(self, db: None, query: str) -> None:
        assert operator().get(f"{LOG}{query}").status_code == 200

    def test_it_is_read_only(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "block", device_of(phone), **CONFIRMED)
        entry = LogEntry.objects.get(change_message="Blocked: spam.")
        assert client.get(f"{LOG}{entry.pk}/change/").status_code == 200
        assert client.post(f"{LOG}{entry.pk}/change/", {}).status_code == 403
        assert client.post(f"{LOG}{entry.pk}/delete/", {"post": "yes"}).status_code == 403


class TestHistory:
    def test_it_says_when_who_what(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "block", device_of(phone), **CONFIRMED)
        url = change_url(device_of(phone)).replace("/change/", "/history/")
        page = client.get(url).content.decode()
        for text in ("When", "Who", "What", "Superuser", "Blocked: spam."):
            assert f">{text}<" in page


class TestAccounts:
    """Operators' accounts: a role is one field."""

    def make(self, client: Client, **values: str) -> User:
        response = client.post(f"{USERS}add/", {"username": "new", **PASSWORDS, **values})
        assert response.status_code == 302, response.content.decode()
        return User.objects.get(username="new")

    def change(self, client: Client, user: User, **values: str) -> Any:
        sent = {"username": user.username, "is_active": "on", **values}
        return client.post(f"{USERS}{user.pk}/change/", sent)

    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_one_is_made_with_a_role(self, db: None, role: str) -> None:
        superuser = operator()
        assert f'<option value="{role}">' in superuser.get(f"{USERS}add/").content.decode()
        user = self.make(superuser, role=role)
        assert (user.is_staff, user.is_superuser) == (True, False)
        assert [group.name for group in user.groups.all()] == [role]
        client = Client()
        sent = {"username": "new", "password": PASSWORDS["password1"]}
        client.post("/admin/login/", sent)
        assert client.get(DEVICES).status_code == 200

    def test_a_superuser_is_a_role_too(self, db: None) -> None:
        user = self.make(operator(), role="Superuser")
        assert (user.is_staff, user.is_superuser) == (True, True)

    def test_without_a_role_nobody_signs_in(self, db: None) -> None:
        assert not self.make(operator()).is_staff

    def test_a_role_is_changed_and_taken(self, db: None) -> None:
        client = operator()
        user = self.make(client, role="Moderator")
        assert self.change(client, user, role="Support").status_code == 302
        assert [group.name for group in user.groups.all()] == ["Support"]
        assert self.change(client, user, role="").status_code == 302
        user.refresh_from_db()
        assert not user.is_staff
        assert not user.groups.exists()

    def test_who_has_no_role_cannot_sign_in_once_that_is_saved(self, db: None) -> None:
        user = User.objects.create_user("new", is_staff=True)
        assert self.change(operator(), user, role="").status_code == 302
        user.refresh_from_db()
        assert not user.is_staff

    def test_several_groups_stay_unless_another_role_is_chosen(self, db: None) -> None:
        client = operator()
        user = self.make(client, role="Moderator")
        user.groups.set(Group.objects.all())
        form = client.get(f"{USERS}{user.pk}/change/").context["adminform"].form
        assert form["role"].value() == "Moderator, Support"
        self.change(client, user, role="Moderator, Support")
        assert user.groups.count() == 2

    @pytest.mark.parametrize(
        "values", [{"role": "Support"}, {"role": "Superuser", "is_active": ""}]
    )
    def test_the_last_superuser_stays_one(self, db: None, values: dict[str, str]) -> None:
        client = operator()
        user = User.objects.get()
        response = self.change(client, user, **values)
        assert "make a superuser first" in response.content.decode()
        user.refresh_from_db()
        assert (user.is_superuser, user.is_active) == (True, True)
        User.objects.create_superuser("second")
        assert self.change(client, user, **values).status_code == 302

    def test_an_account_stays_because_the_log_names_it(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "block", device_of(phone), **CONFIRMED)
        user = User.objects.get()
        assert "delete/" not in client.get(f"{USERS}{user.pk}/change/").content.decode()
        assert client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}).status_code == 403
        sent = {"action": "delete_selected", "_selected_action": [str(user.pk)], "post": "yes"}
        client.post(USERS, sent)
        assert LogEntry.objects.filter(user=user, change_message="Blocked: spam.").exists()


class TestErrors:
    """Error pages say what happened, and lead back."""

    def page(self, response: Any, status: int) -> str:
        assert response.status_code == status
        assert response["Content-Type"].startswith("text/html")
        return str(response.content.decode())

    def test_not_found(self, db: None) -> None:
        page = self.page(operator().get("/admin/nothing/"), 404)
        assert 'href="/admin/"' in page

    def test_not_allowed(self, db: None) -> None:
        page = self.page(operator("Support").get(USERS), 403)
        assert "Your role does not allow this" in page
        assert 'href="/admin/"' in page

    def test_a_paused_login(self, db: None) -> None:
        client = Client()
        for _ in range(6):
            response = client.post("/admin/login/", {"username": "x", "password": "wrong"})
        assert 'href="/admin/"' in self.page(response, 429)

    def test_a_form_that_is_too_old(self, db: None) -> None:
        client = Client(enforce_csrf_checks=True)
        page = self.page(client.post("/admin/login/", {"username": "x", "password": "x"}), 403)
        assert "too old" in page
        assert 'href="/admin/"' in page

    @pytest.mark.parametrize(("error", "status"), [(OperationalError, 503), (ValueError, 500)])
    def test_what_went_wrong(self, db: None, error: type[Exception], status: int) -> None:
        client = operator()
        client.raise_request_exception = False
        with mock.patch.object(dashboard, "dashboard", side_effect=error):
            response = client.get("/admin/")
        assert 'href="/admin/"' in self.page(response, status)
        assert ("Retry-After" in response.headers) is (status == 503)


class TestDashboard:
    def waiting(self) -> dict[str, dashboard.Figure]:
        return {figure.label: figure for figure in dashboard.waiting_figures(timezone.now())}

    def test_it_says_what_needs_somebody(self, phone: Api) -> None:
        assert not self.waiting()["Open reports"].needs
        food = new_food()
        Report.objects.create(food=food, reason="other")
        device_of(phone).block("spam")
        shown = self.waiting()
        assert shown["Open reports"][1::3] == ("1", True)
        assert shown["Blocked in 7 days"].needs
        with time_machine.travel(timezone.now() + timedelta(days=8), tick=False):
            assert not self.waiting()["Blocked in 7 days"].needs

    @pytest.mark.parametrize(
        ("command", "label", "days"),
        [
            ("purge_deleted", "Last purge", 8),
            ("check_integrity", "Last integrity check", 8),
            ("check_backup", "Last backup check", 35),
        ],
    )
    def test_it_says_when_maintenance_is_due(
        self, db: None, command: str, label: str, days: int
    ) -> None:
        assert self.waiting()[label][1::3] == ("Never", True)
        MaintenanceRun.note(command, "Done.")
        shown = self.waiting()[label]
        assert (shown.note, shown.needs) == ("Done.", False)
        with time_machine.travel(timezone.now() + timedelta(days=days, hours=1), tick=False):
            assert self.waiting()[label].needs

    def test_it_shows_the_last_acts(self, phone: Api) -> None:
        client = operator()
        act(client, DEVICES, "block", device_of(phone), **CONFIRMED)
        page = client.get("/admin/").content.decode()
        assert "Blocked: spam." in page
        assert f'href="{change_url(device_of(phone))}"' in page


class TestMaintenance:
    """Commands note when they came to their end."""

    def test_a_purge_is_noted_with_what_it_removed(self, phone: Api) -> None:
        phone.delete(f"/v1/products/{phone.product()['id']}")
        call_command("purge_deleted", "--older-than", "0d", "--dry-run")
        assert not MaintenanceRun.objects.exists()
        call_command("purge_deleted", "--older-than", "0d")
        assert "1 products" in MaintenanceRun.objects.get().said

    def test_an_integrity_check_is_noted(self, db: None) -> None:
        call_command("check_integrity")
        assert MaintenanceRun.objects.get().said == "Every rule holds."

    def test_its_list_is_read_only(self, db: None) -> None:
        MaintenanceRun.note("purge_deleted", "Rows removed: none.")
        client = operator("Support")
        assert (
            "Rows removed: none." in client.get("/admin/devices/maintenancerun/").content.decode()
        )
        url = "/admin/devices/maintenancerun/purge_deleted/change/"
        assert client.post(url, {"said": "x"}).status_code == 403


@pytest.mark.parametrize("model", [Device, Product, Portion, FoodEntry])
def test_a_list_of_fifty_rows_is_small_and_none_is_ticked(db: None, model: Any) -> None:
    phone = new_phone()
    for number in range(50):
        product = phone.product(name=f"Product with a name of some length {number}")
        phone.entry(product_id=product["id"], grams=10)
        if model is Device:
            new_phone()
    url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    page = operator().get(url).content
    rows = len(re.findall(rb'name="_selected_action"', page))
    assert rows == 50
    assert not re.search(rb"<input[^>]* checked", page)
    assert len(page) < 120_000


def test_a_page_of_a_row_is_titled_by_the_row(phone: Api) -> None:
    phone.product(name="Crème & fraîche")
    page = operator().get(change_url(Product._base_manager.get())).content.decode()
    assert escape("Crème & fraîche") in page
