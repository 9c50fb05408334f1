"""System: what is loaded, how good it is, and what it does now."""

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.support.api import Api
from tests.support.photos import COLLINS, COLLINS_AGAIN
from tests.support.server import Server


def test_models_health_and_calibration_are_shown(open_page: Open) -> None:
    page = open_page("system")

    expect(page.locator("#system")).to_contain_text("Ready: the models are warm")
    expect(page.locator("#system")).to_contain_text("mobilefacenet-128")
    expect(page.locator("#system")).to_contain_text("Measured on lfw_dev: 2,086 people")
    expect(page.locator("#system .chart canvas")).to_have_count(2)
    expect(page.locator("#system .chart").first).to_have_attribute("aria-label", _described("3.3%"))


def _described(missed: str) -> str:
    trade = "Chart: the fewer strangers match, the more pairs of one person are missed."
    return f"{trade} At one in 10,000 pairs of strangers it is {missed}."


def test_the_slider_changes_the_point_and_the_cohorts(open_page: Open) -> None:
    page = open_page("system")
    expect(page.locator("#system .meaning")).to_contain_text("the threshold is 0.94")
    worst = page.locator("#system article").nth(4).locator("tbody tr").first
    before = worst.inner_text()
    page.locator("#system .slider input").press("Home")

    expect(page.locator("#system .meaning")).to_contain_text("At one in 100 pairs")
    expect(worst).not_to_have_text(before)


def test_requests_are_counted_as_they_come(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.verify(COLLINS, COLLINS_AGAIN)
        page = open_page("system")
        row = page.locator("#system tr", has_text="/verify").first
        expect(row).to_contain_text("ms")
        counted = int(row.locator("td").nth(1).inner_text())
        api.verify(COLLINS, COLLINS_AGAIN)
        expect(row.locator("td").nth(1)).to_have_text(str(counted + 1))
    expect(row.locator("td").nth(2)).not_to_have_text("…")


def test_the_newest_entries_of_the_audit_log_are_listed(open_page: Open, server: Server) -> None:
    page = open_page("system")
    with Api.at(server.url) as api:
        api.describe("audited", "<b>ada</b>", {})
    newest = page.get_by_role("group", name="Audit").locator("tbody tr").first
    expect(newest.locator("td").nth(4)).to_have_text("<b>ada</b>")
    expect(newest.locator("td").nth(1)).to_have_text("subject.put")


def test_a_table_that_is_read_again_keeps_the_focus(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.verify(COLLINS, COLLINS_AGAIN)
    page = open_page("system")
    table = page.get_by_role("group", name="Requests now")
    table.focus()
    expect(table.locator("tr", has_text="/verify").first.locator("td").nth(2)).not_to_have_text("…")
    expect(table).to_be_focused()
