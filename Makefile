# `make` prints this list.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   := .demo
STAMP  := $(VENV)/.installed
SPARK_STAMP := $(VENV)/.installed-spark
DYNAMODB_STAMP := $(VENV)/.installed-dynamodb
AIRFLOW_VERSIONS := 3.1.8 3.2.2
AIRFLOW_TESTS := tests/airflow_versions tests/sensors tests/triggers
SPARK_PROVIDER := apache-airflow-providers-apache-spark
FIREBIRD := firebird-base firebird-driver sqlalchemy-firebird

.DEFAULT_GOAL := help
.PHONY: help install demo airflow test test-slow test-airflow check format bench clean

help: ## Print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## Install the package and its tools into .venv

# uv if it can be had (it is many times faster), else pip: both as the machine configures them.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
	@if [ -x $(BIN)/uv ] && $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; then :; \
	 else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; fi
	@touch $@

# Spark and the peers of the benchmarks are large, and only the slow tests need them. Airflow's Spark provider comes without its
# dependencies: pyspark-client would overwrite files of pyspark, and SparkSubmitOperator needs neither. So do the packages of
# Firebird, the database that stands for any other: what they say of protobuf does not go with Feast's, and they run with it.
$(SPARK_STAMP): $(STAMP)
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev,spark,bench]'; \
	 else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,spark,bench]'; fi
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --no-deps $(SPARK_PROVIDER) $(FIREBIRD); \
	 else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps $(SPARK_PROVIDER) $(FIREBIRD); fi
	@touch $@

# Feast's DynamoDB store goes with another boto3 than the rest, and needs a server: each in a folder of its own.
$(DYNAMODB_STAMP): tests/feature_store/dynamodb-requirements.txt | $(STAMP)
	@rm -rf $(VENV)/dynamodb-python $(VENV)/dynamodb-node
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(VENV)/dynamodb-python -r $<; \
	 else $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/dynamodb-python -r $<; fi
	@if command -v npm >/dev/null; then \
	   npm install --silent --no-audit --no-fund --no-package-lock --prefix $(VENV)/dynamodb-node dynalite@4.0.0 && touch $@; \
	 else echo 'No npm, so the tests of DynamoDB will skip.' >&2; fi

demo: $(STAMP) ## Run the whole pipeline on a sample, in .demo/, with Airflow
	@$(BIN)/python scripts/demo.py --home $(DEMO)

airflow: $(STAMP) ## Start a local Airflow with the example DAGs and the sample, for its UI
	@$(BIN)/python scripts/demo.py --home $(DEMO) --serve

test: $(STAMP) ## Run the tests
	@TZ=UTC $(BIN)/python -m pytest -m 'not slow' --numprocesses 2 --dist loadfile

test-slow: $(SPARK_STAMP) $(DYNAMODB_STAMP) ## Run the tests that take long: Spark, kills by the dozen, the composed stack
	@TZ=UTC $(BIN)/python -m pytest -m slow --numprocesses 2 --dist loadfile

# Warnings of older versions are theirs: 3.1.8 takes one about its own code for a connection that is not there.
test-airflow: $(STAMP) ## Run Dags, sensors, triggers, lineage, metrics, messages and tabs on older versions of Airflow
	@for version in $(AIRFLOW_VERSIONS); do \
	   $(BIN)/python scripts/airflow_version.py $$version $(VENV)/airflow-$$version && \
	   TZ=UTC $(VENV)/airflow-$$version/bin/python -m pytest $(AIRFLOW_TESTS) -W ignore -p no:cacheprovider \
	     --numprocesses 2 --dist loadfile || exit 1; done

check: $(STAMP) ## Style, types, walls between the rooms, docs in step with the code
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml

format: $(STAMP) ## Format the code and repair what ruff can repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Measure ours beside the peers
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev,bench]'; \
	 else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'; fi
	@status=0; for bench in benchmarks/[a-z]*.py; do $(BIN)/python $$bench || status=1; done; exit $$status

clean: ## Remove what make made
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis
