"""Policy files on one side, a compiled, immutable set of rules on the other."""
