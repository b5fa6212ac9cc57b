"""One file a domain: what its agent looks at; the files a data scientist edits."""
