#!/bin/bash
# The first boot of a host: fetches the archive with its units and scripts, and hands over to `boot` in it. It knows nothing
# else, so that it never has to change: running hosts keep the user data that they were made with.
set -euo pipefail
set -a
# shellcheck source=/dev/null
. /etc/clickstream/boot
set +a

say() { printf '%s\n' "$*" >&2; }

# Put where `apply` looks for it, so that it finds it done.
install_host() {
  local release bucket key sha256 folder
  release=$(aws ssm get-parameter --name "$RELEASE_PARAMETER" --query Parameter.Value --output text) || return
  # What the image has: jq is installed later.
  read -r bucket key sha256 < <(python3 -c '
import json, sys
release = json.load(sys.stdin)
host = release["artifacts"]["host"]
print(release["bucket"], host["key"], host["sha256"])' <<<"$release") || return
  aws s3 cp --only-show-errors "s3://$bucket/$key" /run/host.tar.gz || return
  echo "$sha256  /run/host.tar.gz" | sha256sum --check --status || { say "s3://$bucket/$key is not $sha256"; return 1; }
  folder=/opt/clickstream/store/host-$sha256
  mkdir -p "$folder"
  tar -xzf /run/host.tar.gz -C "$folder" --no-same-owner && tar -xzf /run/host.tar.gz -C / --no-same-owner --no-overwrite-dir || return
  ln -sfnT "$folder" /opt/clickstream/host
  rm /run/host.tar.gz
}

until install_host; do say "can't get this host's scripts yet; tried again in 10 s"; sleep 10; done
until /usr/local/lib/clickstream/boot; do say "not set up yet; tried again in 10 s"; sleep 10; done
