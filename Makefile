# Builds libconsent, consentd and consent, and everything that checks and measures them. `make help` lists the targets.
# Not recursive; objects and results live under $(BUILD).

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
PYTHON ?= /usr/bin/python3

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
            -Wswitch-enum -Wvla -Werror
HARDENING := -fstack-protector-strong -fPIC -fno-semantic-interposition
OPTIMISE ?= -O2 -D_FORTIFY_SOURCE=2
SANITIZE ?=
# `make -s` says nothing but what went wrong.
SAY := $(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,echo)
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE -DCL_VERSION='"$(VERSION)"' -Iinclude $(WARNINGS) $(HARDENING) $(OPTIMISE) -g $(SANITIZE) -MMD -MP $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now $(SANITIZE) $(LDFLAGS)

LIB_LIBS := -lsecp256k1 -lsodium -lnettle -lleveldb -lpthread
# Programs link LevelDB's own archive: only there can its mapping of table files into memory be turned off, which keeps
# a node of ten million agreements within 256 MiB (ledger/store_leveldb.c).
PROGRAM_LIBS := -lsecp256k1 -lsodium -lnettle -l:libleveldb.a -lsnappy -lstdc++ -lm -lpthread
# --as-needed keeps nng out of programs that have no links.
NODE_LIBS := -lmicrohttpd -ljansson -Wl,--as-needed -lnng -Wl,--no-as-needed -lmbedtls -lmbedx509 -lmbedcrypto
TOOLS_LIBS := -lcurl -ljansson -lqrencode -lpng

LEDGER_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard ledger/*.c))
NODE_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out node/main.c,$(wildcard node/*.c)))
TOOLS_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tools/main.c,$(wildcard tools/*.c)))
TEST_LIB_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SOURCES))
FUZZ_REPLAYS := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(FUZZ_SOURCES))
TEST_PROGRAMS := $(patsubst tests/programs/%.c,$(BUILD)/programs/%,$(wildcard tests/programs/*.c))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/bench_*.c))
BENCH_LIB_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/bench/bench_%.c,$(wildcard tests/bench/*.c)))
PROGRAMS := $(if $(wildcard node/main.c),$(BUILD)/consentd) $(if $(wildcard tools/main.c),$(BUILD)/consent)

SIM_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c))

.PHONY: all help check check-unit check-source check-deep bench sim fuzz programs install uninstall clean
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/libconsent.a $(BUILD)/libconsent.so $(PROGRAMS)

help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## make                 build/consentd (the node), build/consent (the command line), build/libconsent.{a,so}
## make check           every test that runs in under ten minutes (what tools/check.sh calls once packages are there)
## make check-unit      unit tests and saved fuzz inputs only
## make check-source    the rules on includes that keep the core pure
## make check-deep      sanitizers, valgrind, clang-tidy, cppcheck, long random tests and crash loops
## make bench           a table of figures beside their limits, and build/bench.json; BENCH=name runs one
## make sim             whole consortia on a virtual clock, network and disk; SEEDS=n runs so many, SEED=n says from which on
## make fuzz            libFuzzer targets (clang); SECONDS_EACH=60 says how long each runs
## make install         PREFIX=/usr/local DESTDIR=: programs, library, headers, pkg-config file, man pages, completions
## make clean           removes the build folder
## CC=clang, SANITIZE=-fsanitize=address,undefined, OPTIMISE=-O0, BUILD=dir may be set.

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(SAY) "  CC    $<"
	@$(CC) $(CFLAGS_ALL) $(if $(filter tests/%,$<),-Iledger -Inode -Itests/lib) $(if $(filter node/% tools/%,$<),-Iledger) -c $< -o $@

$(BUILD)/libconsent.a: $(LEDGER_OBJECTS)
	@$(SAY) "  AR    $@"
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/libnode.a: $(NODE_OBJECTS)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/libtools.a: $(TOOLS_OBJECTS)
	@rm -f $@ && ar rcs $@ $^

# Only what the public headers declare leaves the shared library.
$(BUILD)/exports.map: $(wildcard include/consent/*.h)
	@mkdir -p $(@D)
	@{ echo '{ global:'; sed -n 's/^.*[ *]\(cl_[a-z0-9_]*\)(.*$$/\1;/p' $^ | sort -u; echo 'local: *; };'; } > $@
$(BUILD)/libconsent.so: $(LEDGER_OBJECTS) $(BUILD)/exports.map
	@$(SAY) "  LINK  $@"
	@$(CC) -shared -Wl,-soname,libconsent.so.0 -Wl,--version-script=$(BUILD)/exports.map -Wl,-z,relro,-z,now $(SANITIZE) $(LDFLAGS) $(LEDGER_OBJECTS) $(LIB_LIBS) -o $@

$(BUILD)/consentd: $(BUILD)/node/main.o $(BUILD)/libnode.a $(BUILD)/libconsent.a
	@$(SAY) "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) $^ $(NODE_LIBS) $(PROGRAM_LIBS) -o $@
$(BUILD)/consent: $(BUILD)/tools/main.o $(BUILD)/libtools.a $(BUILD)/libconsent.a
	@$(SAY) "  LINK  $@"
	@$(CC) $(LDFLAGS_ALL) $^ $(TOOLS_LIBS) $(PROGRAM_LIBS) -o $@

TEST_ARCHIVES := $(if $(wildcard node/*.c),$(BUILD)/libnode.a) $(if $(wildcard tools/*.c),$(BUILD)/libtools.a) $(BUILD)/libconsent.a
# It looks at each block that is given back.
$(BUILD)/unit/test_buffer: private LDFLAGS_ALL += -Wl,--wrap=free
# This one at what the owner takes of the links, and at what is checked of proposals.
$(BUILD)/unit/test_node_blocks: private LDFLAGS_ALL += -Wl,--wrap=node_on_votes -Wl,--wrap=consensus_certificate_good
# And this one when the vote log is synced.
$(BUILD)/unit/test_node_votes: private LDFLAGS_ALL += -Wl,--wrap=fdatasync
# These are of tools/ alone, where functions have names that node/ has too.
$(BUILD)/unit/test_webhooks $(BUILD)/unit/test_bulk_list $(BUILD)/unit/test_delivery_log: $(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libtools.a $(BUILD)/libconsent.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) $^ -lcmocka $(TOOLS_LIBS) $(PROGRAM_LIBS) -o $@
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(TEST_LIB_OBJECTS) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) $^ -lcmocka -lcbor $(NODE_LIBS) $(TOOLS_LIBS) $(PROGRAM_LIBS) -o $@
$(BUILD)/programs/%: $(BUILD)/tests/programs/%.o $(TEST_LIB_OBJECTS) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) $^ $(NODE_LIBS) $(TOOLS_LIBS) $(PROGRAM_LIBS) -o $@
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BENCH_LIB_OBJECTS) $(TEST_LIB_OBJECTS) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) $^ $(NODE_LIBS) $(TOOLS_LIBS) $(PROGRAM_LIBS) -lm -o $@
$(BUILD)/sim: $(SIM_OBJECTS) $(BUILD)/libnode.a $(BUILD)/libconsent.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) $^ $(NODE_LIBS) $(PROGRAM_LIBS) -o $@
$(BUILD)/enumerate: $(BUILD)/tests/sim/enumerate/enumerate.o $(BUILD)/libnode.a $(BUILD)/libconsent.a
	@$(CC) $(LDFLAGS_ALL) $^ $(NODE_LIBS) $(PROGRAM_LIBS) -o $@
# The saved corpus runs as an ordinary test: the same target with a main that reads files.
$(BUILD)/replay/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay_main.o $(TEST_LIB_OBJECTS) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS_ALL) $^ $(NODE_LIBS) $(TOOLS_LIBS) $(PROGRAM_LIBS) -o $@
# libFuzzer wants everything instrumented, so there are objects of a second kind, compiled once for all targets.
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_OBJECTS := $(patsubst %.c,$(BUILD)/fuzz/%.o,$(wildcard ledger/*.c) $(filter-out node/main.c,$(wildcard node/*.c)) $(wildcard tests/lib/*.c))
$(BUILD)/fuzz/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(SAY) "  FUZZ  $<"
	@clang -std=c11 -D_GNU_SOURCE -DCL_VERSION='"$(VERSION)"' -DCL_FUZZING -Iinclude -Iledger -Inode -Itests/lib -O1 -g \
	  -fno-omit-frame-pointer -fsanitize=fuzzer-no-link $(FUZZ_SANITIZE) -MMD -MP -c $< -o $@
$(BUILD)/fuzz/product.a: $(FUZZ_OBJECTS)
	@rm -f $@ && ar rcs $@ $^
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/product.a
	@$(SAY) "  LINK  $@"
	@clang -fsanitize=fuzzer $(FUZZ_SANITIZE) $^ $(NODE_LIBS) $(PROGRAM_LIBS) -o $@

programs: $(TEST_PROGRAMS)

check-source:
	@sh tools/check-source.sh

check-unit: all $(UNIT_TESTS) $(FUZZ_REPLAYS)
	@sh tests/run-unit.sh $(BUILD)

check: all check-source $(UNIT_TESTS) $(FUZZ_REPLAYS) $(TEST_PROGRAMS) $(BUILD)/sim $(BUILD)/enumerate
	@sh tests/run-all.sh $(BUILD)

check-deep: all
	@sh tests/run-deep.sh $(BUILD)

bench: all $(BENCHES)
	@sh tests/bench/run.sh $(BUILD) $(BENCH)

sim: $(BUILD)/sim
	@$(BUILD)/sim $(or $(SEEDS),1000) $(or $(SEED),1)

fuzz: $(FUZZ_TARGETS)
	@sh tests/fuzz/run.sh $(BUILD) $(or $(SECONDS_EACH),60)

install: all
	@sh tools/install.sh "$(BUILD)" "$(DESTDIR)" "$(PREFIX)" "$(VERSION)"
uninstall:
	@sh tools/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

clean:
	@rm -rf $(BUILD)

-include $(shell find -L $(BUILD) -name '*.d' 2>/dev/null)
