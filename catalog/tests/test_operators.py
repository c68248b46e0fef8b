"""Operators correct foods of the catalog, settle what was said of them, and never wait for it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from catalog import admin
from catalog.models import Correction, Food, Report, Source, food_id
from countonme.operators.names import change_url, name_of
from countonme.scope.exceptions import Conflict, Missing
from products.gtin import to_gtin_14
from tests.helpers.operators import logged

FOODS = "/admin/catalog/food/"
CORRECTIONS = "/admin/catalog/correction/"
REPORTS = "/admin/catalog/report/"
SOURCES = "/admin/catalog/source/"


@pytest.fixture
def source(db: None) -> Source:
    made: Source = Source.objects.create(
        source="shop", name="Shop", licence="CC0", url="https://example.org"
    )
    return made


@pytest.fixture
def food(source: Source) -> Food:
    """Cocoa whose energy does not fit its macros."""
    return add(
        "1", name="Cocoa", kcal_100g=999, protein_100g=20, carbs_100g=10, fat_100g=10,
        doubtful=True, barcode="04252614",
    )  # fmt: skip


def add(source_id: str, **values: Any) -> Food:
    values = {"name": "Cocoa", "kcal_100g": 100, "popularity": 50} | values
    Food(id=food_id("shop", source_id), source="shop", source_id=source_id, **values).save()
    return fetch(source_id)


def fetch(source_id: str) -> Any:
    return Food.objects.get(pk=food_id("shop", source_id))


def report(food: Food, reason: str = "wrong_values") -> Report:
    made: Report = Report.objects.create(food=food, reason=reason, note="See the label")
    return made


def user(role: str = "") -> User:
    """Return an operator with a role, or a superuser."""
    found, is_new = User.objects.get_or_create(
        username=role or "Superuser", is_staff=True, is_superuser=not role
    )
    if role and is_new:
        found.groups.add(Group.objects.get(name=role))
    return found


def operator(role: str = "Moderator") -> Client:
    client = Client()
    client.force_login(user(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


def listed(query: str = "", client: Client | None = None) -> list[str]:
    """Return the names of the foods on the list."""
    response = (client or operator()).get(f"{FOODS}{query}")
    assert response.status_code == 200
    return [food.name for food in response.context["cl"].result_list]


def correct(food: Food, *, role: str = "Moderator", **values: str) -> Any:
    """Send the form of a food's page with some values changed."""
    client = operator(role)
    sent = form(client, food)
    return client.post(change_url(food), sent | {"reason": "The label says so"} | values)


def form(client: Client, food: Food) -> dict[str, Any]:
    """Return what a browser would send of a food's page."""
    shown = client.get(change_url(food)).context["adminform"].form
    sent = {name: shown[name].value() for name in shown.fields}
    return {name: value for name, value in sent.items() if value is not None and value is not False}


def act(page: str, action: str, row: Any, *, role: str = "Moderator", **values: str) -> str:
    sent = {"action": action, "_selected_action": [name_of(row)], **values}
    response = operator(role).post(page, sent, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def in_force(food: Food) -> dict[str, tuple[Any, Any]]:
    """Return what operators and the source say, by field."""
    rows = Correction.objects.in_force().filter(food=food)
    return {row.field: (row.value, row.source_value) for row in rows}


class TestCorrecting:
    def test_it_works(self, food: Food) -> None:
        assert correct(food, name="Cocoa powder", barcode="").status_code == 302
        food = fetch("1")
        assert (food.name, food.name_key, food.barcode) == ("Cocoa powder", "cocoapowder", None)
        assert in_force(food) == {
            "name": ("Cocoa powder", "Cocoa"),
            "barcode": (None, "04252614"),
        }
        correction = Correction.objects.in_force().get(field="name")
        assert correction.made_by == user("Moderator")
        assert correction.reason == "The label says so"
        assert timezone.now() - correction.made_at < timedelta(minutes=1)

    def test_it_stands_in_the_log(self, food: Food) -> None:
        correct(food, name="Cocoa powder")
        entry = logged().get()
        assert entry.object_id == str(food.pk)
        assert entry.change_message == "name: Cocoa → Cocoa powder. Reason: The label says so"

    def test_a_corrected_food_is_found_by_its_new_name(self, food: Food) -> None:
        correct(food, name="Carob")
        assert listed("?q=carob") == ["Carob"]
        assert listed("?q=cocoa") == []

    def test_macros_over_105_g_are_an_error_of_the_form(self, food: Food) -> None:
        response = correct(food, protein_100g="60", fat_100g="60")
        assert response.status_code == 200
        page = response.content.decode()
        assert "must not exceed 105" in page
        assert "Constraint" not in page
        assert (fetch("1").protein_100g, fetch("1").fat_100g) == (20, 10)
        assert not Correction.objects.exists()
        assert not logged().exists()

    @pytest.mark.parametrize("wrong", [{"barcode": "04252615"}, {"kcal_100g": "1001"}])
    def test_a_value_no_product_may_have_is_an_error(self, food: Food, wrong: Any) -> None:
        assert correct(food, **wrong).status_code == 200
        assert not Correction.objects.exists()

    @pytest.mark.parametrize("reason", ["", "  ", "\x1c", "a\x00b", "a" * 501])
    def test_it_needs_a_reason(self, food: Food, reason: str) -> None:
        assert correct(food, name="Carob", reason=reason).status_code == 200
        assert fetch("1").name == "Cocoa"

    def test_a_reason_alone_is_no_correction(self, food: Food) -> None:
        assert "Nothing is changed" in correct(food).content.decode()
        assert not logged().exists()

    def test_what_an_import_changed_meanwhile_is_not_changed_back(self, food: Food) -> None:
        client = operator()
        sent = form(client, food) | {"brand": "Farm", "reason": "It is theirs"}
        Food.locked(food.pk).assign({"name": "Cacao"})
        response = client.post(change_url(food), sent)
        assert escape(admin.CHANGED_MEANWHILE) in response.content.decode()
        assert (fetch("1").name, fetch("1").brand) == ("Cacao", None)
        assert not Correction.objects.exists()

    def test_what_the_source_alone_knows_is_no_field(self, food: Food) -> None:
        correct(food, name="Carob", source_id="2", popularity="7", is_generic="on")
        after = fetch("1")
        assert (after.name, after.popularity, after.is_generic) == ("Carob", 50, False)

    def test_a_second_correction_keeps_the_sources_value(self, food: Food) -> None:
        correct(food, kcal_100g="300")
        correct(food, kcal_100g="310")
        assert in_force(food)["kcal_100g"] == (310, 999)
        first = Correction.objects.get(value=300)
        assert (first.undone_by, first.undone_at is None) == (user("Moderator"), False)

    def test_the_sources_value_again_is_no_correction(self, food: Food) -> None:
        correct(food, protein_100g="21.5")
        correct(food, protein_100g="20")
        assert in_force(food) == {}
        assert "protein_100g: 21.50 → 20" in logged().latest("pk").change_message

    def test_a_food_whose_energy_fits_now_doubtful_no_longer(self, food: Food) -> None:
        correct(food, kcal_100g="210")
        assert in_force(food) == {"kcal_100g": (210, 999), "doubtful": (False, True)}

    def test_an_operator_may_call_it_doubtful_all_the_same(self, food: Food) -> None:
        Food.locked(food.pk).correct({"kcal_100g": 210, "doubtful": True}, "x", user().pk)
        assert fetch("1").doubtful

    def test_a_spirit_does_not_become_doubtful(self, source: Source) -> None:
        vodka = add("2", kcal_100g=231, protein_100g=0, carbs_100g=0, fat_100g=0)
        correct(vodka, kcal_100g="230")
        assert in_force(vodka) == {"kcal_100g": (230, 231)}

    def test_the_revision_of_the_source_rises(self, food: Food) -> None:
        before = Source.revision_of_all()
        correct(food, brand="Farm")
        assert Source.revision_of_all() > before


class TestUndoing:
    def test_it_works(self, food: Food) -> None:
        correct(food, protein_100g="21.5")
        assert "Undone: 1 correction." in act(CORRECTIONS, "undo", Correction.objects.get())
        assert fetch("1").protein_100g == Decimal(20)
        correction = Correction.objects.get()
        assert (correction.undone_by, correction.state) == (user("Moderator"), "undone")
        assert logged().latest("pk").change_message == "Undone."

    def test_twice_is_refused(self, food: Food) -> None:
        correct(food, name="Carob")
        correction = Correction.objects.get()
        stale = Correction.objects.get()
        act(CORRECTIONS, "undo", correction)
        correct(food, name="Cacao")
        with pytest.raises(Conflict):
            stale.undo(user().pk)
        assert "is undone already" in act(CORRECTIONS, "undo", correction)
        assert fetch("1").name == "Cacao"

    def test_what_breaks_a_rule_beside_another_correction_is_refused(self, food: Food) -> None:
        correct(food, protein_100g="0")
        correct(food, fat_100g="90")
        correction = Correction.objects.get(field="protein_100g")
        assert "must not exceed 105" in act(CORRECTIONS, "undo", correction)
        assert fetch("1").protein_100g == 0
        assert "protein_100g" in in_force(food)

    def test_doubt_returns_with_the_energy(self, food: Food) -> None:
        correct(food, kcal_100g="210")
        act(CORRECTIONS, "undo", Correction.objects.get(field="kcal_100g"))
        assert (fetch("1").kcal_100g, fetch("1").doubtful) == (999, True)
        assert in_force(food) == {}

    def test_doubt_stays_away_while_another_correction_makes_the_energy_fit(
        self, food: Food
    ) -> None:
        correct(food, kcal_100g="210")
        correct(food, fat_100g="11")
        act(CORRECTIONS, "undo", Correction.objects.get(field="fat_100g"))
        assert not fetch("1").doubtful
        correct(food, fat_100g="11")
        act(CORRECTIONS, "undo", Correction.objects.get(field="kcal_100g"))
        assert fetch("1").doubtful

    def test_from_the_foods_page_it_leads_back_there(self, food: Food) -> None:
        correct(food, name="Carob")
        sent = {"action": "undo", "_selected_action": Correction.objects.get().pk}
        response = operator().post(CORRECTIONS, sent | {"from_food": "yes"})
        assert response["Location"] == change_url(food)


class TestReviewing:
    @pytest.fixture
    def correction(self, food: Food) -> Correction:
        """A correction whose source says something else by now."""
        correct(food, name="Carob")
        Correction.objects.update(source_value="Cacao", review_since=timezone.now())
        found: Correction = Correction.objects.get()
        return found

    def test_it_is_found(self, correction: Correction) -> None:
        page = operator().get(f"{CORRECTIONS}?state=review").content.decode()
        assert "Cacao" in page
        act(CORRECTIONS, "keep", correction)
        assert "Cacao" not in operator().get(f"{CORRECTIONS}?state=review").content.decode()

    def test_keeping_leaves_the_correction_in_force(self, correction: Correction) -> None:
        assert "Kept: 1 correction." in act(CORRECTIONS, "keep", correction)
        assert Correction.objects.get().state == "in force"
        assert fetch("1").name == "Carob"
        assert logged().latest("pk").change_message == "Kept."

    def test_what_is_not_up_for_review_is_not_kept(self, correction: Correction) -> None:
        act(CORRECTIONS, "keep", correction)
        assert "Only what is up for review" in act(CORRECTIONS, "keep", correction)

    def test_undoing_gives_what_the_source_says_now(self, correction: Correction) -> None:
        act(CORRECTIONS, "undo", correction)
        assert fetch("1").name == "Cacao"
        assert Correction.objects.get().review_since is None

    @pytest.mark.parametrize(("state", "found"), [("in_force", True), ("undone", False)])
    def test_corrections_are_filtered(
        self, correction: Correction, state: str, found: bool
    ) -> None:
        page = operator().get(f"{CORRECTIONS}?state={state}").content.decode()
        assert ("Cacao" in page) is found


class TestHiding:
    def test_it_works(self, food: Food) -> None:
        page = f"{FOODS}?q=cocoa"
        assert "Nobody finds" in act(page, "hide", food)
        assert Food.fetch(food.pk) == food
        act(page, "hide", food, confirmed="yes", reason="Spam")
        with pytest.raises(Missing):
            Food.fetch(food.pk)
        assert in_force(food) == {"is_hidden": (True, False)}
        assert logged().get().change_message == "Hidden: Spam."
        assert "Everybody finds" in act(page, "unhide", food)
        act(page, "unhide", food, confirmed="yes", reason="It is none")
        assert Food.fetch(food.pk) == food
        assert in_force(food) == {}

    @pytest.mark.parametrize("reason", ["", " ", "a\x00b"])
    def test_it_needs_a_reason(self, food: Food, reason: str) -> None:
        page = act(f"{FOODS}?q=cocoa", "hide", food, confirmed="yes", reason=reason)
        assert ("Say why." in page) or ("Control characters" in page)
        assert Food.fetch(food.pk) == food

    def test_a_foods_own_page_offers_it(self, food: Food) -> None:
        page = operator().get(f"{FOODS}{food.pk}/change/").content.decode()
        assert f'action="{FOODS}?q={food.pk}"' in page
        assert 'name="action" value="hide"' in page
        act(f"{FOODS}?q={food.pk}", "hide", food, confirmed="yes", reason="Spam")
        page = operator().get(f"{FOODS}{food.pk}/change/").content.decode()
        assert 'name="action" value="unhide"' in page

    def test_a_hidden_food_is_found_by_operators(self, food: Food) -> None:
        correct(food, is_hidden="on")
        for query in ("?q=coc", "?q=04252614", f"?q={food.pk}", "?shown=hidden"):
            assert listed(query) == ["Cocoa"], query

    def test_it_counts_for_the_source(self, food: Food) -> None:
        correct(food, is_hidden="on")
        assert Source.objects.get().foods == 0


class TestReports:
    def test_closing_works(self, food: Food) -> None:
        assert "Closed: 1 report." in act(REPORTS, "close", report(food))
        closed = Report.objects.get()
        assert closed.closed_by == user("Moderator")
        assert logged().get().change_message == "Closed."

    def test_closed_twice_it_keeps_the_first_closer(self, food: Food) -> None:
        row = report(food)
        act(REPORTS, "close", row)
        closed_at = Report.objects.get().closed_at
        assert "is closed already" in act(REPORTS, "close", row, role="")
        assert Report.objects.get().closed_by == user("Moderator")
        assert Report.objects.get().closed_at == closed_at

    def test_open_ones_come_first_by_reason(self, food: Food) -> None:
        for reason in ("duplicate", "wrong_name", "other", "offensive"):
            report(food, reason)
        act(REPORTS, "close", Report.objects.get(reason="duplicate"))
        rows = operator().get(REPORTS).context["cl"].result_list
        assert [row.reason for row in rows] == ["offensive", "other", "wrong_name", "duplicate"]

    @pytest.mark.parametrize(("state", "found"), [("open", ["other"]), ("closed", ["duplicate"])])
    def test_they_are_filtered(self, food: Food, state: str, found: list[str]) -> None:
        report(food, "other")
        act(REPORTS, "close", report(food, "duplicate"))
        rows = operator().get(f"{REPORTS}?state={state}").context["cl"].result_list
        assert [row.reason for row in rows] == found

    def test_they_stand_on_the_foods_page(self, food: Food) -> None:
        row = report(food)
        page = operator().get(change_url(food)).content.decode()
        assert "See the label" in page
        assert f'value="{row.pk}"' in page
        act(REPORTS, "close", row, from_food="yes")
        page = operator().get(change_url(food)).content.decode()
        assert "closed by Moderator" in page
        assert f'value="{row.pk}"' not in page


class TestFoods:
    def test_without_a_search_the_most_reported_come_first(self, food: Food) -> None:
        other, _ = add("2", name="Banana"), add("3", name="Apple")
        report(food), report(food), report(other)
        act(REPORTS, "close", report(other))
        assert listed() == ["Cocoa", "Banana"]
        assert listed("?shown=reported") == ["Cocoa", "Banana"]

    def test_a_list_without_reports_is_empty(self, food: Food) -> None:
        assert listed() == []

    def test_corrected_ones_are_listed(self, food: Food) -> None:
        other = add("2")
        for each in (food, other):
            correct(each, brand="Farm")
        act(CORRECTIONS, "undo", Correction.objects.get(food=other))
        rows = operator().get(f"{FOODS}?shown=corrected").context["cl"].result_list
        assert list(rows) == [food]

    @pytest.mark.parametrize(("query", "found"), [("cocoa", ["Cocoa"]), ("tea", [])])
    def test_corrected_ones_are_searched(
        self, food: Food, monkeypatch: pytest.MonkeyPatch, query: str, found: list[str]
    ) -> None:
        """Also those that no search of phones finds, or finds too late."""
        add("2", name="Tea")
        correct(food, brand="Farm")
        monkeypatch.setattr(admin, "find", lambda term: [])
        assert listed(f"?shown=corrected&q={query}") == found

    def test_foods_of_one_source_are_listed(self, food: Food) -> None:
        Source.objects.create(source="fdc", name="FDC", licence="CC0", url="https://example.org")
        add("2", name="Cocoa drink")
        Food.objects.filter(source_id="2").update(source="fdc")
        assert listed("?q=cocoa&from=fdc") == ["Cocoa drink"]
        assert listed("?from=fdc") == []

    @pytest.mark.parametrize(
        "searched",
        ["cocoa", "coc", "COCOA pow", "pow coco", "04252614", "0-425261-4", "0042100005264", "1"],
    )
    def test_a_food_is_found_by_starts_of_words_by_barcode_and_by_the_sources_id(
        self, food: Food, searched: str
    ) -> None:
        correct(food, name="Cocoa powder")
        add("2", name="Tea", barcode="96385074")
        assert listed(f"?q={searched}") == ["Cocoa powder"]

    @pytest.mark.parametrize(
        ("searched", "found"),
        [("ocoa", 0), ("'", 0), ("cocoa '\\ & |", 1), (":*", 0), ("!cocoa", 1), ("coco | tea", 0)],
    )
    def test_signs_of_a_query_are_text(self, food: Food, searched: str, found: int) -> None:
        page = operator().get(FOODS, {"q": searched})
        assert page.context["cl"].result_count == found

    def test_a_quote_in_a_search_is_text(self, source: Source) -> None:
        add("2", name="Kellogg's \\ Flakes")
        assert listed("?q=kellogg's") == ["Kellogg's \\ Flakes"]
        assert listed("?q=kelloggs") == ["Kellogg's \\ Flakes"]

    def test_whole_names_come_first_then_their_starts_then_popular_ones(
        self, source: Source
    ) -> None:
        for number, (name, popularity) in enumerate(
            [("Dark cocoa", 9), ("Cocoa milk", 1), ("Milk with cocoa", 99), ("Cocoa", 0)]
        ):
            add(str(number), name=name, popularity=popularity)
        assert listed("?q=cocoa") == ["Cocoa", "Cocoa milk", "Milk with cocoa", "Dark cocoa"]
        assert listed("?q=cocoa&o=1") == ["Cocoa", "Cocoa milk", "Dark cocoa", "Milk with cocoa"]

    def test_short_words_find_popular_foods(self, source: Source) -> None:
        add("2", name="7 Up", popularity=50)
        add("3", name="7 Seas", popularity=0)
        assert listed("?q=7") == ["7 Up"]

    @pytest.mark.parametrize("code", ["04252614", "4006381333931"])
    def test_a_withdrawn_food_is_found_by_the_barcode_that_is_its_id(
        self, source: Source, code: str
    ) -> None:
        source_id = admin.source_id_of(to_gtin_14(code) or "")
        withdrawn = add(source_id, barcode=code, withdrawn_at=timezone.now())
        page = operator().get(f"{FOODS}?q={code}")
        assert list(page.context["cl"].result_list) == [withdrawn]
        assert "withdrawn" in page.content.decode().lower()

    def test_a_list_is_bounded(self, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admin, "MOST_FOODS", 3)
        for number in range(5):
            report(add(str(number)))
        assert len(listed()) == 3

    def test_a_search_that_takes_too_long_is_said_to(
        self, food: Food, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def slow(term: str) -> Any:
            raise OperationalError

        monkeypatch.setattr(admin, "find", slow)
        assert admin.TOO_BUSY in operator().get(f"{FOODS}?q=cocoa").content.decode()

    @pytest.mark.parametrize("query", ["", "?q=cocoa", "?shown=hidden", "?q=04252614"])
    def test_no_list_counts_or_sorts_all_foods(self, food: Food, query: str) -> None:
        report(food)
        Food.locked(add("2").pk).correct({"is_hidden": True}, "x", user().pk)
        client = operator()
        with CaptureQueriesContext(
            connection,
        ) as ran:
            client.get(f"{FOODS}{query}")
        asked = [each["sql"] for each in ran if 'FROM "catalog_foods"' in each["sql"]]
        assert asked
        for sql in asked:
            assert " IN (" in sql or "@@" in sql or '"gtin_14" =' in sql, sql

    def test_a_list_costs_the_same_for_any_number_of_foods(
        self, source: Source, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(20):
            food = add(str(number))
            report(food)
            food.correct({"brand": "Farm"}, "x", user().pk)
        client = operator()
        for page, most in ((FOODS, 12), (REPORTS, 10), (CORRECTIONS, 10)):
            with django_assert_max_num_queries(most):
                client.get(page)

    def test_other_lists_are_counted_only_as_far_as_pages_go(
        self, food: Food, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admin, "MOST_COUNTED", 2)
        for _ in range(3):
            report(food)
        assert operator().get(REPORTS).context["cl"].result_count == 2


class TestSources:
    def test_a_licence_is_changed_and_phones_hear_of_it(self, food: Food) -> None:
        row = Source.objects.get()
        sent = {"name": "Shop", "licence": "ODbL 1.0", "url": "https://example.org"}
        assert operator().post(change_url(row), sent | {"foods": "9"}).status_code == 302
        after = Source.objects.get()
        assert (after.licence, after.foods) == ("ODbL 1.0", 1)
        assert after.revision == row.revision + 1
        assert logged().get().change_message == "licence: CC0 → ODbL 1.0"

    def test_foods_counted_meanwhile_stay_counted(self, source: Source) -> None:
        add("1")
        source.change(licence="ODbL 1.0")
        assert Source.objects.get().foods == 1


class TestRoles:
    @pytest.mark.parametrize("role", ["Moderator", "Support"])
    def test_a_role_sees_every_page(self, food: Food, role: str) -> None:
        correct(food, brand="Farm")
        rows = [food, Source.objects.get(), report(food), Correction.objects.get()]
        client = operator(role)
        for page in (FOODS, CORRECTIONS, REPORTS, SOURCES, *map(change_url, rows)):
            assert client.get(page).status_code == 200, page
        sidebar = client.get("/admin/").content.decode()
        for page in (FOODS, CORRECTIONS, REPORTS, SOURCES):
            assert f'href="{page}"' in sidebar

    def test_support_can_not_correct(self, food: Food) -> None:
        sent = form(operator(), food) | {"name": "Carob", "reason": "x"}
        client = operator("Support")
        page = client.get(change_url(food)).content.decode()
        assert "Cocoa" in page
        for name in ("name", "reason", "_save"):
            assert f'name="{name}"' not in page
        assert client.post(change_url(food), sent).status_code == 403
        assert fetch("1").name == "Cocoa"

    def test_support_can_not_change_a_source(self, source: Source) -> None:
        assert operator("Support").post(change_url(source), {"name": "x"}).status_code == 403

    def test_support_sees_no_action_and_can_not_act(self, food: Food) -> None:
        correct(food, name="Carob")
        correction, row = Correction.objects.get(), report(food)
        client = operator("Support")
        for page in (f"{FOODS}?q=carob", CORRECTIONS, REPORTS, change_url(food)):
            shown = client.get(page).content.decode()
            assert 'name="action"' not in shown, page
        act(f"{FOODS}?q=carob", "hide", food, role="Support", confirmed="yes", reason="x")
        act(CORRECTIONS, "undo", correction, role="Support")
        act(CORRECTIONS, "keep", correction, role="Support")
        act(REPORTS, "close", row, role="Support")
        after = fetch("1")
        assert (after.name, after.is_hidden) == ("Carob", False)
        assert Report.objects.get().closed_at is None

    @pytest.mark.parametrize("role", ["Moderator", ""])
    def test_nobody_adds_or_deletes(self, food: Food, role: str) -> None:
        correct(food, name="Carob")
        client = operator(role)
        for row in (food, Source.objects.get(), report(food), Correction.objects.get()):
            page = change_url(row)
            assert client.post(page.replace("/change/", "/delete/")).status_code == 403
            assert client.get(page.replace(f"{name_of(row)}/change/", "add/")).status_code == 403
        for row in (report(food), Correction.objects.get()):
            assert client.post(change_url(row), {"reason": "x"}).status_code == 403
