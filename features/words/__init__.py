"""One file a word of the recipes' language; a file here is a word that recipes can use."""
