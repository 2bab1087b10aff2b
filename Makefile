# SPDX-License-Identifier: Apache-2.0
#
# make            build/rowtail
# make demo       dependencies, build, and live events of a small shop on the screen
# make check      dependencies, build, and every test
# make help       all targets

VERSION := 0.1.0

# --- what to build with -------------------------------------------------------------
# VARIANT names the flags; everything of a variant lies in build/<variant>/.

CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PYTHON  ?= python3
WERROR  ?= -Werror
PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)

IS_CLANG := $(findstring clang,$(notdir $(firstword $(CC))))
VARIANT  ?= release$(if $(IS_CLANG),-clang)
B        := build/$(VARIANT)

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes \
	    -Wmissing-prototypes -Wvla -Wformat=2 -Wcast-align -Wundef $(WERROR)

RELEASE  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SANITIZE := -fno-omit-frame-pointer -fno-sanitize-recover=all

FLAGS_release       := $(RELEASE)
FLAGS_release-clang := $(RELEASE)
FLAGS_debug         := -O0 -g3
FLAGS_valgrind      := -O1 -g
FLAGS_asan          := -O1 -g $(SANITIZE) -fsanitize=address,undefined
FLAGS_tsan          := -O1 -g $(SANITIZE) -fsanitize=thread
FLAGS_cover         := -O0 -g --coverage
FLAGS_fuzz          := -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link,address,undefined

ifeq ($(origin FLAGS_$(VARIANT)),undefined)
$(error unknown VARIANT '$(VARIANT)': release, debug, valgrind, asan, tsan, cover, fuzz)
endif

CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DROWTAIL_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 $(WARNINGS) $(FLAGS_$(VARIANT)) -pthread $(CFLAGS)
LDFLAGS_ALL  = -pthread -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)

Q   := $(if $(V),,@)
say  = $(if $(V),,@echo '  $(1)  $(2)')

# --- sources ------------------------------------------------------------------------

SRCS := $(sort $(wildcard src/*.c src/base/*.c btree/*.c schemas/*.c sinks/*.c))
HDRS := $(sort $(wildcard src/*.h src/base/*.h btree/*.h schemas/*.h sinks/*.h))
OBJS := $(SRCS:%.c=$(B)/%.o)

TEST_LIB_SRCS := $(sort $(wildcard tests/lib/*.c))
UNIT_SRCS     := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRCS     := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRCS    := $(sort $(wildcard tests/bench/*.c))
# Programs that the suites run beside rowtail: writers, holders, and the like.
HELPER_SRCS   := $(sort $(wildcard tests/helpers/*.c tests/demo/*.c))
UNIT  := $(UNIT_SRCS:tests/unit/%.c=$(B)/tests/%)
BENCH := $(BENCH_SRCS:tests/bench/%.c=$(B)/bench/%)
HELP  := $(HELPER_SRCS:tests/%.c=$(B)/%)
FUZZ  := $(FUZZ_SRCS:tests/fuzz/%.c=$(B)/fuzz/%)
C_FILES := $(SRCS) $(HDRS) $(sort $(wildcard tests/*/*.c tests/*/*.h))

# A library is linked when a source includes its header.
uses = $(if $(shell grep -lE '^\# *include <$(1)' /dev/null $(SRCS)),$(2))
LDLIBS_ALL := -lsqlite3 -lpcre2-8 -lm \
	$(call uses,xxhash\.h>,-lxxhash) \
	$(call uses,jansson\.h>,-ljansson) \
	$(call uses,librdkafka/,-lrdkafka) \
	$(call uses,openssl/,-lcrypto)
TEST_LDLIBS := -ljansson -lcmocka

# --- build --------------------------------------------------------------------------

.PHONY: all
all: $(B)/rowtail
	@$(if $(filter build/release%,$(B)),ln -sfn $(VARIANT)/rowtail build/rowtail)

# Rewritten only when compiler or flags change; every object depends on it.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ','\'',$(CPPFLAGS_ALL)) $(CFLAGS_ALL)' \
		'$(LDFLAGS_ALL) $(LDLIBS_ALL)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
FORCE:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/rowtail: $(OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

# What tests link with: everything but main. An archive, so that a test needs only
# what it uses.
$(B)/librowtail.a: $(filter-out $(B)/src/main.o,$(OBJS)) $(TEST_LIB_SRCS:%.c=$(B)/%.o)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

$(B)/tests/%: $(B)/tests/unit/%.o $(B)/librowtail.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) $(TEST_LDLIBS)

$(B)/bench/%: $(B)/tests/bench/%.o $(B)/librowtail.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -ljansson

$(B)/helpers/%: $(B)/tests/helpers/%.o $(B)/librowtail.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -ljansson

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: unit-build unit bench-build helpers
unit-build: $(UNIT)
bench-build: $(BENCH)
helpers: $(HELP)

# One unit test alone: make unit T=test_varint
unit: $(if $(T),$(B)/tests/$(T),$(UNIT))
	@failed=0; count=0; for t in $^; do \
		count=$$((count + 1)); \
		$$t || { echo "FAILED: $$t"; failed=$$((failed + 1)); }; \
	done; echo "unit: $$count programs, $$failed failed"; [ $$failed = 0 ]

# --- gates --------------------------------------------------------------------------

.PHONY: format format-check layers
format:
	clang-format -i $(C_FILES)

format-check:
	clang-format --dry-run --Werror $(C_FILES)

layers:
	$(PYTHON) tests/tools/layers.py

.PHONY: clean
clean:
	rm -rf build
