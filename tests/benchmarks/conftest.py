"""The fast suite tests the data of the benchmarks; the peers need environments of their own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["peers"]
