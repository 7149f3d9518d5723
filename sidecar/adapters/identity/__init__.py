"""Users by their tokens; PyJWT is imported when the first one comes."""
