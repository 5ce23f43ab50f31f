"""What a recipe comes to before it runs: its data, what it trains, memory, time and disk; nothing is written."""
