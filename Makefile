# Everything is built under $(BUILD). `make help` lists the targets; V=1 shows the commands.
BUILD   ?= build
PREFIX  ?= /usr/local
CC      ?= cc
CFLAGS  ?= -O2 -g
PYTHON  ?= /usr/bin/python3
SYSCONF ?= /etc
SECONDS ?=
CONFIG  ?=
BENCH   ?=
TLS     ?= 1
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
SAY     := $(if $(filter 1,$(V)),@:,@printf '  %-5s %s\n')

# libsystemd is optional: without it nothing is reported to a service manager.
systemd := $(if $(shell pkg-config --exists libsystemd 2>/dev/null && echo yes),libsystemd)

# Ground floor first: reading these lists is reading the architecture (tests/floors).
base_src    := acceptor address clock fd_pass fd_store file wiping_alloc hex log net cidr num atomic_file secret xen_channel xen_seed xenstore
crypto_src  := keyed masterkey memory pem64 psk skein tls tls_context tls_error
priv_src    := vm_clone connect_helper helper lock mount mounter \
               random resolver rng_helper sandbox syscall_filter tls_channel usb
ekey_src    := frame_stats frame keyring packet rekey session telemetry
pool_src    := token_bucket drr health intake pool ring slab
backend_src := path_watch backoff egd ekey fd_transport recovery link net_transport self_check \
               raw report source source_address source_log source_types sources transport trust tty \
               usb usb_descriptor usb_faults usb_loop usb_queue usb_sysfs usb_transport
cuse_src    := conn conn_cuse conn_fuse path_lock device requests stored table watchdog
egd_src     := connection egd_client egd_server egd_wire identity listener acl proxy xen
ctl_src     := client server
daemon_src  := clones config config_keys daemon devices figures files haproxy hwreport \
               inputs kernel listeners mount_helper cmd_rekey parts privileges reload retry roles status_row cmd_seed \
               starts status tls_process notify
tool_src    := ctl_call daemon doctor ekeyctl ekeyd_conf hwreport import_ekeyd local_keys rekey simple_cmds \
               keyring_store terminal unit xen_seed
kernel_src  := feed
tls_src     := connections main sections service
sim_src     := command engine engine_commands faults frames identity info keys loop main options port port_pty \
               port_tty port_unix port_vhci report say stream urb usb_descriptors usb_device usb_transfers usbip
# The simulated device without its main(), for tests that look inside.
sim_obj := $(patsubst %,$(BUILD)/sim/%.o,$(filter-out main,$(sim_src)))
# The guest's agent: with what it needs and no more; TLS=0: without OpenSSL.
guest_src := $(addprefix guest/,agent channel connect_line main options report seed upstreams triggers) \
             $(addprefix base/,address clock fd_pass file wiping_alloc hex log net num secret xen_channel xen_seed xenstore) egd/egd_wire pool/health \
             $(addprefix priv/,vm_clone helper random rng_helper sandbox syscall_filter_none) \
             $(if $(filter 0,$(TLS)),guest/tls_none,$(addprefix crypto/,$(filter memory psk tls%,$(crypto_src))))

unit_tests  := path_watch backoff base token_bucket frame_stats vm_clone config connect_helper ctl device device_handover device_polls device_reads \
               device_twice egd_client egd_limits egd_listener egd_identity egd_proxy egd_server egd_wire egd_xen ekeyd_conf fd_transport feed_agent frame haproxy health helper \
               intake kernel keyring recovery log masterkey cidr packet pem64 pool pool_fair \
               pool_reserve pool_whole raw rekey atomic_file report rng_helper roles sandbox session session_damage session_faults session_keyring \
               session_resets sim_engine sim_faults sim_usb_descriptors sim_usb_transfers sim_usbip sim_vectors skein \
               source source_recovery source_log sources table telemetry tls tls_hello tls_service tls_stream transports trust tty upstream triggers usb \
               usb_bus usb_describe watchdog wipes xenstore $(if $(systemd),notify)
fuzz_tests  := address config egd_client egd_proxy egd_wire ekeyd_conf frame keyring packet pool psk rekey session \
               sim_engine sim_usbip table tls_channel usb_descriptor xenstore

lib     := $(BUILD)/libekey-random.a
lib_obj := $(foreach d,base crypto priv ekey pool backend cuse egd kernel ctl daemon,$($(d)_src:%=$(BUILD)/$(d)/%.o))

packages := fuse3 libevent libcrypto inih libseccomp libusb-1.0 $(systemd)
WARN     := -Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough
# known FLAG...: the flags that this compiler has for this machine.
known     = $(foreach flag,$(1),$(shell $(CC) -Werror $(flag) -xc -c /dev/null -o /dev/null 2>/dev/null && echo $(flag)))
# Fortified where optimization is on, no level is given, and no sanitizer is in use.
macros   := $(shell $(CC) $(CPPFLAGS) $(CFLAGS) -dM -xc -E /dev/null 2>/dev/null | sed -n 's/^.define \([^ ]*\) .*/\1/p')
fortify  := $(if $(SAN)$(filter _FORTIFY_SOURCE,$(macros)),,$(if $(filter __OPTIMIZE__,$(macros)),-D_FORTIFY_SOURCE=2))
HARDEN   := -fPIE -fstack-protector-strong $(call known,-fstack-clash-protection -fcf-protection) $(fortify)
OUR_CFLAGS = -std=c17 -D_GNU_SOURCE -DFUSE_USE_VERSION=312 -I. $(if $(systemd),,-Ibase/without) $(WARN) $(HARDEN) -MMD -MP \
             $(if $(CI),-Werror) $(SAN) $(if $(packages),$$(pkg-config --cflags $(packages)))
OUR_LIBS   = -pie -Wl,-z,relro,-z,now $(SAN) $$(pkg-config --libs $(packages)) -lpthread

programs := $(addprefix $(BUILD)/,ekey-randomd ekey-tls ekeyctl ekey-sim ekey-feed)

all: $(programs) ## build the programs

# Floors 1 to 3.
$(foreach d,base crypto priv ekey pool,$(BUILD)/$(d)/%.o) \
$(patsubst %,$(BUILD)/egd/%.o,egd_client egd_wire networks proxy): WARN += -Wconversion

$(BUILD)/%.o: %.c | build-tools
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

build-tools:
	$(Q)tests/check_tools.sh build $(firstword $(CC)) $(packages)

$(lib): $(lib_obj)
	$(SAY) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

# Objects before libraries; the argument: what a test needs beyond them.
define link
$(SAY) LD $@
@mkdir -p $(@D)
$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(1) $(OUR_LIBS)
endef

$(BUILD)/ekey-randomd: $(BUILD)/daemon/main.o $(lib)
$(BUILD)/ekeyctl: $(tool_src:%=$(BUILD)/tool/%.o) $(lib)
$(BUILD)/ekey-sim: $(sim_src:%=$(BUILD)/sim/%.o) $(lib)
$(filter-out %/ekey-feed %/ekey-tls,$(programs)):
	$(call link)

# The one program of the daemon with libssl; without libfuse, libusb and the rest.
$(BUILD)/ekey-tls: private packages := libevent libssl libcrypto libseccomp
$(BUILD)/ekey-tls: $(tls_src:%=$(BUILD)/tls/%.o) $(lib)
	$(call link)

# Needs neither the library nor its packages: only a C library, and OpenSSL unless TLS=0.
guest_obj := $(guest_src:%=$(BUILD)/%.o)
ekey-feed: packages := $(if $(filter 0,$(TLS)),,libssl libcrypto)
ekey-feed: $(BUILD)/ekey-feed ## build only the agent for guests; TLS=0: without OpenSSL
# Changes when the value of TLS= changes.
$(BUILD)/guest/tls: always
	$(Q)mkdir -p $(@D) && { echo $(TLS) | cmp -s - $@ || echo $(TLS) >$@; }
$(BUILD)/ekey-feed: $(guest_obj) $(BUILD)/guest/tls
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(guest_obj) -o $@ -pie -Wl,-z,relro,-z,now $(SAN) \
		$(if $(filter 0,$(TLS)),,-lssl -lcrypto)

# ---- tests ----
# something WHAT,LIST: the list, or an error: a check of nothing must fail.
something = $(or $(strip $(2)),$(error no $(1) to look at))
# sources ENDING: the sources with this ending, in a clone or an exported tarball.
sources = $(call something,*.$(1) files,$(sort $(shell find [a-z]* -name '*.$(1)')))

$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(addprefix $(BUILD)/tests/unit/,descriptors.o vectors.o) $(lib)
	$(call link,-lcmocka -ljansson -lssl)

# Tests that speak the device's side too.
$(patsubst %,$(BUILD)/tests/unit/test_%,census packet rekey wipes $(filter session%,$(unit_tests)) source source_ladder): \
	$(BUILD)/tests/unit/device.o $(BUILD)/tests/unit/host.o
$(patsubst %,$(BUILD)/tests/unit/test_%,census wipes $(filter-out %_damage,$(filter session%,$(unit_tests)))): \
	$(BUILD)/tests/unit/session_rig.o

$(BUILD)/tests/unit/test_triggers: $(addprefix $(BUILD)/guest/,agent.o triggers.o)

# Tests with a directory of their own.
$(patsubst %,$(BUILD)/tests/unit/test_%,path_watch connect_helper ctl egd_listener raw atomic_file source upstream usb): $(BUILD)/tests/unit/folder.o

$(patsubst %,$(BUILD)/tests/unit/test_%,$(filter device%,$(unit_tests))): $(BUILD)/tests/unit/fuse_kernel.o

$(patsubst %,$(BUILD)/tests/unit/test_%,tls tls_hello tls_service tls_stream transports): \
	$(BUILD)/tests/unit/tls_rig.o $(addprefix $(BUILD)/tls/,$(addsuffix .o,$(filter-out main,$(tls_src))))
$(BUILD)/tests/unit/test_tls: $(BUILD)/tests/unit/pki.o

$(addprefix $(BUILD)/tests/,unit/test_ekeyd_conf fuzz/fuzz_ekeyd_conf): $(BUILD)/tool/ekeyd_conf.o
$(patsubst %,$(BUILD)/tests/unit/test_%,egd_limits egd_server egd_xen): $(BUILD)/tests/unit/egd_rig.o
$(patsubst %,$(BUILD)/tests/unit/test_%,vm_clone ctl egd_limits feed_agent kernel raw sources tls_service usb_bus): $(BUILD)/tests/unit/stopped_clock.o
$(addprefix $(BUILD)/tests/unit/test_,sources usb_bus): $(BUILD)/tests/unit/fake_usb.o
$(BUILD)/tests/unit/test_feed_agent: $(BUILD)/guest/agent.o

# A device over an empty pool, for the system tests of the device.
$(BUILD)/tests/system/device_server: $(BUILD)/tests/system/device_server.o $(lib)
	$(call link)
$(patsubst %,$(BUILD)/tests/unit/test_%,sim_engine sim_faults sim_vectors): \
	$(BUILD)/tests/unit/simrig.o $(sim_obj)
$(patsubst %,$(BUILD)/tests/unit/test_%,sim_usb_descriptors sim_usb_transfers sim_usbip usb_describe report): $(sim_obj)
$(patsubst %,$(BUILD)/tests/fuzz/fuzz_%,sim_engine sim_usbip): $(sim_obj)

unit: $(unit_tests:%=$(BUILD)/tests/unit/test_%) ## run the unit tests
	$(Q)TMPDIR=$$(mktemp -d) && export TMPDIR && trap 'rm -rf $$TMPDIR' EXIT && trap exit INT TERM && \
		chmod 711 $$TMPDIR && for t in $(call something,unit tests,$^); do $$t || exit 1; done
	@echo "unit: $(words $^) programs passed"

# ---- fuzzing: with replay.o a target runs the files it is given, with libFuzzer it makes its own ----
fuzzers := $(fuzz_tests:%=$(BUILD)/tests/fuzz/fuzz_%)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(if $(FUZZER),,$(BUILD)/tests/fuzz/replay.o) $(lib)
	$(call link,$(FUZZER))
$(patsubst %,$(BUILD)/tests/fuzz/fuzz_%,packet rekey session): \
	$(BUILD)/tests/unit/device.o $(BUILD)/tests/unit/host.o

fuzz-replay: $(fuzzers) ## run the fuzz targets over their corpus
	$(Q)for t in $(call something,fuzz targets,$(fuzz_tests)); do \
		$(BUILD)/tests/fuzz/fuzz_$$t tests/fuzz/corpus/$$t/* || exit 1; done

fuzz: ## run clang's libFuzzer on each target for SECONDS (default: a minute in all)
	$(Q)dist/packages.sh build test-unit fuzz
	$(Q)$(MAKE) BUILD=build-fuzz CC=clang FUZZER=-fsanitize=fuzzer \
		SAN="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" fuzz-run

fuzz-run: $(fuzzers)
	$(Q)for t in $(fuzz_tests); do mkdir -p $(BUILD)/corpus/$$t && \
		$(BUILD)/tests/fuzz/fuzz_$$t -max_total_time=$(or $(SECONDS),$$((60 / $(words $(fuzz_tests))))) \
		-artifact_prefix=$(BUILD)/ -print_final_stats=1 $(BUILD)/corpus/$$t tests/fuzz/corpus/$$t || exit 1; done

floors: ## check that includes point down the floors only
	$(Q)tests/check_floors.sh

# These numbers go down, and never up: lower them with the change that allows it.
words_limit := 2
knots_limit := 1

words: ## check that at most words_limit percent of the comments are not in plain English
	$(Q)tests/check_words.py --limit $(words_limit)

knots: $(programs) ## check that at most knots_limit sets of files need each other in a circle
	$(Q)tests/check_knots.py --limit $(knots_limit) $(BUILD)

docs: $(BUILD)/ekey-randomd ## check that documents, manual pages and citations in the code match the code
	$(Q)tests/check_docs.sh $<

headers: ## check that every header compiles alone
	$(Q)for h in $(call sources,h); do $(CC) $(filter-out -MMD -MP,$(OUR_CFLAGS)) -fsyntax-only -x c $$h || exit 1; done
	@echo "headers: $(words $(call sources,h)) compile alone"

# Small programs of the system and rig tests, without the libraries of the product.
test_tools := $(addprefix $(BUILD)/tests/system/,probe readers successions) \
              $(addprefix $(BUILD)/tests/rig/,init pool_probe xen_probe)
$(BUILD)/tests/rig/pool_probe: $(addprefix $(BUILD)/,priv/random.o base/secret.o)
$(BUILD)/tests/system/probe: $(addprefix $(BUILD)/tests/system/,probe_reads.o probe_waits.o)
$(BUILD)/tests/rig/xen_probe: $(addprefix $(BUILD)/,tests/system/stream.o base/num.o base/secret.o base/xen_channel.o base/xenstore.o)
$(BUILD)/tests/system/successions: $(BUILD)/tests/system/waiters.o
$(BUILD)/tests/system/readers: $(addprefix $(BUILD)/tests/system/,egd_reader.o record.o stream.o)
$(test_tools): %: %.o
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(SAN) $(filter %.o,$^) -pie -o $@ -lcrypto

# The first programs of guests in QEMU, before there are libraries.
first_programs := $(BUILD)/tests/rig/boot $(BUILD)/tests/rig/rng_guest
$(first_programs): $(BUILD)/%: %.c tests/rig/early.c tests/rig/early.h
	$(SAY) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out $(SAN) -fPIE -MMD -MP,$(OUR_CFLAGS)) $(CFLAGS) -static $(filter %.c,$^) -o $@

# Daemons of other versions, for resuming from each to each (test_upgrade.py).
$(BUILD)/tests/other/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(OUR_CFLAGS) $(OTHER) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(BUILD)/tests/other/daemon/daemon.o: OTHER := -DVERSION='"0.0.1"'
$(BUILD)/tests/other/cuse/table.o: OTHER := -DTABLE_VERSION=1000
others := $(addprefix $(BUILD)/tests/other/ekey-randomd-,daemon table)
$(BUILD)/tests/other/ekey-randomd-daemon: $(BUILD)/tests/other/daemon/daemon.o
$(BUILD)/tests/other/ekey-randomd-table: $(BUILD)/tests/other/cuse/table.o
$(others): $(BUILD)/daemon/main.o $(lib)
	$(call link)

# Preloaded into one of Debian's programs.
$(BUILD)/tests/system/egd_linux_shim.so: tests/system/egd_linux_shim.c
	$(SAY) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out $(SAN) -fPIE,$(OUR_CFLAGS)) $(CFLAGS) -fPIC -shared $< -o $@

test-programs: $(first_programs) $(unit_tests:%=$(BUILD)/tests/unit/test_%) $(test_tools) \
               $(others) $(BUILD)/tests/system/device_server $(BUILD)/tests/system/egd_linux_shim.so

# The targets below may install packages first; a make of its own then finds them.
again = $(Q)$(MAKE) --no-print-directory
suites = $(PYTHON) tests/run.py --build $(BUILD) --checks "$(checks)" --unit "$(unit_tests)"
checks := floors words knots docs headers fuzz-replay
san    = BUILD=build-san CFLAGS="-O1 -g" \
         SAN="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

run: ## run a simulated key, the daemon and the device until Ctrl-C, or for SECONDS; CONFIG=FILE: your own configuration
	$(Q)dist/packages.sh build run
	$(again) all
	$(Q)dist/demo.sh $(BUILD) "$(SECONDS)" "$(CONFIG)"

check: ## build, run unit tests and checks: under a minute; no root, network or git
	$(Q)tests/check_tools.sh check $(firstword $(CC)) $(packages) cmocka jansson
	$(again) all unit $(checks)

test: ## run all tests: check, system tests, and in QEMU the device, keys on USB, and Xen
	$(Q)dist/packages.sh build test-unit test
	$(Q)dist/packages.sh guest || echo "make: without them the guests in QEMU are one skipped test"
	$(again) all test-programs
	$(Q)$(suites) checks unit system systemd guest xen

list: ## print the name of each test of `make test`
	$(again) all test-programs
	$(Q)$(suites) --list checks unit system systemd guest xen

check-san: ## run unit and system tests under ASan and UBSan
	$(Q)dist/packages.sh build test-unit test
	$(again) $(san) all test-programs
	$(Q)$(MAKE) --no-print-directory $(san) test-san

test-san:
	$(Q)$(suites) unit system

mutants: ## check that a test fails for each of N random changes of the product (SEED=); takes hours
	$(Q)dist/packages.sh build test-unit test
	$(Q)$(PYTHON) -B tests/tools/mutate.py --cc "$(CC)" $(or $(SEED),1) $(or $(N),100)

soak: ## read 100 million 16-byte blocks by killed readers of a device, and as many through all outlets
	$(Q)dist/packages.sh build test-unit test
	$(again) all test-programs
	$(Q)ROUNDS=50 $(suites) system -k never_twice

test-guest: ## test the device, keys on USB, udev and systemd in QEMU: minutes; needs root, and the network once
	$(Q)dist/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)$(suites) guest

test-xen: ## test all kinds of Xen guests with the daemon in dom0, in QEMU: minutes; needs root, and the network once
	$(Q)dist/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)EKEY_XEN=all $(suites) xen

soak-handover: ## kill and restart the daemon fifty times each, under readers of each device and under QEMU guests
	$(Q)dist/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)PYTEST_ADDOPTS=-rP ROUNDS=50 STOPPED_S=60 EKEY_CUSE_BLOCKS=200000 $(suites) guest \
		-k "handover- or cuse-never_twice or and_readers_outlive or request_of_rng_egd"

soak-kill: ## kill the daemon KILLS times (500) at random instants (SEED=), and once while a key's firmware hangs
	$(Q)dist/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)PYTEST_ADDOPTS=-rP KILLS=$(or $(KILLS),500) SEED=$(SEED) $(suites) system guest -k "what_a_kill or dead-"

soak-usb: ## unplug a key on USB 200 times, under readers
	$(Q)dist/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)EKEY_USB_CYCLES=200 $(suites) guest -k usb.unplugged_at_any_byte

test-fresh: ## run `make run` and `make test` in a fresh Debian root (needs root and mmdebstrap)
	$(Q)tests/system/fresh_chroot.sh

fmt: ## format the sources
	$(Q)dist/packages.sh analyze
	$(Q)clang-format-14 -i $(call sources,[ch])

fmt-check: ## print what make fmt would change
	$(Q)dist/packages.sh analyze
	$(Q)clang-format-14 --dry-run -Werror $(call sources,[ch])

analyze: ## run clang-tidy, with the checks of .clang-tidy, over all code but the unit tests
	$(Q)dist/packages.sh build test-unit analyze
	$(Q)clang-tidy-14 --quiet $(filter-out tests/unit/% tests/fuzz/% bench/%,$(call sources,c)) -- $(filter-out -MMD -MP,$(OUR_CFLAGS)) 2>/dev/null

# ---- install ----
# systemd and udev look below /usr and /usr/local; for another PREFIX set these.
UNITDIR     ?= $(PREFIX)/lib/systemd/system
RULESDIR    ?= $(PREFIX)/lib/udev/rules.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d

sbin := $(DESTDIR)$(PREFIX)/sbin
bin  := $(DESTDIR)$(PREFIX)/bin
doc  := $(DESTDIR)$(PREFIX)/share/doc/ekey-random
man  := $(DESTDIR)$(PREFIX)/share/man
conf := $(DESTDIR)$(SYSCONF)/ekey-random
units := ekey-randomd.service ekey-random-wait.service ekey-tls.service ekey-tls.socket ekey-mount@.service ekey-mount.socket ekey-feed.service ekey-feed-early.service
# For what `ekeyctl unit` prints.
drop_in_folders := $(patsubst %,$(DESTDIR)$(SYSCONF)/systemd/system/%.service.d,ekey-randomd ekey-feed)
place := sed 's,@sbindir@,$(PREFIX)/sbin,;s,@bindir@,$(PREFIX)/bin,;s,@sysconfdir@,$(SYSCONF),'

install: all install-service ## install below DESTDIR, PREFIX and SYSCONF; an existing configuration stays
	install -d $(sbin) $(bin) $(doc)/examples $(man)/man1 $(man)/man5 $(man)/man8 $(conf)
	install -m 755 $(addprefix $(BUILD)/,ekey-randomd ekey-tls ekey-feed) $(sbin)
	install -m 755 $(BUILD)/ekeyctl $(BUILD)/ekey-sim $(bin)
	install -m 644 dist/ekey-random.conf NEWS $(doc)
	for page in *.md doc/*.md; do sed 's,](doc/,](,g;s,](\.\./dist/,](,g;s,](\.\./,](,g' $$page | \
		install -m 644 /dev/stdin $(doc)/$${page##*/} || exit 1; done
	install -m 644 dist/examples/* $(doc)/examples
	for page in doc/man/*; do install -m 644 $$page $(man)/man$${page##*.}; done
	[ -e $(conf)/ekey-random.conf ] || install -m 644 dist/ekey-random.conf $(conf)
	$(if $(DESTDIR),,dist/host.sh install $(SYSUSERSDIR) $(TMPFILESDIR) $(SYSCONF) $(RULESDIR))

install-service:
	install -d $(addprefix $(DESTDIR),$(UNITDIR) $(RULESDIR) $(SYSUSERSDIR) $(TMPFILESDIR)) $(drop_in_folders)
	for unit in $(units); do \
		$(place) dist/systemd/$$unit.in | install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	install -m 644 udev/60-ekey-random.rules $(DESTDIR)$(RULESDIR)
	install -m 644 dist/systemd/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/ekey-random.conf
	$(place) dist/systemd/tmpfiles.conf.in | install -m 644 /dev/stdin $(DESTDIR)$(TMPFILESDIR)/ekey-random.conf

uninstall: ## remove all but the configuration and the keyring
	$(if $(DESTDIR),,dist/host.sh stop)
	rm -f $(addprefix $(sbin)/,ekey-randomd ekey-tls ekey-feed) $(bin)/ekeyctl $(bin)/ekey-sim
	for page in doc/man/*; do page=$${page##*/}; rm -f $(man)/man$${page##*.}/$$page; done
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(units)) $(DESTDIR)$(RULESDIR)/60-ekey-random.rules
	rm -f $(DESTDIR)$(SYSUSERSDIR)/ekey-random.conf $(DESTDIR)$(TMPFILESDIR)/ekey-random.conf
	rm -rf $(doc)
	for at in $(drop_in_folders); do [ ! -d $$at ] || rmdir --ignore-fail-on-non-empty $$at; done
	$(if $(DESTDIR),,dist/host.sh uninstall $(SYSCONF))

# ---- benchmarks ----
bench_programs := $(addprefix $(BUILD)/bench/,decode egd_load null_host null_server reader wake)
$(BUILD)/bench/decode: $(addprefix $(BUILD)/bench/,ring.o samples.o)
$(BUILD)/bench/reader $(BUILD)/bench/egd_load: $(BUILD)/bench/samples.o
$(BUILD)/bench/wake: $(addprefix $(BUILD)/bench/,key.o ring.o samples.o) \
                     $(addprefix $(BUILD)/sim/,command.o frames.o)
$(bench_programs): %: %.o $(lib)
	$(call link)

bench: ## compare with Debian's ekeyd and a null server, in ratios; BENCH=decode: one part
	$(Q)dist/packages.sh build bench
	$(Q)dist/packages.sh guest || echo "make: without them the device by CUSE is not measured"
	$(again) all $(bench_programs) $(first_programs) $(test_tools) $(BUILD)/tests/other/ekey-randomd-table
	$(Q)$(PYTHON) -B bench/run.py $(BUILD) $(BENCH)

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

clean: ## remove the build folder
	rm -rf $(BUILD)

.PHONY: all always build-tools ekey-feed bench unit fuzz fuzz-replay fuzz-run floors words knots docs headers test-programs run check test check-san \
        test-san mutants list soak soak-handover soak-kill soak-usb test-guest test-xen test-fresh fmt fmt-check analyze install install-service uninstall help clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
