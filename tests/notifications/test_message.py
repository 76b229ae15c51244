"""The message: what stands in it, what it looks like in each form, and what never stands in it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_mlpipe.errors import DataRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.notifications.message import Judgement, Message
from airflow_provider_mlpipe.notifications.occasion import message

START, END = datetime(2026, 1, 13, 2, tzinfo=UTC), datetime(2026, 1, 14, 2, tzinfo=UTC)
AT = END.isoformat()


def rule(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A failed rule, as a verdict has it."""
    return {
        "rule_id": f"users.unique.{number}", "severity": "ERROR", "status": "failed", "columns": ["user_id"],
        "text": f"No two rows have the same `key{number}`.", "found": "4 of 268 rows (1.49 %) share a key.",
        "where": f"rules.yaml:{number}", "owner": None,
        "samples": [{"values": {"user_id": "u_1"}, "key": {}, "rows": 2}],
    } | changes  # fmt: skip


def rejected(*rules: dict[str, Any]) -> DataRejectedError:
    """The error of a validation."""
    return DataRejectedError(
        "users: rejected", dataset="users", report="/lake/users/_report.html", failures=list(rules or [rule()])
    )


class Task:
    """The part of a running task instance that a message is made of."""

    dag_id, task_id, run_id = "daily", "check", "scheduled__2026-01-14"
    log_url = "http://airflow.example.com/dags/daily/runs/r/tasks/check?try_number=2"

    def __init__(self, state: str = "failed", map_index: int = -1, **xcoms: Any) -> None:
        self.state, self.map_index, self.try_number, self.xcoms = state, map_index, 2, xcoms

    def xcom_pull(self, *, key: str, **_: Any) -> Any:
        return self.xcoms.get(key)


def context(error: BaseException | None = None, **given: Any) -> dict[str, Any]:
    """What Airflow calls a task's callback with."""
    found: dict[str, Any] = {
        "ti": Task(), "run_id": Task.run_id, "logical_date": END, "data_interval_start": START,
        "data_interval_end": END, "exception": error,
    }  # fmt: skip
    return found | given


def test_of_rejected_data_the_rules_come_first_then_where_to_look_and_what_to_do() -> None:
    counts = {"passed": False, "rows_validated": 268, "errors": 1, "warnings": 2}

    found = message(context(rejected(), ti=Task(validation=counts, _link_ReportLink="/dags/daily/report")))

    assert found.text.splitlines() == [
        "[FAILED] daily.check: users: 1 rule of severity ERROR failed",
        "users: 268 rows, 1 error, 2 warnings",
        "• ERROR: No two rows have the same `key1`. 4 of 268 rows (1.49 %) share a key.",
        "   e.g. user_id 'u_1'",
        "   rules.yaml:1",
        "Report:     /lake/users/_report.html",
        "In Airflow: http://airflow.example.com/dags/daily/report",
        "Run:        scheduled__2026-01-14 (2026-01-13 02:00 to 2026-01-14 02:00 UTC)",
        "Try:        2",
        f"Again:      airflow tasks clear daily -t '^check$' -s {AT} -e {AT} --upstream --downstream",
    ]


def test_of_many_rules_it_names_a_few() -> None:
    found = message(context(rejected(*map(rule, range(1, 9)))))

    assert [line for line in found.text.splitlines() if line.startswith("•")][-1] == "• and 3 more rules"
    assert "8 rules of severity ERROR failed" in found.subject


def test_samples_can_be_kept_out() -> None:
    assert "u_1" in message(context(rejected())).text
    assert "u_1" not in message(context(rejected()), samples=False).text


def test_another_error_says_what_went_wrong_and_shows_no_password() -> None:
    error = SourceUnavailableError(
        "cannot reach postgresql://ann:s3cr3t@db/shop", hint="Is the server up? Tried with password=s3cr3t."
    )

    found = message(context(error))

    assert found.subject == "[FAILED] daily.check: cannot reach postgresql://ann:***@db/shop"
    assert "Is the server up?" in found.text
    assert "s3cr3t" not in found.text + found.html + found.slack
    assert "--upstream" not in found.text


def test_our_error_is_told_rather_than_airflows_that_wraps_it() -> None:
    wrapper = RuntimeError("do not retry")
    wrapper.__cause__ = rejected()

    assert "users: 1 rule of severity ERROR failed" in message(context(wrapper)).subject


def test_an_error_of_a_task_that_is_not_ours_is_told_by_its_kind() -> None:
    assert message(context(ZeroDivisionError("division by zero"))).subject.endswith(
        "ZeroDivisionError: division by zero"
    )


def test_a_mapped_task_is_told_apart() -> None:
    assert message(context(rejected(), ti=Task(map_index=3))).what == "daily.check[3]"


@pytest.mark.parametrize(("state", "word"), [("success", "PASSED"), ("up_for_retry", "RETRY"), ("skipped", "SKIPPED")])
def test_the_state_is_the_first_word(state: str, word: str) -> None:
    found = message(context(ti=Task(state=state)))

    assert found.subject == f"[{word}] daily.check"
    assert "Again" not in found.facts


def test_in_slack_a_value_calls_nobody_and_in_mail_it_is_no_markup() -> None:
    evil = rule(samples=[{"values": {"name": "<!channel> & <b>"}, "key": {}, "rows": 1}])

    found = message(context(rejected(evil)))

    assert "<!channel>" in found.text
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in found.slack
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in found.html
    assert "<!channel>" not in found.slack + found.html


def test_slack_is_sent_no_more_than_it_takes() -> None:
    assert len(message(context(ValueError("x" * 10_000))).slack) == 3_000


def test_a_dag_is_told_of_without_a_task() -> None:
    """In the Dag processor there may be neither a task instance nor an exception."""
    dag = SimpleNamespace(dag_id="daily", tasks=[], task_dict={})

    found = message({"dag": dag, "run_id": "manual__1", "reason": "task_failure"})

    assert found.text.splitlines() == ["[FAILED] daily: task_failure", "task_failure", "Run: manual__1"]


def test_a_warning_does_not_explain_a_failure() -> None:
    """A validation warned, and another task failed for another reason."""
    warned = Judgement(dataset="users", rules=[rule(severity="WARNING")])

    found = Message(state="FAILED", what="daily", judgements=[warned], problem="task_failure")

    assert found.subject == "[FAILED] daily: task_failure"
    assert "• warning: No two rows" in found.text


def recorder(
    into: list[str], template: str = "{{ mlpipe.subject }}", *, fails: bool = False, wait: bool = False
) -> Any:
    """Return a notifier of somebody else's."""
    from airflow.providers.common.compat.sdk import BaseNotifier

    class Keeps(BaseNotifier):
        template_fields = ("template",)

        def __init__(self) -> None:
            super().__init__()
            self.template = template

        def notify(self, context: Any) -> None:  # noqa: ARG002 - called by its name
            if fails:
                raise RuntimeError("the server is down")
            into.append(self.template)

    class Waits(Keeps):
        async def async_notify(self, context: Any) -> None:
            await asyncio.to_thread(self.notify, context)

    return Waits() if wait else Keeps()


def test_every_message_is_rendered_anew() -> None:
    """Rendering puts the text in the template's place: a notifier used twice must not repeat itself."""
    from airflow_provider_mlpipe.notifications import MlpipeNotifier

    said: list[str] = []
    notifier = MlpipeNotifier(recorder(said))
    notifier(context(rejected()))
    notifier(context(ValueError("another")))

    assert said == [
        "[FAILED] daily.check: users: 1 rule of severity ERROR failed",
        "[FAILED] daily.check: ValueError: another",
    ]


def test_alone_it_logs(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_provider_mlpipe.notifications import MlpipeNotifier

    MlpipeNotifier()(context(rejected()))
    MlpipeNotifier()(context(ti=Task(state="success")))

    printed = capsys.readouterr().out
    assert re.search(r"\[error +\] \[FAILED\] daily.check: users: 1 rule of severity ERROR failed", printed)
    assert re.search(r"\[info +\] \[PASSED\] daily.check", printed)


def test_one_that_fails_stops_no_other() -> None:
    from airflow_provider_mlpipe.notifications import MlpipeNotifier

    said: list[str] = []
    notifier = MlpipeNotifier(recorder(said, fails=True), recorder(said))

    with pytest.raises(RuntimeError, match="the server is down"):
        notifier(context(rejected()))
    assert len(said) == 1


def test_a_triggerer_awaits_it() -> None:
    """Deadline alerts are sent from there; a notifier that cannot be awaited is sent from a thread."""
    from airflow_provider_mlpipe.notifications import MlpipeNotifier

    said: list[str] = []

    async def alert() -> None:
        await MlpipeNotifier(recorder(said, wait=True), recorder(said), context=context(rejected()))

    asyncio.run(alert())

    assert said == ["[FAILED] daily.check: users: 1 rule of severity ERROR failed"] * 2
