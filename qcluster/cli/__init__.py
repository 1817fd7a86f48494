"""The command line, one module per group of commands; it parses arguments, calls the package and prints results."""
