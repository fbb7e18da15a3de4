#!/bin/bash
# The first boot of a host: its data volume, its units and scripts; then `apply`, which goes on from there, for good.
set -euo pipefail
set -a
# shellcheck source=/dev/null
. /etc/clickstream/boot
set +a

say() { printf '%s\n' "$*" >&2; }

mount_data() {
  # The volume is attached once the machine runs. It is only ever formatted if there is nothing on it.
  for ((tries = 0; tries < 120; tries++)); do [[ -b $DATA_DEVICE ]] && break; sleep 5; done
  [[ -n $(blkid --output value --match-tag TYPE "$DATA_DEVICE") ]] || mkfs.xfs -q "$DATA_DEVICE"
  mkdir -p "$DATA_MOUNT"
  uuid=$(blkid --output value --match-tag UUID "$DATA_DEVICE")
  grep -q "$uuid" /etc/fstab || echo "UUID=$uuid $DATA_MOUNT xfs defaults,nofail,nosuid,nodev,noexec 0 2" >>/etc/fstab
  mountpoint -q "$DATA_MOUNT" || mount "$DATA_MOUNT"
}

# Put where `apply` looks for it, so that it finds it done.
install_host() {
  local release bucket key sha256 folder
  release=$(aws ssm get-parameter --name "$RELEASE_PARAMETER" --query Parameter.Value --output text) || return
  bucket=$(jq -r .bucket <<<"$release")
  key=$(jq -r .artifacts.host.key <<<"$release")
  sha256=$(jq -r .artifacts.host.sha256 <<<"$release")
  aws s3 cp --only-show-errors "s3://$bucket/$key" /run/host.tar.gz || return
  echo "$sha256  /run/host.tar.gz" | sha256sum --check --status || { say "s3://$bucket/$key is not $sha256"; return 1; }
  folder=/opt/clickstream/store/host-$sha256
  mkdir -p "$folder"
  tar -xzf /run/host.tar.gz -C "$folder" --no-same-owner && tar -xzf /run/host.tar.gz -C / --no-same-owner --no-overwrite-dir
  ln -sfnT "$folder" /opt/clickstream/host
  rm /run/host.tar.gz
}

[[ -z $DATA_DEVICE ]] || mount_data
until install_host; do say "can't get this host's scripts yet; tried again in 10 s"; sleep 10; done
systemd-sysusers
systemctl daemon-reload
systemctl enable --now clickstream-apply.timer
