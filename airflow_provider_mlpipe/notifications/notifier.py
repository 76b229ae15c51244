"""`MlpipeNotifier`: a message that says what became of the data, sent by whatever notifiers there are."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseNotifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context
    from jinja2 import Environment

    from airflow_provider_mlpipe.notifications.message import Message

__all__ = ["MlpipeNotifier"]

_UNSAID = {"subject": "{{ mlpipe.subject }}", "html_content": "{{ mlpipe.html }}"}
"""What a notifier that leaves these open is given: those of mail."""


class MlpipeNotifier(BaseNotifier):
    """Say what became of the data: which rules failed and on how many rows, the report, the run, how to run it again.

    Alone it writes the message to the log. Other notifiers send it: their templates have ``{{ mlpipe.subject }}``,
    ``{{ mlpipe.text }}``, ``{{ mlpipe.slack }}`` and ``{{ mlpipe.html }}``; mail without a subject and content gets
    these by itself. For tasks and Dags, failed, succeeded, retried or skipped; also of operators that are not ours.

    Example::

        SourceIngestOperator(
            ...,
            on_failure_callback=MlpipeNotifier(
                SmtpNotifier(to="data-team@example.com"),
                SlackWebhookNotifier(slack_webhook_conn_id="slack", text="{{ mlpipe.slack }}"),
            ),
        )

    Args:
        notifiers: who sends the message. Each is tried, even if one before it failed.
        samples: whether up to three rejected values per rule may be told. Values of columns that the rules call
            ``sensitive`` are masked whatever stands here.
        context: Airflow's, where it gives one at once.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *notifiers: BaseNotifier, samples: bool = True, context: Context | None = None) -> None:
        super().__init__(**({} if context is None else {"context": context}))
        self.notifiers = notifiers
        self.samples = samples

    def message(self, context: Context) -> Message:
        """Return the message."""
        from airflow_provider_mlpipe.notifications.occasion import message

        return message(context, samples=self.samples)

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Have no template of its own: those of the other notifiers are rendered when they send."""

    def notify(self, context: Context) -> None:
        """Log the message and send it.

        Raises:
            Exception: what the first notifier raised that could not send it, after all were tried.
        """
        said = self.message(context)
        self._write(said)
        failures: list[Exception] = []
        for notifier in self.notifiers:
            try:
                _ready(notifier)(_told(context, said))
            except Exception as error:  # noqa: BLE001 - the others are told all the same
                failures.append(error)
        if failures:
            raise failures[0]

    async def async_notify(self, context: Context) -> None:
        """Log the message and send it, from a triggerer.

        Raises:
            Exception: as for `notify`.
        """
        said = await asyncio.to_thread(self.message, context)
        self._write(said)
        sent = [_send(_ready(notifier), _told(context, said)) for notifier in self.notifiers]
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def _write(self, said: Message) -> None:
        if said.state == "FAILED":
            self.log.error("%s", said.text)
        else:
            self.log.info("%s", said.text)


def _told(context: Context, said: Message) -> dict[str, Any]:
    """Return the context with the message; without the Dag where that is the scheduler's, which renders nothing.

    That is what `airflow dags test` calls a Dag's callbacks with.
    """
    told = {**context, "mlpipe": said}
    if not hasattr(told.get("dag"), "get_template_env"):
        told.pop("dag", None)
    return told


def _ready(notifier: BaseNotifier) -> BaseNotifier:
    """Return a notifier for one message: rendering replaces a notifier's templates by what it said last."""
    one = copy.copy(notifier)
    for name, template in _UNSAID.items():
        if name in one.template_fields and getattr(one, name, None) is None:
            setattr(one, name, template)
    return one


async def _send(notifier: BaseNotifier, context: Any) -> None:  # noqa: ANN401 - a Context with a key more
    if type(notifier).async_notify is BaseNotifier.async_notify:
        await asyncio.to_thread(notifier, context)
        return
    notifier.context = context
    await notifier
