# What the scripts of both packages do. It begins each of them.
settings=/etc/clickstream/clickstream.env

has_systemd() { [ -d /run/systemd/system ]; }

# The settings may contain logins: for root and the group only.
prepare() {
  systemd-sysusers clickstream.conf
  chown root:clickstream "$settings"
  chmod 0640 "$settings"
}

# Starts what is configured; says what to do if it is not.
begin() {
  has_systemd || return 0
  for name in DATABASE_URL DATABASE_ADMIN_URL; do
    if [ -e "/etc/credstore/clickstream.$name" ]; then configured=yes; fi
  done
  if [ -n "${configured-}" ] || clickstream --config "$settings" config check >/dev/null 2>&1; then
    systemctl --no-block start clickstream.service clickstream-maintain.timer
  else
    echo "clickstream is installed, and not configured: it has no database."
    echo "  Set DATABASE_URL and KAFKA_BROKERS in $settings, then:"
    echo "  clickstream --config $settings config check"
    echo "  systemctl start clickstream.service clickstream-maintain.timer"
  fi
}

# A new version migrates the schema before it starts. A service that was stopped stays so.
renew() {
  has_systemd || return 0
  if systemctl --quiet is-active clickstream.service; then
    systemctl --no-block restart clickstream.service
  else
    echo "clickstream.service does not run. Start it: systemctl start clickstream.service clickstream-maintain.timer"
  fi
}

end() {
  has_systemd || return 0
  systemctl stop clickstream.service clickstream-maintain.timer clickstream-maintain.service clickstream-migrate.service
}
