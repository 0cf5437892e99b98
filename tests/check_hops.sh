#!/bin/sh
# "Follow one byte" in doc/design.md: each `file:function` hop must exist in the code.
set -eu
cd "$(dirname "$0")/.."
hops=$(mktemp)
sed -n 's/^[0-9]*\. `\([^`]*\)`.*/\1/p' doc/design.md >"$hops"
trap 'rm -f "$hops"' EXIT
test "$(wc -l <"$hops")" -eq 8
bad=0
while IFS=: read -r file function; do
	grep -q "^$function(" "$file" || { echo "doc/design.md: no $function() in $file"; bad=1; }
done <"$hops"
exit $bad
