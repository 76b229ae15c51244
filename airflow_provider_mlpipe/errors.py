"""Every exception that this package raises on purpose.

* MlpipeError
  x ConfigError (Terminal)                 the YAML, an argument or the environment is wrong
    · UnknownKeyError                      a key that nobody reads, with the closest one that somebody does
    · MissingEnvironmentVariableError      ${NAME} without a value or default
  x SourceError                            a database, API or file did not give its rows
    · SourceUnavailableError (Transient)   refused, timed out, overloaded: a later try may succeed
    · SourceRejectedError (Terminal)       no such table, no permission, an answer that cannot be read
  x DataRejectedError (Terminal)           a rule of severity ERROR failed; the report is already written
  x FeatureError (Terminal)                a feature cannot be computed from what it was given
  x EngineUnavailableError (Transient)     Spark did not start, or went away meanwhile
  x ArtifactError
    · ArtifactNotFoundError (Terminal)     no manifest at that address, so nothing was published there
    · ArtifactCorruptError (Terminal)      the manifest and the parts disagree
    · ArtifactReplacedError (Transient)    another attempt published while this one read or wrote
    · PublishError (Transient)             the disk is full, the bucket refused: nothing was published
  x StoreError                             the feature store
    · StoreUnavailableError (Transient)    not reachable, locked
    · StoreRejectedError (Terminal)        the store answered, and asking again does not change its answer
    · GateClosedError (Terminal)           no passed verdict for exactly this content
    · ReadBackError (Terminal)             the online store does not hold what the artifact says

Transient means that a retry may help: Airflow's retries apply. Terminal means that it will not: the operators
turn it into AirflowFailException. Messages are built by the classmethods, so that their wording has one place;
each says what, where, how many, shows samples, and ends with a hint at what to do next. No message ever carries
a secret: locations are passed through `redact` before they get here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.wording import did_you_mean, redact, samples

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ArtifactCorruptError",
    "ArtifactError",
    "ArtifactNotFoundError",
    "ArtifactReplacedError",
    "ConfigError",
    "DataRejectedError",
    "EngineUnavailableError",
    "FeatureError",
    "GateClosedError",
    "MissingEnvironmentVariableError",
    "MlpipeError",
    "PublishError",
    "ReadBackError",
    "SourceError",
    "SourceRejectedError",
    "SourceUnavailableError",
    "StoreError",
    "StoreRejectedError",
    "StoreUnavailableError",
    "Terminal",
    "Transient",
    "UnknownKeyError",
    "did_you_mean",
    "redact",
    "samples",
]


class Terminal:
    """Mix-in: trying again changes nothing, so do not."""


class Transient:
    """Mix-in: trying again later may succeed."""


class MlpipeError(Exception):
    """The root. Catch it to catch everything that this package raises on purpose.

    Attributes:
        code: stable identifier for machines and documentation, e.g. ``config.unknown_key``.
        exit_code: what ``mlpipe`` exits with: 1 data rejected, 2 wrong use or config, 3 a source or store failed.
        fields: the facts in the message, as plain values.
    """

    code: ClassVar[str] = "mlpipe"
    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:  # noqa: ANN401 - free-form facts
        self.message = message
        self.hint = hint
        self.fields: dict[str, Any] = fields
        super().__init__(f"{message}\nHint: {hint}" if hint else message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with every field, which Airflow and process pools need."""
        return _rebuild, (type(self), self.message, self.hint, self.fields)

    def as_dict(self) -> dict[str, Any]:
        """Return the error as JSON-ready values, for ``--json`` and logs."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.fields}


def _rebuild(cls: type[MlpipeError], message: str, hint: str, fields: dict[str, Any]) -> MlpipeError:
    return cls(message, hint=hint, **fields)


# ------------------------------------------------------------------ configuration


class ConfigError(Terminal, MlpipeError):
    """The YAML, an argument or the environment is wrong; nothing was read or written."""

    code = "config"
    exit_code = 2

    @classmethod
    def invalid(cls, *, where: str, key: str, problem: str, value: str | None = None, hint: str = "") -> ConfigError:
        """A value does not fit its key."""
        shown = "" if value is None else f", got {value}"
        return cls(f"{where}: {key}: {problem}{shown}", hint=hint, where=where, key=key)

    @classmethod
    def unreadable(cls, *, where: str, problem: str, hint: str = "") -> ConfigError:
        """The file is missing or is not YAML."""
        hint = hint or "mlpipe check FILE shows what a configuration file says."
        return cls(f"{where}: {problem}", hint=hint, where=where)

    @classmethod
    def unknown_name(cls, *, where: str, kind: str, name: str, known: Iterable[str], hint: str = "") -> ConfigError:
        """A name (of a source, dataset, feature ...) that the configuration does not hold."""
        choices = sorted(known)
        guess = did_you_mean(name, choices)
        listed = ", ".join(choices) or "none"
        return cls(f"{where}: no {kind} named {name!r}.{guess} Known: {listed}.", hint=hint, where=where, name=name)

    @classmethod
    def several(cls, errors: list[ConfigError]) -> ConfigError:
        """Collect every problem of a file, so that a user repairs them in one go."""
        if len(errors) == 1:
            return errors[0]
        lines = "\n".join(f"  {str(error).replace(chr(10), chr(10) + '  ')}" for error in errors)
        return cls(f"{len(errors)} problems in the configuration:\n{lines}", problems=[e.message for e in errors])


class UnknownKeyError(ConfigError):
    """A key that nobody reads: most often a typing mistake, so it is refused rather than ignored."""

    code = "config.unknown_key"

    @classmethod
    def among(cls, *, where: str, parent: str, key: str, known: Iterable[str]) -> UnknownKeyError:
        """Name the key and the closest known one."""
        choices = sorted(known)
        inside = f" in {parent}" if parent else ""
        return cls(
            f"{where}: unknown key {key!r}{inside}.{did_you_mean(key, choices)}",
            hint=f"Known keys: {', '.join(choices)}.",
            where=where,
            key=key,
        )


class MissingEnvironmentVariableError(ConfigError):
    """``${NAME}`` stands in the YAML and NAME is not set."""

    code = "config.missing_env"

    @classmethod
    def of(cls, *, where: str, key: str, variable: str) -> MissingEnvironmentVariableError:
        """Name the variable and where it stands, never what it should contain."""
        return cls(
            f"{where}: {key} needs the environment variable {variable}, which is not set.",
            hint=f"export {variable}=..., or write ${{{variable}:-default}} in the YAML.",
            where=where,
            key=key,
            variable=variable,
        )


# ------------------------------------------------------------------ sources


class SourceError(MlpipeError):
    """A database, API or file did not give its rows."""

    code = "source"


class SourceUnavailableError(Transient, SourceError):
    """Refused, timed out or overloaded. Trying again later may succeed."""

    code = "source.unavailable"

    @classmethod
    def unreachable(
        cls, *, source: str, location: str, problem: str, retry_after: float | None = None
    ) -> SourceUnavailableError:
        """The other side did not answer as it should; it may have said after how many seconds it will."""
        said = {} if retry_after is None else {"retry_after": retry_after}
        return cls(
            f"source {source!r} at {redact(location)} is not available: {redact(problem)}",
            hint="Nothing was published. Check that the server is up and reachable from here; a retry starts clean.",
            source=source,
            location=redact(location),
            **said,
        )


class SourceRejectedError(Terminal, SourceError):
    """The source answered, and the answer will not change by asking again."""

    code = "source.rejected"

    @classmethod
    def refused(cls, *, source: str, location: str, problem: str, hint: str) -> SourceRejectedError:
        """No such table, no permission, wrong answer."""
        return cls(
            f"source {source!r} at {redact(location)}: {redact(problem)}",
            hint=hint,
            source=source,
            location=redact(location),
        )

    @classmethod
    def missing_columns(
        cls, *, source: str, location: str, missing: list[str], available: list[str]
    ) -> SourceRejectedError:
        """The source lacks columns that the configuration requires."""
        guesses = "".join(did_you_mean(name, available) for name in missing)
        return cls(
            f"source {source!r} at {redact(location)} has no column {', '.join(map(repr, missing))}.{guesses} "
            f"It has: {', '.join(available)}.",
            hint="Correct required_columns, or map the name with columns: {ours: theirs}.",
            source=source,
            missing=missing,
            available=available,
        )


# ------------------------------------------------------------------ data, features


class DataRejectedError(Terminal, MlpipeError):
    """At least one rule of severity ERROR failed. Verdict and report were written before this was raised."""

    code = "data.rejected"
    exit_code = 1


class FeatureError(Terminal, MlpipeError):
    """A feature cannot be computed from what it was given."""

    code = "feature"
    exit_code = 2

    @classmethod
    def because(cls, *, where: str, feature: str, problem: str, hint: str = "") -> FeatureError:
        """Name the feature, or the set, and what stands in its way."""
        return cls(f"{where}: {feature}: {problem}", hint=hint, where=where, feature=feature)

    @classmethod
    def missing_input(cls, *, where: str, feature: str, column: str, source: str, available: list[str]) -> FeatureError:
        """A selected feature reads a column that its input does not have."""
        return cls(
            f"{where}: feature {feature!r} needs column {column!r} of {source!r}, which has "
            f"{', '.join(available)}.{did_you_mean(column, available)}",
            hint="Map the name with columns: {ours: theirs}, or take the feature out of the selection.",
            feature=feature,
            column=column,
        )


# ------------------------------------------------------------------ engines


class EngineUnavailableError(Transient, MlpipeError):
    """The engine that computes did not start or went away. Trying again later may succeed."""

    code = "engine.unavailable"

    @classmethod
    def unreachable(cls, *, engine: str, location: str, problem: str) -> EngineUnavailableError:
        """Name the engine, where it should be, and what it said."""
        at = f" at {redact(location)}" if location else ""
        return cls(
            f"{engine}{at} is not available: {redact(problem)}",
            hint="Nothing was published. Check that the master is up, that its workers have cores and memory left, and "
            "that they reach this machine; a retry starts clean.",
            engine=engine,
            location=redact(location),
        )


# ------------------------------------------------------------------ artifacts


class ArtifactError(MlpipeError):
    """Something about an artifact: its place, its manifest, its parts."""

    code = "artifact"


class ArtifactNotFoundError(Terminal, ArtifactError):
    """There is no manifest at that address, so nothing was published there."""

    code = "artifact.not_found"

    @classmethod
    def at(cls, uri: str) -> ArtifactNotFoundError:
        """Name the address."""
        return cls(
            f"no artifact at {redact(uri)}: it holds no _manifest.json.",
            hint="Give the folder that a stage returned (its XCom return_value), or run that stage first.",
            uri=redact(uri),
        )


class ArtifactCorruptError(Terminal, ArtifactError):
    """The manifest cannot be read, or does not describe the parts that are there."""

    code = "artifact.corrupt"

    @classmethod
    def because(cls, uri: str, problem: str) -> ArtifactCorruptError:
        """Name the address and what disagrees."""
        return cls(
            f"artifact {redact(uri)} is damaged: {problem}",
            hint="Run the stage that wrote it again: it replaces the artifact as a whole.",
            uri=redact(uri),
        )


class ArtifactReplacedError(Transient, ArtifactError):
    """Another attempt published the same artifact meanwhile."""

    code = "artifact.replaced"

    @classmethod
    def meanwhile(cls, uri: str, part: str) -> ArtifactReplacedError:
        """Name the part that went away."""
        return cls(
            f"artifact {redact(uri)} was published again by another attempt: {part} is gone.",
            hint="Try again; never let two tasks write one partition at once: give them different datasets.",
            uri=redact(uri),
        )


class PublishError(Transient, ArtifactError):
    """Nothing was published: the disk is full, the bucket refused, the connection broke."""

    code = "artifact.publish"

    @classmethod
    def failed(cls, uri: str, problem: str) -> PublishError:
        """Name the address and the cause."""
        return cls(
            f"could not publish {redact(uri)}: {redact(problem)}",
            hint="What was there before is untouched. Make room or restore access, then try again.",
            uri=redact(uri),
        )

    @classmethod
    def no_room(cls, folder: str, problem: str) -> PublishError:
        """Rows wait in temporary files on their way, and found no room there."""
        hint = "What was there before is untouched. Make room, or set TMPDIR to a folder on a larger disk."
        return cls(f"no room for temporary files in {folder}: {problem}", hint=hint, uri=folder)


# ------------------------------------------------------------------ feature store


class StoreError(MlpipeError):
    """The feature store."""

    code = "store"


class StoreUnavailableError(Transient, StoreError):
    """The registry or the online store is not reachable, or locked by another writer."""

    code = "store.unavailable"


class StoreRejectedError(Terminal, StoreError):
    """The store answered, and trying again changes nothing: a wrong password, rows that it cannot hold."""

    code = "store.rejected"


class GateClosedError(Terminal, StoreError):
    """No passed verdict exists for exactly this content, so it does not go online."""

    code = "store.gate"
    exit_code = 1


class ReadBackError(Terminal, StoreError):
    """What the online store answers is not what the artifact holds."""

    code = "store.read_back"
