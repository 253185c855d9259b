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
COMMAND := $(BUILD)/mango$(if $(findstring mingw,$(CC)),.exe)
SONAME := libmango.so.0
SHARED := -shared $(if $(filter Darwin,$(shell uname)),-Wl$(comma)-install_name$(comma),-Wl$(comma)-soname$(comma))$(SONAME)
SRC := $(shell sed -n 's/^source  *//p' src/FILES)
HDR := $(shell sed -n -e 's/^public  *//p' -e 's/^private  *//p' src/FILES)
TESTS ?= $(wildcard tests/test_*.c)
OBJ := $(SRC:%.c=$(BUILD)/src/%.o)
TOOL := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/mango/*.c))
TOBJ := $(TESTS:%.c=$(BUILD)/%.o) $(BUILD)/tests/runner.o
GEN := $(BUILD)/gen
ONE := $(BUILD)/single

.PHONY: all header check split deps test test-src test-header test-public bench onnx install uninstall \
        examples asan ubsan tsan fuzz demo bridge-test clean command help FORCE
all: $(BUILD)/libmango.a $(BUILD)/libmango.so $(COMMAND)
compile = $(Q)echo "  CC $<"; mkdir -p $(@D) && $(CC) $(FLAGS) $(1) -c $< -o $@
# A file that changes only when what it says changes; $(1) printf's format, $(2) its words
list = $(Q)mkdir -p $(@D); n=$@.$$$$; printf '$(1)\n' $(2) >$$n; cmp -s $$n $@ && rm $$n || mv $$n $@
quote = '$(subst ','\'',$(1))'
ALL_FLAGS := $(call quote,$(CC) $(FLAGS) $(STB) $(LDFLAGS))
$(GEN)/flags: FORCE # another compiler or other flags: all is built again
	$(call list,%s,$(ALL_FLAGS))
$(GEN)/prefix: FORCE
	$(call list,%s,$(call quote,$(PREFIX)))
$(BUILD)/src/%.o: OPT := -O3
$(BUILD)/src/%.o: src/%.c $(GEN)/flags
	$(call compile)
$(BUILD)/tools/%.o: tools/%.c $(GEN)/flags
	$(call compile,$(STB) -DMANGO_DATADIR='"$(PREFIX)/share/mango"')
$(BUILD)/tools/mango/datadir.o: $(GEN)/prefix
$(BUILD)/tests/%.o: tests/%.c $(GEN)/flags $(GEN)/all.h $(GEN)/modules.h
	$(call compile,-Isrc -I$(GEN))
$(BUILD)/libmango.a: $(OBJ) src/FILES
	$(Q)echo "  AR $@"; rm -f $@ && $(AR) rcs $@ $(OBJ)
$(BUILD)/libmango.so: $(OBJ) src/FILES
	$(Q)echo "  LD $@"; $(call LINK,$(OBJ) $(SHARED)) && ln -sf libmango.so $(BUILD)/$(SONAME)
$(COMMAND) $(BUILD)/runner: $(BUILD)/libmango.a
	$(Q)echo "  LD $@"; $(call LINK,$(filter %.o,$^) $<)
$(COMMAND): $(TOOL)
$(BUILD)/runner: $(TOBJ)
# ---- the single header, and the same as a pair
$(BUILD)/amalgamate: tools/amalgamate.c tools/amalgamate_names.c tools/amalgamate_names.h
	$(Q)mkdir -p $(BUILD) && $(HOSTCC) -std=c99 $(WARN) $(filter %.c,$^) -o $@
$(ONE)/mango.h $(BUILD)/mango.h $(BUILD)/mango.c: $(BUILD)/amalgamate $(addprefix src/,FILES manual.txt mango.h.in $(HDR) $(SRC)) LICENSE
	$(Q)echo "  GEN $@"; mkdir -p $(@D) && $< $(LINES) $(HALF) src $@
$(BUILD)/mango.h: HALF := -h
$(BUILD)/mango.c: HALF := -c
split: $(BUILD)/mango.h $(BUILD)/mango.c
header: $(ONE)/mango.h
	$(Q)cmp -s $< mango.h || { cp $< mango.h && echo "  mango.h written"; }
check: $(ONE)/mango.h
	$(Q)cmp $< mango.h || { echo "mango.h is not what src/ gives: run 'make header', commit both" >&2; exit 1; }
graph-page: $(COMMAND) # the language of graph texts, from the operators' tables
	$(Q)$< info --kinds >$(BUILD)/graph.md && cp $(BUILD)/graph.md examples/graph.md
# ---- tests
$(GEN)/all.h: FORCE
	$(call list,$(HASH)include "%s",$(HDR))
$(GEN)/modules.h: FORCE
	$(call list,T_MODULE(%s),$(TESTS:tests/test_%.c=%))
$(GEN)/single.c: FORCE
	$(call list,$(HASH)include "%s",$(notdir $(TESTS)) runner.c)
SINGLE = -DMANGO_TEST_SINGLE -DMANGO_IMPLEMENTATION -include $(ONE)/mango.h -Itests -I$(GEN)
$(BUILD)/runner-header: $(GEN)/single.c $(ONE)/mango.h $(GEN)/flags $(GEN)/modules.h $(TESTS) $(wildcard tests/*.h)
	$(Q)echo "  CC $@"; $(CC) $(FLAGS) $(SINGLE) $< -o $@ $(LDFLAGS) -lm
test-src: $(BUILD)/runner
test-header: $(BUILD)/runner-header
test-src test-header:
	MANGO_TOOL=$(BUILD)/mango $(RUN) $< $(ARGS)
# what sees mango.h alone: in one file with the library, beside it, and on the shared one
PUBLIC := $(wildcard tests/public/*.c)
public = $(Q)echo "  CC $@"; mkdir -p $(@D) && $(CC) $(FLAGS) -O1 $(1) $(PUBLIC) $(2) -o $@ $(LDFLAGS) -lm
$(BUILD)/public/single $(BUILD)/public/split $(BUILD)/public/shared: $(PUBLIC) tests/public/public.h $(GEN)/flags
$(BUILD)/public/single: $(ONE)/mango.h
	$(call public,-DPUBLIC_SINGLE -I$(ONE))
$(BUILD)/public/split: $(BUILD)/mango.h $(BUILD)/mango.c
	$(call public,-I$(BUILD),$(BUILD)/mango.c)
$(BUILD)/public/shared: $(BUILD)/mango.h $(BUILD)/libmango.so
	$(call public,-I$(BUILD),-L$(BUILD) -lmango)
test-public: $(BUILD)/public/single $(BUILD)/public/split $(BUILD)/public/shared
	$(Q)for p in $^; do rm -rf $$p.files && mkdir $$p.files || exit 1; echo "  $$p"; \
	  LD_LIBRARY_PATH=$(BUILD) $(RUN) $$p $$p.files || exit 1; done
SUB = +$(Q)$(MAKE) --no-print-directory
test: deps
	$(SUB) all $(BUILD)/runner $(BUILD)/runner-header
	$(SUB) test-src
	$(SUB) test-header
	$(SUB) test-public
demo: deps
	$(SUB) all
	$(Q)MANGO=$(BUILD)/mango sh tools/demo.sh
PYTHON ?= python3
bridge-test: command # networks of PyTorch, snnTorch, SpikingJelly, NIR; those that are installed
	$(Q)if command -v $(PYTHON) >/dev/null; then MANGO=$(COMMAND) $(PYTHON) tools/bridge/test_export.py $(ARGS); \
	  else echo "bridge-test: no $(PYTHON), nothing to test"; fi
bindings-test: all $(BUILD)/mango.h $(if $(WHEEL),$(ONE)/mango.h) # of the languages that are installed
	$(Q)BUILD=$(BUILD) PYTHON=$(PYTHON) CXX="$(CXX)" WHEEL=$(WHEEL) sh tools/bindings/test.sh
deps:
	$(Q)CC="$(CC)" sh tools/deps.sh $(DEPS)
onnx: all # models of PyTorch beside ONNX Runtime; nothing where these are missing
	$(Q)! command -v $(PYTHON) >/dev/null || $(PYTHON) -B tools/peers/onnx_models.py --mango $(BUILD)/mango $(ARGS)
bench: all
	$(BUILD)/mango bench speed $(ARGS)
examples: $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
$(BUILD)/examples/%: examples/%.c $(ONE)/mango.h $(GEN)/flags
	$(Q)echo "  CC $<"; mkdir -p $(@D) && $(CC) $(FLAGS) -I$(ONE) $< -o $@ $(LDFLAGS) -lm

# ---- sanitizers and other machines, each in its own folder
SAN = $(patsubst asan,address$(comma)undefined,$(patsubst tsan,thread,$(@:ubsan=undefined)))
asan ubsan tsan:
	$(SUB) BUILD=$(BUILD)/$@ OPT=-O1 LDFLAGS=-fsanitize=$(SAN) \
	  CFLAGS="-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer $(CFLAGS)" all test-src
# Debian's cross compilers and emulators: COMPILER PACKAGE EMULATOR PACKAGE, then settings
cross-aarch64 := aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu qemu-aarch64 qemu-user
cross-armv7   := arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf qemu-arm qemu-user
cross-riscv64 := riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu qemu-riscv64 qemu-user
cross-i686    := i686-linux-gnu-gcc gcc-i686-linux-gnu qemu-i386 qemu-user CFLAGS=-msse2\ -mfpmath=sse
cross-s390x   := s390x-linux-gnu-gcc gcc-s390x-linux-gnu qemu-s390x qemu-user CFLAGS=-fexcess-precision=fast
cross-mingw   := x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64 wine wine OMP=-fopenmp
cross-musl    := musl-gcc musl-tools env coreutils OMP=
cross-tests   := base text lif loops ops opt tt weights objective data # seconds under an emulator
cross = $(word $(1),$(cross-$*))
cross-%: all $(BUILD)/runner # the same files as here, and tests
	$(Q)sh tools/deps.sh $(call cross,1):$(call cross,2) $(call cross,3):$(call cross,4)
	$(Q)mkdir -p $(BUILD)/$@ && ln -sfn /usr/include/stb $(BUILD)/$@/stb
	$(SUB) BUILD=$(BUILD)/$@ CC=$(call cross,1) LDFLAGS=-static STB="-idirafter $(BUILD)/$@" $(wordlist 5,9,$(cross-$*)) \
	  TESTS="$(cross-tests:%=tests/test_%.c)" command $(if $(filter qemu-%,$(call cross,3)),$(BUILD)/$@/runner)
	$(Q)sh tools/cross.sh $(BUILD) $@ $(call cross,3)
fuzz: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
$(BUILD)/fuzz/%: tests/fuzz/%.c $(ONE)/mango.h
	$(Q)mkdir -p $(@D) && clang -g -O1 -fsanitize=fuzzer,address,undefined -I$(ONE) $< -o $@ -lm
command: $(COMMAND)
install: all $(ONE)/mango.h
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib include share/mango/weights)
	install $(BUILD)/mango $(DESTDIR)$(PREFIX)/bin/ && install -m 644 $(BUILD)/libmango.a $(DESTDIR)$(PREFIX)/lib/
	install $(BUILD)/libmango.so $(DESTDIR)$(PREFIX)/lib/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libmango.so
	install -m 644 $(ONE)/mango.h tools/bindings/cpp/mango.hpp $(DESTDIR)$(PREFIX)/include/
	cp -R weights/. $(DESTDIR)$(PREFIX)/share/mango/weights/
uninstall:
	rm -rf $(addprefix $(DESTDIR)$(PREFIX)/,bin/mango lib/libmango.a lib/libmango.so lib/$(SONAME) include/mango.h include/mango.hpp share/mango)
clean:
	rm -rf $(BUILD)
help:
	@printf '  %-26s %s\n' all 'build/mango, libmango.a, libmango.so' \
	test 'install what is missing, build, run the tests on src/, on mango.h, on what is public' \
	'test-src test-header' 'one of them; ARGS="MODULE [CASE]"' \
	header 'write mango.h' check 'is mango.h what src/ gives?' \
	split 'build/mango.h and build/mango.c, to compile apart' \
	bridge-test 'tools/bridge on networks of PyTorch; PYTHON=python3' \
	bindings-test 'tools/bindings: Python, C++, Octave, Julia; WHEEL=1: the wheel, too' \
	demo 'pictures with the weights at hand' examples 'build/examples/*' \
	bench 'what things cost here; ARGS="--only opt"' \
	onnx 'ONNX models beside ONNX Runtime, where it is installed; PYTHON=' \
	'install uninstall' 'PREFIX=/usr/local; DESTDIR=' deps 'install what building and testing need' \
	'asan ubsan tsan' 'the tests under a sanitizer' fuzz 'build/fuzz/*, with clang' \
	'cross-aarch64 -armv7 -i686' 'for another machine, tried under qemu' 'cross-riscv64 -s390x' 'the same' \
	cross-mingw 'mango.exe, tried under wine' cross-musl 'a command that needs no library' \
	clean 'remove build/'
-include $(OBJ:.o=.d) $(TOOL:.o=.d) $(TOBJ:.o=.d)
