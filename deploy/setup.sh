#!/bin/sh
# .venv with what the project needs: setup.sh [dev]. Called by make; does nothing when nothing changed. Wheels only: no compiler.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-}
here=$(pwd)
# What was asked for, from which files, in which folder: a moved checkout or a changed dependency sets up again.
wanted="$here $(cat pyproject.toml requirements.lock | cksum)"

ready() { [ -x .venv/bin/python ] && [ "$(cat ".venv/.ready-$1" 2>/dev/null)" = "$wanted" ]; }

if [ "$extra" = dev ]; then
  ready dev && exit 0
else
  { ready run || ready dev; } && exit 0
fi

if [ -z "${PYTHON:-}" ]; then
  echo "setup: Python 3.11 or newer is needed (found: $(python3 --version 2>/dev/null || echo none)). Install it, or: make PYTHON=/path/to/python3" >&2
  exit 1
fi
echo "setting up .venv with $("$PYTHON" --version) ..."
rm -f .venv/.ready-*
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 && ! .venv/bin/python -m ensurepip >/dev/null 2>&1; then
  "$PYTHON" -m venv --clear .venv || { echo "setup: '$PYTHON -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
fi
if [ "$extra" = dev ]; then what=".[dev]"; else what="."; fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --prefer-binary --constraint requirements.lock --editable "$what"
.venv/bin/python -c 'import warning.errors'
echo "$wanted" >".venv/.ready-${extra:-run}"
