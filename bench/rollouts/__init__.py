"""What environment steps buy: combining runs against playing more of them."""
