# The second argument is the version that was configured before.
if [ "$1" = configure ]; then
  if [ -z "${2-}" ]; then prepare; fi
  for unit in clickstream.service clickstream-maintain.timer; do
    # It keeps what the administrator chose: a unit that was disabled stays so.
    if deb-systemd-helper --quiet was-enabled "$unit"; then
      deb-systemd-helper enable "$unit" >/dev/null
    else
      deb-systemd-helper update-state "$unit" >/dev/null
    fi
  done
  if has_systemd; then systemctl daemon-reload; fi
  if [ -z "${2-}" ]; then begin; else renew; fi
fi
