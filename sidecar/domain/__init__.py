"""Values and arithmetic of entitlement; standard library only, no input or output."""
