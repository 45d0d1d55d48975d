#!/usr/bin/env bash
# Everything that must hold: format, lint, tests (a process for each core, a file of
# tests at a time). Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff format --config tools/ruff.toml --check .
ruff check --config tools/ruff.toml .
exec python -m pytest -c tests/pytest.ini --rootdir=. -n auto --dist loadfile tests "$@"
