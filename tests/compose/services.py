"""Airflow's four lasting services as the compose file starts them, as local processes."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.servers import airflow_services as services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compose.local import Local

__all__ = ["NAMES", "airflow_services", "healthy"]

NAMES = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


@contextmanager
def airflow_services(stack: Local) -> Iterator[services.Api]:
    """Start the services by their own commands, in the order that the file demands; only the ports are ours."""
    stack.ports = services.ports()
    api = f"127.0.0.1:{stack.ports['AIRFLOW__API__PORT']}"
    health = stack.ports["AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"]
    stack.addresses |= {
        "airflow-api-server:8080": api, "127.0.0.1:8080": api, "127.0.0.1:8974": f"127.0.0.1:{health}",
    }  # fmt: skip
    for name in NAMES:
        stack.mount(name)
    started = [
        # The image's entrypoint puts `airflow` before what is no program of its own.
        services.Service(name, ["airflow", *stack.services[name]["command"]], stack.environment(name), stack.folder)
        for name in NAMES
    ]
    started[0] = replace(started[0], ready=lambda: healthy(stack, NAMES[0]))
    with services.start(started):
        yield services.Api(f"http://{api}")


def healthy(stack: Local, name: str) -> bool:
    """Run a service's own healthcheck once."""
    kind, *words = stack.services[name]["healthcheck"]["test"]
    command = words if kind == "CMD" else ["sh", "-c", *words]
    environment = stack.environment(name)
    program = shutil.which(command[0], path=environment["PATH"])
    assert program, f"the image has {command[0]}, this machine has not: apt-get install {command[0]}"
    done = subprocess.run([program, *map(stack.here, command[1:])], env=environment, capture_output=True, check=False)
    return done.returncode == 0
