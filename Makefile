# Everything is built under $(BUILD). `make help` says what can be asked; V=1 shows the commands.
BUILD   ?= build
PREFIX  ?= /usr/local
CC      ?= cc
CFLAGS  ?= -O2 -g
PYTHON  ?= /usr/bin/python3
SECONDS ?=
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
SAY     := $(if $(filter 1,$(V)),@:,@printf '  %-5s %s\n')

# Ground floor first: reading these lists is reading the architecture (tests/floors).
base_src    := bytes clock file log net num secret
crypto_src  := keyed masterkey pem64 skein
priv_src    := device
ekey_src    := frame keyring packet session telemetry
pool_src    := health intake pool
backend_src :=
cuse_src    :=
ctl_src     :=
daemon_src  :=
sim_src     := command engine faults frames identity info keys main options port port_pty port_unix report \
               stream

unit_tests  := sim_engine sim_faults
fuzz_tests  := sim_engine

# The simulated device without its main(), for tests that look inside.
sim_obj := $(patsubst %,$(BUILD)/sim/%.o,$(filter-out main,$(sim_src)))

have = $(wildcard $(1)/$(2).c)
lib_src := $(foreach d,base crypto priv ekey pool backend cuse ctl,$(foreach f,$($(d)_src),$(call have,$(d),$(f))))
lib_obj := $(lib_src:%.c=$(BUILD)/%.o)
lib     := $(BUILD)/libekey-random.a

packages := fuse3 libevent libcrypto inih
WARN     := -Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough
HARDEN   := -fPIE -fstack-protector-strong
OUR_CFLAGS = -std=c17 -D_GNU_SOURCE -DFUSE_USE_VERSION=312 -I. $(WARN) $(HARDEN) -MMD -MP \
             $(if $(CI),-Werror) $(SAN) $$(pkg-config --cflags $(packages))
OUR_LIBS   = -pie -Wl,-z,relro,-z,now $(SAN) $$(pkg-config --libs $(packages)) -lpthread

programs := $(BUILD)/ekey-randomd $(BUILD)/ekeyctl $(BUILD)/ekey-sim

all: $(programs)

$(BUILD)/base/%.o $(BUILD)/crypto/%.o $(BUILD)/priv/%.o $(BUILD)/ekey/%.o $(BUILD)/pool/%.o: WARN += -Wconversion

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(lib): $(lib_obj)
	$(SAY) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

link = $(SAY) LD $@ ; $(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o %.a,$^) -o $@ $(OUR_LIBS)

$(BUILD)/ekey-randomd: $(daemon_src:%=$(BUILD)/daemon/%.o) $(lib)
$(BUILD)/ekeyctl: $(BUILD)/ctl/ekeyctl.o $(lib)
$(BUILD)/ekey-sim: $(sim_src:%=$(BUILD)/sim/%.o) $(lib)
$(programs):
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o %.a,$^) -o $@ $(OUR_LIBS)

# ---- tests ----
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(BUILD)/tests/unit/vectors.o $(lib)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ -lcmocka -ljansson $(OUR_LIBS)

$(BUILD)/tests/unit/test_sim_engine $(BUILD)/tests/unit/test_sim_faults: \
	$(BUILD)/tests/unit/simrig.o $(sim_obj)
$(BUILD)/tests/fuzz/fuzz_sim_engine: $(sim_obj)

unit: $(unit_tests:%=$(BUILD)/tests/unit/test_%) ## unit tests only
	$(Q)for t in $^; do $$t || exit 1; done

floors: ## includes point down the floors only
	$(Q)tests/check_floors.sh

headers: ## every header compiles alone
	$(Q)for h in $$(git ls-files '*.h'); do $(CC) $(OUR_CFLAGS) -fsyntax-only -x c $$h || exit 1; done

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

clean: ## removes what was built
	rm -rf $(BUILD)

.PHONY: all unit floors headers help clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
