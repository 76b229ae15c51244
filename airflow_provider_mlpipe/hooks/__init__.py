"""What Airflow knows, as the plain settings that stages take: connections, and the ``[mlpipe]`` configuration.

Nothing here is imported, looked up or resolved before a task executes.
"""

from __future__ import annotations

__all__: list[str] = []
