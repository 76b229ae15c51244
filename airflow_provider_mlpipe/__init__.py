"""An Apache Airflow provider from databases, APIs and object storage to validated features served by Feast.

The stages (`ingestion`, `validation`, `feature_extraction`, `feature_store`) run anywhere; `operators` is their
Airflow face.
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
