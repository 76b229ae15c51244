"""Call a Dag's callbacks as Airflow does: in a process of the Dag processor, with what the scheduler tells it.

Not a test: `tests.operators.observed` starts it after a run. `airflow dags test` calls a Dag's callbacks too, but in its
own process and with the scheduler's Dag.

Usage: ``python dag_processor.py DAG_ID RUN_ID``.
"""

from __future__ import annotations

import io
import selectors
import sys
import uuid
from pathlib import Path

import structlog
from airflow.dag_processing.processor import DagFileProcessorProcess
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor
from airflow.utils.session import create_session
from sqlalchemy import select


def main(dag_id: str, run_id: str) -> None:
    """Build the scheduler's request, and let a process of the Dag processor serve it."""
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
        last = max(run.get_task_instances(session=session), key=lambda ti: (ti.state == "failed", ti.task_id))
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        failed = str(run.state) == "failed"
        request = run.produce_dag_callback(
            dag=dag, success=not failed, relevant_ti=last, reason="task_failure" if failed else "success"
        )
        file = Path(dag.fileloc)
    with selectors.DefaultSelector() as selector:
        process = DagFileProcessorProcess.start(
            id=uuid.uuid4(),
            path=file,
            bundle_path=file.parent,
            bundle_name="dags-folder",
            dag_file_rel_path=file.name,
            callbacks=[request],
            selector=selector,
            logger=structlog.get_logger(),
            logger_filehandle=io.BytesIO(),
            client=InProcessTestSupervisor._api_client(),
        )
        while not process.is_ready:
            process._service_subprocess(0.1)
        process.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
