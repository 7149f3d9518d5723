"""Everything around a server breaks while callers go on: what do they see, and what is counted?"""
