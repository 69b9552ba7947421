.PHONY: bench soak

# Rotations, policy swaps and a flipping rule under load; SOAK_SECONDS=20 for a shorter run.
soak:
	cargo bench --bench soak
