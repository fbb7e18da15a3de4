# The first argument is how many versions are installed now.
prepare
if has_systemd; then systemctl daemon-reload; fi
if [ "$1" -eq 1 ]; then
  if has_systemd; then systemctl --quiet enable clickstream.service clickstream-maintain.timer; fi
  begin
fi
