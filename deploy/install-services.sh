#!/bin/sh
# Installs what the tests run against, from Debian's packages: services, a real head CT, the library LightGBM needs. Nothing is started.
set -eu
packages="prometheus invesalius-examples libgomp1"
missing=$(for package in $packages; do dpkg -s "$package" >/dev/null 2>&1 || echo "$package"; done)
[ -n "$missing" ] || exit 0
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$sudo apt-get install -y -qq --no-install-recommends $missing
