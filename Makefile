# mxhop: build, test, install.
#
#   make            build/bin/mxhop, build/lib/libmxhop.so*, build/plugins/*.so
#   make check      install what the tests need, build, run all tests
#   make check-long the same, and the long tests in full: half an hour more
#   make demo       see it work on a real Postfix, in namespaces
#   make install    DESTDIR=, PREFIX=
#
# VARIANT=asan|valgrind|coverage|tsan builds beside the plain build, in
# build/<variant>/. Nothing but `deps`, and the targets that need it, installs
# packages.

PREFIX     ?= /usr/local
VARIANT    ?=
WERROR     ?=
CC         ?= gcc
PKG_CONFIG ?= pkg-config
VERSION    := $(shell sed -n 's/.*MXHOP_VERSION "\(.*\)"/\1/p' include/mxhop/version.h)
SOVERSION  := 0

B := build$(if $(VARIANT),/$(VARIANT))

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes \
	$(if $(WERROR),-Werror)
OPT_       := -O2 -g -D_FORTIFY_SOURCE=2
OPT_asan   := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
OPT_valgrind := -O1 -g
OPT_coverage := -O0 -g --coverage
OPT_tsan   := -O1 -g -fsanitize=thread

CFLAGS   ?= $(OPT_$(VARIANT))
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -fPIC -pthread \
	-fvisibility=hidden -fstack-protector-strong -MMD -MP
ALL_CPPFLAGS = -Iinclude -Isrc $(CPPFLAGS)
# A lookup passes through many small functions in many files: optimised at once
# (with gcc) a plugin is some percent faster. The objects hold ordinary code as well,
# which everything else links, or each test would take as long.
LTO      := $(if $(VARIANT),,$(if $(findstring Free Software,\
	$(shell $(CC) --version 2>/dev/null)),-flto=auto))
LTO_CFLAGS = $(if $(LTO),$(LTO) -ffat-lto-objects)
SANITIZE = $(filter -fsanitize=%,$(CFLAGS)) $(filter --coverage,$(CFLAGS))
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now -fno-lto $(SANITIZE) $(LDFLAGS)

LIBS     := -lresolv
CLI_LIBS := -lldap -llber -lpsl -ljansson
TLS_LIBS := -lcurl

# Data plane, in order of dependency (architecture.md); then the control plane.
CORE    := handle route cache overrides policy table dns conf model postfix util
CORE_O  := $(patsubst src/%.c,$(B)/obj/%.o,\
	$(wildcard $(addprefix src/,$(addsuffix /*.c,$(CORE)))))
CLI_O   := $(patsubst src/%.c,$(B)/obj/%.o,\
	$(wildcard src/ldap/*.c src/source/*.c src/cli/*.c))
FETCH_O := $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/fetch/*.c))
PLUGINS := $(patsubst plugins/%,$(B)/plugins/%-mxhop.so,\
	$(patsubst %/,%,$(dir $(wildcard plugins/*/*.map))))

.PHONY: all
all: $(B)/bin/mxhop $(B)/bin/mxhop-tls $(B)/lib/libmxhop.so $(PLUGINS)

# V=1 shows whole commands.
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-5s %s\n' $(1) $@)

$(B)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LTO_CFLAGS) -c -o $@ $<

$(B)/obj/plugins/%.o: plugins/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -Iinclude -Iplugins $(CPPFLAGS) $(ALL_CFLAGS) $(LTO_CFLAGS) \
	    -c -o $@ $<

$(B)/lib/libmxhop.a: $(CORE_O)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(B)/lib/libmxhop.so.$(SOVERSION): $(B)/lib/libmxhop.a src/libmxhop.map
	$(call say,LD)
	$(Q)$(CC) -shared -Wl,-soname,libmxhop.so.$(SOVERSION) \
	    -Wl,--version-script=src/libmxhop.map $(ALL_LDFLAGS) \
	    -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive $(LIBS)

$(B)/lib/libmxhop.so: $(B)/lib/libmxhop.so.$(SOVERSION)
	@ln -sf $(<F) $@

$(B)/bin/mxhop: $(CLI_O) $(B)/lib/libmxhop.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(CLI_O) $(B)/lib/libmxhop.a $(LIBS) $(CLI_LIBS)

$(B)/bin/mxhop-tls: $(FETCH_O) $(B)/lib/libmxhop.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(TLS_LIBS)

# A plugin takes libmxhop in whole, so that no ld.so configuration is needed.
# Host symbols stay undefined: the MTA that loads it has them.
define plugin
$(B)/plugins/$(1)-mxhop.so: $$(patsubst plugins/%.c,$(B)/obj/plugins/%.o,\
		$$(wildcard plugins/$(1)/*.c)) \
		$(B)/lib/libmxhop.a plugins/$(1)/$(1).map
	@mkdir -p $$(@D)
	$$(call say,LD)
	$(Q)$(CC) -shared -Wl,--version-script=plugins/$(1)/$(1).map \
	    $(filter-out -fno-lto,$(ALL_LDFLAGS)) $(CFLAGS) $(LTO) \
	    -o $$@ $$(filter %.o %.a,$$^) $(LIBS)
endef
$(foreach p,$(patsubst $(B)/plugins/%-mxhop.so,%,$(PLUGINS)),\
	$(eval $(call plugin,$(p))))

# ---- tests ----------------------------------------------------------------

# One Check program a module: tests/unit/test_NAME.c. All link the whole core;
# with UNIT_DIRS="dns model util" only those directories.
UNIT_DIRS ?= $(CORE) ldap source
UNIT   := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_O := $(patsubst src/%.c,$(B)/obj/%.o,\
	$(wildcard $(addprefix src/,$(addsuffix /*.c,$(UNIT_DIRS)))))
# Allocation can be made to fail at the nth call: tests/support/failmalloc.c.
WRAP   := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup
UNIT_SUPPORT_O := $(B)/tests/support/failmalloc.o \
	$(if $(filter tsan,$(VARIANT)),$(B)/tests/support/tsan.o)

$(B)/tests/support/%.o: tests/support/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) -c -o $@ $<

$(B)/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) -Wno-conversion -c -o $@ $<

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(UNIT_O) \
		$(UNIT_SUPPORT_O)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) $(WRAP) -o $@ $^ $(LIBS) $(CLI_LIBS) \
	    $(shell $(PKG_CONFIG) --libs check)

$(B)/tests/unit/test_ldap_read: $(B)/tests/support/fakeldap.o

.PRECIOUS: $(B)/tests/unit/%.o $(B)/tests/support/%.o

# Seed corpora are replayed by ordinary programs; `make fuzz` mutates them.
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

$(B)/tests/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) -c -o $@ $<

$(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o \
		$(UNIT_O)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(CLI_LIBS)

.PRECIOUS: $(B)/tests/fuzz/%.o

.PHONY: unit-programs unit check check-long check-asan check-valgrind \
	check-tsan thread-programs deps
unit-programs: $(addprefix $(B)/tests/unit/test_,$(UNIT)) \
	$(addprefix $(B)/tests/fuzz/replay_,$(FUZZ))

# Those with a case whose tag says that it has threads.
thread-programs: $(patsubst tests/unit/%.c,$(B)/tests/unit/%,\
	$(shell grep -l 'set_tags(.*"threads")' tests/unit/test_*.c))

RUNNER ?=
unit: unit-programs
	tests/support/run-unit $(B) $(RUNNER)

deps:
	tests/support/deps.sh test

# The packages come first: a sub-make then finds compiler and libraries.
check:
	tests/support/deps.sh test
	$(MAKE) all unit WERROR=1
	MXHOP_BUILD=$(CURDIR)/$(B) tests/integration/run

# Tens of thousands of damaged files, a thousand killed writers, a thousand
# tables copied over one that is in use, a hundred thousand universes of
# overrides and DNS: `make check' takes a tenth or so.
LONG := $(patsubst tests/unit/test_%.c,long-%,\
	$(shell grep -lE "damage_rounds|MXHOP_LONG" tests/unit/test_*.c))
.PHONY: $(LONG)
$(LONG): long-%: $(B)/tests/unit/test_%
	MXHOP_LONG=yes $<

check-long: check
	$(MAKE) VARIANT=asan $(LONG)
	MXHOP_LONG=yes MXHOP_BUILD=$(CURDIR)/$(B) CASE_SECONDS=1200 \
	    tests/integration/run $$(grep -l MXHOP_LONG tests/integration/*.t)

check-asan:
	tests/support/deps.sh test
	$(MAKE) VARIANT=asan unit

check-valgrind:
	tests/support/deps.sh test
	$(MAKE) VARIANT=valgrind unit \
	    RUNNER="valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=99"

check-tsan:
	tests/support/deps.sh test
	$(MAKE) VARIANT=tsan thread-programs
	CK_INCLUDE_TAGS=threads tests/support/run-unit build/tsan

coverage:
	tests/support/deps.sh test
	$(MAKE) VARIANT=coverage unit
	tests/support/coverage build/coverage

# ---- quality --------------------------------------------------------------

C_FILES := $(wildcard src/*/*.[ch] include/mxhop/*.h \
	plugins/*/*.[ch] tests/*/*.[ch] docs/man/*.c)
SH_FILES := .ci/run tests/integration/run tests/support/deps.sh \
	tests/support/ground tests/support/run-unit tests/support/run-fuzz tests/support/includes \
	tests/support/coverage tests/support/census tests/support/schema2ldif $(wildcard contrib/demo/demo) \
	$(filter-out %.c %.h,$(wildcard tests/bench/*))

.PHONY: lint format format-check includes man-lint coverage
lint:
	tests/support/deps.sh lint
	$(MAKE) includes format-check man-lint
	shellcheck -x -S warning $(SH_FILES)
	shellcheck -x -S warning -s bash -e SC2034 tests/integration/*.sh \
	    tests/integration/*.t
	cppcheck -q --std=c11 --inline-suppr --error-exitcode=1 -j2 \
	    --enable=warning,portability,performance \
	    --suppress=missingIncludeSystem --library=posix \
	    --suppressions-list=tests/support/cppcheck.supp \
	    -Iinclude -Isrc -D__GNUC__ src plugins

includes:
	tests/support/includes

format:
	clang-format -i $(C_FILES)

format-check:
	clang-format --dry-run -Werror $(C_FILES)

# How much code there is: information only.
CENSUS ?=
.PHONY: census
census:
	LIBS="$(LIBS)" tests/support/census $(CENSUS)

# ---- documents ------------------------------------------------------------

MAN := docs/man/mxhop.1 $(B)/man/mxhop.cf.5 docs/man/mxhop_table.5 \
	docs/man/mxhop_ldap.5 docs/man/mxhop_tls.5 docs/man/mxhop_exim.7 \
	docs/man/mxhop-tls.8

# Defaults and ranges in mxhop.cf(5) come from the table of parameters.
$(B)/man/params-mdoc: docs/man/params_mdoc.c $(B)/lib/libmxhop.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< \
	    $(B)/lib/libmxhop.a $(LIBS)

$(B)/man/mxhop.cf.5: docs/man/mxhop.cf.5.in $(B)/man/params-mdoc
	$(B)/man/params-mdoc <$< >$@.new
	mv $@.new $@

man: $(MAN)
.PHONY: man schema
# The form of cn=config is kept beside the other, for those who do not build.
schema:
	tests/support/schema2ldif mxhop <contrib/ldap/mxhop.schema \
	    >contrib/ldap/mxhop.ldif
man-lint: $(MAN)
	mandoc -T lint -W warning $(MAN)

# ---- demo, bench ----------------------------------------------------------

.PHONY: demo bench fuzz
demo:
	tests/support/deps.sh test
	$(MAKE) all
	contrib/demo/demo $(DOMAIN)

# BENCH="hot warm" runs only those; each can also be run alone.
BENCH ?=
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,\
	$(wildcard tests/bench/*.c)) $(addprefix $(B)/tests/bench/,faultdns faultlink)
.PHONY: bench-programs
bench-programs: all $(BENCH_PROGRAMS)

bench:
	tests/support/deps.sh bench
	$(MAKE) bench-programs
	MXHOP_BUILD=$(CURDIR)/$(B) tests/bench/bench $(BENCH)

$(addprefix $(B)/tests/bench/,faultdns faultlink): $(B)/tests/bench/%: \
		tests/support/%.c
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $<

$(B)/tests/bench/%: tests/bench/%.c $(B)/lib/libmxhop.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< \
	    $(B)/lib/libmxhop.a $(LIBS)

# FUZZ_SECONDS for each target, with clang's libFuzzer.
FUZZ_SECONDS ?= 60
fuzz:
	tests/support/deps.sh lint
	tests/support/run-fuzz $(FUZZ_SECONDS) $(FUZZ)

# ---- installation ---------------------------------------------------------

# The directories of Postfix: asked from postconf where there is one.
POSTFIX_SHLIB ?= $(or $(shell postconf -h shlib_directory 2>/dev/null),/usr/lib/postfix)
POSTFIX_META  ?= $(or $(shell postconf -h meta_directory 2>/dev/null),/etc/postfix)
libdir := $(PREFIX)/lib
mandir := $(PREFIX)/share/man

# What a running process may load at any moment is written under another name
# and renamed: install(1) itself leaves nothing, then half a file in its place.
# MODE FILE DIRECTORY
whole = install -m $(1) $(2) $(DESTDIR)$(3)/.$(notdir $(2)).new && \
	mv -f $(DESTDIR)$(3)/.$(notdir $(2)).new $(DESTDIR)$(3)/$(notdir $(2))

.PHONY: install dist clean
install: all man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(libdir)/mxhop \
	    $(DESTDIR)$(PREFIX)/include/mxhop $(DESTDIR)$(mandir)/man1 \
	    $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man7 \
	    $(DESTDIR)/etc/mxhop \
	    $(DESTDIR)/var/lib/mxhop $(DESTDIR)$(POSTFIX_SHLIB) \
	    $(DESTDIR)$(POSTFIX_META)/dynamicmaps.cf.d \
	    $(DESTDIR)$(libdir)/tmpfiles.d $(DESTDIR)$(libdir)/sysusers.d \
	    $(DESTDIR)$(libdir)/systemd/system $(DESTDIR)$(PREFIX)/share/mxhop/ldap
	$(call whole,0755,$(B)/bin/mxhop,$(PREFIX)/bin)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(mandir)/man8
	$(call whole,0755,$(B)/bin/mxhop-tls,$(PREFIX)/sbin)
	$(call whole,0644,$(B)/lib/libmxhop.so.$(SOVERSION),$(libdir))
	ln -sf libmxhop.so.$(SOVERSION) $(DESTDIR)$(libdir)/libmxhop.so
	install -m 0644 include/mxhop/mxhop.h include/mxhop/error.h \
	    include/mxhop/version.h $(DESTDIR)$(PREFIX)/include/mxhop/
	$(call whole,0644,$(B)/plugins/exim-mxhop.so,$(libdir)/mxhop)
	$(call whole,0644,$(B)/plugins/postfix-mxhop.so,$(POSTFIX_SHLIB))
	@# Every program of Postfix reads this, ordinary users' too: whatever
	@# the umask, and never half of it. All files of the directory count, so
	@# the other name is outside.
	printf '%s\tpostfix-mxhop.so\tdict_%s_open\n' mxhop mxhop \
	    mxhop_tls mxhop_tls >$(B)/dynamicmaps
	install -m 0644 $(B)/dynamicmaps \
	    $(DESTDIR)$(POSTFIX_META)/.dynamicmaps.mxhop.new
	mv -f $(DESTDIR)$(POSTFIX_META)/.dynamicmaps.mxhop.new \
	    $(DESTDIR)$(POSTFIX_META)/dynamicmaps.cf.d/mxhop
	install -m 0644 contrib/tmpfiles.d/mxhop.conf \
	    $(DESTDIR)$(libdir)/tmpfiles.d/
	install -m 0644 contrib/sysusers.d/mxhop.conf \
	    $(DESTDIR)$(libdir)/sysusers.d/
	install -m 0644 contrib/systemd/mxhop-refresh.timer \
	    $(DESTDIR)$(libdir)/systemd/system/
	for unit in mxhop-refresh.service mxhop-follow.service mxhop-tls.service; do \
	    sed 's|/usr/local/|$(PREFIX)/|' contrib/systemd/$$unit \
	        >$(B)/$$unit && \
	    install -m 0644 $(B)/$$unit $(DESTDIR)$(libdir)/systemd/system/ || \
	    exit 1; done
	install -m 0644 contrib/ldap/* $(DESTDIR)$(PREFIX)/share/mxhop/ldap/
	install -m 0644 docs/man/mxhop.1 $(DESTDIR)$(mandir)/man1/
	install -m 0644 $(B)/man/mxhop.cf.5 docs/man/mxhop_table.5 \
	    docs/man/mxhop_ldap.5 docs/man/mxhop_tls.5 \
	    $(DESTDIR)$(mandir)/man5/
	install -m 0644 docs/man/mxhop_exim.7 $(DESTDIR)$(mandir)/man7/
	install -m 0644 docs/man/mxhop-tls.8 $(DESTDIR)$(mandir)/man8/
	test -e $(DESTDIR)/etc/mxhop/mxhop.cf || \
	    install -m 0644 contrib/postfix/mxhop.cf $(DESTDIR)/etc/mxhop/

dist:
	git archive --prefix=mxhop-$(VERSION)/ -o mxhop-$(VERSION).tar.gz HEAD

clean:
	rm -rf build/obj build/bin build/lib build/plugins build/tests build/man \
	    build/asan build/valgrind build/coverage build/tsan build/test

-include $(shell find $(B)/obj $(B)/tests -name '*.d' -type f 2>/dev/null)
