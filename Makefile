# What a developer runs. .ci/run calls the same targets.

# Both modules of the workspace.
MODULES = ./... ./cmd/skep/...

.PHONY: check test short race fuzz fuzz-verifier mutants diff corpus cost-plot objects objects-check generate-check \
	support tidy-check staticcheck bench cross 386 arm64 windows clean

check: # all that CI runs, with the tools it installs
	.ci/run

test: # the README's test command
	go test $(MODULES)

short: # seconds, for the inner loop
	go test -short $(MODULES)

race:
	go test -race -short $(MODULES)

# Each fuzz target for FUZZTIME.
FUZZTIME ?= 30s
fuzz:
	@set -e; for pkg in $$(go list $(MODULES)); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

# The verifier's word held against runs, for SKEP_FUZZ_STEPS instructions from
# the program that SKEP_FUZZ_SEED stands for. The log has the counts. A billion
# take about ten minutes of one core.
fuzz-verifier:
	SKEP_FUZZ_STEPS=$${SKEP_FUZZ_STEPS:-10000000} go test -count=1 -timeout 12h -run 'TestSound$$|TestConcurrentWriters$$' -v ./vm

# Engines against each other, this host's processor and its kernel, on programs
# of generators that the tests do not have (internal/cfuzz): SKEP_FUZZ_UNITS units of
# C from SKEP_FUZZ_SEED, ten times as many batches of instructions, and of mutants
# of the programs below FUZZ_OBJECTS. Machine code of arm64 runs under qemu.
FUZZ_OBJECTS ?= testdata:internal/bench:examples
.PHONY: fuzz-c
fuzz-c:
	go build -o bin/cfuzz ./internal/cfuzz
	GOARCH=arm64 CGO_ENABLED=0 go build -o bin/cfuzz.arm64 ./internal/cfuzz
	@set -e; n=$${SKEP_FUZZ_UNITS:-20}; seed=$${SKEP_FUZZ_SEED:-1}; \
	bin/cfuzz -arm64 bin/cfuzz.arm64 -seed $$seed -n $$n; \
	bin/cfuzz -arm64 bin/cfuzz.arm64 -seed $$seed -n $${n}0 -mode code; \
	bin/cfuzz -arm64 bin/cfuzz.arm64 -seed $$seed -n $${n}0 -mode mutants -objects $(FUZZ_OBJECTS)

# The verifier's tests held against wrong verifiers: about an hour of one core.
# Results go to bin/mutants.tsv; MUTATE="-resume" takes over what was killed.
mutants:
	go run ./internal/mutate $(MUTATE)

# Verdicts of skep and of this machine's kernel compared, for SKEP_DIFF_PROGS
# programs of each source (generated, objects, C) from SKEP_DIFF_SEED. Prints how
# many each entry of testdata/verifier/kernel.ledger explains, and fails for what
# none does. Needs root, clang and z3.
verdicts:
	SKEP_DIFF_PROGS=$${SKEP_DIFF_PROGS:-10000} go test -count=1 -timeout 12h -run 'TestKernelVerdicts$$' -v ./vm

# Campaigns against the kernel of this machine; need root.
diff:
	SKEP_DIFF_PROGS=$${SKEP_DIFF_PROGS:-10000} SKEP_DIFF_OPS=$${SKEP_DIFF_OPS:-100000} \
		go test -count=1 -timeout 30m -run 'Kernel|Oracle|Diff' -v ./internal/... ./maps/... ./vm/... ./helpers/... ./hook/...

# A corpus of objects, verified by skep and by the kernel of this machine in one
# run: CORPUS is their directory, CORPUS_TABLE the table of programs. Needs root.
corpus:
	@test -n "$(CORPUS)" -a -n "$(CORPUS_TABLE)" || { echo "make corpus CORPUS=directory CORPUS_TABLE=file"; exit 2; }
	go build -o bin/corpus ./internal/corpus
	bin/corpus -objects "$(CORPUS)" -table "$(CORPUS_TABLE)" -ledger testdata/verifier/corpus.ledger $(CORPUS_FLAGS)

cost-plot: # and docs/cost.svg with its figures
	@mkdir -p docs
	$(MAKE) --no-print-directory corpus CORPUS_FLAGS="$(CORPUS_FLAGS) -plot docs/cost.svg"

# Every directory that holds C holds a Makefile that builds its objects.
OBJECT_DIRS = $(sort $(dir $(shell git ls-files '*.c' | xargs -r -n1 dirname | sort -u | sed 's,$$,/Makefile,' | xargs -r ls 2>/dev/null)))

objects:
	@set -e; for d in $(OBJECT_DIRS); do $(MAKE) --no-print-directory -B -C $$d; done

objects-check: objects
	git diff --exit-code --stat -- '*.o'

generate-check:
	go generate $(MODULES)
	git diff --exit-code --stat

support: # docs/support.md, from the code
	go generate ./internal/support

tidy-check:
	GOWORK=off go mod tidy -diff
	GOWORK=off go -C tools mod tidy -diff
	@mkdir -p bin/tidy && cp cmd/skep/go.mod bin/tidy/go.mod && cp cmd/skep/go.sum bin/tidy/go.sum
	cd cmd/skep && go mod edit -replace github.com/skepvm/skep=../.. ../../bin/tidy/go.mod && \
		GOWORK=off go mod tidy -diff -modfile=../../bin/tidy/go.mod

bin/staticcheck: tools/go.mod tools/go.sum
	GOWORK=off go build -C tools -o ../bin/ honnef.co/go/tools/cmd/staticcheck

staticcheck: bin/staticcheck
	bin/staticcheck $(MODULES)

# skep against the kernel and clang's native code: docs/bench.md, bench.svg,
# bench.json, compile.md and entry.md. Linux on amd64; root, for the kernel.
bench:
	go build -o bin/bench ./internal/bench
	bin/bench
	chrt -f 10 bin/bench -entry

# The example's load balancer against the kernel, packet by packet. Root.
.PHONY: bench-balancer
bench-balancer:
	go test -run '^$$' -bench AgainstKernel -benchtime 300x ./examples/load-balancer

# skep's maps against the kernel's and Go's: docs/maps.md and maps.json. Linux on
# amd64; root, for the kernel.
.PHONY: bench-maps
bench-maps:
	go run ./internal/mapbench

# Every Go benchmark.
.PHONY: gobench
gobench:
	go test -run '^$$' -bench . -benchmem $(MODULES)

# Every host that skep promises to compile on: the library, its tests, the
# command. The command has no use in a browser, but compiles.
cross:
	GOOS=darwin GOARCH=arm64 go vet $(MODULES)
	GOOS=windows GOARCH=amd64 go vet $(MODULES)
	GOOS=linux GOARCH=386 go vet $(MODULES)
	GOOS=linux GOARCH=arm64 go vet $(MODULES)
	GOOS=js GOARCH=wasm go vet $(MODULES)

# Hosts of 32 bits, which have no machine code.
386:
	GOARCH=386 go test -short ./elf ./helpers/... ./hook/... ./internal/checked ./internal/interp ./internal/mem \
		./internal/vcpu ./maps/... ./prog ./vm

arm64:
	GOARCH=arm64 CGO_ENABLED=0 go test -short -exec qemu-aarch64-static $(MODULES)

# Tests as Windows programs, under Wine: machine code, the memory it is in, and
# whatever runs programs or reads objects. The command and the examples delete
# files, which Wine before version 9 cannot do for Go.
WINE = WINEPREFIX=$(CURDIR)/bin/wine WINEDEBUG=-all
WINDOWS_PACKAGES = ./elf ./helpers/... ./hook/... ./internal/checked ./internal/execmem ./internal/interp \
	./internal/mem ./internal/rt ./internal/vcpu ./jit/... ./maps/... ./prog ./vm

windows: bin/wine/drive_c/windows/system32/bcryptprimitives.dll
	$(WINE) GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go test -short -exec wine $(WINDOWS_PACKAGES)

# Wine before version 9 lacks the one function that Go's runtime wants of this
# library. What it does is what advapi32 has under another name.
bin/wine/drive_c/windows/system32/bcryptprimitives.dll:
	@mkdir -p bin
	$(WINE) wine wineboot --init
	$(WINE) wineserver --wait || true
	test -e $@ || { echo | clang-19 --target=x86_64-windows-msvc -x c -c -o bin/empty.obj - && \
		lld-link-19 /dll /noentry /machine:x64 /export:ProcessPrng=advapi32.SystemFunction036 /out:$@ bin/empty.obj; }

clean:
	rm -rf bin
