"""Acts of operators: what they say before, what they need, and where they lead."""

from __future__ import annotations

import re

import pytest
from django.utils.html import escape

from countonme.operators import acts
from countonme.operators.names import change_url, name_of
from products.models import Portion, Product
from tests.helpers.api import Api
from tests.helpers.operators import CONFIRMED, DEVICES, PRODUCTS, act, operator
from tests.helpers.phones import device_of


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
            assert "1 found" in client.get(url).content.decode()
        url, sent = f"{PRODUCTS}?of={row.device_id}", {"from_page": name_of(row)}
        answer = act(client, url, "soft_delete", row, **sent, **CONFIRMED)
        assert answer.redirect_chain == [(change_url(row), 302)]
        assert offered(answer.content.decode()) == ["restore", "hard_delete"]
        act(client, url, "restore", row, **sent)
        assert Product.objects.across_devices().exists()

    def test_an_act_says_when_more_were_chosen_than_it_takes(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acts, "MAX_SELECTED", 2)
        for number in range(3):
            phone.product(name=f"Spam {number}")
        row, client = Product._base_manager.order_by("name").first(), operator()
        asked = act(client, PRODUCTS, "soft_delete", row, select_across="1").content.decode()
        assert "Soft-delete 2 products?" in asked
        assert "At most 2 are taken at a time." in asked
        asked = act(client, f"{PRODUCTS}?q=spam+0", "soft_delete", row).content.decode()
        assert "are taken at a time" not in asked
        two = {"_selected_action": [name_of(each) for each in Product._base_manager.all()[:2]]}
        sent = {"action": "soft_delete", **two}
        assert "taken at a time" not in client.post(PRODUCTS, sent).content.decode()

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

    def test_what_a_recipe_has_in_it_is_refused_and_its_own_items_go_with_it(
        self, phone: Api
    ) -> None:
        rice, dish = phone.product(name="Rice"), phone.product(name="Fried rice")
        items = [{"ingredient_id": rice["id"], "grams": 300}]
        body = {"servings": 2, "items": items}
        assert phone.put(f"/v1/products/{dish['id']}/recipe", body).status_code == 200
        for food in (rice, dish):
            assert phone.delete(f"/v1/products/{food['id']}").status_code == 204
        client = operator()
        row = Product._base_manager.get(pk=rice["id"])
        asked = act(client, PRODUCTS, "hard_delete", row).content.decode()
        url = f"/admin/products/recipeitem/?of={row.device_id}&names={row.pk}"
        assert f'href="{escape(url)}">1 recipe item names it</a>' in asked
        assert "1 found" in client.get(url).content.decode()
        for key in (dish["id"], rice["id"]):
            row = Product._base_manager.get(pk=key)
            page = act(client, PRODUCTS, "hard_delete", row, **CONFIRMED).content.decode()
            assert "Deleted for ever: 1 product." in page

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
