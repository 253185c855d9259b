# MANGO in C. `make help` lists the targets. Settings, all optional:
#   BUILD=dir  CC=cc  CFLAGS=... (come last)  V=1 (show commands)  WERROR=1  OMP= (no OpenMP)
#   PREFIX=/usr/local  DESTDIR=  ARGS="module [case]" (what the tests run)
.DEFAULT_GOAL := all
BUILD ?= build
PREFIX ?= /usr/local
AR ?= ar
RUN ?=
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = @echo "  $(1) $(2)"
# Does $(CC) take this? $(1) options, $(2) source text
can = $(shell printf '%s\n' '$(2)' | $(CC) $(1) -x c - -o /dev/null 2>/dev/null && echo yes)
HASH := \#
comma := ,
OMP ?= $(if $(call can,-fopenmp,$(HASH)include <omp.h>\nint main(void){return omp_get_max_threads()<1;}),-fopenmp)
STB ?= $(if $(call can,-c,$(HASH)include <stb/stb_image.h>),,-DMANGO_NO_STB)

WARN := -Wall -Wextra -Wpedantic -Wconversion $(if $(WERROR),-Werror)
OPT := -O2
FLAGS = -std=c99 $(OPT) -g -ffp-contract=off -fPIC -fvisibility=hidden $(WARN) $(OMP) -MMD -MP $(CFLAGS)
LIBS := $(OMP) -lm
SONAME := libmango.so.0
SHARED := -shared $(if $(filter Darwin,$(shell uname)),-Wl$(comma)-install_name$(comma),-Wl,-soname,)$(SONAME)

SRC := $(shell sed -n 's/^source  *//p' src/FILES)
HDR := $(shell sed -n -e 's/^public  *//p' -e 's/^private  *//p' src/FILES)
OBJ := $(SRC:%.c=$(BUILD)/src/%.o)
TOOL := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/mango/*.c))
TESTS := $(wildcard tests/test_*.c)
TOBJ := $(TESTS:%.c=$(BUILD)/%.o) $(BUILD)/tests/runner.o
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
GEN := $(BUILD)/gen

.PHONY: all header check deps test test-src test-header bench install uninstall examples asan ubsan \
        tsan fuzz demo cross-aarch64 clean help FORCE
all: $(BUILD)/libmango.a $(BUILD)/libmango.so $(BUILD)/mango

$(BUILD)/src/math/%.o: OPT := -O3
$(BUILD)/src/%.o: src/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -c $< -o $@
$(BUILD)/tools/%.o: tools/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(STB) -DMANGO_DATADIR='"$(PREFIX)/share/mango"' -c $< -o $@
$(BUILD)/tests/%.o: tests/%.c $(GEN)/all.h $(GEN)/modules.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -Isrc -I$(GEN) -c $< -o $@
$(BUILD)/libmango.a: $(OBJ) src/FILES
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJ)
$(BUILD)/libmango.so: $(OBJ) src/FILES
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(SHARED) -o $@ $(OBJ) $(LDFLAGS) $(LIBS) && ln -sf libmango.so $(BUILD)/$(SONAME)
$(BUILD)/mango: $(TOOL) $(BUILD)/libmango.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $(TOOL) $(BUILD)/libmango.a $(LDFLAGS) $(LIBS)

# ---- the single header
HOSTCC ?= cc
$(BUILD)/amalgamate: tools/amalgamate.c
	@mkdir -p $(BUILD)
	$(Q)$(HOSTCC) -std=c99 -O1 $(WARN) $< -o $@
$(BUILD)/mango.h: $(BUILD)/amalgamate src/FILES src/manual.txt LICENSE $(addprefix src/,$(HDR) $(SRC))
	$(call say,GEN,$@)
	$(Q)$(BUILD)/amalgamate $(LINES) src $@
header: $(BUILD)/mango.h
	@cmp -s $< mango.h || { cp $< mango.h && echo "  mango.h written"; }
check: $(BUILD)/mango.h
	@cmp -s $< mango.h || { echo "mango.h is not what src/ gives: run 'make header' and commit it" >&2; exit 1; }

# ---- tests; what they include is made here, and touched only when it changes
$(GEN)/all.h: FORCE
	@mkdir -p $(GEN)
	@printf '#include "%s"\n' $(HDR) > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(GEN)/modules.h: FORCE
	@mkdir -p $(GEN)
	@printf 'T_MODULE(%s)\n' $(TESTS:tests/test_%.c=%) > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(GEN)/single.c: FORCE
	@mkdir -p $(GEN)
	@printf '#include "%s"\n' $(notdir $(TESTS)) runner.c > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/runner: $(TOBJ) $(BUILD)/libmango.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $(TOBJ) $(BUILD)/libmango.a $(LDFLAGS) $(LIBS)
$(BUILD)/runner-header: $(GEN)/single.c $(BUILD)/mango.h $(GEN)/modules.h
	$(call say,CC,$< with mango.h)
	$(Q)$(CC) $(FLAGS) -DMANGO_TEST_SINGLE -DMANGO_IMPLEMENTATION -include $(BUILD)/mango.h -Itests -I$(GEN) $< -o $@ $(LDFLAGS) $(LIBS)
test-src: $(BUILD)/runner
	MANGO_TOOL=$(BUILD)/mango $(RUN) $(BUILD)/runner $(ARGS)
test-header: $(BUILD)/runner-header
	MANGO_TOOL=$(BUILD)/mango $(RUN) $(BUILD)/runner-header $(ARGS)
test: deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory test-src
	@$(MAKE) --no-print-directory test-header
deps:
	@CC="$(CC)" sh tools/deps.sh $(DEPS)
demo: deps
	@$(MAKE) --no-print-directory all
	@MANGO=$(BUILD)/mango sh tools/demo.sh
bench: all
	$(BUILD)/mango bench speed
examples: $(EXAMPLES)
$(BUILD)/examples/%: examples/%.c $(BUILD)/mango.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -I$(BUILD) $< -o $@ $(LDFLAGS) $(LIBS)

# ---- sanitizers and other machines: each in its own folder
SAN = $(MAKE) --no-print-directory BUILD=$(BUILD)/$(1) OPT=-O1 LDFLAGS=-fsanitize=$(2) \
      CFLAGS="-fsanitize=$(2) -fno-sanitize-recover=all -fno-omit-frame-pointer $(CFLAGS)" test-src
asan:
	$(call SAN,asan,address$(comma)undefined)
ubsan:
	$(call SAN,ubsan,undefined)
tsan: # clang: its OpenMP tells the sanitizer about its barriers
	$(call SAN,tsan,thread) CC=clang
cross-aarch64:
	$(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar \
	  LDFLAGS=-static STB=-DMANGO_NO_STB RUN=qemu-aarch64 $(BUILD)/aarch64/libmango.a test-src
fuzz: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
$(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/mango.h
	@mkdir -p $(@D)
	clang -g -O1 -fsanitize=fuzzer,address,undefined -I$(BUILD) $< -o $@ -lm

install: all header
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib include share/mango/weights)
	install $(BUILD)/mango $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(BUILD)/libmango.a $(DESTDIR)$(PREFIX)/lib/
	install $(BUILD)/libmango.so $(DESTDIR)$(PREFIX)/lib/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libmango.so
	install -m 644 mango.h $(DESTDIR)$(PREFIX)/include/
	-install -m 644 weights/* $(DESTDIR)$(PREFIX)/share/mango/weights/
uninstall:
	rm -rf $(addprefix $(DESTDIR)$(PREFIX)/,bin/mango lib/libmango.a lib/libmango.so lib/$(SONAME) \
	  include/mango.h share/mango)
clean:
	rm -rf $(BUILD)
help:
	@echo "all       build/mango, libmango.a, libmango.so    test      install what is missing, build, test"
	@echo "header    write mango.h from src/                 check     is mango.h what src/ gives?"
	@echo "examples  build/examples/*                        demo      find a few pictures with the shipped weights"
	@echo "bench     speed figures                           install uninstall   into PREFIX (/usr/local)"
	@echo "asan ubsan tsan   the tests under a sanitizer     cross-aarch64   the tests under qemu"
	@echo "test-src test-header ARGS=\"MODULE [CASE]\"         one suite, or a part of it"
	@echo "fuzz      build/fuzz/* with clang                 deps clean help"

-include $(OBJ:.o=.d) $(TOOL:.o=.d) $(TOBJ:.o=.d)
