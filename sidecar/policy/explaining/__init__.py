"""What did each part of the policies see, and what does it do to the answer?

Nothing here is on the road of a decision. What that road evaluates is evaluated again, by the
same functions, and looked at.
"""

from sidecar.policy.explaining.whole import explain

__all__ = ["explain"]
