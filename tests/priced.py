"""A policy that counts cost, for tests of prices."""

COST_POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    limits: [{id: spend, meter: cost, max: 1000000, window: billing_month}]
"""

WALLET_POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: payg}
plans:
  payg: {plugins: ["*"], wallet: {require: true, low: 1000}}
  flat: {plugins: ["*"]}
"""

PRICES = """
apiVersion: sidecar/v1
kind: Prices
currency: USD
models:
  dear: {input: 100, output: 300}
default: {input: 1, output: 1}
"""
"""A token of an unknown model costs one micro-unit."""
