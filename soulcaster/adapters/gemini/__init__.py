"""Google's Gemini API: the client that the embedder and the planner share, and the planner."""
