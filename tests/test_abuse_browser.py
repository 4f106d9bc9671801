"""Notices of abuse in a real browser: staff tell, the customer answers, services stop and run again; axe-core.

Which test shows what of each act on both sides; all of them run with scripting and without:

Act             The customer                            Staff
acknowledge     test_staff_tell_and...                  the same: the case says since when
fix             test_staff_tell_and...                  the same: the case says what was done where
dispute         test_staff_tell_and... reads it         the same: once for the reporter, who has no page and writes
                                                        to us, once with their own eyes
suspend         test_a_suspended_customer... reads it   the same: by the clock alone
lift            test_a_suspended_customer... by both    the same: the case says on which ground;
                acts                                    test_a_report_is_taken_back..., as the complaint fell
counter-notice  test_a_counter_notice... signs it       the same: two people forward it, the complainant opens it
put-back        test_a_counter_notice... reads the day  the same: on the first day; test_a_court_is_asked...: never
strike          test_a_strike_is_appealed... reads it   the same: gives it
appeal          test_a_strike_is_appealed... sends it   the same: another person answers it
disclosure      test_after_silence... reads of it       the same: two people, the complainant opens the file

`CHICAGOCLOUD_PICTURES` names a folder for what each of them saw, at 1280 and 320 pixels, light and dark.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext
from psycopg import Connection

from accounts.models import Suspension, User
from accounts.safeguards import outbox
from disclosures import approving, concluding, countering, enforcing, judging, responding, striking
from disclosures.models import AbuseCase, AbuseNotice, CaseOutcome, CounterNotice, Finding, Stage, Strike
from disclosures.models.cases import ELEMENTS
from tests import disclosing
from tests.abuse import complain, days_pass, find_true, make_case, sign_counter, silent, take_back, tell, told
from tests.browsing import Pictures, Visitor
from tests.cast import make_customer, make_staff
from tests.disclosing import press as send
from tests.legal import make_recipient
from tests.servers import Portal
from tests.test_browser_axe import Round, look_round, room

__all__ = ["look_round"]

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]
MODES = pytest.mark.parametrize("scripting", [False, True], ids=["without scripting", "with scripting"])
Start = Callable[..., Visitor]
QUEUE = "/admin/disclosures/abusecase/"


@pytest.fixture
def dora() -> User:
    return make_staff("dora", "abuse_desk")


@pytest.fixture
def omar() -> User:
    return make_staff("omar", "abuse_desk")


@pytest.fixture
def alice() -> User:
    return make_customer("alice")


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Pictures:
    return Pictures(f"{request.function.__name__[5:25]}-")


@pytest.fixture
def visit(new_context: Callable[..., BrowserContext], live_portal: Portal) -> Start:
    def start(who: User | None, *, scripting: bool) -> Visitor:
        visitor = Visitor(new_context(java_script_enabled=scripting), live_portal.url)
        return visitor.sign_in(who) if who else visitor

    return start


def case_page(case: AbuseCase, slug: str = "") -> str:
    return room(AbuseCase).url_of(case, slug) if slug else room(AbuseCase).url_of(case)


@MODES
def test_staff_tell_and_the_customer_acknowledges_fixes_and_is_asked_again(
    visit: Start, alice: User, dora: User, pictures: Pictures, scripting: bool
) -> None:
    case = make_case(alice)
    desk = visit(dora, scripting=scripting)
    desk.go(QUEUE)
    pictures.take(desk, "queue")
    desk.page.get_by_role("link", name=case.reference).click()
    for item in (Finding.AUTHENTIC, Finding.ACCURATE, *ELEMENTS):
        desk.go(case_page(case, "record-finding"))
        desk.page.locator("[name=item]").select_option(item.value)
        desk.page.locator("[name=is_met][value=yes]").check()
        send(desk, "Record a finding")
    desk.go(case_page(case, "notify"))
    assert "https://www.alice.example/a.jpg" in desk.page.locator("[name=locations]").input_value()
    desk.page.locator("[name=claim]").fill("Two files copy a film.")
    pictures.take(desk, "tell")
    send(desk, "Tell the customer")
    notice = AbuseNotice.objects.get()
    assert notice.reference in desk.main()
    pictures.take(desk, "told")
    outbox.relay(limit=100)

    customer = visit(alice, scripting=scripting)
    assert notice.reference in customer.go("/").main()
    pictures.take(customer, "overview")
    customer.page.get_by_role("link", name="Answer the notice").click()
    assert "Answer by" in customer.main() and "Film Rights Ltd" in customer.main()
    pictures.take(customer, "notice")
    customer.page.get_by_role("link", name="Say that you received it").click()
    assert "does not admit anything" in customer.main()
    pictures.take(customer, "acknowledge")
    send(customer, "Confirm that I received it")
    customer.page.get_by_role("link", name="Say what you fixed").click()
    send(customer, "Send what you fixed")
    assert "Choose the places" in customer.main()
    for box in customer.page.locator("[name=items]").all():
        box.check()
    customer.page.locator("[name=done]").fill("I removed both files.")
    pictures.take(customer, "fixed")
    send(customer, "Send what you fixed")
    assert "We have what you did" in customer.main()
    pictures.take(customer, "answered")

    desk.go(case_page(case, "dispute"))
    desk.page.locator("[name=item]").first.check()
    desk.page.locator("[name=seen]").fill("The file is still there, today at noon.")
    desk.page.locator("[name=who][value=reporter]").check()
    send(desk, "Record that a place is not fixed")
    customer.go(f"/notices/{notice.reference}/fixed/")
    assert "The file is still there" in customer.main()
    pictures.take(customer, "still-there")
    customer.page.locator("[name=items]").first.check()
    customer.page.locator("[name=done]").fill("Now it is gone.")
    send(customer, "Send what you fixed")
    notice.refresh_from_db()
    assert notice.remedied_at is not None and notice.acknowledged_at is not None
    desk.go(case_page(case, "dispute"))
    assert "Now it is gone." in desk.main() and "Remedied no" not in desk.main()
    desk.page.locator("[name=item]").last.check()
    desk.page.locator("[name=seen]").fill("A copy of it is at the same place.")
    desk.page.locator("[name=who][value=staff]").check()
    send(desk, "Record that a place is not fixed")
    assert "The customer is asked once more." in desk.main() and "Remedied no" in desk.main()
    assert "A copy of it is at the same place." in customer.go(f"/notices/{notice.reference}/").main()
    pictures.take(customer, "seen-again")


@MODES
def test_a_suspended_customer_signs_in_answers_and_runs_again(
    visit: Start, alice: User, dora: User, pictures: Pictures, scripting: bool
) -> None:
    notice = silent(alice, dora)
    assert Suspension.objects.standing().count() == 1
    customer = visit(alice, scripting=scripting)
    assert "suspended" in customer.go("/").main()
    customer.go(f"/notices/{notice.reference}/")
    assert "The service is suspended" in customer.main()
    pictures.take(customer, "suspended")
    for address in ("/export/new/", "/delete/"):
        assert customer.page.goto(f"{customer.origin}{address}").status == 200  # type: ignore[union-attr]
    customer.go(f"/notices/{notice.reference}/acknowledge/")
    send(customer, "Confirm that I received it")
    customer.go(f"/notices/{notice.reference}/fixed/")
    for box in customer.page.locator("[name=items]").all():
        box.check()
    customer.page.locator("[name=done]").fill("I removed both files.")
    send(customer, "Send what you fixed")
    assert Suspension.objects.standing().count() == 0
    customer.go(f"/notices/{notice.reference}/")
    assert "The service runs again" in customer.main()
    pictures.take(customer, "runs-again")
    said = visit(dora, scripting=scripting).go(case_page(AbuseCase.objects.get(pk=notice.case))).main()
    assert "lifted: acknowledged and remedied" in said


@MODES
def test_a_counter_notice_is_signed_forwarded_and_put_back(
    visit: Start, alice: User, dora: User, pictures: Pictures, owner: Connection, scripting: bool
) -> None:
    lena, paul = make_staff("lena", "legal"), make_staff("paul", "privacy_officer")
    notice = silent(alice, dora)
    customer = visit(alice, scripting=scripting)
    customer.go(f"/notices/{notice.reference}/")
    customer.page.get_by_role("link", name="Send a counter-notice").click()
    assert "sworn statement" in customer.main()
    pictures.take(customer, "counter")
    send(customer, "Continue to check and sign")
    assert "Choose at least one place" in customer.main()
    for place in customer.page.locator("[name=items]").all():
        place.check()
    customer.page.locator("[name=reason][value=fair_use]").check()
    customer.page.locator("[name=statement]").fill("It is a review.")
    customer.page.locator("[name=address]").fill("7 Alice Street, Aliceville, IL 60601")
    customer.page.locator("[name=phone]").fill("+1 312 5550199")
    send(customer, "Continue to check and sign")
    assert "under penalty of perjury" in customer.main()
    pictures.take(customer, "sign")
    customer.page.locator("[name=signature]").fill("Mallory")
    send(customer, "Sign and send the counter-notice")
    assert "Type the name as it stands above" in customer.main()
    customer.page.locator("[name=signature]").fill("Alice Canary")
    send(customer, "Sign and send the counter-notice")
    assert "The material comes back on" in customer.main()
    pictures.take(customer, "signed")

    case = AbuseCase.objects.get(pk=notice.case)
    complain(case, dora)
    maker, colleague, desk = (visit(who, scripting=scripting) for who in (lena, paul, dora))
    desk.go("/admin/").page.get_by_role("link", name=notice.reference).first.click()
    assert "not yet: prepare its disclosure" in desk.main()
    made = disclosing.submit(maker, case.reference, alice.account.number, "notices")
    assert "7 Alice Street" in disclosing.approve(colleague, made)
    files = disclosing.receive(visit(None, scripting=scripting), disclosing.release(maker, made))
    assert b"under penalty of perjury" in files["statements.txt"] and b"Alice Canary" in files["records.json"]
    customer.go(f"/notices/{notice.reference}/")
    assert "Your counter-notice went to whoever complained" in customer.main()
    assert "It also runs again when the material comes back" in customer.main()

    desk.go(case_page(case, "advance-put-back"))
    send(desk, "Set the put-back to its first day")
    counter = CounterNotice.objects.get()
    assert counter.put_back_on == counter.put_back_from
    desk.go(case_page(case))
    pictures.take(desk, "counter-of-the-case")
    customer.go(f"/notices/{notice.reference}/")
    pictures.take(customer, "first-day")
    days_pass(owner, "counternotice", counter.pk, put_back_from="current_date - 3", put_back_on="current_date - 2")
    countering.put_back_due()
    customer.go(f"/notices/{notice.reference}/")
    assert "We put the material back on" in customer.main()
    assert Suspension.objects.standing().count() == 0
    pictures.take(customer, "put-back")


@MODES
def test_after_silence_two_members_of_staff_give_the_contact_to_the_complainant(
    visit: Start, alice: User, dora: User, pictures: Pictures, scripting: bool
) -> None:
    lena, paul = make_staff("lena", "legal"), make_staff("paul", "privacy_officer")
    case = AbuseCase.objects.get(pk=silent(alice, dora).case)
    rhea = make_recipient("complainant", name="Film Rights Ltd")
    desk, maker, colleague = (visit(who, scripting=scripting) for who in (dora, lena, paul))
    desk.go(case_page(case)).page.get_by_role("link", name="Name the complainant").click()
    desk.page.locator("[name=reference]").fill(rhea.reference)
    pictures.take(desk, "complainant")
    send(desk, "Name the complainant")
    pictures.take(desk, "named")

    made = disclosing.submit(maker, case.reference, alice.account.number, "contact")
    pictures.take(maker, "submitted")
    read = disclosing.approve(colleague, made)
    assert "Film Rights Ltd" in read and "alice@alice.example" in read and "accounts.contact" in read
    pictures.take(colleague, "approved")
    passphrase = disclosing.release(maker, made)
    pictures.take(maker, "passphrase")
    recipient = visit(None, scripting=scripting)
    files = disclosing.receive(recipient, passphrase)
    pictures.take(recipient, "received")
    left = json.loads(files["records.json"])["records"]
    assert set(left) == {"accounts.contact", "accounts.address"}
    made.refresh_from_db()
    assert made.state == Stage.DELIVERED

    customer = visit(alice, scripting=scripting).go("/data/activity/")
    assert "Film Rights Ltd" in customer.main() and "A complaint was not answered in time." in customer.main()
    pictures.take(customer, "activity")


@MODES
def test_a_court_is_asked_and_nothing_is_put_back(
    visit: Start, alice: User, dora: User, pictures: Pictures, scripting: bool
) -> None:
    counter = sign_counter(alice, dora)
    case = AbuseCase.objects.get(pk=counter.notice.case)
    desk, customer = visit(dora, scripting=scripting), visit(alice, scripting=scripting)
    desk.go(case_page(case, "stop-put-back"))
    send(desk, "Record a notice of court action")
    assert desk.status == 422
    desk.page.locator("[name=court_action]").fill("N.D. Ill., 26-cv-1, told by the complainant on Monday.")
    pictures.take(desk, "stop")
    send(desk, "Record a notice of court action")
    assert "The put-back is stopped." in desk.main()
    pictures.take(desk, "stopped")
    customer.go(f"/notices/{counter.notice.reference}/")
    assert "Before a court" in customer.main() and "26-cv-1" in customer.main()
    assert "The material comes back on" not in customer.main() and "Send a counter-notice" not in customer.main()
    pictures.take(customer, "before-a-court")
    desk.go(case_page(case, "advance-put-back"))
    assert "It was stopped by a notice of court action." in desk.main()


@MODES
def test_a_report_is_taken_back_and_everything_it_led_to_ends(
    visit: Start, alice: User, dora: User, pictures: Pictures, scripting: bool
) -> None:
    notice = silent(alice, dora)
    case = take_back(AbuseCase.objects.get(pk=notice.case))
    desk, customer = visit(dora, scripting=scripting), visit(alice, scripting=scripting)
    desk.go("/admin/")
    pile = desk.page.locator("section", has=desk.page.get_by_role("heading", name="Reports taken back (1)"))
    pile.get_by_role("link", name=case.reference).click()
    assert "We were wrong: this is your customer's own film." in desk.main()
    assert "These two files copy our film." in desk.main() and "Suspended since" in desk.main()
    pictures.take(desk, "taken-back")
    desk.page.get_by_role("link", name="Close the case").click()
    assert desk.page.locator("[name=outcome][value=withdrawn]").is_checked()
    desk.page.locator("[name=reason]").fill("They told us by telephone, too.")
    pictures.take(desk, "close")
    send(desk, "Close the case")
    assert "lifted: the complaint was withdrawn or refuted" in desk.main()
    assert Suspension.objects.standing().count() == 0
    customer.go(f"/notices/{notice.reference}/")
    assert "The report was taken back. Nothing of it counts against you." in customer.main()
    assert "The service runs again" in customer.main() and "Place 1 is back" in customer.main()
    pictures.take(customer, "taken-back-for-the-customer")


@MODES
def test_a_strike_is_appealed_and_another_person_decides(
    visit: Start, alice: User, dora: User, omar: User, pictures: Pictures, scripting: bool
) -> None:
    notice = told(alice, dora)
    case = AbuseCase.objects.get(pk=notice.case)
    desk, colleague, customer = (visit(who, scripting=scripting) for who in (dora, omar, alice))
    desk.go(case_page(case, "strike"))
    send(desk, "Give a strike")
    customer.go(f"/notices/{notice.reference}/")
    customer.page.get_by_role("link", name="Appeal the strike").click()
    customer.page.locator("[name=text]").fill("The film is mine.")
    pictures.take(customer, "appeal")
    send(customer, "Send your appeal")
    desk.go(case_page(case, "decide-appeal"))
    assert "a colleague decides" in desk.main()
    colleague.go(case_page(case, "decide-appeal"))
    colleague.page.locator("[name=in_favour][value=yes]").check()
    colleague.page.locator("[name=decision]").fill("The film is theirs.")
    pictures.take(colleague, "decide")
    send(colleague, "Answer the appeal")
    customer.go(f"/notices/{notice.reference}/")
    assert "was overruled" in customer.main() and "The film is theirs." in customer.main()
    assert Strike.objects.get().overruled_at is not None
    pictures.take(customer, "overruled")


def test_the_pages_of_notices_are_accessible(
    look_round: Callable[..., Round], alice: User, dora: User, omar: User
) -> None:
    customer = look_round(alice)
    customer.look("notices, none", "/notices/").look("closed, none", "/notices/?show=closed")
    plain = told(alice, dora, "other")
    waiting, counter = silent(alice, dora), sign_counter(alice, dora)
    striking.strike(waiting.pk, by=dora)
    one = f"/notices/{waiting.reference}"
    customer.look("overview", "/").look("notices", "/notices/").look("suspended", f"{one}/")
    customer.look("acknowledge", f"{one}/acknowledge/")
    customer.look("fixed", f"{one}/fixed/").press("Send what you fixed").look("fixed, empty")
    customer.look("disagree", f"{one}/disagree/").press("Send your answer").look("disagree, empty")
    customer.look("no more time", f"{one}/time/").look("time", f"/notices/{plain.reference}/time/")
    customer.press("Get more time").look("time, empty")
    customer.look("counter", f"{one}/counter/").press("Continue to check and sign").look("counter, empty")
    customer.look("no counter", f"/notices/{plain.reference}/counter/")
    customer.look("appeal", f"{one}/appeal/").press("Send your appeal").look("appeal, empty")
    customer.look("countered", f"/notices/{counter.notice.reference}/")
    words = countering.Words("own", "Mine.", "Alice Canary", "7 Street", "+1 312 5550199", "alice@alice.example")
    countering.draft(waiting.pk, waiting.items.values_list("pk", flat=True), words, by=alice)
    customer.look("sign", f"{one}/counter/sign/").press("Sign and send the counter-notice").look("sign, empty")
    assert customer.wrong == []


def test_the_pages_of_the_desk_are_accessible(look_round: Callable[..., Round], alice: User, dora: User) -> None:
    fresh = make_case(alice)
    find_true(fresh, dora)
    waiting, counter = silent(alice, dora), sign_counter(alice, dora)
    striking.strike(waiting.pk, by=dora)
    desk = look_round(dora)
    desk.look("work", "/admin/").look("queue", QUEUE)
    desk.look("case", case_page(fresh)).look("tell", case_page(fresh, "notify"))
    desk.visitor.page.locator("[name=claim]").fill("")
    desk.press("Tell the customer").look("tell, empty", status=422).look(
        "complainant", case_page(fresh, "name-complainant")
    )
    of_waiting, of_counter = (AbuseCase.objects.get(pk=one) for one in (waiting.case, counter.notice.case))
    desk.look("told", case_page(of_waiting)).look("back", case_page(of_waiting, "came-back"))
    desk.look("strike, given", case_page(of_waiting, "strike")).look("close", case_page(of_waiting, "close"))
    desk.look("stop", case_page(of_counter, "stop-put-back")).press("Record a notice of court action")
    desk.look("stop, empty", status=422).look("advance", case_page(of_counter, "advance-put-back"))
    desk.look("counter", case_page(of_counter)).look("queue, pending", f"{QUEUE}?customer=counter")
    desk.look("queue, silent", f"{QUEUE}?customer=silent")
    page = desk.visitor.page
    page.locator("[name=_selected_action]").first.check()
    page.locator("[name=action]").select_option("close_selected")
    page.locator("button[name=index]").click()
    desk.look("close several").press("Close these cases").look("close several, empty", status=422)
    page.locator("[name=outcome][value=no_action]").check()
    page.locator("[name=reason]").fill("A storm of nothing.")
    desk.press("Close these cases").look("several closed")
    assert desk.wrong == [] and AbuseCase.objects.get(pk=of_waiting.pk).outcome == CaseOutcome.NO_ACTION


def test_the_acts_of_the_desk_are_accessible(look_round: Callable[..., Round], alice: User, dora: User) -> None:
    lacking, foreign = (make_case(alice, reply="rhea@film.example") for _ in range(2))
    for element in ELEMENTS:
        is_met = element != Finding.SIGNATURE
        judging.find(lacking.pk, element, by=dora, is_met=is_met, note="" if is_met else "Nobody signed it.")
    judging.decide_whom(foreign.pk, by=dora, number="")
    desk = look_round(dora)
    desk.look("lacking", case_page(lacking)).look("deficiency", case_page(lacking, "deficiency"))
    desk.visitor.page.locator("[name=text]").fill("")
    desk.press("Send the deficiency reply").look("deficiency, empty", status=422)
    desk.look("facts", case_page(lacking, "write-more-facts")).look("whom", case_page(lacking, "decide-whom"))
    desk.look("finding", case_page(lacking, "record-finding")).press("Record a finding")
    desk.look("finding, empty", status=422).look("kind", case_page(lacking, "change-kind"))
    desk.look("note", case_page(lacking, "add-note")).look("not ours", case_page(foreign, "write-not-ours"))
    desk.press("Write that it is not ours").look("not ours, sent")
    concluding.close(foreign.pk, CaseOutcome.NOT_OURS, by=dora, reason="Not ours.")
    desk.look("closed", case_page(foreign, "write-closed"))

    tell(lacking, dora, delivered=False)
    desk.look("undelivered", case_page(lacking)).look("reached", case_page(lacking, "reached"))
    desk.look("passed on", case_page(lacking, "write-passed-on"))
    answered = told(alice, dora)
    responding.fix(answered.pk, {answered.items.all()[0].pk: "I removed it."}, by=alice)
    striking.appeal(striking.strike(answered.pk, by=dora).pk, by=alice, text="The film is mine.")
    case = AbuseCase.objects.get(pk=answered.case)
    desk.look("dispute", case_page(case, "dispute")).look("disable", case_page(case, "disable"))
    take_back(case)
    desk.look("answered, appealed, taken back", case_page(case))
    desk.look("withdraw strike", case_page(case, "overrule-strike"))
    desk.look("own appeal", case_page(case, "decide-appeal")).look("close, taken back", case_page(case, "close"))
    assert desk.wrong == []


def test_the_clock_is_what_the_pages_wait_for() -> None:
    """The journeys above move days by the owner of the database; the clock alone does nothing before its time."""
    assert enforcing.watch(timezone.now()) == dict.fromkeys(enforcing.watch(timezone.now()), 0)
    assert countering.put_back_due() == 0 and approving.FACTOR.total_seconds() == 600
