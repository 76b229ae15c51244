"""An Airflow with runs of cases/pages.py in its database, and its API server as a process."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.operators.home import REPOSITORY, Airflow, Run, Step, environment, new_airflow
from tests.servers import process
from tests.servers.airflow_services import Api, ports

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CASES", "PASSWORDS", "Answer", "Server", "Site", "served"]

CASES = Path(__file__).with_name("cases")
PASSWORDS = {"viewer": "pw-of-the-viewer", "stranger": "pw-of-the-stranger"}
REPORT = "_report.html"
SECRET = "what nobody may read"
HOSTILE = "<script>alert(1)</script>"
SLOW = 300
"""Seconds until a server counts as stuck, on a machine that is busy with other tests."""


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Server:
    """An API server.

    Attributes:
        url: its address with the path that it is served from.
        token: of whoever asks; empty for nobody.
        by_cookie: whether the token goes as a browser sends it.
    """

    url: str
    token: str = ""
    by_cookie: bool = False

    def of(self, user: str, *, by_cookie: bool = False) -> Server:
        """Return the server as a user sees it."""
        return Server(self.url, Api(self.url).login(user, PASSWORDS[user]).token, by_cookie)

    def get(self, path: str) -> Answer:
        """Return the answer for a path, whatever its status."""
        request = urllib.request.Request(f"{self.url}{path}")
        if self.token and self.by_cookie:
            request.add_header("Cookie", f"_token={self.token}")
        elif self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=SLOW) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read().decode())


@dataclass
class Site:
    """An Airflow, and what was run in it.

    Attributes:
        airflow: its home and environment.
        files: the folder of the sources.
        runs: of the Dags, by a name.
    """

    airflow: Airflow
    files: Path
    runs: dict[str, Run] = field(default_factory=dict)

    @classmethod
    def new(cls, folder: Path, **settings: str) -> Site:
        """Return one with the files that the Dags read, before any run."""
        files = folder / "files"
        files.mkdir(parents=True)
        site = cls(new_airflow(folder), files)
        given = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(CASES),
            "MLPIPE_TEST_FILES": str(files),
            "MLPIPE_TEST_LIES": json.dumps(list(site.lies)),
        }
        site.airflow = site.airflow.with_env(**given | settings)
        write_files(files)
        return site

    @property
    def root(self) -> Path:
        """The artifact root."""
        return self.airflow.artifacts

    @property
    def lies(self) -> dict[str, int]:
        """Addresses of reports that a task claims, each with the status that it must be answered with."""
        root = self.root
        report = REPORT
        return {
            f"/etc/{report}": 403,
            f"{root}/../secret/{report}": 403,
            f"{root}/people/../../secret/{report}": 403,
            f"file://{root}/%2e%2e/secret/{report}": 403,
            f"{root}/%2e%2e/secret/{report}": 404,  # a folder of that name, which there is none
            f"{root}/linked/{report}": 403,
            f"{root}/file-linked/{report}": 403,
            f"{root}/pipe/{report}": 403,
            f"{root}/{report}": 403,
            f"{root}-beside/{report}": 403,
            f"{root}/people/raw/_manifest.json": 403,
            f"s3://lake/people/raw/p/{report}": 403,
            f"https://example.org/{report}": 403,
            f"{root}/nul\0/{report}": 403,
            f"{root}/absent/raw/p/{report}": 404,
            f"{root}/huge/{report}": 403,
            f"{root}/broken/{report}": 422,
            f"{root}/foreign/{report}": 422,
        }

    def complaints(self) -> list[str]:
        """Return what the API server logged above the level of information."""
        log = (self.airflow.home / "api-server.log").read_text()
        return [line for line in log.splitlines() if re.search(r"\[(warning|error|critical)|Traceback", line)]

    def lay_traps(self) -> None:
        """Put below the artifact root what the lies name: links out of it, a pipe, what is too large or is not ours."""
        secret = self.root.parent / "secret"
        beside = self.root.with_name(f"{self.root.name}-beside")
        for folder in (
            secret,
            beside,
            *(self.root / name for name in ("pipe", "huge", "broken", "foreign", "file-linked")),
        ):
            folder.mkdir()
        for folder in (secret, beside):
            for name in (REPORT, "_validation.json", "_manifest.json"):
                (folder / name).write_text(json.dumps({"meta": {"mlpipe": {"dataset": SECRET}}}))
        (self.root / "linked").symlink_to(secret)
        for name in (REPORT, "_validation.json", "_manifest.json"):
            (self.root / "file-linked" / name).symlink_to(secret / name)
            os.mkfifo(self.root / "pipe" / name)
            with (self.root / "huge" / name).open("wb") as file:
                file.truncate(17 * 1024 * 1024)
            (self.root / "broken" / name).write_text("{" * 100_000)
            (self.root / "foreign" / name).write_text(json.dumps({"meta": {"mlpipe": {"dataset": [], "counts": "x"}}}))

    def run(self, **steps: Step) -> None:
        """Run Dags, in one process."""
        self.runs |= dict(zip(steps, self.airflow.run(*steps.values()), strict=True))


def write_files(folder: Path) -> None:
    """Write what the Dags read: people without, with a warning, and with errors; orders of which some go out."""
    days = {"2026-01-12": (40, None, 30), "2026-01-13": (44, 7, 30), "2026-01-14": (43, None, 400)}
    for day, (count, without, age) in days.items():
        rows = [
            f"{number},{age if number == 5 else 20 + number},{'' if number == without else f'<b>{number}</b>'}"
            for number in range(count)
        ]
        (folder / f"people-{day}.csv").write_text(f"id,age,{HOSTILE}\n" + "\n".join(rows) + "\n")
    orders = [f"o{number},{500 if number < 3 else number},<i>x</i>" for number in range(60)]
    (folder / "orders.csv").write_text("order,amount,note\n" + "\n".join(orders) + "\n")


@contextmanager
def served(site: Site, path: str = "", **settings: str) -> Iterator[Server]:
    """Start the API server of a site below a path; the user `stranger` may not see the Dags."""
    (site.airflow.home / "passwords.json").write_text(json.dumps(PASSWORDS))
    listening = ports()
    url = f"http://127.0.0.1:{listening['AIRFLOW__API__PORT']}{path}"
    whole = environment(
        site.airflow.home,
        **site.airflow.env
        | listening
        | {
            "PYTHONPATH": str(REPOSITORY),  # for the fence
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(64),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.plugins.fence.Fence",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:viewer" for user in PASSWORDS),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(site.airflow.home / "passwords.json"),
            **settings,
        },
    )
    command = [sys.executable, "-m", "airflow", "api-server"]
    log = site.airflow.home / "api-server.log"
    with process(command, lambda: Api(url).answers("/api/v2/version"), output=log, env=whole, cwd=site.airflow.home):
        yield Server(url)
