#!/bin/sh
# Installs what the tests run against, from Debian's packages: services, a real head CT, the library LightGBM needs.
# The tests start services of their own; where systemd runs, Debian also starts its prometheus and pgbouncer, which nothing here needs.
set -eu
packages="prometheus postgresql pgbouncer invesalius-examples libgomp1"
missing=$(for package in $packages; do dpkg -s "$package" >/dev/null 2>&1 || echo "$package"; done)
[ -n "$missing" ] || exit 0
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
export DEBIAN_FRONTEND=noninteractive
clusters=/etc/postgresql-common/createcluster.conf
if [ ! -e "$clusters" ]; then # before the package: it would make a cluster and start it; the tests make their own
    $sudo mkdir -p "${clusters%/*}"
    echo "create_main_cluster = false" | $sudo tee "$clusters" >/dev/null
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$sudo apt-get install -y -qq --no-install-recommends $missing
