"""Against Stripe itself, in its test mode: only with STRIPE_TEST_KEY, and never part of a run without it."""
