# The service under a service manager, for the jobs of the rigs; sourced by them after promises.sh, as root
# beside systemd. /install is the tree of `make install`, with host.sh beside.
service=ekey-randomd.service
changes=/run/systemd/system/$service.d/test.conf
drop_in=/etc/systemd/system/$service.d/ekey-random.conf
conf=/etc/ekey-random/ekey-random.conf

show() { systemctl show -P "$1" $service; }
active() { systemctl is-active -q $service; }
pid() { show MainPID; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
read_as_nobody() { as_nobody timeout $limit head -c "$1" $device | wc -c | grep -qx "$1"; }
has() { [ "$(stat -c '%a %U:%G' "$2")" = "$1" ] || { stat -c '%n: %a %U:%G' "$2"; return 1; }; }

# install_on_the_machine KEYRING: as `make install` does, where ekeyd has been before.
install_on_the_machine() {
	mkdir -p /etc/entropykey
	cp "$1" /etc/entropykey/keyring
	cp -a /install/root/. /
	/install/host.sh install /usr/local/lib/sysusers.d /usr/local/lib/tmpfiles.d /etc /usr/local/lib/udev/rules.d || return 1
	sed -i 's/^size = .*/size = 64KiB/' $conf # each daemon fills it anew
}

# The kernel takes no part of the key's stream, which some promises compare byte by byte.
feed_no_kernel() { sed -i '/^\[kernel\]$/d' $conf; }

start_anew() {
	systemctl daemon-reload
	systemctl stop $service
	systemctl start $service
}

# with TEXT...: the service as a drop-in of that text changes it, started anew.
with() {
	mkdir -p ${changes%/*}
	printf '%s\n' "$@" >$changes
	start_anew
}
without() {
	rm -f $changes
	systemctl daemon-reload
}

# drop_in SECTION: the service with that section at the end of its configuration, and with the drop-in
# that `ekeyctl unit` prints for it.
drop_in() {
	cp $conf /run/shipped.conf
	printf '%s\n' "$1" >>$conf
	ekeyctl unit >$drop_in && cat $drop_in && start_anew
}
drop_out() {
	cp /run/shipped.conf $conf
	rm -f $drop_in
	systemctl daemon-reload
}

# ---- one daemon ends, the next one resumes: eight readers see a delay only ----
restart_service() { systemctl restart $service; }
kill_service() { kill -KILL "$(pid)"; }
another_serves() { active && now=$(pid) && [ "$now" -ne 0 ] && [ "$now" -ne "$1" ]; }
readers_notice_no_end() {
	node=$(stat -c %t:%T:%i $device)
	CALM=1 "$tools/readers" many $device $seed $((4 << 20)) 8 $((12 << 20)) &
	readers=$!
	round=0
	while [ $((round += 1)) -le ${rig_rounds:-2} ]; do
		for how in restart_service kill_service; do
			before=$(pid)
			began=$(date +%s%3N)
			$how && until_true another_serves "$before" && count 16 head -c 16 $device &&
				kill -0 $readers || return 1
			echo "$how: bytes again after $(($(date +%s%3N) - began)) ms"
		done
	done
	[ "$(stat -c %t:%T:%i $device)" = "$node" ] && kill -TERM $readers && wait $readers
}
device_outlives_its_daemon_says_the_doctor() { ekeyctl doctor | grep 'outlives restarts and crashes of the daemon'; }

# ---- the end: as `make uninstall` does ----
uninstall_ends_it() {
	systemctl start $service
	/install/host.sh stop
	! active && [ ! -e $device ] && [ ! -e /run/ekey-random ]
}
uninstall_leaves_no_unit_and_says_what_stays() {
	printf '%s\n' [Unit] Wants=$service [Service] ExecStart="sleep 1h" >/run/systemd/system/wants.service
	systemctl start wants.service # keeps the unit loaded, as the device of a key does
	systemctl stop $service
	(cd /install/root && find usr -type f) | sed 's,^,/,' | xargs rm -f
	/install/host.sh uninstall /etc >/run/uninstalled || return 1
	systemctl status $service | grep Loaded:
	[ "$(show LoadState)" = not-found ] && grep "not removed: /etc/ekey-random, the users and groups" /run/uninstalled
}
