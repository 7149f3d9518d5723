"""Notices that leave the house: signed, tried again, given up at last."""
