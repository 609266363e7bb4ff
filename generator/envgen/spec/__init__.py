"""What the user wrote, validated: the first stage of the flow."""
