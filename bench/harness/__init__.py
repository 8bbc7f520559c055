"""The measuring side of bench/run: starts both operators in turns and prints ratios."""
