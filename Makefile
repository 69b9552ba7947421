.PHONY: bench soak

# Rotations, policy swaps and a flipping rule under load; SOAK_SECONDS=20 for a shorter run.
soak:
	cargo bench --bench soak

# What a request costs; docs/performance.md says how it is measured.
bench:
	cargo build --profile dist
	COUNTERSIGN=$(abspath $(or $(CARGO_TARGET_DIR),target))/dist/countersign BENCH_OUT=$(abspath $(or $(CARGO_TARGET_DIR),target))/bench cargo bench --bench instructions
