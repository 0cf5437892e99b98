#!/bin/sh
# Names in one line what a build and its checks need and this machine lacks. Nothing is installed.
# tests/check_tools.sh COMPILER LIBRARY...: libraries by their names in pkg-config.
set -eu
compiler=$1
shift
missing=
for tool in "$compiler" ar awk find mandoc pkg-config sed xargs; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
for library; do
	pkg-config --exists "$library" 2>/dev/null || missing="$missing $library"
done
[ -z "$missing" ] || {
	echo "check: missing:$missing (Debian: run \`dist/packages.sh build test-unit\`)" >&2
	exit 1
}
