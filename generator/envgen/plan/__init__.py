"""Every decision taken, each with its reason: the third stage of the flow. Pure and offline."""
