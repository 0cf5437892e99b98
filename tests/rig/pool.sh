#!/bin/sh
# The pool proof: runs as root in a guest of tests/rig/qemu.py whose kernel's random generator is not
# ready, and would not be for long. rig_feeder: what makes it ready, agent (ekey-feed) or daemon
# ([kernel]); once it is, nothing makes it unready.
. "${0%/*}/promises.sh"

probe=$build/tests/rig/pool_probe
feed=$build/ekey-feed
socket=/run/egd
port=8888
server=/run/server.control

ready() { "$probe" ready; }
not_ready() { ! ready; }
level() { "$probe" level; }
during() { "$probe" during "$@"; }
incapable="setpriv --bounding-set -sys_admin"

# row CONTROL SUBJECT KEY: one figure of a daemon's status, as of "listen tcp".
row() {
	"$build/ekeyctl" --socket "$1" status | awk -v subject="$2" -v key="$3" '
		/^[a-z]/ { sub(/ *$/, ""); here = $0 == subject }
		here && $1 == key { print $2 }'
}
at_least() { [ "$(row "$1" "$2" "$3" 2>/run/row)" -ge "$4" ]; }

# Text of a configuration on stdin, with what all have in common.
config() {
	{
		printf '[daemon]\nkeyring = /run/keyring\ncontrol = /run/%s.control\n' "$1"
		printf '[pool]\nsize = 64KiB\n[source key]\ntype = ekey\naddress = unix:/run/key\n'
		cat
	} >"/run/$1.conf"
}

start_sim() {
	modprobe cuse
	"$build/ekey-sim" --listen unix:/run/key --rate 86 --seed pool --keyring /run/keyring \
		>/run/sim.log 2>&1 &
	sim=$!
	until_true test -s /run/keyring -a -S /run/key
}

# run_daemon NAME [WRAPPER...]: its pid in $daemon.
run_daemon() {
	conf=$1
	shift
	"$@" "$build/ekey-randomd" -c "/run/$conf.conf" >"/run/$conf.log" 2>&1 &
	daemon=$!
	until_true at_least "/run/$conf.control" daemon pid 1
}

not_ready_at_boot() {
	not_ready && [ "$(level)" -lt 64 ]
	status=$?
	echo "entropy_avail $(level)"
	return $status
}

said_by_the_kernel() { dmesg | grep "random: crng init done"; }

# ---- the agent ----
agent() { "$feed" --timeout $((3 * PACE))s "$@"; }
agent_waits() { agent --wait-seeded=0s; [ $? -eq 7 ]; }
agent_without_the_capability() {
	during 0 sh -c "$incapable $feed --once --from unix:$socket; [ \$? -eq 3 ]"
}

becomes_ready_by_the_agent() {
	not_ready || return 1
	agent --wait-seeded=${limit}s &
	waiter=$!
	agent --from unix:/run/nobody-listens --from unix:$socket --interval 2s --bytes 16 \
		--textfile /run/feed.prom >/run/feed.log 2>&1 &
	feeder=$!
	wait $waiter || return 1
	said /run/feed.log
	ready && said_by_the_kernel
}

figure() { sed -n "s/^ekey_feed_$1 //p" /run/feed.prom; }
fed() { [ "$(figure feeds_total)" -ge "$1" ]; }
agent_goes_on_by_the_clock() { until_true fed $(($(figure feeds_total) + 2)); }
agent_reports() { agent --status --textfile /run/feed.prom && [ "$(figure crng_ready)" = 1 ]; }

# Debian's client waits to be asked by a kernel that never asks again; ours asked on, beside it.
debians_client_asks_for_nothing() {
	asked=$(row $server "listen tcp" requests)
	came=$(row $server "listen tcp" accepted)
	timeout $((2 * PACE)) ekeyd-egd-linux -H 127.0.0.1 -p $port >/run/debian.log 2>&1
	[ $? -eq 124 ] || { cat /run/debian.log; return 1; }
	at_least $server "listen tcp" accepted $((came + 1)) &&
		[ "$(row $server "listen tcp" requests)" = "$asked" ]
}

by_agent() {
	config server <<-END
		[listen unix]
		address = unix:$socket
		class = direct
		mode = 0666
		[listen tcp]
		address = tcp:127.0.0.1:$port
		class = direct
	END
	start_sim
	run_daemon server
	promise not_ready_at_boot not_ready_at_boot
	promise acts_are_exact "$probe" exact
	promise uncredited_gives_nothing during 0 "$feed" --once --credit 0 --from unix:$socket
	promise plain_tcp_gives_nothing during 0 "$feed" --once --from tcp:127.0.0.1:$port
	promise agent_gives_what_it_credits during 64 "$feed" --once --bytes 16 --credit 4 \
		--from unix:$socket
	promise tcp_that_is_trusted_gives during 32 "$feed" --once --bytes 16 --credit 2 --trusted \
		--from tcp:127.0.0.1:$port
	promise agent_without_the_capability agent_without_the_capability
	promise not_ready_yet not_ready
	promise agent_waits agent_waits
	here becomes_ready_by_the_agent
	promise agent_goes_on_by_the_clock agent_goes_on_by_the_clock
	promise agent_reports agent_reports
	end $feeder
	said /run/server.log
	promise debians_client_asks_for_nothing debians_client_asks_for_nothing
	end $daemon
	end $sim
}

# ---- the daemon, with its device served at the same time ----
main=/run/main.control
kernel() { row $main kernel "$1"; }

# A kernel that has much to do credits itself some bits a second; one feed is 48.
own=24
credit=3

daemon_without_the_capability() {
	before=$(level)
	config lame <<-END
		[kernel]
		interval = 1s
		credit = yes
	END
	run_daemon lame $incapable
	until_true at_least /run/lame.control kernel feeds 1
	rise=$(($(level) - before))
	end $daemon
	cat /run/lame.log
	echo "entropy_avail rose by $rise from $before"
	grep -q "kernel: RNDADDENTROPY is not permitted.*CAP_SYS_ADMIN" /run/lame.log &&
		[ $rise -le $own ] && not_ready
}

# A figure that is the same before and after the level was read belongs to it.
daemon_gives_what_it_credits() {
	before=$(level)
	run_daemon main
	cat $device >/run/served &
	reader=$!
	until_true at_least $main kernel feeds 1
	credited=0
	until [ "$credited" = "$(kernel credited_bits)" ]; do
		credited=$(kernel credited_bits)
		rise=$(($(level) - before))
	done
	echo "credited $credited bits, entropy_avail rose by $rise from $before"
	# A slow guest sees it only when it is full: more than 256 bits it never says.
	least=$((before + credited < 256 ? credited : 256 - before))
	[ "$credited" -gt 0 ] && [ "$rise" -ge "$least" ] && [ "$rise" -le $((credited + own)) ]
}

becomes_ready_by_the_daemon() {
	until_true ready && said_by_the_kernel && [ "$(kernel ready)" = yes ] && said /run/main.log
}

daemon_goes_by_the_clock_now() {
	sleep 2
	feeds=$(kernel feeds)
	sleep 3
	[ "$(kernel feeds)" = "$feeds" ] && [ "$(kernel state)" = fed ]
}

device_is_served_beside() { [ -s /run/served ] && [ "$(kernel failures)" = 0 ]; }

by_daemon() {
	config main <<-END
		credit = $credit
		[kernel]
		bytes = 16
		credit = yes
		[device random]
		path = $device
	END
	start_sim
	promise not_ready_at_boot not_ready_at_boot
	here daemon_without_the_capability
	here daemon_gives_what_it_credits
	here becomes_ready_by_the_daemon
	promise daemon_goes_by_the_clock_now daemon_goes_by_the_clock_now
	promise device_is_served_beside device_is_served_beside
	end $daemon
	end $sim
	wait $reader
}

"by_$rig_feeder"
exit 0
