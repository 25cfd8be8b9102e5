"""Many runs as one experiment: methods, seeds, worlds and variants, and what they come to."""
