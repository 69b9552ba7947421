.PHONY: test lint doc dev fips bench compare compare-emulated guard soak soak-aws soak-audit fuzz fuzz-briefly image fleet

target := $(abspath $(or $(CARGO_TARGET_DIR),target))

# All tests, documentation examples included; installs curl and python3 where they are missing, and makes a Python environment under target/ once.
test:
	.ci/needs
	tests/support/aws/environment $(target)/aws-double
	cargo test --locked --features testing

# Format, clippy, and what the dependencies are allowed to be.
lint:
	.ci/lint

# The documentation, where a warning is an error.
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features testing

# Two sidecars, an app and four requests on this machine.
dev:
	cargo run --release -- dev

# Rotations, policy swaps and a flipping rule under load; SOAK_SECONDS=20 for a shorter run.
soak:
	cargo bench --no-default-features --bench soak

# Certificates of 20 s from the double of AWS, which fails by turns, under load: 10 minutes, or SOAK_SECONDS; CI runs 60 s in the profile that the tests
# were built in (SOAK_PROFILE=dev), where the load is lower.
soak-aws:
	tests/support/aws/environment $(target)/aws-double
	AWS_DOUBLE=$(target)/aws-double SOAK_RATE=$(or $(SOAK_RATE),$(if $(filter dev,$(SOAK_PROFILE)),60,500)) \
	  cargo bench --locked $(if $(filter dev,$(SOAK_PROFILE)),--profile dev --features testing) --bench soak-aws

# A million requests, three kills and a full disk, then the log is held against what the clients were told; SOAK_REQUESTS for fewer, CI runs 60,000 in the
# profile of the tests (SOAK_PROFILE=dev). Mounts a disk of its own in a namespace of its own: root, or a kernel that lets users do that.
soak-audit:
	cargo bench --locked $(if $(filter dev,$(SOAK_PROFILE)),--profile dev --features testing) --bench soak-audit

# What a request costs; docs/performance.md says how it is measured.
bench:
	cargo build --profile dist
	COUNTERSIGN=$(target)/dist/countersign BENCH_OUT=$(target)/bench cargo bench --no-default-features --bench instructions

# The same beside Envoy, HAProxy and nginx, as far as they can be had; unpacks them under target/peers, installs nothing.
compare:
	PEERS_DIR=$(or $(PEERS_DIR),$(target)/peers) benches/peers/all.sh
	cargo build --profile dist
	PEERS_DIR=$(or $(PEERS_DIR),$(target)/peers) COUNTERSIGN=$(target)/dist/countersign COMPARE_OUT=$(target)/compare cargo bench --no-default-features --bench compare

# User and kernel instructions of all of them on an emulated machine whose clock counts them; installs nothing.
compare-emulated:
	PEERS_DIR=$(or $(PEERS_DIR),$(target)/peers) benches/peers/all.sh
	cargo build --profile dist
	cargo bench --no-default-features --bench compare --no-run
	PEERS_DIR=$(or $(PEERS_DIR),$(target)/peers) EMULATED_DIR=$(target)/emulated benches/emulated/run.sh $(target)/dist/countersign \
	  "$$(cargo bench --no-default-features --bench compare --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))$$/\1/p')"

# Whether a request still costs what it did, against a bare proxy of the same libraries; GUARD_RENEW=1 commits to today's figures.
guard:
	.ci/needs valgrind
	cargo bench --locked --no-default-features --bench guard

# Every parser under the fuzzer, FUZZ_SECONDS each (600), then requests at random; FUZZ_KEEP=1 adds what the fuzzer found to tests/corpus.
fuzz:
	.ci/needs g++
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) tests/fuzz/run
	RANDOM_SEED=$(or $(RANDOM_SEED),$(shell date +%s)) RANDOM_CONNECTIONS=$(or $(RANDOM_CONNECTIONS),20000) \
	  cargo test --locked --features testing --test properties -- requests_at_random

# As CI does it: half a minute a parser; the requests at random are among the tests.
fuzz-briefly:
	.ci/needs g++
	FUZZ_SECONDS=30 tests/fuzz/run

# The container image, built and tried with the Docker engine that is there.
image:
	deploy/image/try

# What a hundred thousand sidecars ask of the authority, in virtual time; draws docs/fleet.svg.
fleet:
	FLEET_SVG=$(CURDIR)/docs/fleet.svg cargo bench --locked --profile dev --no-default-features --features testing --bench fleet

# With the FIPS module of AWS-LC: built, started, and asked which module it uses. Brings cmake and Go from PyPI, under target/; takes some minutes.
fips:
	.ci/fips $(target)/fips
