"""The measuring table of streams: every data set against every method, scored online and judged by its own units."""
