"""Moderation: names of all devices are found, soft-deleted after a confirmation, and restored."""

from __future__ import annotations

import re
from typing import Any

import pytest

from countonme.operators import moderation
from countonme.operators.names import change_url
from entries.models import FoodEntry
from products.models import Portion, Product
from tests.helpers.api import Api
from tests.helpers.operators import (
    CONFIRMED,
    MODERATION,
    PRODUCTS,
    logged,
    moderated,
    operator,
    operator_again,
)


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
        assert "2 portions" in asked
        assert "recipe items" not in asked
        assert "of 2 devices" in asked
        assert Product.objects.across_devices().count() == 4
        client.post(MODERATION, sent | CONFIRMED)
        assert {row["name"] for row in phone.get("/v1/products").json()} == {"Rice"}
        messages = logged().values_list("change_message", flat=True)
        assert list(messages) == ["Soft-deleted by moderation: spam."] * 2

    def test_it_needs_a_reason_and_a_name(self, phone: Api) -> None:
        phone.product(name="Spam")
        client, sent = operator(), {"pattern": "spam", "confirmed": "yes", "name": ["spam"]}
        assert "Say why." in client.post(MODERATION, sent | {"reason": " "}).content.decode()
        sent |= {"name": [], "reason": "spam"}
        assert "tick a name first" in client.post(MODERATION, sent, follow=True).content.decode()
        assert Product.objects.across_devices().exists()

    def test_what_no_name_can_be_finds_nothing(self, phone: Api) -> None:
        phone.product(name="Spam")
        sent = {"pattern": "spam", "name": ["spam\0"], **CONFIRMED}
        page = operator().post(MODERATION, sent, follow=True)
        assert "tick a name first" in page.content.decode()

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
        for no_moment in ("x", "2025-13-45T00:00:00Z"):
            sent = {"restore": no_moment}
            assert client.post(MODERATION, sent, follow=True).status_code == 200

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
