# The service of the old version runs on while its files are replaced.
if [ "$1" = remove ]; then end; fi
