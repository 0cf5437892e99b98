#!/bin/sh
# Names in one line what a build, or a build and its checks, need and this machine lacks. Nothing is
# installed. tests/tools/check_tools.sh build|check COMPILER LIBRARY...: libraries by their names in pkg-config.
set -eu
what=$1 compiler=$2
shift 2
case $what in
build) groups='build' tools='ar pkg-config' ;;
check) groups='build test-unit' tools='ar awk find mandoc nm pkg-config python3 sed xargs' ;;
esac
missing=
for tool in "$compiler" $tools; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
for library; do
	pkg-config --exists "$library" 2>/dev/null || missing="$missing $library"
done
[ -z "$missing" ] || {
	echo "$what: missing:$missing (Debian: run \`tests/tools/packages.sh $groups\` as root)" >&2
	exit 1
}
