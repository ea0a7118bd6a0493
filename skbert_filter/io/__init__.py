"""Files and folders of the user."""
