# mxhop: build, test, install.
#
#   make            build/bin/mxhop, build/lib/libmxhop.so*, build/plugins/*.so
#   make check      install what the tests need, build, run all tests
#   make demo       see it work on a real Postfix, in namespaces
#   make install    DESTDIR=, PREFIX=
#
# VARIANT=asan|valgrind|coverage builds beside the plain build, in
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
SANITIZE = $(filter -fsanitize=%,$(CFLAGS)) $(filter --coverage,$(CFLAGS))
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now $(SANITIZE) $(LDFLAGS)

LIBS     := -lresolv $(shell $(PKG_CONFIG) --libs lmdb libidn2 2>/dev/null || echo -llmdb -lidn2)
CLI_LIBS := -lldap -llber -ljansson

# Data plane, in order of dependency (hacking.md); then the control plane.
CORE    := route store dns wire conf model util
CORE_O  := $(patsubst src/%.c,$(B)/obj/%.o,\
	$(wildcard $(addprefix src/,$(addsuffix /*.c,$(CORE))) src/*.c))
CLI_O   := $(patsubst src/%.c,$(B)/obj/%.o,\
	$(wildcard src/source/*.c src/cli/*.c))
PLUGINS := $(patsubst plugins/%,$(B)/plugins/%-mxhop.so,\
	$(patsubst %/,%,$(dir $(wildcard plugins/*/*.map))))

.PHONY: all
all: $(B)/bin/mxhop $(B)/lib/libmxhop.so $(PLUGINS)

$(B)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(B)/obj/plugins/%.o: plugins/%.c
	@mkdir -p $(@D)
	$(CC) -Iinclude -Iplugins $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(B)/lib/libmxhop.a: $(CORE_O)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/lib/libmxhop.so.$(SOVERSION): $(B)/lib/libmxhop.a src/libmxhop.map
	$(CC) -shared -Wl,-soname,libmxhop.so.$(SOVERSION) \
	    -Wl,--version-script=src/libmxhop.map $(ALL_LDFLAGS) \
	    -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive $(LIBS)

$(B)/lib/libmxhop.so: $(B)/lib/libmxhop.so.$(SOVERSION)
	ln -sf $(<F) $@

$(B)/bin/mxhop: $(CLI_O) $(B)/lib/libmxhop.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $(CLI_O) $(B)/lib/libmxhop.a $(LIBS) $(CLI_LIBS)

# A plugin takes libmxhop in whole, so that no ld.so configuration is needed.
# Host symbols stay undefined: the MTA that loads it has them.
define plugin
$(B)/plugins/$(1)-mxhop.so: $$(patsubst plugins/%.c,$(B)/obj/plugins/%.o,\
		$$(wildcard plugins/$(1)/*.c)) \
		$(B)/lib/libmxhop.a plugins/$(1)/$(1).map
	@mkdir -p $$(@D)
	$(CC) -shared -Wl,--version-script=plugins/$(1)/$(1).map $(ALL_LDFLAGS) \
	    -o $$@ $$(filter %.o %.a,$$^) $(LIBS)
endef
$(foreach p,$(patsubst $(B)/plugins/%-mxhop.so,%,$(PLUGINS)),\
	$(eval $(call plugin,$(p))))

# ---- tests ----------------------------------------------------------------

# One Check program a module: tests/unit/test_NAME.c. All link the whole core;
# with UNIT_DIRS="wire model util" only those directories.
UNIT_DIRS ?= $(CORE) source
UNIT   := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_O := $(patsubst src/%.c,$(B)/obj/%.o,\
	$(wildcard $(addprefix src/,$(addsuffix /*.c,$(UNIT_DIRS)))) \
	$(if $(filter source,$(UNIT_DIRS)),$(wildcard src/*.c)))
# Allocation can be made to fail at the nth call: tests/support/failmalloc.c.
WRAP   := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup

$(B)/tests/support/%.o: tests/support/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) -c -o $@ $<

$(B)/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -Itests $(ALL_CFLAGS) -Wno-conversion -c -o $@ $<

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(UNIT_O) \
		$(B)/tests/support/failmalloc.o
	$(CC) $(ALL_LDFLAGS) $(WRAP) -o $@ $^ $(LIBS) $(CLI_LIBS) \
	    $(shell $(PKG_CONFIG) --libs check)

.PRECIOUS: $(B)/tests/unit/%.o $(B)/tests/support/%.o

-include $(shell find $(B)/obj $(B)/tests -name '*.d' -type f 2>/dev/null)
