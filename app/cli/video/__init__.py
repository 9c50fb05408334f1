"""`likeness watch`: frames of a video, faces tracked through them, who they are, and where that is sent."""
