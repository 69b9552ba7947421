.PHONY: test lint doc dev bench soak fuzz image

# All tests, documentation examples included; installs curl and python3 where they are missing.
test:
	.ci/needs
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
	cargo bench --bench soak

# What a request costs; docs/performance.md says how it is measured.
bench:
	cargo build --profile dist
	COUNTERSIGN=$(abspath $(or $(CARGO_TARGET_DIR),target))/dist/countersign BENCH_OUT=$(abspath $(or $(CARGO_TARGET_DIR),target))/bench cargo bench --bench instructions

# Every parser under the fuzzer, FUZZ_SECONDS each (600); FUZZ_KEEP=1 adds what it found to tests/corpus.
fuzz:
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) tests/fuzz/run

# The container image, built and tried with the Docker engine that is there.
image:
	deploy/image/try
