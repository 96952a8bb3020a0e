#!/bin/sh
# Installs the services and the real head CT that the service tests run against, from Debian's packages. Nothing is started.
set -eu
packages="prometheus invesalius-examples"
missing=$(for package in $packages; do dpkg -s "$package" >/dev/null 2>&1 || echo "$package"; done)
[ -n "$missing" ] || exit 0
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$sudo apt-get install -y -qq --no-install-recommends $missing
