#!/bin/sh
# Holds the documents to the code: the hops of "Follow one byte" in doc/design.md exist, every key of
# the configuration is in ekey-random.conf(5), every option in its page or its usage, every command
# and exit status of ekeyctl in ekeyctl(1).
set -eu
cd "$(dirname "$0")/.."
bad=0
say() {
	echo "$*"
	bad=1
}

hops=$(sed -n 's/^[0-9]*\. `\([^`]*\)`.*/\1/p' doc/design.md)
test "$(echo "$hops" | wc -l)" -eq 8 || say "doc/design.md: eight hops, no more and no fewer"
for hop in $hops; do
	grep -q "^${hop#*:}(" "${hop%:*}" || say "doc/design.md: no ${hop#*:}() in ${hop%:*}"
done

keys=$(sed -n 's/^\t{"[a-z]*", "\([a-z-]*\)", .*/\1/p' daemon/config_keys.c)
test -n "$keys" || say "daemon/config_keys.c: no keys found"
for key in $keys; do
	grep -q "^\.B $key\$" doc/man/ekey-random.conf.5 || say "ekey-random.conf(5): no key '$key'"
done

letters=$(sed -n 's/.*getopt(argc, argv, "\([a-zA-Z:]*\)").*/\1/p' daemon/main.c | tr -d : | sed 's/./& /g')
test -n "$letters" || say "daemon/main.c: no options found"
for letter in $letters; do
	grep -qF "\\-$letter" doc/man/ekey-randomd.8 || say "ekey-randomd(8): no option -$letter"
done
options=$(sed -n 's/^\t{"\([a-z-]*\)", \(required\|no\|optional\)_argument.*/\1/p' sim/options.c)
test -n "$options" || say "sim/options.c: no options found"
for option in $options; do
	test "$option" = help || grep -qF -- "--$option" sim/options.c || say "ekey-sim --help: no option --$option"
done

commands=$(sed -n 's/^\t{"\([a-z-]*\)", [0-9], [0-9], tool_.*/\1/p' tool/ekeyctl.c)
test -n "$commands" || say "tool/ekeyctl.c: no subcommands found"
for command in $commands; do
	grep -Eq "^\.(B|BI|BR) $command( |\$)" doc/man/ekeyctl.1 || say "ekeyctl(1): no command '$command'"
done
for option in $(grep -o '{"[a-z]*", [a-z]*_argument' tool/ekeyctl.c | sed 's/{"\([a-z]*\)".*/\1/'); do
	grep -qF -- "\\-\\-$option" doc/man/ekeyctl.1 || say "ekeyctl(1): no option --$option"
done
for code in $(sed -n 's/^\tEXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' tool/tool.h); do
	grep -q "^\.B $code\$" doc/man/ekeyctl.1 || say "ekeyctl(1): no exit status $code"
done

options=$(sed -n 's/^\t{"\([a-z-]*\)", \(required\|no\|optional\)_argument.*/\1/p' guest/options.c)
test -n "$options" || say "guest/options.c: no options found"
for option in $options; do
	grep -qF -- "\\-\\-$(echo "$option" | sed 's/-/\\-/g')" doc/man/ekey-feed.8 || say "ekey-feed(8): no option --$option"
done
for code in $(sed -n 's/^\tFEED_EXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' guest/exit.h); do
	grep -q "^\.B $code\$" doc/man/ekey-feed.8 || say "ekey-feed(8): no exit status $code"
done
exit $bad
