"""The operators' site and the API's pages in a real browser, served as `make run` serves them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.helpers.chromium import needs_chromium, started_chromium
from tests.helpers.processes import MANAGE, ROOT, Run, copy_of, environment

pytestmark = [needs_chromium, pytest.mark.long]


class Site(NamedTuple):
    url: str
    password: str
    device: str
    token: str


@pytest.fixture(scope="module")
def site(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server with a demo device, whose diary covers a month."""
    found = re.search(r"password: (\S+)", (first / "output").read_text())
    assert found
    with copy_of(first, tmp_path_factory.mktemp("browser")) as data_dir:
        run = Run(data_dir).wait_until_ready()
        seeded = subprocess.run(
            [*MANAGE, "seed_demo"],
            cwd=ROOT,
            env=environment(data_dir),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        device = re.search(r"Device (\S+),", seeded)
        token = re.search(r"TOKEN=(\S+)", seeded)
        assert device
        assert token
        yield Site(f"http://127.0.0.1:{run.port}", found[1], device[1], token[1])
        run.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> str:
    """Sign in once; return the session cookie for all tests."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", site.password)
    page.click("[type=submit]")
    expect(page).to_have_title(re.compile("Dashboard"))
    cookie = next(c for c in context.cookies() if c.get("name") == "sessionid")
    context.close()
    return str(cookie.get("value"))


class Visit:
    """A tab, with the hosts that it called and the errors of its console."""

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.errors.append(said.text) if said.type == "error" else None,
        )

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(request.url).netloc for request in self.requests} - {""}

    def look(self, name: str) -> None:
        """Take a screenshot for the documentation if SCREENSHOTS is a folder."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder, f"{name}.png"))


def visit(browser: Browser, site: Site, session: str = "", **options: object) -> Visit:
    settings = {"base_url": site.url, "viewport": {"width": 1280, "height": 900}} | options
    context = browser.new_context(**settings)  # type: ignore[arg-type]  # as options come
    context.set_default_timeout(10_000)
    if session:
        context.add_cookies([{"name": "sessionid", "value": session, "url": site.url}])
    return Visit(context)


@pytest.fixture
def tab(browser: Browser, site: Site, signed_in: str) -> Iterator[Visit]:
    """A tab of a signed-in operator, which must call no other host and log no errors."""
    opened = visit(browser, site, signed_in)
    yield opened
    assert opened.hosts == {urlsplit(site.url).netloc}
    assert opened.errors == []
    opened.page.context.close()


def act(page: Page, action: str) -> None:
    """Select the first row of a list and run an action on it."""
    page.locator("input.action-select").first.check()
    page.select_option("select[name=action]", label=action)
    page.locator("button[name=index], [type=submit][name=index]").first.click()


def confirm(page: Page, button: str) -> None:
    """Give a reason on the page that asks, and press its button."""
    page.fill("[name=reason]", "spam")
    page.get_by_role("button", name=button, exact=True).click()


def drawn(page: Page, chart: int) -> int:
    """Count the pixels that a chart has drawn."""
    return int(
        page.locator("canvas.chart")
        .nth(chart)
        .evaluate(
            """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            .data.reduce((sum, value, at) => sum + (at % 4 == 3 && value > 0), 0)"""
        )
    )


def test_it_works(tab: Visit) -> None:
    tab.page.goto("/admin/")
    expect(tab.page.get_by_text("The last 30 days")).to_be_visible()
    expect(tab.page.get_by_role("link", name=re.compile("^Devices ")).first).to_be_visible()


def test_the_dashboards_charts_are_drawn(tab: Visit) -> None:
    tab.page.goto("/admin/")
    charts = tab.page.locator("canvas.chart")
    expect(charts.first).to_be_visible()
    for number in range(charts.count()):
        tab.page.wait_for_function(
            "n => document.querySelectorAll('canvas.chart')[n].width > 0", arg=number
        )
        assert drawn(tab.page, number) > 500
    tab.look("dashboard")


def test_a_figure_leads_to_its_list(tab: Visit) -> None:
    tab.page.goto("/admin/")
    tab.page.get_by_role("link", name=re.compile("^Food entries")).first.click()
    expect(tab.page).to_have_url(re.compile("/admin/entries/foodentry/"))


def test_a_wrong_password_is_refused(browser: Browser, site: Site) -> None:
    stranger = visit(browser, site)
    stranger.page.goto("/admin/products/product/")
    stranger.page.fill("#id_username", "nobody")
    stranger.page.fill("#id_password", "wrong")
    stranger.page.click("[type=submit]")
    expect(stranger.page.get_by_text("Please enter the correct")).to_be_visible()
    stranger.page.context.close()


def test_a_product_is_found_deleted_and_restored(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/products/product/")
    tab.look("products")
    page.fill("#searchbar", "gouda")
    page.press("#searchbar", "Enter")
    expect(page.locator("input.action-select")).to_have_count(1)
    act(page, "Soft-delete…")
    tab.look("confirmation")
    confirm(page, "Soft-delete 1 product")
    expect(page.get_by_text("Soft-deleted: 1 product.")).to_be_visible()
    expect(page.get_by_text("deleted", exact=True).first).to_be_visible()
    act(page, "Restore")
    expect(page.get_by_text("Restored: 1 product.")).to_be_visible()
    expect(page.get_by_text("live", exact=True).first).to_be_visible()


def test_a_product_is_corrected(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/products/product/?q=banana")
    page.get_by_role("link", name="Banana", exact=True).click()
    page.fill("#id_kcal_100g", "90")
    page.locator("[name=_continue]").click()
    expect(page.locator("#id_kcal_100g")).to_have_value("90")
    page.fill("#id_kcal_100g", "1001")
    page.locator("[name=_continue]").click()
    expect(page.get_by_text("less than or equal to 1000").first).to_be_visible()


def test_a_device_is_blocked_with_a_reason_and_unblocked_on_its_page(
    tab: Visit, site: Site
) -> None:
    page = tab.page
    headers = {"Authorization": f"Bearer {site.token}"}
    page.goto(f"/admin/devices/device/{site.device}/change/")
    page.get_by_role("button", name="Block…").click()
    confirm(page, "Block 1 device")
    expect(page.get_by_text("Blocked: 1 device.")).to_be_visible()
    assert page.request.get("/v1/products", headers=headers).status == 401
    page.get_by_role("button", name="Unblock").click()
    expect(page.get_by_text("Unblocked: 1 device.")).to_be_visible()
    assert page.request.get("/v1/products", headers=headers).status == 200


def test_names_are_ticked_counted_deleted_and_restored(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/products/product/")
    page.get_by_role("link", name="Moderate by name").first.click()
    page.fill("#pattern", "a")
    page.get_by_role("button", name="Find").click()
    boxes, ask = page.locator("#moderation [name=name]"), page.locator("#ask")
    expect(page.locator("#moderation [name=name]:checked")).to_have_count(0)
    expect(ask).to_be_disabled()
    page.get_by_label("All", exact=True).check()
    expect(page.locator("#moderation [name=name]:checked")).to_have_count(boxes.count())
    page.get_by_label("All", exact=True).uncheck()
    expect(ask).to_have_text("Soft-delete what is ticked…")
    page.get_by_label("Almonds", exact=True).check()
    expect(ask).to_have_text("Soft-delete what is ticked… (1)")
    tab.look("moderation")
    ask.click()
    confirm(page, "Soft-delete 1 product")
    expect(page.get_by_text("Soft-deleted: 1 product.")).to_be_visible()
    page.get_by_role("button", name="Restore these (1)").click()
    expect(page.get_by_text("Restored: 1 product.")).to_be_visible()
    expect(page.get_by_label("Almonds", exact=True)).to_be_visible()


def test_what_is_deleted_for_ever_says_how_much_and_has_its_number_typed(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/goals/bodyweight/")
    for row in (0, 1):
        page.locator("input.action-select").nth(row).check()
    page.select_option("select[name=action]", label="Soft-delete…")
    page.locator("[type=submit][name=index]").click()
    confirm(page, "Soft-delete 2 body weights")
    page.goto("/admin/goals/bodyweight/?deleted=yes")
    page.locator("#action-toggle").check()
    page.select_option("select[name=action]", label="Delete for ever…")
    page.locator("[type=submit][name=index]").click()
    expect(page.get_by_text("This is for ever: nothing brings it back.")).to_be_visible()
    page.fill("[name=typed]", "3")
    confirm(page, "Delete 2 body weights for ever")
    expect(page.get_by_text("Type 2 to go on.")).to_be_visible()
    page.fill("[name=typed]", "2")
    confirm(page, "Delete 2 body weights for ever")
    expect(page.get_by_text("Deleted for ever: 2 body weights.")).to_be_visible()


def test_a_product_that_entries_name_says_so_and_leads_to_them(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/products/product/?q=gouda")
    page.get_by_role("link", name="Gouda", exact=True).click()
    page.get_by_role("button", name="Soft-delete…").click()
    confirm(page, "Soft-delete 1 product")
    expect(page.get_by_text("Soft-deleted: 1 product.")).to_be_visible()
    page.get_by_role("button", name="Delete for ever…").click()
    expect(page.get_by_text("This can’t be done")).to_be_visible()
    page.get_by_role("link", name=re.compile("food entries name it")).click()
    expect(page).to_have_url(re.compile("/admin/entries/foodentry/"))
    expect(page.locator("input.action-select").first).to_be_visible()
    page.goto("/admin/products/product/?q=gouda")
    page.get_by_role("link", name="Gouda", exact=True).click()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Restored: 1 product.")).to_be_visible()


def test_who_did_what_leads_to_what_it_was_done_to(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/products/product/?q=banana")
    act(page, "Soft-delete…")
    confirm(page, "Soft-delete 1 product")
    page.get_by_role("link", name="Who did what").click()
    expect(page.get_by_text(re.compile("Signed in from")).first).to_be_visible()
    first = page.locator("#result_list tbody tr").first
    expect(first).to_contain_text("admin")
    expect(first).to_contain_text("Soft-deleted: spam.")
    tab.look("log")
    first.get_by_role("link", name="Banana").click()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Restored: 1 product.")).to_be_visible()


def test_the_sidebars_search_leads_to_a_product_and_to_a_device(tab: Visit, site: Site) -> None:
    page = tab.page
    for term, shown in (("gouda", "Gouda"), (site.device[:8], site.device)):
        page.goto("/admin/")
        page.locator("#nav-filter").press_sequentially(term)
        page.locator("#search-results a").first.click()
        expect(page.locator("h1").first).to_contain_text(shown)


def test_the_sidebar_is_seen_whole(tab: Visit) -> None:
    page = tab.page
    page.goto("/admin/")
    last = page.locator("#nav-sidebar-apps a").last
    expect(last).to_be_in_viewport(ratio=1)


def test_it_has_a_dark_mode(browser: Browser, site: Site, signed_in: str) -> None:
    colours = []
    for scheme in ("light", "dark"):
        opened = visit(browser, site, signed_in, color_scheme=scheme)
        opened.page.goto("/admin/")
        body = opened.page.locator("#main")
        colours.append(body.evaluate("body => getComputedStyle(body).backgroundColor"))
        opened.look(f"dashboard-{scheme}")
        opened.page.context.close()
    assert colours[0] != colours[1]


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/products/product/",
        "/admin/devices/device/",
        "/admin/products/product/moderation/?pattern=a",
    ],
)
def test_it_fits_a_phone(browser: Browser, site: Site, signed_in: str, path: str) -> None:
    opened = visit(browser, site, signed_in, viewport={"width": 390, "height": 844})
    opened.page.goto(path)
    wider = opened.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider <= 0
    opened.look("phone" + path.partition("?")[0].replace("/", "-").rstrip("-"))
    opened.page.context.close()


@pytest.mark.parametrize(
    ("path", "text"), [("/docs", "/v1/food-entries"), ("/redoc", "food-entries")]
)
def test_the_apis_pages_show_the_document(tab: Visit, path: str, text: str) -> None:
    tab.page.goto(path)
    expect(tab.page.get_by_text(text).first).to_be_visible(timeout=20_000)


def test_a_page_of_another_origin_calls_with_its_tracing_librarys_headers(
    browser: Browser, site: Site
) -> None:
    # Any page without a content security policy would do.
    page = visit(browser, site, bypass_csp=True).page
    page.goto(site.url.replace("127.0.0.1", "localhost") + "/health")
    answered = page.evaluate(
        """async ([url, token]) => {
            const names = ["traceparent", "tracestate", "baggage", "sentry-trace", "newrelic"]
            const headers = {Authorization: `Bearer ${token}`, "x-datadog-origin": "rum"}
            for (const name of names) headers[name] = "1"
            const answer = await fetch(url, {headers})
            return [answer.status, answer.headers.has("X-Request-ID")]
        }""",
        [f"{site.url}/v1/products", site.token],
    )
    assert answered == [200, True]
    page.context.close()
