"""What a command bucket by bucket costs, measured, and what it would cost for more."""
