# SPDX-License-Identifier: Apache-2.0
#
# make            build/rowtail
# make demo       dependencies, build, and live events of a small shop on the screen
# make check      dependencies, build, and every test
# make help       all targets

VERSION := 0.1.0

.DEFAULT_GOAL := all

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

# Not -flto: it changed the CPU time of an event by less than measurements scatter, and
# gcc 12 then warns, wrongly, of variables that another file sets.
# The folder it is built in is not in it: the same sources give the same program.
RELEASE  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -ffile-prefix-map=$(CURDIR)=.
SANITIZE := -fno-omit-frame-pointer -fno-sanitize-recover=all

FLAGS_release       := $(RELEASE)
FLAGS_release-clang := $(RELEASE)
FLAGS_debug         := -O0 -g3
FLAGS_valgrind      := -O1 -g
# With limits so low that small databases of tests reach them.
FLAGS_asan          := -O1 -g $(SANITIZE) -fsanitize=address,undefined -DKEPT_BYTES=20000 -DPIECE_BYTES=64
FLAGS_tsan          := -O1 -g $(SANITIZE) -fsanitize=thread
FLAGS_cover         := -O0 -g --coverage
FLAGS_fuzz          := -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link,address,undefined -DPIECE_BYTES=64 -DSEGMENT_MAX=64

ifeq ($(origin FLAGS_$(VARIANT)),undefined)
$(error unknown VARIANT '$(VARIANT)': release, debug, valgrind, asan, tsan, cover, fuzz)
endif

CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DROWTAIL_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 $(WARNINGS) $(FLAGS_$(VARIANT)) -pthread $(CFLAGS)
LDFLAGS_ALL  = -pthread -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)

Q   := $(if $(V),,@)
say  = $(if $(V),,@echo '  $(1)  $(2)')

# --- sources ------------------------------------------------------------------------

SRCS := $(sort $(wildcard src/*.c src/*/*.c btree/*.c schemas/*.c sinks/*.c))
HDRS := $(sort $(wildcard src/*.h src/*/*.h btree/*.h schemas/*.h sinks/*.h))
OBJS := $(SRCS:%.c=$(B)/%.o)

TEST_LIB_SRCS := $(sort $(wildcard tests/lib/*.c))
UNIT_SRCS     := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRCS     := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRCS    := $(sort $(wildcard tests/bench/*.c tests/bench/*/*.c))
# Programs that the suites run beside rowtail: writers, holders, and the like.
HELPER_SRCS   := $(sort $(wildcard tests/helpers/*.c))
UNIT    := $(UNIT_SRCS:tests/unit/%.c=$(B)/tests/%)
BENCHES := $(BENCH_SRCS:tests/bench/%.c=$(B)/bench/%)
HELPERS := $(HELPER_SRCS:tests/%.c=$(B)/%)
# Libraries to be preloaded into any program, whatever the variant.
PRELOAD_SRCS := $(sort $(wildcard tests/preload/*.c))
PRELOADS := $(PRELOAD_SRCS:tests/%.c=$(B)/%.so)
# rowtail with places to be killed at (src/base/fault.h) and with a disk that fails, and
# with limits so low that small databases reach them.
FAULT_SRCS  := $(sort $(wildcard tests/faults/*.c))
FAULTY_SRCS := $(shell grep -l '^\# *include "src/base/fault.h"' /dev/null $(SRCS))
FAULT_OBJS  := $(filter-out $(FAULTY_SRCS:%.c=$(B)/%.o),$(OBJS)) \
	       $(FAULTY_SRCS:%.c=$(B)/faults/%.o) $(FAULT_SRCS:%.c=$(B)/faults/%.o)
FAULT_FLAGS := -DFAULT_POINTS -DFOLD_BYTES=400000 -DLOG_FULL_BYTES=8192 \
	       -DLOG_TRIM_BYTES=2048 -DFILE_SYNC_BYTES=200000 \
	       -DKEEPER_GRACE_NS=1000000 -DLEAST_BYTES=0
FAULT_CALLS := write pwrite read pread fsync fdatasync sync_file_range ftruncate \
	       fallocate posix_fallocate renameat linkat unlinkat open openat __openat_2 mkdirat
comma := ,
FUZZ    := $(FUZZ_SRCS:tests/fuzz/%.c=$(B)/fuzz/%)
C_FILES := $(SRCS) $(HDRS) $(sort $(wildcard tests/*/*.c tests/*/*/*.c tests/*/*.h))

# A library is linked when a source includes its header.
uses = $(if $(shell grep -lE '^\# *include <$(1)' /dev/null $(SRCS) $(HDRS)),$(2))
LDLIBS_ALL := -lsqlite3 -lpcre2-8 -lm \
	$(call uses,xxhash\.h>,-lxxhash) \
	$(call uses,lz4,-llz4) \
	$(call uses,zstd\.h>,-lzstd) \
	$(call uses,jansson\.h>,-ljansson) \
	$(call uses,librdkafka/,-lrdkafka) \
	$(call uses,openssl/,-lcrypto) \
	$(call uses,curl/,-lcurl) \
	$(call uses,microhttpd\.h>,-lmicrohttpd)
TEST_LDLIBS := -ljansson -lcmocka

# --- dependencies -------------------------------------------------------------------

DEB_BUILD := gcc libc6-dev libsqlite3-dev libpcre2-dev libxxhash-dev liblz4-dev \
	     libzstd-dev \
	     libjansson-dev librdkafka-dev libssl-dev libcurl4-openssl-dev \
	     libmicrohttpd-dev
DEB_DEMO  := $(DEB_BUILD) python3 jq
DEB_TEST  := $(DEB_DEMO) python3-venv sqlite3 libcmocka-dev zstd logrotate
DEB_TOOLS := $(DEB_TEST) git clang llvm clang-format clang-tidy valgrind gcovr \
	     man-db mandoc groff-base util-linux
DEB_DEB   := $(DEB_BUILD) make git sqlite3 build-essential dpkg-dev debhelper lintian
# Real servers to judge the Kafka sink with.
DEB_KAFKA := $(DEB_TEST) openjdk-17-jre-headless maven postgresql kcat openssl \
	     prometheus
# Debezium and its database, for scale.
DEB_PEERS := openjdk-17-jre-headless maven postgresql
# SQLite of another version and build, and programs of others that use SQLite.
PIP_TEST  := apsw==3.54.1.0 diskcache==5.6.3 persist-queue==1.1.0 \
	     django==5.2.19 sqlalchemy==2.1.9
# Libraries that rowtail is compared with; what needs them goes without.
PIP_COMPARE := django-auditlog==3.4.1 sqlalchemy-continuum==2.0.0

.PHONY: deps deps-build deps-demo deps-tools deps-deb deps-kafka deps-compare deps-peers venv
deps:
	@tests/tools/deps.sh $(DEB_TEST)
	@$(MAKE) --no-print-directory venv
deps-demo:
	@tests/tools/deps.sh $(DEB_DEMO)
deps-tools:
	@tests/tools/deps.sh $(DEB_TOOLS)
	@$(MAKE) --no-print-directory venv

deps-build:
	@tests/tools/deps.sh $(DEB_BUILD)
deps-deb:
	@tests/tools/deps.sh $(DEB_DEB)
deps-kafka:
	@tests/tools/deps.sh $(DEB_KAFKA)
	@$(MAKE) --no-print-directory venv
	@$(PYTHON) tests/kafka/env/jars.py

deps-compare: venv
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		$(PIP_COMPARE) || echo "audit: nothing to compare with"

# What rowtail is compared with on the same work; what needs it is "not run" without.
deps-peers: litestream
	@tests/tools/deps.sh $(DEB_BUILD) python3 sqlite3 $(DEB_PEERS)
	@timeout 400 mvn -B -q -f tests/bench/peers/pom.xml dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory=$(CURDIR)/build/peers/jars || \
		echo "peers: no Debezium (is Maven's registry in reach?)"

VENV := build/venv
venv: $(VENV)/packages
$(VENV)/packages: Makefile
	@if [ "$$(cat $@ 2>/dev/null)" != "$(PIP_TEST)" ]; then \
		echo "  VENV  $(VENV)"; \
		$(PYTHON) -m venv $(VENV) && \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
			$(PIP_TEST) && \
		echo "$(PIP_TEST)" >$@ || { \
			echo "deps: could not install $(PIP_TEST)"; \
			echo "deps: 'make test' goes without; what needs them is not run"; \
			exit 1; }; \
	else touch $@; fi

# --- build --------------------------------------------------------------------------

.PHONY: all
all: $(B)/rowtail
	@$(if $(filter build/release%,$(B)),ln -sfn $(VARIANT)/rowtail build/rowtail)

# Rewritten only when compiler or flags change; every object depends on it.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ','\'',$(CPPFLAGS_ALL)) $(CFLAGS_ALL)' \
		'$(FAULT_FLAGS) $(FAULT_CALLS)' \
		'$(LDFLAGS_ALL) $(LDLIBS_ALL)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: FORCE
FORCE:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/rowtail: $(OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(B)/faults/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$< (faults))
	$(Q)$(CC) $(CPPFLAGS_ALL) $(FAULT_FLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/rowtail-faults: $(FAULT_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(FAULT_CALLS:%=-Wl$(comma)--wrap=%) \
		-o $@ $^ $(LDLIBS_ALL)

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
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -ljansson -lrdkafka

$(B)/helpers/%: $(B)/tests/helpers/%.o $(B)/librowtail.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -ljansson

# What an installation needs of them, without the libraries of tests.
$(B)/helpers/completions: $(B)/helpers/%: $(B)/tests/helpers/%.o $(filter-out $(B)/src/main.o,$(OBJS))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(B)/preload/%.so: tests/preload/%.c $(wildcard tests/preload/*.h) $(B)/flags
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS_ALL) -std=c11 $(WARNINGS) -O2 -fPIC -shared -o $@ $< -ldl

$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(B)/librowtail.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -ljansson

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: unit-build bench-build helpers
unit-build: $(UNIT)
bench-build: $(BENCHES) $(PRELOADS)
helpers: $(HELPERS) $(PRELOADS)

# --- tests --------------------------------------------------------------------------

SUITES       ?= unit cases cli harm state faults programs archive audit oracle chaos
ONLY         ?=
TRANSACTIONS ?= 10000
ROUNDS       ?= 150
FAULTS       ?= 1
WRAPPER      ?=
TEST_PYTHON   = $(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,$(PYTHON))
CHAOS_SECONDS ?=
RUN_TESTS     = $(TEST_PYTHON) tests/run.py $(SUITES) --rowtail $(B)/rowtail \
		--jobs $(JOBS) --transactions $(TRANSACTIONS) --rounds $(ROUNDS) \
		--faults $(FAULTS) \
		$(if $(CHAOS_SECONDS),--duration $(CHAOS_SECONDS)) \
		$(if $(WRAPPER),--wrapper '$(WRAPPER)') $(if $(ONLY),--only '$(ONLY)')
# Another variant of the build: its own folder, the same targets.
variant = $(MAKE) --no-print-directory $(parallel) VARIANT=$(1)
# The compiler may use all cores, unless the caller has said how many.
parallel = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: check test suites chaos chaos-go litestream s3 audit-verifier audit-witness kafka kafka-broker unit asan tsan valgrind fuzz fuzz-build fuzz-objects soak cover bench bench-peers demo
check: deps
	@$(MAKE) --no-print-directory $(parallel) test

test: suites

suites: all unit-build helpers $(B)/rowtail-faults
	$(RUN_TESTS)

# Storms with new seeds, for so long.
chaos: chaos-go
	@$(MAKE) --no-print-directory $(parallel) suites SUITES=chaos \
		CHAOS_SECONDS=$(or $(CHAOS_SECONDS),600)

# A writer with a SQLite that was translated to Go; what needs it goes without.
chaos-go:
	@cd tests/chaos/go && go build -o $(CURDIR)/build/chaos-loop-sql-go . || \
		echo "chaos: no writer in Go (is Go installed, the module proxy in reach?)"

# The program that judges what is read from an archive; what needs it goes without.
LITESTREAM_VERSION := v0.5.18
LTX_VERSION        := v0.5.3
litestream:
	@export GOBIN=$(CURDIR)/build/litestream GOFLAGS=; timeout 250 go install \
		github.com/benbjohnson/litestream/cmd/litestream@$(LITESTREAM_VERSION) && \
	timeout 250 go install github.com/superfly/ltx/cmd/ltx@$(LTX_VERSION) || \
		echo "archive: no Litestream (is Go installed, the module proxy in reach?)"

# The server that judges what is asked of a bucket; what needs it goes without.
S3_VERSION := v1.8.0
s3:
	@[ -x build/s3/versitygw ] || CGO_ENABLED=0 GOBIN=$(CURDIR)/build/s3 GOFLAGS= \
		timeout 250 go install -ldflags '-s -w' \
		github.com/versity/versitygw/cmd/versitygw@$(S3_VERSION) || \
		echo "archive: no S3 server (is Go installed, the module proxy in reach?)"

# A verifier of audit logs in another language, of other people's parts.
audit-verifier:
	@cd tests/audit/verifier && GOFLAGS= timeout 250 go build \
		-o $(CURDIR)/build/audit/verifier . || \
		echo "audit: no verifier (is Go installed, the module proxy in reach?)"

# A witness of logs, and a reader of proofs; what needs them goes without.
TORCHWOOD_VERSION := v0.6.1
audit-witness:
	@[ -x build/audit/litewitness -a -x build/audit/spicy ] || \
		CGO_ENABLED=0 GOBIN=$(CURDIR)/build/audit GOFLAGS= \
		timeout 250 go install -ldflags '-s -w' \
		filippo.io/torchwood/cmd/litewitness@$(TORCHWOOD_VERSION) \
		filippo.io/torchwood/cmd/spicy@$(TORCHWOOD_VERSION) || \
		echo "audit: no witness (is Go installed, the module proxy in reach?)"

# With a real broker, Kafka Connect and PostgreSQL.
kafka: deps-kafka
	@$(MAKE) --no-print-directory $(parallel) suites SUITES=kafka

# A broker on 127.0.0.1:9092 to try things with, until Ctrl-C.
kafka-broker: deps-kafka
	@exec $(PYTHON) tests/kafka/env/serve.py

# Unit tests alone, without the runner; one of them: make unit T=test_varint
unit: $(if $(T),$(B)/tests/$(T),$(UNIT))
	@failed=0; count=0; for t in $^; do \
		count=$$((count + 1)); \
		$(WRAPPER) $$t || { echo "FAILED: $$t"; failed=$$((failed + 1)); }; \
	done; echo "unit: $$count programs, $$failed failed"; [ $$failed = 0 ]

# Exit code 99 of a sanitizer or of valgrind is none of rowtail's own.
asan: export ASAN_OPTIONS = exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1
asan: export UBSAN_OPTIONS = print_stacktrace=1:exitcode=99
asan:
	$(call variant,asan) suites TRANSACTIONS=$(or $(ASAN_TRANSACTIONS),1000)

tsan: export TSAN_OPTIONS = exitcode=99:halt_on_error=1:second_deadlock_stack=1$(if $(wildcard tests/tsan.supp),:suppressions=$(CURDIR)/tests/tsan.supp)
# The sanitizer of gcc 12 cannot place its memory where addresses are random to 32 bits.
tsan:
	$(if $(shell [ "$$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ] && \
		echo yes),setarch -R) $(call variant,tsan) suites TRANSACTIONS=$(or $(TSAN_TRANSACTIONS),500)

VALGRIND := valgrind --quiet --error-exitcode=99 --leak-check=full \
	--errors-for-leak-kinds=definite,indirect \
	$(if $(wildcard tests/valgrind.supp),--suppressions=$(CURDIR)/tests/valgrind.supp)
valgrind:
	$(call variant,valgrind) suites SUITES='$(or $(VALGRIND_SUITES),unit cases)' \
		TRANSACTIONS=$(or $(VALGRIND_TRANSACTIONS),50) WRAPPER='$(VALGRIND)'

# FUZZ_SECONDS for each target. What a run finds is kept in build/fuzz/corpus.
FUZZ_SECONDS ?= 60
fuzz-objects: $(FUZZ_SRCS:%.c=$(B)/%.o) # without libFuzzer: do they compile?
fuzz-build: $(FUZZ)
fuzz:
	@$(call variant,fuzz) CC=clang fuzz-build
	@$(PYTHON) tests/fuzz/seed_corpus.py build/fuzz/corpus
	@for t in $(notdir $(FUZZ)); do \
		mkdir -p build/fuzz/corpus/$$t && echo "== $$t" && \
		build/fuzz/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/$$t- build/fuzz/corpus/$$t \
			$$(ls -d tests/fuzz/corpus/$$t 2>/dev/null) \
			>build/fuzz/$$t.log 2>&1 || { tail -40 build/fuzz/$$t.log; exit 1; }; \
		grep -E 'number_of_executed|new_units|peak_rss' build/fuzz/$$t.log; \
	done

# Until it is stopped, or SOAK_SECONDS of storms, then SOAK_TRANSACTIONS and SOAK_ROUNDS
# of stops and starts.
soak: venv chaos-go
	$(MAKE) --no-print-directory suites SUITES=chaos \
		CHAOS_SECONDS=$(or $(SOAK_SECONDS),7200)
	$(MAKE) --no-print-directory suites SUITES='state faults oracle' \
		ROUNDS=$(or $(SOAK_ROUNDS),5000) FAULTS=$(or $(SOAK_FAULTS),20) \
		TRANSACTIONS=$(or $(SOAK_TRANSACTIONS),1000000)

cover:
	@find build/cover -name '*.gcda' -delete 2>/dev/null || true
	$(call variant,cover) suites TRANSACTIONS=$(or $(COVER_TRANSACTIONS),1000)
	gcovr --root . --object-directory build/cover --exclude tests/ --print-summary

# One row of the table: make bench BENCH='--only latency'; a first look: BENCH=--quick
BENCH_RUNS ?= 5
bench: all bench-build
	$(PYTHON) tests/bench/bench.py --rowtail $(B)/rowtail --tools $(B)/bench \
		--runs $(BENCH_RUNS) $(BENCH)

# Beside other ways to get changes out of SQLite; deps-peers fetches what they need.
bench-peers: all bench-build
	$(PYTHON) tests/bench/peers.py --rowtail $(B)/rowtail --tools $(B)/bench \
		--runs $(BENCH_RUNS) $(BENCH)

demo: deps-demo
	@$(MAKE) --no-print-directory $(parallel) all
	@tests/demo/demo.sh build/rowtail

# --- gates --------------------------------------------------------------------------

.PHONY: format format-check tidy layers gates docs docs-check
format:
	clang-format -i $(C_FILES)

format-check:
	@clang-format --dry-run --Werror $(C_FILES)
	@echo "format: $(words $(C_FILES)) files"

# One file at a time: the checker of va_list errs when it sees several.
tidy:
	@printf '%s\n' $(SRCS) | xargs -P $(JOBS) -I@ sh -c \
		"clang-tidy --quiet @ -- -std=c11 $(subst ",\",$(CPPFLAGS_ALL)) 2>/dev/null"
	@echo "tidy: $(words $(SRCS)) files"

layers:
	@$(PYTHON) tests/tools/layers.py
	@$(PYTHON) tests/tools/sizes.py

# What docs/options.md and the man pages say of properties, options and commands, from
# their tables; the pictures of docs/performance.md, from its tables.
docs: $(B)/helpers/manual
	@$(PYTHON) tests/tools/manual.py $< write
	@$(PYTHON) docs/figures.py write

docs-check: $(B)/helpers/manual
	@$(PYTHON) tests/tools/manual.py $< check lint
	@$(PYTHON) docs/figures.py check
	@$(PYTHON) tests/tools/doc_links.py

# Plants one violation for each gate in a copy of the tree and expects it to be found.
gates:
	@tests/tools/gates.sh

# --- installation -------------------------------------------------------------------

.PHONY: install uninstall completions deb tarball tarball-check container-check dist clean help
BINDIR := $(DESTDIR)$(PREFIX)/bin
MANDIR := $(DESTDIR)$(PREFIX)/share/man/man1
BASHDIR := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR := $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions
MAN_PAGES := $(sort $(wildcard docs/*.1))
# Commands that have no page of their own, and the page that has them.
MAN_LINKS := restore=archive sql=archive events=archive verify=status
page_of = rowtail-$(lastword $(subst =, ,$(1))).1
name_of = rowtail-$(firstword $(subst =, ,$(1))).1
install: all completions
	install -D -m 755 $(B)/rowtail $(BINDIR)/rowtail
	install -d $(MANDIR)
	install -m 644 $(MAN_PAGES) $(MANDIR)
	$(foreach link,$(MAN_LINKS),ln -sf $(call page_of,$(link)) $(MANDIR)/$(call name_of,$(link)) &&) true
	install -D -m 644 $(B)/completions.bash $(BASHDIR)/rowtail
	install -D -m 644 $(B)/completions.zsh $(ZSHDIR)/_rowtail

uninstall:
	rm -f $(BINDIR)/rowtail $(BASHDIR)/rowtail $(ZSHDIR)/_rowtail \
		$(addprefix $(MANDIR)/,$(notdir $(MAN_PAGES)) $(foreach link,$(MAN_LINKS),$(call name_of,$(link))))

# What a shell offers, from the tables of options, commands, sinks and properties.
completions: $(B)/completions.bash $(B)/completions.zsh
$(B)/completions.%: $(B)/helpers/completions
	$(Q)$< $* > $@.new && mv $@.new $@

# A package of what is committed, in build/deb; dpkg-dev and debhelper make it.
deb:
	@rm -rf build/deb && mkdir -p build/deb
	@git archive --prefix=rowtail-$(VERSION)/ HEAD | tar -x -C build/deb
	@cd build/deb/rowtail-$(VERSION) && mv packaging/debian debian && \
		dpkg-buildpackage -b -us -uc >../build.log 2>&1 || \
		{ tail -40 ../build.log; exit 1; }
	@ls build/deb/rowtail_*.deb

# What is built, to be unpacked anywhere: in build/tarball, the same bytes each time.
TARBALL := build/tarball/rowtail-$(VERSION)-linux-$(shell uname -m)
tarball:
	@rm -rf build/tarball
	@$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/$(TARBALL) PREFIX=
	@packaging/tarball.sh $(TARBALL)
	@ls $(TARBALL).tar.gz

tarball-check:
	@tests/tools/tarball.sh

# The steps of packaging/Containerfile, without a container engine; minutes, and root.
container-check:
	@tests/tools/container.sh

dist:
	@mkdir -p build
	git archive --prefix=rowtail-$(VERSION)/ -o build/rowtail-$(VERSION).tar.gz HEAD
	@echo build/rowtail-$(VERSION).tar.gz

clean:
	rm -rf build

help:
	@echo 'make                 build/rowtail (CC=gcc or clang; WERROR= for packagers)'
	@echo 'make demo            dependencies, build, live events of a small shop, 15 s'
	@echo 'make check           dependencies, build, all tests'
	@echo 'make test            the same without dependencies; SUITES="unit cases cli harm'
	@echo '                     state faults programs archive audit oracle chaos"'
	@echo '                     TRANSACTIONS=10000'
	@echo '                     ROUNDS=150 FAULTS=1 JOBS=2'
	@echo 'make chaos           storms for CHAOS_SECONDS=600; chaos-go builds a writer for them'
	@echo 'make litestream      builds the program that the suite archive compares with;'
	@echo '                     make s3 the server whose buckets it uses'
	@echo 'make audit-verifier  builds the program that the suite audit compares with'
	@echo 'make audit-witness   builds the witness that its heads are shown to'
	@echo 'make deps-compare    libraries that the suite audit compares rowtail with'
	@echo 'make kafka           the suite with a real broker, Kafka Connect and PostgreSQL;'
	@echo '                     deps-kafka installs them'
	@echo 'make kafka-broker    a broker on 127.0.0.1:9092 to try things with'
	@echo 'make unit            unit tests alone; T=test_varint for one'
	@echo 'make deps            Debian packages and build/venv; deps-tools: also clang,'
	@echo '                     valgrind and what else the gates use'
	@echo 'make asan tsan       all tests with sanitizers'
	@echo 'make valgrind        unit tests and cases under valgrind'
	@echo 'make fuzz            libFuzzer, FUZZ_SECONDS=60 each'
	@echo 'make soak            the oracles for long: SOAK_ROUNDS=5000'
	@echo '                     SOAK_TRANSACTIONS=1000000'
	@echo 'make cover           line coverage of the tests'
	@echo 'make bench           the table of figures: BENCH_RUNS=5, BENCH="--only NAME",'
	@echo '                     BENCH=--quick'
	@echo 'make bench-peers     rowtail beside triggers, the session extension, Litestream;'
	@echo '                     deps-peers fetches what they need'
	@echo 'make format format-check tidy layers gates'
	@echo 'make docs            docs/options.md and man pages from the tables in src/, and'
	@echo '                     pictures from the tables of docs/performance.md; docs-check'
	@echo 'make install uninstall   PREFIX=/usr/local DESTDIR='
	@echo 'make deb             a Debian package (dpkg-dev, debhelper)'
	@echo 'make tarball         what is built, with man pages, documents and units;'
	@echo '                     tarball-check unpacks it and follows a database'
	@echo 'make container-check the steps of packaging/Containerfile in plain root file systems'
	@echo 'make dist clean      a tar file of the sources'
