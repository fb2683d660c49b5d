#!/usr/bin/env bash
# The real servers that the tests run against, on Debian: packages by apt, Apache Kafka as jars by Maven. Nothing is started and
# nothing is enabled: the tests start their own instances on free ports of 127.0.0.1. As root or with sudo; again = nothing to do.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
libs=$root/.services/kafka/libs
packages=(kannel kannel-extras mosquitto mosquitto-clients prometheus prometheus-alertmanager chromium fonts-noto-core postgresql pgbouncer faketime espeak-ng xmlsec1)
command -v java >/dev/null || packages+=(default-jre-headless)
command -v mvn >/dev/null || packages+=(maven)

as_root() { if [ "$(id -u)" = 0 ]; then env "$@"; else sudo env "$@"; fi; }

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done

if [ "${#missing[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "make services knows Debian's apt only; install these yourself: ${missing[*]}" >&2; exit 1; }
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || { echo "make services needs root or sudo for: apt-get install ${missing[*]}" >&2; exit 1; }
  echo "apt-get install ${missing[*]}"
  # Debian starts a server as soon as it is installed unless this file says 101 ("action forbidden").
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'as_root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  # ... and PostgreSQL makes a cluster of its own unless it is told not to.
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    as_root mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  as_root apt-get -qq -o Acquire::Retries=3 update </dev/null
  as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
    install --no-install-recommends "${missing[@]}" </dev/null >/dev/null
  if command -v systemctl >/dev/null; then # not at the next boot either, but only what was not here before
    for unit in kannel mosquitto prometheus prometheus-alertmanager postgresql pgbouncer; do
      [[ " ${missing[*]} " != *" $unit "* ]] || as_root systemctl disable "$unit" >/dev/null 2>&1 || true
    done
  fi
fi

wanted=$(cksum <"$here/pom.xml")
if [ "$(cat "$libs/.pom" 2>/dev/null || true)" != "$wanted" ]; then
  echo "Apache Kafka into .services/kafka/libs"
  fresh=$libs.new
  rm -rf "$fresh"
  mkdir -p "$fresh"
  for attempt in 1 2 3; do
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$fresh" -DincludeScope=runtime </dev/null && break
    [ $attempt -lt 3 ] || exit 1
    sleep 5
  done
  echo "$wanted" >"$fresh/.pom"
  rm -rf "$libs"
  mv "$fresh" "$libs"
fi
echo "services: all there"
