"""Every decision: ``step(plan, state, readings, now_ms)``. Pure; the live worker, the replay and the tests all call it."""
