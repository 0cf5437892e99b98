# Tests, checks and measurements: what `make` needs not, and a developer does.

# something WHAT,LIST: the list, or an error: a check of nothing must fail.
something = $(or $(strip $(2)),$(error no $(1) to look at))
# sources ENDING: the sources with this ending, in a clone or an exported tarball.
sources = $(call something,*.$(1) files,$(sort $(shell find [a-z]* -name '*.$(1)')))
# at FOLDER,NAME...: these objects.
at = $(patsubst %,$(BUILD)/$(1)/%.o,$(2))

unit_tests := $(filter-out $(if $(systemd),,notify),$(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c)))
fuzz_tests := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# ---- shared code of tests: archives, from which the linker takes what a program needs ----
sim_lib    := $(BUILD)/tests/sim.a
unit_lib   := $(BUILD)/tests/unit.a
system_lib := $(BUILD)/tests/system.a
bench_lib  := $(BUILD)/tests/bench.a
# The simulated device without its main(), for tests that look inside.
$(sim_lib): $(filter-out %/main.o,$(call objects,tests/sim))
# In place of functions of libc, of libusb or of the product, so linked only where a line below says it.
stand_ins := $(call at,tests/unit,descriptors fake_usb fuse_kernel stopped_clock)
$(unit_lib): $(filter-out $(stand_ins) $(BUILD)/tests/unit/test_%,$(call objects,tests/unit)) \
             $(filter-out %/main.o,$(call objects,egd/tls)) $(call at,egd/feed,agent triggers) $(call at,daemon/ekeyctl,ekeyd_conf)
$(system_lib): $(call at,tests/system,probe_reads probe_waits waiters egd_reader record stream)
$(bench_lib): $(call at,tests/bench,key ring samples)
$(sim_lib) $(unit_lib) $(system_lib) $(bench_lib):
	$(SAY) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

# ---- unit tests ----
unit_programs := $(unit_tests:%=$(BUILD)/tests/unit/test_%)
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(call at,tests/unit,descriptors) $(unit_lib) $(sim_lib) $(lib)
	$(call link,-lcmocka -ljansson -lssl)
$(patsubst %,$(BUILD)/tests/unit/test_%,$(filter device%,$(unit_tests))): $(call at,tests/unit,fuse_kernel)
$(addprefix $(BUILD)/tests/unit/test_,sources usb_bus): $(call at,tests/unit,fake_usb)
$(addprefix $(BUILD)/tests/unit/test_,vm_clone ctl egd_limits feed_agent kernel raw sources tls_service usb_bus): $(call at,tests/unit,stopped_clock)

unit: $(unit_programs) ## run the unit tests
	$(Q)TMPDIR=$$(mktemp -d) && export TMPDIR && trap 'rm -rf $$TMPDIR' EXIT && trap exit INT TERM && \
		chmod 711 $$TMPDIR && for t in $(call something,unit tests,$^); do $$t || exit 1; done
	@echo "unit: $(words $^) programs passed"

# ---- fuzzing: with replay.o a target runs the files it is given, with libFuzzer it makes its own ----
fuzzers := $(fuzz_tests:%=$(BUILD)/tests/fuzz/fuzz_%)
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(if $(FUZZER),,$(call at,tests/fuzz,replay)) $(unit_lib) $(sim_lib) $(lib)
	$(call link,$(FUZZER))

fuzz-replay: $(fuzzers) ## run the fuzz targets over their corpus
	$(Q)for t in $(call something,fuzz targets,$(fuzz_tests)); do \
		$(BUILD)/tests/fuzz/fuzz_$$t tests/fuzz/corpus/$$t/* || exit 1; done

fuzz: ## run clang's libFuzzer on each target for SECONDS (default: a minute in all)
	$(Q)tests/tools/packages.sh build test-unit fuzz
	$(Q)$(MAKE) BUILD=build-fuzz CC=clang FUZZER=-fsanitize=fuzzer \
		SAN="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" fuzz-run

fuzz-run: $(fuzzers)
	$(Q)for t in $(fuzz_tests); do mkdir -p $(BUILD)/corpus/$$t && \
		$(BUILD)/tests/fuzz/fuzz_$$t -max_total_time=$(or $(SECONDS),$$((60 / $(words $(fuzz_tests))))) \
		-artifact_prefix=$(BUILD)/ -print_final_stats=1 $(BUILD)/corpus/$$t tests/fuzz/corpus/$$t || exit 1; done

floors: ## check that includes point down the floors only
	$(Q)tests/tools/check_floors.sh

# These numbers go down, and never up: lower them with the change that allows it.
words_limit := 2
knots_limit := 0

words: ## check that at most words_limit percent of the comments are not in plain English
	$(Q)tests/tools/check_words.py --limit $(words_limit)

knots: $(programs) ## check that at most knots_limit sets of files need each other in a circle
	$(Q)tests/tools/check_knots.py --limit $(knots_limit) $(BUILD)

docs: $(BUILD)/ekey-randomd ## check that documents, manual pages and citations in the code match the code
	$(Q)tests/tools/check_docs.sh $<

headers: ## check that every header compiles alone
	$(Q)for h in $(call sources,h); do $(CC) $(filter-out -MMD -MP,$(OUR_CFLAGS)) -fsyntax-only -x c $$h || exit 1; done
	@echo "headers: $(words $(call sources,h)) compile alone"

# ---- programs of the system and rig tests; without the packages of the product ----
test_tools := $(addprefix $(BUILD)/tests/system/,probe readers successions) \
              $(addprefix $(BUILD)/tests/rig/,init pool_probe xen_probe)
$(test_tools): %: %.o $(system_lib) $(lib)
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(SAN) $(filter %.o,$^) $(filter %.a,$^) -pie -o $@ -lcrypto

# A device over an empty pool, for the system tests of the device.
$(BUILD)/tests/system/device_server: $(BUILD)/tests/system/device_server.o $(lib)
	$(call link)

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

test-programs: $(first_programs) $(unit_programs) $(test_tools) \
               $(others) $(BUILD)/tests/system/device_server $(BUILD)/tests/system/egd_linux_shim.so

# The targets below may install packages first; a make of its own then finds them.
again = $(Q)$(MAKE) --no-print-directory
suites = $(PYTHON) tests/run.py --build $(BUILD) --checks "$(checks)" --unit "$(unit_tests)"
checks := floors words knots docs headers fuzz-replay
san    = BUILD=build-san CFLAGS="-O1 -g" \
         SAN="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

run: ## run a simulated key, the daemon and the device until Ctrl-C, or for SECONDS; CONFIG=FILE: your own configuration
	$(Q)tests/tools/packages.sh build run
	$(again) all
	$(Q)tests/tools/demo.sh $(BUILD) "$(SECONDS)" "$(CONFIG)"

check: ## build, run unit tests and checks: under a minute; no root, network or git
	$(Q)tests/tools/check_tools.sh check $(firstword $(CC)) $(packages) cmocka jansson
	$(again) all unit $(checks)

test: ## run all tests: check, system tests, and in QEMU the device, keys on USB, and Xen
	$(Q)tests/tools/packages.sh build test-unit test
	$(Q)tests/tools/packages.sh guest || echo "make: without them the guests in QEMU are one skipped test"
	$(again) all test-programs
	$(Q)$(suites) checks unit system systemd guest xen

list: ## print the name of each test of `make test`
	$(again) all test-programs
	$(Q)$(suites) --list checks unit system systemd guest xen

check-san: ## run unit and system tests under ASan and UBSan
	$(Q)tests/tools/packages.sh build test-unit test
	$(again) $(san) all test-programs
	$(Q)$(MAKE) --no-print-directory $(san) test-san

test-san:
	$(Q)$(suites) unit system

mutants: ## check that a test fails for each of N random changes of the product (SEED=); takes hours
	$(Q)tests/tools/packages.sh build test-unit test
	$(Q)$(PYTHON) -B tests/tools/mutate.py --cc "$(CC)" $(or $(SEED),1) $(or $(N),100)

soak: ## read 100 million 16-byte blocks by killed readers of a device, and as many through all outlets
	$(Q)tests/tools/packages.sh build test-unit test
	$(again) all test-programs
	$(Q)ROUNDS=50 $(suites) system -k never_twice

test-guest: ## test the device, keys on USB, udev and systemd in QEMU: minutes; needs root, and the network once
	$(Q)tests/tools/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)$(suites) guest

test-xen: ## test all kinds of Xen guests with the daemon in dom0, in QEMU: minutes; needs root, and the network once
	$(Q)tests/tools/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)EKEY_XEN=all $(suites) xen

soak-handover: ## kill and restart the daemon fifty times each, under readers of each device and under QEMU guests
	$(Q)tests/tools/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)PYTEST_ADDOPTS=-rP ROUNDS=50 STOPPED_S=60 EKEY_CUSE_BLOCKS=200000 $(suites) guest \
		-k "handover- or cuse-never_twice or and_readers_outlive or request_of_rng_egd"

soak-kill: ## kill the daemon KILLS times (500) at random instants (SEED=), and once while a key's firmware hangs
	$(Q)tests/tools/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)PYTEST_ADDOPTS=-rP KILLS=$(or $(KILLS),500) SEED=$(SEED) $(suites) system guest -k "what_a_kill or dead-"

soak-usb: ## unplug a key on USB 200 times, under readers
	$(Q)tests/tools/packages.sh build test-unit test guest
	$(again) all test-programs
	$(Q)EKEY_USB_CYCLES=200 $(suites) guest -k usb.unplugged_at_any_byte

test-fresh: ## run `make run` and `make test` in a fresh Debian root (needs root and mmdebstrap)
	$(Q)tests/system/fresh_chroot.sh

fmt: ## format the sources
	$(Q)tests/tools/packages.sh analyze
	$(Q)clang-format-14 -i $(call sources,[ch])

fmt-check: ## print what make fmt would change
	$(Q)tests/tools/packages.sh analyze
	$(Q)clang-format-14 --dry-run -Werror $(call sources,[ch])

analyze: ## run clang-tidy, with the checks of .clang-tidy, over all code but the unit tests
	$(Q)tests/tools/packages.sh build test-unit analyze
	$(Q)clang-tidy-14 --quiet $(filter-out tests/unit/% tests/fuzz/% tests/bench/%,$(call sources,c)) -- $(filter-out -MMD -MP,$(OUR_CFLAGS)) 2>/dev/null

# ---- benchmarks ----
bench_programs := $(addprefix $(BUILD)/tests/bench/,decode egd_load null_host null_server reader wake)
$(bench_programs): %: %.o $(bench_lib) $(sim_lib) $(lib)
	$(call link)

bench: ## compare with Debian's ekeyd and a null server, in ratios; BENCH=decode: one part
	$(Q)tests/tools/packages.sh build bench
	$(Q)tests/tools/packages.sh guest || echo "make: without them the device by CUSE is not measured"
	$(again) all $(bench_programs) $(first_programs) $(test_tools) $(BUILD)/tests/other/ekey-randomd-table
	$(Q)$(PYTHON) -B tests/bench/run.py $(BUILD) $(BENCH)

.PHONY: bench unit fuzz fuzz-replay fuzz-run floors words knots docs headers test-programs run check test check-san test-san \
        mutants list soak soak-handover soak-kill soak-usb test-guest test-xen test-fresh fmt fmt-check analyze
