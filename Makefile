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

# objects FOLDER...: of all sources in these folders.
objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(addsuffix /*.c,$(1))))

# Ground floor first: this list is the architecture; tests/floors has the rule for includes.
folders := lib            # no policy: log, secret memory, numbers, files, sockets, clock
folders += lib/tls        # TLS on a socket that exists already
folders += lib/priv       # privileged acts and helper processes
folders += egd            # the EGD protocol as bytes
folders += backend/ekey   # the Entropy Key's protocol, without I/O
folders += pool           # health tests, intake, the wiped ring, the fair queue
folders += backend/usb    # keys on the bus
folders += backend/transport # what carries the bytes of a source
folders += cuse           # the device
folders += egd/server     # EGD for machines and guests
folders += daemon/ctl     # both ends of the control socket
folders += backend        # sources
folders += daemon         # ekey-randomd, which joins all the others

lib      := $(BUILD)/libekey-random.a
lib_obj  := $(filter-out %/daemon/main.o %/syscall_filter_none.o,$(call objects,$(folders)))
# The guest's agent: with what it needs and no more; TLS=0: without OpenSSL.
feed_obj := $(filter-out %/tls_none.o,$(call objects,egd/feed)) \
            $(addprefix $(BUILD)/lib/,$(addsuffix .o,address clock fd_pass file wiping_alloc hex log net num secret xen_channel xen_seed xenstore)) \
            $(addprefix $(BUILD)/lib/priv/,$(addsuffix .o,vm_clone helper random rng_helper sandbox syscall_filter_none)) \
            $(BUILD)/egd/egd_wire.o $(BUILD)/pool/health.o \
            $(if $(filter 0,$(TLS)),$(BUILD)/egd/feed/tls_none.o,$(call objects,lib/tls))

packages := fuse3 libevent libcrypto inih libseccomp libusb-1.0 $(systemd)
WARN     := -Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough
# known FLAG...: the flags that this compiler has for this machine.
known     = $(foreach flag,$(1),$(shell $(CC) -Werror $(flag) -xc -c /dev/null -o /dev/null 2>/dev/null && echo $(flag)))
# Fortified where optimization is on, no level is given, and no sanitizer is in use.
macros   := $(shell $(CC) $(CPPFLAGS) $(CFLAGS) -dM -xc -E /dev/null 2>/dev/null | sed -n 's/^.define \([^ ]*\) .*/\1/p')
fortify  := $(if $(SAN)$(filter _FORTIFY_SOURCE,$(macros)),,$(if $(filter __OPTIMIZE__,$(macros)),-D_FORTIFY_SOURCE=2))
HARDEN   := -fPIE -fstack-protector-strong $(call known,-fstack-clash-protection -fcf-protection) $(fortify)
OUR_CFLAGS = -std=c17 -D_GNU_SOURCE -DFUSE_USE_VERSION=312 -I. $(if $(systemd),,-Ilib/without) $(WARN) $(HARDEN) -MMD -MP \
             $(if $(CI),-Werror) $(SAN) $(if $(packages),$$(pkg-config --cflags $(packages)))
OUR_LIBS   = -pie -Wl,-z,relro,-z,now $(SAN) $$(pkg-config --libs $(packages)) -lpthread

programs := $(addprefix $(BUILD)/,ekey-randomd ekey-tls ekeyctl ekey-sim ekey-feed)

all: $(programs) ## build the programs

$(call objects,lib lib/tls lib/priv egd backend/ekey pool): WARN += -Wconversion

$(BUILD)/%.o: %.c | build-tools
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

build-tools:
	$(Q)tests/tools/check_tools.sh build $(firstword $(CC)) $(packages)

$(lib): $(lib_obj)
	$(SAY) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

# Objects before archives; the argument: libraries of a test.
define link
$(SAY) LD $@
@mkdir -p $(@D)
$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(1) $(OUR_LIBS)
endef

$(BUILD)/ekey-randomd: $(BUILD)/daemon/main.o $(lib)
$(BUILD)/ekeyctl: $(call objects,daemon/ekeyctl) $(lib)
$(BUILD)/ekey-sim: $(call objects,tests/sim) $(lib)
# The one program of the daemon with libssl; without libfuse, libusb and the rest.
$(BUILD)/ekey-tls: private packages := libevent libssl libcrypto libseccomp
$(BUILD)/ekey-tls: $(call objects,egd/tls) $(lib)
$(filter-out %/ekey-feed,$(programs)):
	$(call link)

# Needs neither the library nor its packages: only a C library, and OpenSSL unless TLS=0.
ekey-feed: packages := $(if $(filter 0,$(TLS)),,libssl libcrypto)
ekey-feed: $(BUILD)/ekey-feed ## build only the agent for guests; TLS=0: without OpenSSL
# Changes when the value of TLS= changes.
$(BUILD)/egd/feed/tls: always
	$(Q)mkdir -p $(@D) && { echo $(TLS) | cmp -s - $@ || echo $(TLS) >$@; }
$(BUILD)/ekey-feed: $(feed_obj) $(BUILD)/egd/feed/tls
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(feed_obj) -o $@ -pie -Wl,-z,relro,-z,now $(SAN) $(if $(filter 0,$(TLS)),,-lssl -lcrypto)

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
units := $(patsubst udev/systemd/%.in,%,$(wildcard udev/systemd/*.service.in udev/systemd/*.socket.in))
pages := $(filter-out doc/man/ekey-sim.1,$(wildcard doc/man/*)) # ekey-sim is not installed
# For what `ekeyctl unit` prints.
drop_in_folders := $(patsubst %,$(DESTDIR)$(SYSCONF)/systemd/system/%.service.d,ekey-randomd ekey-feed)
place := sed 's,@sbindir@,$(PREFIX)/sbin,;s,@bindir@,$(PREFIX)/bin,;s,@sysconfdir@,$(SYSCONF),'

install: all install-service ## install below DESTDIR, PREFIX and SYSCONF; an existing configuration stays
	install -D -m 755 -t $(sbin) $(addprefix $(BUILD)/,ekey-randomd ekey-tls ekey-feed)
	install -D -m 755 -t $(bin) $(BUILD)/ekeyctl
	install -D -m 644 -t $(doc) doc/ekey-random.conf NEWS
	install -D -m 644 -t $(doc)/examples doc/examples/*
	for page in *.md doc/*.md; do sed 's,](doc/,](,g;s,](\.\./,](,g' $$page | \
		install -m 644 /dev/stdin $(doc)/$${page##*/} || exit 1; done
	for page in $(pages); do install -D -m 644 -t $(man)/man$${page##*.} $$page || exit 1; done
	[ -e $(conf)/ekey-random.conf ] || install -D -m 644 -t $(conf) doc/ekey-random.conf
	$(if $(DESTDIR),,udev/host.sh install $(SYSUSERSDIR) $(TMPFILESDIR) $(SYSCONF) $(RULESDIR))

install-service:
	install -d $(drop_in_folders)
	for unit in $(units); do \
		$(place) udev/systemd/$$unit.in | install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	install -D -m 644 -t $(DESTDIR)$(RULESDIR) udev/60-ekey-random.rules
	install -D -m 644 udev/systemd/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/ekey-random.conf
	$(place) udev/systemd/tmpfiles.conf.in | install -D -m 644 /dev/stdin $(DESTDIR)$(TMPFILESDIR)/ekey-random.conf

uninstall: ## remove all but the configuration and the keyring
	$(if $(DESTDIR),,udev/host.sh stop)
	rm -f $(addprefix $(sbin)/,ekey-randomd ekey-tls ekey-feed) $(bin)/ekeyctl
	for page in $(pages); do rm -f $(man)/man$${page##*.}/$${page##*/}; done
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(units)) $(DESTDIR)$(RULESDIR)/60-ekey-random.rules
	rm -f $(DESTDIR)$(SYSUSERSDIR)/ekey-random.conf $(DESTDIR)$(TMPFILESDIR)/ekey-random.conf
	rm -rf $(doc)
	for at in $(drop_in_folders); do [ ! -d $$at ] || rmdir --ignore-fail-on-non-empty $$at; done
	$(if $(DESTDIR),,udev/host.sh uninstall $(SYSCONF))

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile tests/tests.mk | expand -t 14

clean: ## remove the build folder
	rm -rf $(BUILD)

include tests/tests.mk

.PHONY: all always build-tools ekey-feed install install-service uninstall help clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
