"""Starts moto's server with its own arguments, mended where it can't delete what it has made."""

import sys

from moto.s3.models import FakeDeleteMarker
from moto.server import main

# Without it, a bucket with versions can't be emptied.
FakeDeleteMarker.dispose = lambda self, garbage=False: None

main(sys.argv[1:])
