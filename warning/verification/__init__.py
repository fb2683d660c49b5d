"""Hindcasts: what was said over a flood of the past, judged against what came; tables, figures, and a page of them."""
