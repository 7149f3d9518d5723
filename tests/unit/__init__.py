"""The core without a network, a store or a clock."""
