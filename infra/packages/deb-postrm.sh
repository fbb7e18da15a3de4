case $1 in
  remove)
    if has_systemd; then systemctl daemon-reload; fi
    ;;
  purge)
    deb-systemd-helper purge clickstream.service clickstream-maintain.timer >/dev/null
    rm -rf /var/cache/clickstream /var/cache/clickstream-* /var/cache/private/clickstream /var/cache/private/clickstream-*
    rm -f /var/lib/systemd/timers/stamp-clickstream-maintain.timer
    # Certificates that were put there stay.
    rmdir /etc/clickstream 2>/dev/null || true
    ;;
esac
