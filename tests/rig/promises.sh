# What the jobs of the rigs share; sourced by them, as root in a guest. Each promise is one line,
# "ok NAME" or "not ok NAME: why", and what was said beside it is "# ...".
# rig_build: where the programs are.
set -u
cd /run || exit 1
build=$rig_build
tools=$build/tests/system
device=/dev/ekey-random

said() { sed 's/^/# /' "$1"; }
seconds() { cut -d. -f1 /proc/uptime; }

# How many times slower this machine is than a real one, which boots in a second; our C programs take
# it from the environment. In namespaces (namespaces.sh) systemd alone boots.
began=0
[ ! -e /run/systemd/container ] || began=$(($(cut -d' ' -f22 /proc/1/stat) / 100))
PACE=$(($(seconds) - began + 1))
export PACE
export LIMIT_S=$((60 * PACE))  # of tests/system/readers
limit=$((${limit:-30} * PACE)) # seconds for one promise, which a job may set; most take a few
echo "rig: begun, $PACE times slower than a real machine"
tell() {
	said /run/said
	echo "# took $(($(seconds) - tried)) s"
}

# promise NAME COMMAND...: kept when it exits with 0.
promise() {
	name=$1
	shift
	tried=$(seconds)
	if ( "$@" ) >/run/said 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name: exit $?: $(tail -n 1 /run/said)"
	fi
	tell
}

# A clock that stands still whenever this machine does: its ticks, of about a twentieth of a second.
start_clock() {
	while sleep 0.05; do
		echo
	done >/run/ticks &
	clock=$!
}
ticks() { stat -c %s /run/ticks; }

# promises PREFIX COMMAND...: it prints such lines itself.
promises() {
	prefix=$1
	shift
	timeout $((4 * limit)) "$@" >/run/said 2>&1
	sed -n "s/^\(not \)\{0,1\}ok /&$prefix./p" /run/said
	sed -n '/^\(not \)\{0,1\}ok /!s/^/# /p' /run/said
}

# within TRIES COMMAND...: repeats it until it succeeds. The limit is a number of tries, since a busy
# machine takes longer for each; after the first ten they become rarer, as each has its cost on an
# emulated processor.
within() {
	left=$1
	rarely=$((left - 10))
	shift
	until "$@" 2>/dev/null; do
		[ $((left -= 1)) -gt 0 ] || { echo "never so: $*"; return 1; }
		[ $left -gt $rarely ] && sleep 0.1 || sleep 0.4
	done
}
# A minute and more.
until_true() { within 200 "$@"; }

# Without a look at the device, which would wait for the daemon.
published() { [ -e "/sys/class/cuse/${1#/dev/}/dev" ] || grep -qF " $1 " /proc/mounts; }
withdrawn() { ! published "$1"; }

# start_daemon NAME DEVICE: its pid in $daemon.
start_daemon() {
	"$build/ekey-randomd" -c "/run/$1.conf" >>"/run/$1.log" 2>&1 &
	daemon=$!
	until_served "$@"
}
until_served() {
	until_true published "$2"
	until_true "$build/ekeyctl" --socket "/run/$1.control" status >/dev/null
}

# run_managed NAME: under a service manager, which starts another one when it is killed or restarted;
# the manager's pid in $daemon. SIGTERM to it stops both.
run_managed() {
	pidfile=/run/$1.pid
	python3 /rig/manager.py $pidfile "/run/$1.log" "$build/ekey-randomd" -c "/run/$1.conf" &
	daemon=$!
}
start_managed() {
	run_managed "$1"
	until_served "$@"
}
daemon_now() { cat $pidfile; }
kill_daemon() { kill -KILL "$(daemon_now)"; }
restart_daemon() { kill -USR2 "$(daemon_now)"; }

end() {
	kill "-${2:-TERM}" "$1"
	wait "$1"
}

# count N COMMAND...: it writes exactly N bytes.
count() {
	wanted=$1
	shift
	got=$(timeout $limit sh -c "$*" | wc -c)
	[ "$got" -eq "$wanted" ] || { echo "$got bytes, wanted $wanted"; return 1; }
}

# `promise` tries in a subshell, which has no children of ours to wait for: these run here.
# here NAME [COMMAND...]: the command is the name, if it is not said.
here() {
	name=$1
	[ $# -eq 1 ] || shift
	tried=$(seconds)
	if "$@" >/run/said 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name: $(tail -n 1 /run/said)"
	fi
	tell
}
