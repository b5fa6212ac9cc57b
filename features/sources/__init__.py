"""One file a log format; a file here is a format that secmesh reads."""
