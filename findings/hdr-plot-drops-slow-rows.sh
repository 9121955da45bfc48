#!/usr/bin/env bash
# hdr-plot leaves out, without a word, the rows of an HDR percentile file whose value fills its column.
#
# Versions: hdr-plot 0.6.2, hdrhistogram 0.10.3 (the Python port of HdrHistogram), pandas 2.3.3, matplotlib
# 3.10.7, setuptools 80.9.0, all as Python packages; Python 3.11.
#
# Expected: a plotter splits a row at white space, as HdrHistogram's own plotFiles.html does, so that a row
# with four numbers is a row whatever their widths are.
#
# Behaviour: hdr-plot takes a line for a row only if it begins with white space
# (`re.match(r'\s+([0-9.]+)\s+…')`). The format's writers (Java's `AbstractHistogram`, the Python port) print
# the value with `%12.3f` at three significant digits: from 10,000,000 on it fills its twelve columns, no
# blank is in front of it, and the row is gone. The tail of the distribution, which is what the plot is for,
# is cut off, and the maximum in the summary is that of the rows that are left.
#
# Output seen, of 1000 values that are evenly spread up to 20 ms, in nanoseconds:
#     written: 67 rows, the slowest 20004863 ns; plotted: 7 rows, the slowest 9388031 ns
#
# Why it matters here: `loadgen --hgrm` wrote milliseconds with six decimals, which fill the column from 10 s
# on: a stall of ten seconds was missing from the plot. It now writes as many decimals as the histogram has
# significant digits, in milliseconds, and no latency that it records fills the column.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    hdr-plot==0.6.2 hdrhistogram==0.10.3 pandas==2.3.3 matplotlib==3.10.7 setuptools==80.9.0
MPLBACKEND=Agg MPLCONFIGDIR=$folder "$folder/venv/bin/python" -W ignore - "$folder/slow.hgrm" <<'PYTHON'
import sys
from hdr_plot import hdr_plot
from hdrh.histogram import HdrHistogram

histogram = HdrHistogram(1, 3_600_000_000_000, 3)
for index in range(1000):
    histogram.record_value((index + 1) * 20_000)
with open(sys.argv[1], "wb") as file:
    histogram.output_percentile_distribution(file, 1)
# The last row has no fourth number, and is none to hdr-plot in any case.
rows = [line.split() for line in open(sys.argv[1])]
written = [row for row in rows if len(row) == 4 and row[0] != "Value"]
plotted = hdr_plot.parse_percentiles(sys.argv[1])
slowest_written, slowest_plotted = max(float(row[0]) for row in written), plotted["Latency"].max()
print(f"written: {len(written)} rows, the slowest {slowest_written:.0f} ns; "
      f"plotted: {len(plotted)} rows, the slowest {slowest_plotted:.0f} ns")
sys.exit(0 if len(plotted) < len(written) and slowest_plotted < slowest_written else 1)
PYTHON
