# The first argument is how many versions will be left.
if [ "$1" -eq 0 ]; then
  end
  if has_systemd; then systemctl --quiet disable clickstream.service clickstream-maintain.timer; fi
fi
