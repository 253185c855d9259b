# MANGO in C. `make help` lists the targets. Settings, all optional:
#   BUILD=dir  CC=cc  CFLAGS=... (come last)  V=1 (show commands)  WERROR=1  OMP= (no OpenMP)
#   PREFIX=/usr/local  DESTDIR=  TESTS="tests/test_x.c"  ARGS="..." (of the tests: MODULE [CASE]; of bench: options)
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
BUILD ?= build
PREFIX ?= /usr/local
AR ?= ar
HOSTCC ?= cc
Q := $(if $(V),,@)
HASH := \#
comma := ,
# Can $(CC) do it? $(1) options, $(2) the program
can = $(shell printf '%b\n' '$(2)' | $(CC) $(1) -x c - -o /dev/null 2>/dev/null && echo yes)
ifeq ($(origin OMP),undefined)
OMP := $(if $(call can,-fopenmp,$(HASH)include <omp.h>\nint main(void){return omp_get_max_threads()<1;}),-fopenmp)
endif
ifeq ($(origin STB),undefined)
STB := $(if $(call can,-c,$(HASH)include <stb/stb_image.h>),,-DMANGO_NO_STB)
endif
WARN := -Wall -Wextra -Wpedantic -Wconversion $(if $(WERROR),-Werror)
OPT := -O2
FLAGS = -std=c99 $(OPT) -g -ffp-contract=off -fPIC -fvisibility=hidden -fno-asynchronous-unwind-tables $(WARN) $(OMP) -MMD -MP $(CFLAGS)
LINK = $(CC) $(CFLAGS) -o $@ $(1) $(LDFLAGS) $(OMP) -lm
SONAME := libmango.so.0
SHARED := -shared $(if $(filter Darwin,$(shell uname)),-Wl$(comma)-install_name$(comma),-Wl$(comma)-soname$(comma))$(SONAME)
SRC := $(shell sed -n 's/^source  *//p' src/FILES)
HDR := $(shell sed -n -e 's/^public  *//p' -e 's/^private  *//p' src/FILES)
TESTS ?= $(wildcard tests/test_*.c)
OBJ := $(SRC:%.c=$(BUILD)/src/%.o)
TOOL := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/mango/*.c))
TOBJ := $(TESTS:%.c=$(BUILD)/%.o) $(BUILD)/tests/runner.o
GEN := $(BUILD)/gen

.PHONY: all header check deps test test-src test-header bench install uninstall examples asan ubsan \
        tsan fuzz demo cross-aarch64 clean help FORCE
all: $(BUILD)/libmango.a $(BUILD)/libmango.so $(BUILD)/mango
compile = $(Q)echo "  CC $<"; mkdir -p $(@D) && $(CC) $(FLAGS) $(1) -c $< -o $@
$(BUILD)/src/math/%.o: OPT := -O3
$(BUILD)/src/net/safetensors_read.o $(BUILD)/src/net/plan_pack.o $(BUILD)/src/opt/ttloops.o: OPT := -O3
$(BUILD)/src/%.o: src/%.c
	$(call compile)
$(BUILD)/tools/%.o: tools/%.c
	$(call compile,$(STB) -DMANGO_DATADIR='"$(PREFIX)/share/mango"')
$(BUILD)/tests/%.o: tests/%.c $(GEN)/all.h $(GEN)/modules.h
	$(call compile,-Isrc -I$(GEN))
$(BUILD)/libmango.a: $(OBJ) src/FILES
	$(Q)echo "  AR $@"; rm -f $@ && $(AR) rcs $@ $(OBJ)
$(BUILD)/libmango.so: $(OBJ) src/FILES
	$(Q)echo "  LD $@"; $(call LINK,$(OBJ) $(SHARED)) && ln -sf libmango.so $(BUILD)/$(SONAME)
$(BUILD)/mango $(BUILD)/runner: $(BUILD)/libmango.a
	$(Q)echo "  LD $@"; $(call LINK,$(filter %.o,$^) $<)
$(BUILD)/mango: $(TOOL)
$(BUILD)/runner: $(TOBJ)
# ---- the single header
$(BUILD)/mango.h: tools/amalgamate.c $(addprefix src/,FILES manual.txt mango.h.in $(HDR) $(SRC)) LICENSE
	$(Q)echo "  GEN $@"; mkdir -p $(BUILD) && $(HOSTCC) -std=c99 $(WARN) $< -o $(BUILD)/amalgamate
	$(Q)$(BUILD)/amalgamate $(LINES) src $@
header: $(BUILD)/mango.h
	$(Q)cmp -s $< mango.h || { cp $< mango.h && echo "  mango.h written"; }
check: $(BUILD)/mango.h
	$(Q)cmp $< mango.h || { echo "mango.h is not what src/ gives: run 'make header', commit both" >&2; exit 1; }
# ---- tests; the lists that they include are touched only when they change
list = $(Q)mkdir -p $(GEN); printf '$(1)\n' $(2) >$@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(GEN)/all.h: FORCE
	$(call list,$(HASH)include "%s",$(HDR))
$(GEN)/modules.h: FORCE
	$(call list,T_MODULE(%s),$(TESTS:tests/test_%.c=%))
$(GEN)/single.c: FORCE
	$(call list,$(HASH)include "%s",$(notdir $(TESTS)) runner.c)
SINGLE = -DMANGO_TEST_SINGLE -DMANGO_IMPLEMENTATION -include $(BUILD)/mango.h -Itests -I$(GEN)
$(BUILD)/runner-header: $(GEN)/single.c $(BUILD)/mango.h $(GEN)/modules.h $(TESTS) $(wildcard tests/*.h)
	$(Q)echo "  CC $@"; $(CC) $(FLAGS) $(SINGLE) $< -o $@ $(LDFLAGS) -lm
test-src: $(BUILD)/runner
test-header: $(BUILD)/runner-header
test-src test-header:
	MANGO_TOOL=$(BUILD)/mango $(RUN) $< $(ARGS)
SUB = +$(Q)$(MAKE) --no-print-directory
test: deps
	$(SUB) all $(BUILD)/runner $(BUILD)/runner-header
	$(SUB) test-src
	$(SUB) test-header
demo: deps
	$(SUB) all
	$(Q)MANGO=$(BUILD)/mango sh tools/demo.sh
deps:
	$(Q)CC="$(CC)" sh tools/deps.sh $(DEPS)
bench: all
	$(BUILD)/mango bench speed $(ARGS)
examples: $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
$(BUILD)/examples/%: examples/%.c $(BUILD)/mango.h
	$(Q)echo "  CC $<"; mkdir -p $(@D) && $(CC) $(FLAGS) -I$(BUILD) $< -o $@ $(LDFLAGS) -lm

# ---- sanitizers and other machines, each in its own folder
SAN = $(patsubst asan,address$(comma)undefined,$(patsubst tsan,thread,$(@:ubsan=undefined)))
asan ubsan tsan:
	$(SUB) BUILD=$(BUILD)/$@ OPT=-O1 LDFLAGS=-fsanitize=$(SAN) \
	  CFLAGS="-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer $(CFLAGS)" all test-src
cross-aarch64:
	$(SUB) BUILD=$(BUILD)/$@ CC=aarch64-linux-gnu-gcc LDFLAGS=-static STB=-DMANGO_NO_STB RUN=qemu-aarch64 test-src
fuzz: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
$(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/mango.h
	$(Q)mkdir -p $(@D) && clang -g -O1 -fsanitize=fuzzer,address,undefined -I$(BUILD) $< -o $@ -lm
install: all header
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib include share/mango/weights)
	install $(BUILD)/mango $(DESTDIR)$(PREFIX)/bin/ && install -m 644 $(BUILD)/libmango.a $(DESTDIR)$(PREFIX)/lib/
	install $(BUILD)/libmango.so $(DESTDIR)$(PREFIX)/lib/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libmango.so
	install -m 644 mango.h $(DESTDIR)$(PREFIX)/include/
	cp -R weights/. $(DESTDIR)$(PREFIX)/share/mango/weights/
uninstall:
	rm -rf $(addprefix $(DESTDIR)$(PREFIX)/,bin/mango lib/libmango.a lib/libmango.so lib/$(SONAME) include/mango.h share/mango)
clean:
	rm -rf $(BUILD)
help:
	@printf '%s\n' 'all: build/mango, libmango.a, libmango.so' 'test: install what is missing, build, test twice' \
	'test-src test-header: one of the two; ARGS="MODULE [CASE]"' 'header: write mango.h   check: is it what src/ gives?' \
	'demo: pictures with the weights at hand' 'examples bench install uninstall deps clean' \
	'asan ubsan tsan: tests under a sanitizer   cross-aarch64: under qemu (tools/neon counts instructions)   fuzz: build/fuzz/*'
-include $(OBJ:.o=.d) $(TOOL:.o=.d) $(TOBJ:.o=.d)
