"""What a failover costs: how long calls fail, and which units that were answered are gone."""
