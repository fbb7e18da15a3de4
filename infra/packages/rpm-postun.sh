# The first argument is how many versions are left.
if has_systemd; then systemctl daemon-reload; fi
if [ "$1" -ge 1 ]; then renew; fi
