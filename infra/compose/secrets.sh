#!/bin/sh
# Makes the passwords and the certificate of compose.yaml in the folder secrets, once: random, and different on every
# machine. It needs openssl. Only the owner may enter the folder; the users of the containers may read its files.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
  echo "secrets exists; its files stay as they are" >&2
  exit 1
fi
umask 022
rm -rf secrets.new
mkdir -m 0700 secrets.new
cd secrets.new

for name in postgres owner service grafana grafana-admin; do openssl rand -hex 24 | tr -d '\n' >"$name-password"; done
printf 'postgres://clicks_owner:%s@postgres/clickstream' "$(cat owner-password)" >owner-url
printf 'postgres://clicks_service:%s@postgres/clickstream' "$(cat service-password)" >service-url

# An authority whose key is thrown away, and the certificate of the host `postgres`.
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=clickstream compose' -keyout authority-key \
  -out postgres-ca 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj '/CN=postgres' -keyout postgres-key -out request 2>/dev/null
printf 'subjectAltName=DNS:postgres\nbasicConstraints=CA:FALSE\n' >extensions
openssl x509 -req -in request -CA postgres-ca -CAkey authority-key -CAcreateserial -days 3650 -extfile extensions \
  -out postgres-certificate 2>/dev/null
rm -f authority-key request extensions postgres-ca.srl
chmod 0644 ./*

cd ..
mv secrets.new secrets
echo "secrets has the passwords. Grafana's user is admin, with the password in secrets/grafana-admin-password"
