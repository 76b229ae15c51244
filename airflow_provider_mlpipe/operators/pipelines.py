"""`pipeline`: the whole chain of a feature set as one task group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskGroup, XComArg

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.operators.base import StageOperator
from airflow_provider_mlpipe.operators.extract import ExtractFeaturesOperator
from airflow_provider_mlpipe.operators.ingest import SourceIngestOperator
from airflow_provider_mlpipe.operators.materialize import FeastMaterializeOperator
from airflow_provider_mlpipe.operators.validate import ValidateOperator

if TYPE_CHECKING:
    from airflow_provider_mlpipe.config import ConfigLike

__all__ = ["Pipeline", "pipeline"]


class Pipeline(TaskGroup):
    """The task group that `pipeline` returns; it is chained like any other.

    Attributes:
        inputs: by role, the artifact that the features are computed from: for another pipeline to share.
        features: the feature artifact.
        output: what comes after hangs on it: the feature artifact, once it is online if it goes there.
    """

    inputs: dict[str, XComArg]
    features: XComArg
    output: XComArg


def pipeline(  # noqa: PLR0913 - all but two have a default, and come by name
    feature_set: str,
    inputs: Mapping[str, str | XComArg | Mapping[str, Any]],
    *,
    ingestion: ConfigLike = "ingestion_config.yaml",
    validation: ConfigLike | None = "validation_config.yaml",
    features: ConfigLike = "feature_config.yaml",
    validate: Mapping[str, Any] | None = None,
    extract: Mapping[str, Any] | None = None,
    online: Mapping[str, Any] | bool = True,
    group_id: str | None = None,
    **common: Any,  # noqa: ANN401 - arguments that all tasks take
) -> Pipeline:
    """Make the tasks that take a feature set from its sources to the online store: ingest, validate, extract, serve.

    The YAML files are read when the tasks run, never when the Dag is parsed; so `inputs` says which source plays which
    role, and that is the shape of the chain. Tasks are called ``ingest_ROLE``, ``validate_ROLE``, ``extract`` and
    ``materialize``, in a group called as the set.

    Example::

        pipeline("user_features", {"users": "user_data", "activity": "activity_data"})

    Args:
        feature_set: the set's name in `features`.
        inputs: by role, a source's name in `ingestion`, ingested and then validated by the rules of that name; or a
            mapping with arguments of `SourceIngestOperator` (``{"source": "user_data", "conn_id": "tracker"}``), whose
            ``rules`` names other rules, and ``related`` the roles that these refer to, by the names that they give
            them (``{"user_data": "users"}``); or a task that published an artifact, or its output, taken as it is.
            ``{**other.inputs, ...}`` shares what another pipeline of the Dag has ingested and validated.
        ingestion: the ingestion YAML file, or a mapping.
        validation: the validation YAML file, or a mapping; None for no validation, after which the features are refused
            by `FeastMaterializeOperator` unless ``require_validation`` is off.
        features: the feature YAML file, or a mapping.
        validate: further arguments of every `ValidateOperator`.
        extract: further arguments of `ExtractFeaturesOperator`.
        online: further arguments of `FeastMaterializeOperator`; False for a pipeline that ends with the artifact.
        group_id: the group's name; the set's if absent, with a number if that is taken.
        common: what every task of the group takes, such as ``retries``, ``pool``, ``as_of``, ``artifact_root``.

    Raises:
        ConfigError: no input; an input is none of these; or the Dag has a task already that writes the same artifact.
    """
    said = {"ingestion": ingestion, "validation": validation, "features": features}
    group = Pipeline(
        group_id=group_id or feature_set,
        add_suffix_on_collision=group_id is None,
        tooltip=f"{feature_set}: from its sources to features" + ("" if online is False else " online"),
    )
    with group:
        chain = _Chain(group, feature_set, said, common)
        group.inputs = {role: chain.input(role, given, validate or {}) for role, given in inputs.items()}
        group.features = group.output = chain.extract(group.inputs, extract or {})
        if online is not False:
            group.output = chain.materialize({} if online is True else online)
    return group


class _Chain:
    """Makes the tasks of one group."""

    def __init__(
        self, group: Pipeline, feature_set: str, configs: Mapping[str, ConfigLike | None], common: Mapping[str, Any]
    ) -> None:
        self._group, self._set, self._configs, self._common = group, feature_set, configs, common
        self._made: dict[str, XComArg] = {}

    def input(self, role: str, given: str | XComArg | Mapping[str, Any], validate: Mapping[str, Any]) -> XComArg:
        """Return the artifact of a role, ingested and validated if it is not there yet."""
        given = getattr(given, "output", given)  # of a task
        self._made[role] = given if isinstance(given, XComArg) else self._valid(role, given, validate)
        return self._made[role]

    def _valid(self, role: str, given: str | Mapping[str, Any], validate: Mapping[str, Any]) -> XComArg:
        arguments: dict[str, Any] = {}
        if isinstance(given, (str, Mapping)):
            arguments = {"source": given} if isinstance(given, str) else dict(given)
        rules = arguments.pop("rules", arguments.get("dataset") or arguments.get("source"))
        related = {name: self._role(role, other) for name, other in arguments.pop("related", {}).items()}
        if not arguments.get("source"):
            raise self._wrong(
                f"inputs[{role!r}]",
                f"neither a source's name, nor a mapping with source, nor the output of a task: {given!r}",
            )
        ingested = SourceIngestOperator(
            task_id=f"ingest_{role}", **{"config": self._configs["ingestion"], **self._common, **arguments}
        )
        self._refuse_twin(ingested, ingested.dataset or ingested.source)
        if self._configs["validation"] is None:
            return ingested.output
        checked = ValidateOperator(
            task_id=f"validate_{role}",
            artifact=ingested.output,
            **{
                "config": self._configs["validation"],
                "dataset": rules,
                "related": related or None,
                **self._common,
                **validate,
            },
        )
        return checked.output

    def _role(self, role: str, other: str) -> XComArg:
        """Return what the rules of `role` refer to."""
        if other not in self._made:
            raise self._wrong(
                f"inputs[{role!r}]", f"related names {other!r}, which is no role, or one that stands after it",
                "Write the role that others refer to first.",
            )  # fmt: skip
        return self._made[other]

    def extract(self, inputs: Mapping[str, XComArg], more: Mapping[str, Any]) -> XComArg:
        """Return the features."""
        if not inputs:
            raise self._wrong("inputs", "there is none; give a source's name by role, {'users': 'user_data', ...}")
        task = ExtractFeaturesOperator(
            task_id="extract",
            feature_set=self._set,
            inputs=inputs,
            **{"config": self._configs["features"], **self._common, **more},
        )
        if task.as_of_range is None and task.chunk is None:  # histories and chunks have places of their own
            self._refuse_twin(task, self._set)
        return task.output

    def materialize(self, more: Mapping[str, Any]) -> XComArg:
        """Put the features online."""
        task = FeastMaterializeOperator(
            task_id="materialize",
            artifact=self._group.features,
            **{"config": self._configs["features"], **self._common, **more},
        )
        return task.output

    def _refuse_twin(self, task: StageOperator, dataset: str) -> None:
        """Refuse a task that writes where another one of the Dag writes in the same run."""
        for other in self._group.dag.tasks:
            if other is task or not isinstance(other, StageOperator):
                continue
            name = (
                getattr(other, "dataset", None) or getattr(other, "source", None) or getattr(other, "feature_set", None)
            )
            if type(other) is type(task) and name == dataset and other.artifact_root == task.artifact_root:
                raise self._wrong(
                    f"task {task.task_id}",
                    f"{other.task_id} writes {dataset!r} in the same run, to the same place",
                    "Share what is there, inputs={**other.inputs, ...}; or give one of the two a dataset or "
                    "artifact_root of its own.",
                )

    def _wrong(self, key: str, problem: str, hint: str = "") -> ConfigError:
        return ConfigError.invalid(where=f"pipeline({self._set!r})", key=key, problem=problem, hint=hint)
