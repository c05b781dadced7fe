"""Pictures of results, to look at: contact sheets and plots, made when a result is computed and stored beside it.

They are readable on light and on dark pages (each has its own background), their colours are told apart by the
colour-blind, and no colour says what a label, a line style or a marker doesn't say too.
"""
