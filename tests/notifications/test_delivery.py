"""Messages as they arrive: at a mail server by Airflow's SMTP notifier, at a webhook by Slack's.

The runs are those of `tests.operators.observed`.
"""

from __future__ import annotations

import json
from email.header import decode_header, make_header
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.operators.observed import Observed

pytestmark = [pytest.mark.slow, pytest.mark.airflow]


@pytest.fixture(scope="module")
def seen() -> Observed:
    from tests.operators.observed import observed

    return observed()


def mails(seen: Observed, to: str, about: str) -> list[str]:
    """Return the contents of the mails to somebody with such a subject."""
    found = []
    for mail in seen.mails:
        (part,) = [part for part in mail.walk() if part.get_content_maintype() == "text"]
        if mail["To"] == f"{to}@example.com" and about in str(make_header(decode_header(mail["Subject"]))):
            found.append(part.get_payload(decode=True).decode())
    return found


def test_mail_says_which_rule_failed_on_how_many_rows_where_and_what_to_do(seen: Observed) -> None:
    (text,) = mails(seen, "task", "[FAILED] rejected.check: people: 2 rules of severity ERROR failed")
    folder = seen.runs["rejected"].xcom("people")

    assert "No two rows have the same `person`. 4 of 266 rows (1.5 %) share a key" in text
    assert "<td>Report</td><td>" + f"{folder}/_report.html" in text
    assert "/dags/rejected/runs/" in text
    assert "airflow tasks clear rejected" in text


def test_slack_is_told_the_same(seen: Observed) -> None:
    (post,) = [post for post in seen.posts if post.path.startswith("/services")]
    text = json.loads(post.content)["text"]

    assert text.startswith("*[FAILED] rejected.check: people: 2 rules of severity ERROR failed*\npeople: 266 rows")


def test_sensitive_values_and_secrets_stay_where_they_are(seen: Observed) -> None:
    (mail,) = mails(seen, "task", "rejected.check")
    (post,) = [post for post in seen.posts if post.path.startswith("/services")]

    for text in (mail, json.loads(post.content)["text"]):
        assert "***" in text  # a sample of the sensitive column
        assert "u_0001" in text  # one of another
        assert "@example" not in text
        assert "s3cr3t" not in text


def test_one_that_cannot_be_sent_keeps_no_other_back(seen: Observed) -> None:
    """The first notifier of the task has no server; mail and Slack after it were sent."""
    assert "SMTP connection is not found" in seen.runs["rejected"].log
    assert mails(seen, "task", "rejected.check")


def test_a_task_that_succeeds_can_tell_too_by_templates_of_the_author(seen: Observed) -> None:
    (text,) = mails(seen, "task", "Checked: kept.check")

    assert "[PASSED] kept.check" in text
    assert "kept: 266 rows, 1 error" in text


def test_an_error_of_the_source_is_told_in_its_own_words(seen: Observed) -> None:
    (text,) = mails(seen, "task", "[FAILED] absent.people")

    assert "there is no table &#x27;no_such_table&#x27;. It has: activity, projects, tasks, teams, users." in text


def test_alone_it_writes_to_the_log(seen: Observed) -> None:
    assert "[PASSED] rejected.people" in seen.runs["rejected"].log


def test_a_dag_tells_of_its_run_from_the_dag_processor_with_what_its_validations_found(seen: Observed) -> None:
    """There is no exception there: the verdict beside the data says what failed."""
    (text,) = mails(seen, "dag", "[FAILED] rejected: people: 2 rules of severity ERROR failed")

    assert "people: 266 rows, 2 errors, 1 warning" in text
    assert "No two rows have the same `person`. 4 of 266 rows (1.5 %) share a key" in text
    assert "airflow tasks clear rejected --only-failed" in text
    assert "@example" not in text


def test_a_dag_tells_in_dags_test_too(seen: Observed) -> None:
    """With less in it: nobody can be asked for XComs there."""
    assert len(mails(seen, "dag", "[PASSED] kept")) == 1


def test_nothing_is_asked_of_airflow_that_is_not_there(seen: Observed) -> None:
    """Airflow writes an error to the log for every XCom that does not exist."""
    for log in (seen.called_back, *(run.log for run in seen.runs.values())):
        assert "XCom not found" not in log
