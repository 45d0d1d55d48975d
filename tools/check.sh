#!/usr/bin/env bash
# What must hold: format, lint, tests (a process for each core, a file of tests at a
# time). With --all also the tests that take long. Other arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
chosen="not slow and not gpu"
if [[ "${1:-}" == --all ]]; then
  chosen="not gpu"
  shift
fi
ruff format --config tools/ruff.toml --check .
ruff check --config tools/ruff.toml .
exec python -m pytest -c tests/pytest.ini --rootdir=. -n auto --dist loadfile \
  -m "$chosen" tests "$@"
