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
