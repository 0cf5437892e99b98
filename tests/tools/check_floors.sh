#!/bin/sh
# Holds every #include "folder/file.h" against tests/floors, and the protocols and pure functions of
# floors 2 and 3 against clocks and I/O.
set -eu
cd "$(dirname "$0")/../.."
find [a-z]* -name "*.[ch]" | sort | xargs awk '
function module_of(file) { sub("[.][ch]$", "", file); return file }
# The longest folder of the path that stands on a floor or beside; "": none.
function folder_of(file) {
	while (sub("/[^/]*$", "", file))
		if (file in floor || file in beside) return file
	return ""
}
FILENAME == "tests/floors" {
	if ($1 == "beside") { for (i = 3; i <= NF; i++) may[$2, $i] = 1; beside[$2] = 1 }
	else if ($1 ~ /^[0-9]+$/) for (i = 2; i <= NF; i++) floor[$i] = $1
	next
}
FNR == 1 { from = folder_of(FILENAME); at = floor[from]; files++; seen[from]
	if (from == "") { print FILENAME ": its folder is on no floor (tests/floors)"; bad = 1 } }
/^[ \t]*#[ \t]*include[ \t]*"/ {
	includes++; split($0, q, "\""); to = folder_of(q[2]); down = floor[to]
	if (from in beside) ok = from == to || (from, to) in may || (from, module_of(q[2])) in may
	else ok = down && (down < at || from == to)
	if (!ok) { print FILENAME ":" FNR ": from " from " must not include " q[2]; bad = 1 }
}
(at == 3 || at == 2) && from != "lib/priv" && from != "backend/usb" && /[^a-z_](clock_gettime|time|getrandom|read|write|open|socket|malloc|calloc|fopen)\(/ && !/^[ \t]*(\/\*|\*)/ {
	print FILENAME ":" FNR ": no clock, I/O or allocation on this floor: " $0; bad = 1
}
END {
	for (name in floor) if (!(name in seen) && name != "") { print name ": on a floor (tests/floors), and not here"; bad = 1 }
	for (name in beside) if (!(name in seen)) { print name ": beside the floors (tests/floors), and not here"; bad = 1 }
	print "floors: " files + 0 " files, " includes + 0 " includes"
	exit bad || !includes
}
' tests/floors
