# A simulated key on a Unix socket, and configurations that use it, for the jobs of the rigs; sourced by
# them after promises.sh.
# start_sim SEED [RATE]: its pid in $sim.
start_sim() {
	rm -f /run/keyring
	"$build/ekey-sim" --listen unix:/run/key --rate "${2:-0}" --seed "$1" --keyring /run/keyring \
		>>/run/sim.log 2>&1 &
	sim=$!
	until_true test -s /run/keyring -a -S /run/key
}

# config NAME DEVICE VIA: writes /run/NAME.conf.
config() {
	cat >"/run/$1.conf" <<-END
		[daemon]
		keyring = /run/keyring
		control = /run/$1.control
		[pool]
		size = 64KiB
		[source key]
		type = ekey
		address = unix:/run/key
		[device random]
		path = $2
		via = $3
		mode = 0440
	END
}

# outlive DEVICE SEED HOW: a crowd that reads all it can, and notices a byte that comes twice;
# beside it one who waits in each way there is, and is to be served by each of rig_rounds daemons.
outlive() {
	CALM=1 "$tools/readers" many "$1" "$2" $((8 << 20)) 16 $((12 << 20)) >/run/readers 2>&1 &
	readers=$!
	timeout $limit "$tools/successions" "$1" "cat $pidfile" "$3" "$rig_rounds" &&
		kill -TERM $readers && wait $readers
	status=$?
	cat /run/readers
	return $status
}
