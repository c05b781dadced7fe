"""What containers themselves say of their wholeness, read from their structure: sizes, counts, numbers, end marks.

Nothing here decodes, knows streams beyond their ids, or decides: `core/video/damage.py` weighs what is found.
"""
