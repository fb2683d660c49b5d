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

if ! "${PYTHON:-none}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  found=$("${PYTHON:-python3}" --version 2>/dev/null || echo none)
  echo "setup: Python 3.11 or newer is needed (found: $found). Install it, or: make PYTHON=/path/to/python3" >&2
  exit 1
fi
echo "setting up .venv with $("$PYTHON" --version) ..."
rm -f .venv/.ready-*
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 && ! .venv/bin/python -m ensurepip >/dev/null 2>&1; then
  "$PYTHON" -m venv --clear .venv || { echo "setup: '$PYTHON -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
fi
if [ "$extra" = dev ]; then what=".[dev]"; else what="."; fi
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --prefer-binary --constraint requirements.lock \
  --editable "$what"; then
  echo "setup: the packages could not be installed, see above. They come from a package index: without a network, or behind a proxy," >&2
  echo "  name one that can be reached (PIP_INDEX_URL, HTTPS_PROXY), or a folder of wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER)" >&2
  exit 1
fi
.venv/bin/python -c 'import warning.errors'
echo "$wanted" >".venv/.ready-${extra:-run}"
