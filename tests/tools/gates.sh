#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Does each gate catch what it is for? In a copy of the tree a gate must be green, then
# one violation is planted and it must be red. A gate whose tool is missing is "not run".
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
# What make hands down to a recipe is of no use to another make.
unset MAKELEVEL MFLAGS
export MAKEFLAGS="-j$(nproc)"
work=$(mktemp -d "${TMPDIR:-/tmp}/rowtail-gates.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
passed=0
failed=0
skipped=0

# A fresh copy of the sources, without build output and history, but with what build_once
# has made of the same sources in the same place.
fresh_copy()
{
	rm -rf "$work/tree"
	mkdir "$work/tree"
	(cd "$root" && tar cf - --exclude=./build --exclude=./.git .) |
		tar xf - -C "$work/tree"
	if [ -d "$work/built" ]; then
		cp -a "$work/built" "$work/tree/build"
	fi
}

# What many gates would build again.
build_once()
{
	fresh_copy
	(cd "$work/tree" && make B=build/gate all) >"$work/log" 2>&1 || tail -5 "$work/log"
	mv "$work/tree/build" "$work/built"
}

# gate NAME TOOL COMMAND PLANT -- PLANT is a command that makes the violation.
gate()
{
	name=$1 tool=$2 command=$3 plant=$4
	if ! command -v "$tool" >/dev/null; then
		echo "  $name: not run, $tool is missing"
		skipped=$((skipped + 1))
		return
	fi
	fresh_copy
	if ! (cd "$work/tree" && eval "$command") >"$work/log" 2>&1; then
		echo "  $name: RED without a violation"
		tail -5 "$work/log"
		failed=$((failed + 1))
		return
	fi
	sleep 0.1 # make compares times, whose grain is a tick of the kernel
	if ! (cd "$work/tree" && eval "$plant"); then
		echo "  $name: the violation could not be planted"
		failed=$((failed + 1))
		return
	fi
	if (cd "$work/tree" && eval "$command") >"$work/log" 2>&1; then
		echo "  $name: GREEN in spite of the violation"
		failed=$((failed + 1))
	else
		echo "  $name: red, as it should be"
		passed=$((passed + 1))
	fi
}

# A unit test that reads past its memory and races, if its argument defines PLANTED.
test_of_sanitizers()
{
	[ -f tests/unit/test_planted.c ] && return
	[ "${1:-}" = "-DPLANTED" ] && planted=1 || planted=0
	cat >tests/unit/test_planted.c <<-END
		#include <pthread.h>
		#include <stdlib.h>

		static int shared;

		static void *count(void *unused)
		{
			shared++;
			return unused;
		}

		int main(int argc, char **argv)
		{
			char *bytes = calloc(8, 1);
			char byte = bytes ? bytes[argc + 6 + $planted] : argv[0][0];
			pthread_t thread;

			pthread_create(&thread, NULL, count, NULL);
			shared += $planted;
			pthread_join(thread, NULL);
			free(bytes);
			return byte;
		}
	END
	sed -i 's/shared += 0;//' tests/unit/test_planted.c
}

echo "gates: one planted violation each"
gate "format" clang-format \
	"make format-check" \
	"printf 'static int  planted( void );\n' >>btree/varint.c"
gate "layers: btree includes the pipeline" python3 \
	"make layers" \
	"printf '#include \"src/capture/capture.h\"\n' >>btree/varint.c"
gate "layers: sinks see rows" python3 \
	"make layers" \
	"printf '#include \"schemas/row.h\"\n' >>\$(ls sinks/*.c sinks/*.h | head -n 1)"
gate "layers: delivery asks which sink it has" python3 \
	"make layers" \
	"printf '#include \"sinks/file_sink.h\"\n' >>src/deliver/delivery.c"
gate "layers: settings include the pipeline" python3 \
	"make layers" \
	"printf '#include \"src/follow.h\"\n' >>src/config/shaping.h"
gate "layers: sqlite3.h in btree" python3 \
	"make layers" \
	"printf '#include <sqlite3.h>\n' >>btree/varint.h"
gate "layers: a circle of includes" python3 \
	"make layers" \
	"printf '#include \"schemas/encoder.h\"\n' >>schemas/value_json.c"
gate "sizes: a file that is too long" python3 \
	"make layers" \
	"yes '/* planted */' | head -n 800 >>btree/varint.c"
gate "sizes: a function that is too long" python3 \
	"make layers" \
	"{ printf 'void planted(void);\nvoid planted(void)\n{\n'; \
		yes '\t;' | head -n 59; echo '}'; } >>btree/varint.c"
gate "layers: include not from the root" python3 \
	"make layers" \
	"printf '#include \"varint.h\"\n' >>btree/varint.c"
build_once
gate "docs: a default that docs/options.md does not have" gcc \
	"make B=build/gate docs-check" \
	"sed -i 's/.fallback = \"declared\"/.fallback = \"affinity\"/' \
		src/config/property_table.c"
gate "docs: an option that the man pages do not have" gcc \
	"make B=build/gate docs-check" \
	"sed -i 's/.name = \"dry-run\",/.name = \"dry-run\", .argument = \"N\",/' \
		src/option_help.c"
gate "docs: a man page that is no sound mdoc" mandoc \
	"make B=build/gate docs-check" \
	"sed -i '/^.Sh FILES/a .Bl -tag' docs/rowtail-diff.1"
gate "docs: a link that leads nowhere" gcc \
	"make B=build/gate docs-check" \
	"sed -i 's,docs/limits.md),docs/limit.md),' README.md"
gate "docs: a picture that is not of its table" gcc \
	"make B=build/gate docs-check" \
	"sed -i '/FIGURES: begin/,/FIGURES: end/ s/× |/9× |/' docs/performance.md"
gate "unit tests: a property that is forgotten" gcc \
	"make B=build/gate unit T=test_property_table" \
	"sed -i '/FIELD(encoder.schema_changes)/,/shapes/ s/.shapes = true/.shapes = false/' \
		src/config/property_table.c"
for compiler in gcc clang; do
	gate "warnings: conversion, $compiler" "$compiler" \
		"make CC=$compiler B=build/gate build/gate/btree/varint.o" \
		"printf 'int planted(long n);\nint planted(long n)\n{\n\treturn n;\n}\n' \
			>>btree/varint.c"
	gate "warnings: unread result, $compiler" "$compiler" \
		"make CC=$compiler B=build/gate build/gate/btree/page.o" \
		"printf '#include \"src/base/status.h\"\n%s\n%s\n%s\n' \
			'MUST_CHECK enum status planted(void);' 'void also_planted(void);' \
			'void also_planted(void) { planted(); }' >>btree/page.c"
done
gate "unit tests: a wrong varint" gcc \
	"make B=build/gate unit T=test_varint" \
	"sed -i 's/0x7f/0x3f/' btree/varint.c btree/varint.h"
for variant in asan tsan; do
	gate "$variant: a planted fault in a test" gcc \
		"test_of_sanitizers && make VARIANT=$variant unit T=test_planted" \
		"rm tests/unit/test_planted.c && test_of_sanitizers -DPLANTED"
done

echo
echo "gates: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
