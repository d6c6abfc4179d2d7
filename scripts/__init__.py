"""What builds, generates and checks this repository."""
