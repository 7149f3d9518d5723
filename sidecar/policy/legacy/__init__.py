"""What does the runtime's older `subscription_config.json` say, and how is it said in a policy?"""
