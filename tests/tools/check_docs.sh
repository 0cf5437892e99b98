#!/bin/sh
# Holds the documents to the code (ekey-random.conf(5): tests/unit/test_config.c): the hops of "Follow
# one byte" in doc/design.md exist, files that a document names exist, and sections that the code names,
# every option is in its page or its usage, every command and exit status of ekeyctl in ekeyctl(1), the
# table of processes in SECURITY.md. The pages have their sections, and mandoc finds no fault.
# shellcheck disable=SC2086 # lists of words are split
set -eu
cd "$(dirname "$0")/../.."
bad=0
looked=0
say() {
	echo "$*"
	bad=1
}
# found FILE WORD...: what was found in a file, to be held against a document.
found() {
	[ $# -gt 1 ] || say "$1: nothing to check was found in it"
	looked=$((looked + $# - 1))
}

hops=$(sed -n 's/^[0-9]*\. `\([^`]*\)`.*/\1/p' doc/design.md)
found doc/design.md $hops
test "$(echo "$hops" | wc -l)" -eq 8 || say "doc/design.md: eight hops, no more and no fewer"
for hop in $hops; do
	grep -q "^${hop#*:}(" "${hop%:*}" || say "doc/design.md: no ${hop#*:}() in ${hop%:*}"
done

# Files that a document names, and the sections of documents that the code names.
for file in $(grep -oh '`[a-z0-9_][a-z0-9_]*/[a-z0-9_/]*\.[a-z]*`' ./*.md doc/*.md | tr -d '`' | sort -u); do
	looked=$((looked + 1))
	[ -e "$file" ] || say "$(grep -lF "\`$file\`" ./*.md doc/*.md | tr '\n' ' '): no file $file"
done
cited=$(grep -rohE --include='*.[ch]' --include='*.py' --include='*.sh' --exclude-dir='build*' \
	'\bdoc/[a-z-]+\.md( [0-9.]*[0-9](,? (and |to )?[0-9.]*[0-9])*)?' . | tr ' ' : | sort -u)
for citation in $cited; do
	looked=$((looked + 1))
	file=${citation%%:*}
	[ -e "$file" ] || say "the code names $file, which is not there"
	for section in $(echo "${citation#"$file"}" | grep -oE '[0-9.]*[0-9]'); do
		grep -Eqs "^#+ $section\.? " "$file" || say "the code names section $section of $file, which is not there"
	done
done
if grep -rnE --include='*.[ch]' --include='*.py' --include='*.sh' --exclude-dir='build*' \
	'\b(PROTOCOL|EGD|RIGS|SERVICE|DESIGN|MONITOR|HOUSE) [0-9]+([., )]|$)' .; then
	say "above: expected a citation like doc/protocol.md 2"
fi
for folder in */; do
	case $folder in build*) continue ;; esac
	grep -q "^|.*\`$folder\`.*|" README.md || say "README.md: its table of folders lacks $folder"
done

letters=$(sed -n 's/.*getopt_long(argc, argv, "\([a-zA-Z:]*\)".*/\1/p' daemon/main.c | tr -d : | sed 's/./& /g')
found daemon/main.c $letters
for letter in $letters; do
	grep -qF "\\-$letter" doc/man/ekey-randomd.8 || say "ekey-randomd(8): no option -$letter"
done
options=$(sed -n 's/^\t{"\([a-z-]*\)", \(required\|no\|optional\)_argument.*/\1/p' tests/sim/options.c)
found tests/sim/options.c $options
for option in $options; do
	test "$option" = help || grep -qF -- "--$option" tests/sim/options.c || say "ekey-sim --help: no option --$option"
	grep -qF -- "\\-\\-$(echo "$option" | sed 's/-/\\-/g')" doc/man/ekey-sim.1 || say "ekey-sim(1): no option --$option"
done

commands=$(sed -n 's/^\t{"\([a-z-]*\)", [0-9], [0-9], tool_.*/\1/p' daemon/ekeyctl/ekeyctl.c)
found daemon/ekeyctl/ekeyctl.c $commands
for command in $commands; do
	grep -Eq "^\.(B|BI|BR) $command( |\$)" doc/man/ekeyctl.1 || say "ekeyctl(1): no command '$command'"
done
options=$(grep -o '{"[a-z]*", [a-z]*_argument' daemon/ekeyctl/ekeyctl.c | sed 's/{"\([a-z]*\)".*/\1/')
found daemon/ekeyctl/ekeyctl.c $options
for option in $options; do
	grep -qF -- "\\-\\-$option" doc/man/ekeyctl.1 || say "ekeyctl(1): no option --$option"
done
codes=$(sed -n 's/^\tEXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' daemon/ekeyctl/tool.h)
found daemon/ekeyctl/tool.h $codes
for code in $codes; do
	grep -q "^\.B $code\$" doc/man/ekeyctl.1 || say "ekeyctl(1): no exit status $code"
done

options=$(sed -n 's/^\t{"\([a-z-]*\)", .*/\1/p' egd/feed/options.c)
found egd/feed/options.c $options
for option in $options; do
	grep -qF -- "\\-\\-$(echo "$option" | sed 's/-/\\-/g')" doc/man/ekey-feed.8 || say "ekey-feed(8): no option --$option"
done
codes=$(sed -n 's/^\tFEED_EXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' egd/feed/options.h)
found egd/feed/options.h $codes
for code in $codes; do
	grep -q "^\.B $code\$" doc/man/ekey-feed.8 || say "ekey-feed(8): no exit status $code"
done
"$1" --roles >/dev/null || say "$1: no --roles"
"$1" --roles | while IFS= read -r row; do
	grep -qxF -- "$row" SECURITY.md || echo "SECURITY.md: its table of processes lacks: $row"
done | grep . && bad=1
found "$1" $("$1" --roles | sed -n 's/^| `\([a-z-]*\)`.*/\1/p')
"$1" --figures | while IFS= read -r row; do
	grep -qxF -- "$row" doc/figures.md || echo "doc/figures.md: its table lacks: $row"
done | grep . && bad=1
figures=$("$1" --figures | sed -n 's/^| [a-z]* | `\([a-z_]*\)`.*/\1/p')
rows=$(sed -n -e 's/.*row_[a-z]*([&a-z]*, "\([a-z_]*\)".*/\1/p' daemon/*.c
	sed -n -e 's/^[^a-z]*{*\(true, \|[a-z]*->have_[a-z]*, \)*{"\([a-z_]*\)", .*, .*}*,$/\2/p' $(grep -rl --include="*.c" "struct source_row row" backend))
found daemon $figures
found daemon $rows
for row in $rows; do
	echo "$figures" | grep -qx "$row" || say "daemon/figures.c: no figure '$row'"
done
found doc/man doc/man/*
for page in doc/man/*; do
	for section in "EXIT STATUS" EXAMPLES; do
		grep -qx ".SH $section" "$page" || say "$page: no section $section"
	done
done
mandoc -Tlint -W warning doc/man/* || bad=1
[ $bad -ne 0 ] || echo "docs: $looked names are in their documents"
exit $bad
