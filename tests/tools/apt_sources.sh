#!/bin/sh
# Prints this machine's Debian sources of apt, renamed to SUITE: tests/tools/apt_sources.sh SUITE
set -eu
here=$(. /etc/os-release && echo "$VERSION_CODENAME")
indexes() {
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' 'Component: main'
}
[ -n "$(indexes)" ] || apt-get update >&2 || :
indexes | sed "s/ $here/ $1/" | sort -u
